//! The strongroom: one keeper thread that owns all keys. Ciphertext and host bindings go in; ciphertext, signatures
//! and – once per lease – a password come out. Never writes to the ledger, never touches the network.
//!
//! root key → a scope's key (KEK) → a data key per version of a credential (DEK) → the secret. Each arrow is one
//! envelope, bound to the row where it lies; the data key is wrapped once more for each host that the credential
//! is attached to, bound to the host's address, account and pinned keys. A sudo password hangs on the same data key.

mod authority;
mod certify;
mod code;
mod crossing;
mod envelope;
mod error;
mod exchange;
mod fetched;
mod formats;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod import;
mod keeper;
mod keys;
mod lease;
mod next;
mod open;
mod opening;
mod pem;
mod personal;
mod ppk;
mod ring;
pub mod root;
mod root_file;
mod rotate;
mod scope;
mod sealing;
mod slots;
mod totp;
mod traditional;
mod wire;
mod wrapped;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

pub use authority::{NewAuthority, SealedAuthority};
pub use certify::{CLOCK_SKEW, Mark};
pub use error::{Error, PasswordFault, SignFault, Tampering};
pub use exchange::RootName;
pub use fetched::{Ephemeral, FetchedFault, Referral};
pub use keeper::QUEUE_MAX;
pub use keys::{MAX_RSA_BITS, MIN_RSA_BITS};
pub use lease::{Lease, Means, Signer, SudoLease};
pub use next::{PasswordLease, Successor, Way};
pub use personal::{Code, NewSlot, Unlocker};
pub use rotate::Handover;
pub use slots::{AgentFault, MAX_PASSPHRASE, MIN_PASSPHRASE, PassphraseFault};
pub use totp::{NewFactor, RECOVERY_CODES, RecoveryCodes, Typed};
pub use wrapped::Renewed;

use crate::audit::{Audited, Signer as CheckpointSigner};
use crate::authz::Permit;
use crate::clock::Clock;
pub use crate::model::Form;
use crate::model::{Action, Credential, CredentialId, CredentialKind, HostBinding, HostId, KeyKind, Login, Name, Scope};
use crate::scrub;
use crate::secret::Secret;
use crate::store::Store;
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};
use crate::store::state::Sealed as SealedState;
use keeper::Keeper;
use keys::RawKey;
use lease::{Case, Rows, Wanted};
use ring::Ring;
use sealing::Plain;

/// The longest password: what OpenSSH's server reads.
pub const MAX_PASSWORD: usize = 1024;
/// The longest sudo password: what every sudo reads as one line (sudo-rs 511 bytes, old releases of sudo 255).
pub const MAX_SUDO_PASSWORD: usize = 255;
/// How long after a lease its signer signs: what OpenSSH's server waits for a sign-in.
pub const LEASE_LIFE: Duration = Duration::from_secs(120);

/// What the vault needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file of the root key. Not beside the database: a backup of the one should not hold the other.
    pub root_key: PathBuf,
}

/// The vault. Clones ask the same keeper.
#[derive(Clone, Debug)]
pub struct Vault {
    keeper: Keeper,
    store: Store,
    clock: Clock,
    source: root::Source,
    /// One import at a time: a passphrase costs seconds of work, and one file must not cost more than one core.
    importing: Arc<Semaphore>,
    /// Two derivations of passphrases at a time.
    deriving: Arc<Semaphore>,
}

/// What is to be sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The credential's id.
    pub id: CredentialId,
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub scope: Scope,
    /// The account on the hosts.
    pub username: Login,
    /// What the secret is.
    pub form: Form,
    /// 1 for a new credential, one more for each new secret.
    pub version: u32,
}

/// Rows to be written in one change.
#[derive(Debug)]
pub struct SealedCredential {
    /// The credential.
    pub row: CredentialRow,
    /// The scope's first key, if it had none.
    pub new_kek: Option<KekRow>,
    /// The credential's bindings to the hosts that were given.
    pub bindings: Vec<BindingRow>,
}

/// A credential as it stands, with all that opens its sudo password.
#[derive(Clone, Debug)]
pub struct Held {
    /// The credential.
    pub row: CredentialRow,
    /// The scope's key that wraps its data key.
    pub kek: KekRow,
    /// Its sealed sudo password, if it has one of its own.
    pub sudo: Option<Vec<u8>>,
}

/// What becomes of a credential's sudo password when the credential changes.
#[derive(Debug)]
pub enum Sudo {
    /// It stays, also under a new secret.
    Keep,
    /// It is this one.
    Set(Secret),
    /// It has none of its own any more.
    Remove,
}

impl Vault {
    /// Whether the state is what the broker wrote.
    ///
    /// # Errors
    /// [`Error::Tampered`], [`Error::KeeperStopped`].
    pub async fn verify(&self, state: &SealedState) -> Result<(), Error> {
        let state = state.clone();
        self.keeper.ask(move |ring| ring.verify(&state)).await
    }

    /// Seals a secret. `kek` is the scope's newest key, `None` if it has none: then one is made and returned.
    /// `hosts` are those that the credential is attached to.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Password`]; [`Error::Tampered`] if `kek` does not open.
    pub async fn seal(
        &self,
        draft: Draft,
        secret: Secret,
        passphrase: Option<Secret>,
        kek: Option<KekRow>,
        hosts: Vec<(HostId, HostBinding)>,
    ) -> Result<SealedCredential, Error> {
        let plain = match draft.form {
            Form::Password => Plain::Password(secret),
            Form::PrivateKey => Plain::Key(self.import(secret, passphrase).await?),
            Form::Reference(what) => Plain::Reference(what, secret),
        };
        self.seal_plain(draft, plain, kek, hosts).await
    }

    /// Makes a new private key and seals it; it is never outside the vault. RSA takes up to some seconds.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Tampered`] if `kek` does not open.
    pub async fn generate(
        &self,
        draft: Draft,
        kind: KeyKind,
        kek: Option<KekRow>,
        hosts: Vec<(HostId, HostBinding)>,
    ) -> Result<SealedCredential, Error> {
        let made = self.aside(move || RawKey::generate(kind)).await?;
        let raw = made.and_then(Result::ok).ok_or(Error::System("a new private key"))?;
        self.seal_plain(draft, Plain::Key(raw), kek, hosts).await
    }

    async fn seal_plain(
        &self,
        draft: Draft,
        plain: Plain,
        kek: Option<KekRow>,
        hosts: Vec<(HostId, HostBinding)>,
    ) -> Result<SealedCredential, Error> {
        let now = self.clock.now();
        let Draft { id, name, scope, username, version, .. } = draft;
        let meta = Credential {
            id,
            name,
            scope,
            username,
            kind: CredentialKind::Password,
            version,
            public_key: None,
            fingerprint: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        self.keeper.ask(move |ring| ring.seal(meta, &plain, kek, &hosts)).await
    }

    /// Wraps a credential's data key for hosts: when it is attached, and when an address, account or pin changes.
    ///
    /// # Errors
    /// [`Error::Tampered`] if the row does not open; [`Error::Misused`] if `kek` is not the row's.
    pub async fn bind(&self, row: CredentialRow, kek: KekRow, hosts: Vec<(HostId, HostBinding)>) -> Result<Vec<BindingRow>, Error> {
        self.keeper.ask(move |ring| ring.bind(&row, &kek, &hosts)).await
    }

    /// Seals what is to become of a sudo password. `after` is the credential as it will stand: `before` itself, or its next
    /// version, wrapped by `kek`. Then what was kept is opened and sealed anew, and leaves the keeper only as ciphertext.
    /// `None`: the credential has no sudo password of its own.
    ///
    /// # Errors
    /// [`Error::Password`]; [`Error::Tampered`] if a row does not open; [`Error::Misused`] if `kek` is not `after`'s.
    pub async fn sudo_for(&self, before: Held, after: CredentialRow, kek: KekRow, change: Sudo) -> Result<Option<Vec<u8>>, Error> {
        if before.row.meta.id != after.meta.id {
            return Err(Error::Misused("the sudo password of another credential"));
        }
        self.keeper.ask(move |ring| ring.sudo_for(&before, &after, &kek, &change)).await
    }

    /// Leases a credential's sudo password to the host that showed the key `presented`: its own, else – of a password – the
    /// one that signs in. It is bound to the host as what signs in is. `None`: a key without a sudo password.
    ///
    /// # Errors
    /// As [`Vault::lease`]; [`Error::NotForSudo`]; [`Error::Misused`] if the permit does not reach to `needs`.
    pub async fn sudo_for_action(&self, permit: Audited<Permit>, presented: &str, needs: Action) -> Result<Option<SudoLease>, Error> {
        let permit = permit.into_inner();
        if !permit.is_fresh(self.clock.now()) {
            return Err(Error::StalePermit);
        }
        if !permit.reach().allows(needs) {
            return Err(Error::Misused("sudo for a permit that does not reach to what it is for"));
        }
        let (credential, session) = (permit.credential(), permit.session());
        let (principal, host) = (permit.principal(), permit.host());
        let wanted = Wanted { principal, credential, host, presented: presented.to_owned(), way: Way::Standing };
        let secret = self
            .with_case(wanted, move |ring, case| {
                // Also while its owner has it open: a scan does not lean on somebody's presence.
                if needs == Action::Scan && case.kek.is_sealed() {
                    return Err(Error::SealedForOwner);
                }
                ring.sudo(&case)
            })
            .await?;
        Ok(secret.map(|secret| SudoLease { session, credential, secret }))
    }

    /// Leases a credential to the host that showed the key `presented` (`SHA256:…`). A password is decrypted now; a key
    /// not before its signer is asked.
    ///
    /// # Errors
    /// [`Error::StalePermit`], [`Error::HostKeyNotPinned`], [`Error::NoCredential`], [`Error::NotBound`],
    /// [`Error::NotTheirs`], [`Error::Tampered`].
    pub async fn lease_by(&self, permit: Audited<Permit>, presented: &str, way: Way) -> Result<Lease, Error> {
        let permit = permit.into_inner();
        let now = self.clock.now();
        if !permit.is_fresh(now) {
            return Err(Error::StalePermit);
        }
        let (credential, session) = (permit.credential(), permit.session());
        let wanted = Wanted { principal: permit.principal(), credential, host: permit.host(), presented: presented.to_owned(), way };
        let open = |ring: &Ring, case: Case| Ok((ring.lease(&case)?, case.row.meta));
        let (password, meta) = self.with_case(wanted.clone(), open).await?;
        let means = match password {
            Some(password) => match self.second(wanted).await? {
                Some(second) => Means::Either(password, second),
                None => Means::Password(password),
            },
            None => {
                let public = meta.public_key.as_deref().and_then(|text| russh::keys::PublicKey::from_openssh(text).ok());
                let public =
                    public.ok_or_else(|| Error::Tampered { database: self.store.path().to_owned(), found: Tampering::PublicKey })?;
                Means::Key(Signer::new(self.clone(), wanted, public, now))
            }
        };
        Ok(Lease { session, credential, login: meta.username, means })
    }

    /// Signs the audit log's checkpoints.
    pub fn checkpoint_signer(&self) -> Box<dyn CheckpointSigner> {
        Box::new(self.keeper.clone())
    }

    /// Resolves when the keeper has ended: at [`Vault::close`], or because it panicked. In the second case nobody knows
    /// the truth any more, and the daemon has to drain and exit.
    pub async fn stopped(&self) {
        self.keeper.ended().await;
    }

    /// Ends the keeper. When this returns, its keys are wiped; later calls get [`Error::KeeperStopped`].
    pub fn close(&self) {
        self.keeper.close();
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the rows of a use in one snapshot, has the keeper verify the state, judges, and then does `work`.
    async fn with_case<T: Send + 'static>(
        &self,
        wanted: Wanted,
        work: impl FnOnce(&Ring, Case) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let floor = self.keeper.floor();
        let asked = wanted.clone();
        let rows = self.store.read(move |c| Rows::read(c, &asked)).await?;
        let database = self.store.path().to_owned();
        self.keeper
            .ask(move |ring| {
                ring.verify(&rows.state)?;
                if rows.state.epoch < floor {
                    return Err(Error::Tampered { database, found: Tampering::Rollback });
                }
                work(ring, ring.bound_now(rows, &wanted)?.judge(&wanted)?)
            })
            .await
    }

    /// Turns a key file into its raw form.
    async fn import(&self, file: Secret, passphrase: Option<Secret>) -> Result<RawKey, Error> {
        let read = self.aside(move || import::read(file.expose(), passphrase.as_ref().map(Secret::expose))).await?;
        // A parser that panics has met a file that it does not know; the keeper knows nothing of it and goes on.
        Ok(read.unwrap_or(Err(import::Error::Unreadable))?)
    }

    /// Does work with keys that takes long, or that a stranger's bytes could break, on a thread of its own, whose stack is
    /// overwritten after it; one at a time. `None`: it panicked.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, Error> {
        self.aside_at(Arc::clone(&self.importing), work).await
    }

    /// The same, as many at a time as there are places.
    async fn aside_at<T: Send + 'static>(
        &self,
        places: Arc<Semaphore>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let place = places.acquire_owned().await.map_err(|_| Error::KeeperStopped)?;
        let (tell, told) = oneshot::channel();
        let run = move || {
            let done = scrub::wiped(work).ok();
            drop(place);
            let _ = tell.send(done);
        };
        std::thread::Builder::new()
            .name("vault-aside".to_owned())
            .stack_size(scrub::STACK)
            .spawn(run)
            .map_err(|_| Error::System("a thread"))?;
        Ok(told.await.unwrap_or_default())
    }
}

#[cfg(test)]
impl Vault {
    /// As if its keeper had a full queue, until what is returned is dropped.
    pub(crate) async fn is_full_for_a_test(&self) -> std::sync::mpsc::Sender<()> {
        self.keeper.is_full_for_a_test().await
    }
}

#[cfg(test)]
mod tests;
