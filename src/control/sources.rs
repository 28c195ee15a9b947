//! Verbs about other people's vaults, and credentials that lie there. Which sources there are is the configuration's to say;
//! here it is decided who may point a credential where. Never a secret, in or out.

use std::time::Instant;

use super::api::Reply;
use super::credentials::mine_flag;
use super::desk::Call;
use super::error::Error;
use super::rights::{Reach, Verb, change_of};
use super::view::{CredentialView, Data, ReferenceView, SourceTestedView, SourceView};
use super::words::{CredentialRef, PlaceChange, ScopeWord};
use crate::custody::{Edit, NewSecret, SudoEdit};
use crate::model::{
    Credential, CredentialId, CredentialKind, EventName, Fetched, Field, Form, Login, Name, RefPath, Reference, Scope, Wish,
};
use crate::secret::Secret;

/// A reference as it is asked for.
pub(super) struct NewReference {
    pub(super) name: Name,
    pub(super) username: Login,
    pub(super) what: Fetched,
    pub(super) scope: ScopeWord,
    pub(super) reference: Reference,
}

/// What is to become of one; `None` leaves it as it is.
pub(super) struct ReferenceChange {
    pub(super) username: Option<Login>,
    pub(super) rename: Option<Name>,
    pub(super) what: Option<Fetched>,
    pub(super) place: PlaceChange,
}

impl Call<'_> {
    pub(super) async fn source_list(&self) -> Result<Reply, Error> {
        let all = self.reach == Reach::All;
        let known = self.parts.custody.sources().into_iter().filter(|source| all || source.personal.is_some());
        let view = known.map(|source| SourceView {
            name: source.name,
            kind: source.kind.to_owned(),
            place: all.then_some(source.place),
            paths: if all { source.paths } else { Vec::new() },
            personal: source.personal.is_some(),
            // Everybody reads where their own begin.
            personal_paths: source.personal.map(|prefix| if all { prefix } else { prefix.replace("{user}", self.actor.name.as_str()) }),
        });
        Ok(Reply::of(Data::Sources(view.collect())))
    }

    pub(super) async fn source_test(&self, name: Name, path: Option<RefPath>, field: Option<Field>, key: bool) -> Result<Reply, Error> {
        let what = if key { Fetched::Key } else { Fetched::Password };
        let mut event = self.event(EventName::SourceTested).with("source", &name);
        if let Some(path) = &path {
            event = event.with("path", path);
        }
        let began = Instant::now();
        let tested = self.parts.custody.test_source(&name, path.map(|path| (path, field)), what, event).await?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Reply::of(Data::SourceTested(SourceTestedView { name, result: tested.as_str().to_owned(), took_ms })))
    }

    pub(super) async fn reference_add(&self, new: NewReference) -> Result<Reply, Error> {
        let NewReference { name, username, what, scope, reference } = new;
        let scope = self.scope(scope);
        self.admitted(&scope, &reference, &username, what)?;
        let event = self.event(EventName::CredentialAdded).with("source", &reference.source);
        let told = move |c: &Credential| event.credential(c).with("scope", &c.scope).with("kind", c.kind);
        let added = self.parts.custody.add_credential(name, scope, username, sealed(what, &reference), told).await?;
        let said = format!("{} credential {} added; it lies at {}", added.scope, added.name, reference.source);
        let hint = format!("attach it to a host: keyward credential attach {} --host HOST{}", added.name, mine_flag(&added.scope));
        Ok(Reply::done(Data::Credential(self.credential_view(&added).await?), said).note(hint))
    }

    pub(super) async fn reference_edit(&self, wanted: CredentialRef, change: ReferenceChange) -> Result<Reply, Error> {
        self.one_is_meant(&wanted, "edit", "").await?;
        let credential = self.credential_to_change(wanted).await?;
        let ReferenceChange { username, rename, what, place } = change;
        let what = match (what, credential.kind) {
            (Some(what), _) | (None, CredentialKind::Reference(what)) => what,
            (None, CredentialKind::Password) => Fetched::Password,
            (None, CredentialKind::Key(_)) => Fetched::Key,
            (None, CredentialKind::Certificate) => Fetched::Certificate,
        };
        let before = self.parts.custody.references(vec![credential.id]).await?.remove(&credential.id);
        let (source, path, field) = before.map_or((None, None, None), |r| (Some(r.source), Some(r.path), r.field));
        let (Some(source), Some(path)) = (place.from.or(source), place.path.or(path)) else {
            return Err(Error::unfit(
                format!("credential {} lies here: where is it to lie?", credential.name),
                format!("keyward credential edit {} --from SOURCE --path PATH", credential.name),
            ));
        };
        let field = if place.no_field { None } else { place.field.or(field) };
        let reference = Reference { source, path, field };
        self.admitted(&credential.scope, &reference, username.as_ref().unwrap_or(&credential.username), what)?;
        let changed: Vec<&str> = [(rename.is_some(), "name"), (username.is_some(), "username"), (true, "reference")]
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect();
        let event = self.event(EventName::CredentialEdited).with("changed", changed.join(",")).with("source", &reference.source);
        let edit = Edit { name: rename, username, secret: Some(sealed(what, &reference)), sudo: SudoEdit::Keep, validity: None };
        let told = move |c: &Credential| event.credential(c).with("kind", c.kind);
        let edited = self.parts.custody.edit_credential(credential.id, edit, told).await?;
        let said = format!("credential {} changed; it lies at {}", edited.name, reference.source);
        Ok(Reply::done(Data::Credential(self.credential_view(&edited).await?), said))
    }

    /// Whether this person's credential may point there: the source's own rules, and for personal ones a folder of theirs.
    fn admitted(&self, scope: &Scope, reference: &Reference, login: &Login, what: Fetched) -> Result<(), Error> {
        let owner = matches!(scope, Scope::Personal(_)).then(|| self.actor.name.clone());
        let wish = Wish { reference: reference.clone(), login: login.clone(), owner };
        Ok(self.parts.custody.admits(&wish, what)?)
    }

    /// Tells those who may change a credential where it lies.
    pub(super) async fn with_places(&self, mut views: Vec<CredentialView>, of: &[Credential]) -> Result<Vec<CredentialView>, Error> {
        let theirs = |c: &&Credential| matches!(c.kind, CredentialKind::Reference(_)) && self.reach_of(change_of(c)) != Reach::No;
        let ids: Vec<CredentialId> = of.iter().filter(theirs).map(|c| c.id).collect();
        if ids.is_empty() {
            return Ok(views);
        }
        let mut found = self.parts.custody.references(ids).await?;
        for view in &mut views {
            view.reference = found.remove(&view.id).map(|r| ReferenceView { from: r.source, path: r.path, field: r.field });
        }
        Ok(views)
    }
}

/// What is sealed in the place of a secret.
fn sealed(what: Fetched, reference: &Reference) -> NewSecret {
    NewSecret { form: Form::Reference(what), secret: Secret::new(reference.encode()), passphrase: None }
}

/// Which verb it is to make one.
pub(super) fn verb_of(scope: ScopeWord) -> Verb {
    match scope {
        ScopeWord::Workspace => Verb::CredentialChange,
        ScopeWord::Personal => Verb::CredentialChangeOwn,
    }
}
