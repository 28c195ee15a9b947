//! From a permit to a lease of what lies in somebody else's vault: opened, asked for, fetched, judged – and each step witnessed.
//! Nothing that was fetched stays here; what failed is told by source and step, never by value or path.

use std::collections::BTreeMap;

use super::{Custody, Error, Way};
use crate::audit::Audited;
use crate::authz::Permit;
use crate::model::{
    Credential, CredentialId, CredentialKind, Event, EventName, Fetched, Field, Host, Name, RefPath, Reference, Scope, User, Wish,
};
use crate::sources::{Known, Sources, Tested};
use crate::store::{self, credentials};
use crate::vault::{Lease, Referral};

impl Custody {
    /// With other people's vaults.
    #[must_use]
    pub fn with_sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// The lease of a reference. As for every lease the permit was witnessed before; that the source is asked is witnessed, too,
    /// before it is reached.
    pub(super) async fn fetched(
        &self,
        permit: Audited<Permit>,
        user: &User,
        host: &Host,
        (credential, way): (&Credential, Way),
        presented: &str,
    ) -> Result<Lease, Error> {
        let session = permit.get().session();
        let referral = self.vault.refer(permit, presented, way).await?;
        let told = |name| {
            let event = Event::new(name, user.name.to_string()).host(host).credential(credential).session(session);
            event.with("source", &referral.reference().source).with("kind", CredentialKind::Reference(referral.what()))
        };
        let (asked, fetched) = (told(EventName::SourceAsked), told(EventName::SourceFetched));
        self.log.record(asked).await?;
        let owner = matches!(referral.scope(), Scope::Personal(_)).then(|| user.name.clone());
        let wish = Wish { reference: referral.reference().clone(), login: referral.login().clone(), owner };
        let lease = self.leased(referral, &wish).await;
        let fetched = match &lease {
            Ok(_) => fetched,
            Err(e @ Error::Source(source)) => fetched.with("step", source.step.as_str()).failed(e.to_string()),
            Err(e) => fetched.failed(e.to_string()),
        };
        self.log.record(fetched).await?;
        lease
    }

    async fn leased(&self, referral: Referral, wish: &Wish) -> Result<Lease, Error> {
        Ok(match referral.what() {
            Fetched::Password => self.vault.with_password(referral, self.sources.fetch(wish, Fetched::Password).await?)?,
            Fetched::Key => self.vault.with_key(referral, self.sources.fetch(wish, Fetched::Key).await?).await?,
            Fetched::Certificate => {
                let key = self.vault.ephemeral(&referral).await?;
                let certificate = self.sources.certificate(wish, &key.public_key()?).await?;
                self.vault.with_certificate(referral, key, &certificate).await?
            }
        })
    }

    /// What sources there are.
    pub fn sources(&self) -> Vec<Known> {
        self.sources.known()
    }

    /// Whether a reference keeps the rules of its source.
    ///
    /// # Errors
    /// [`Error::Source`].
    pub fn admits(&self, wish: &Wish, what: Fetched) -> Result<(), Error> {
        Ok(self.sources.admits(wish, what)?)
    }

    /// Reaches a source, and reads a secret if a path is given; it is dropped unseen. `event` is recorded with how it came out.
    ///
    /// # Errors
    /// [`Error::Source`]; [`Error::Audit`].
    pub async fn test_source(
        &self,
        name: &Name,
        place: Option<(RefPath, Option<Field>)>,
        what: Fetched,
        event: Event,
    ) -> Result<Tested, Error> {
        let tested = self.sources.test(name, place, what).await;
        let event = match &tested {
            Ok(_) => event,
            Err(e) => event.with("step", e.step.as_str()).failed(e.to_string()),
        };
        self.log.record(event).await?;
        Ok(tested?)
    }

    /// What references say, for those who may change them. Ids of credentials that are none are left out.
    ///
    /// # Errors
    /// [`Error::Vault`] if one does not open.
    pub async fn references(&self, ids: Vec<CredentialId>) -> Result<BTreeMap<CredentialId, Reference>, Error> {
        let rows = self
            .store
            .read(move |c| -> Result<Vec<_>, store::Error> {
                let mut rows = Vec::new();
                for id in ids {
                    if let Some(row) = credentials::row(c, id)?.filter(|row| matches!(row.meta.kind, CredentialKind::Reference(_))) {
                        let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                        rows.push((row, kek));
                    }
                }
                Ok(rows)
            })
            .await?;
        if rows.is_empty() { Ok(BTreeMap::new()) } else { Ok(self.vault.references(rows).await?.into_iter().collect()) }
    }
}
