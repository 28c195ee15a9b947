//! The strongroom: one keeper thread that owns all keys. Ciphertext and host bindings go in; ciphertext, signatures
//! and – once per lease – a password come out. Never writes to the ledger, never touches the network.

use crate::audit::{Audited, Signer as CheckpointSigner};
use crate::authz::Permit;
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::model::{CredentialId, HostBinding, HostId, Login, Name, Scope, SessionId};
use crate::secret::Secret;
use crate::store::Store;
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};
use crate::store::state::Sealed as SealedState;

#[derive(Clone, Debug)]
pub struct Config { pub root_key: std::path::PathBuf }
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct Error;
impl Fault for Error { fn kind(&self) -> Kind { Kind::Bug } }

#[derive(Clone, Debug)]
pub struct Vault(());
/// What is to be sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: CredentialId,
    pub name: Name,
    pub scope: Scope,
    pub username: Login,
    pub form: Form,
    /// 1 for a new credential, one more for each new secret.
    pub version: u32,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Form { Password, PrivateKey }
/// Rows to be written in one change.
#[derive(Debug)]
pub struct SealedCredential {
    pub row: CredentialRow,
    /// The scope's first key, if it had none.
    pub new_kek: Option<KekRow>,
    pub bindings: Vec<BindingRow>,
}
#[must_use]
#[derive(Debug)]
pub struct Lease { pub session: SessionId, pub credential: CredentialId, pub login: Login, pub means: Means }
#[derive(Debug)]
pub enum Means { Key(Signer), Password(Secret) }
#[derive(Debug)]
pub struct Signer;
impl Signer { pub fn public_key(&self) -> &russh::keys::PublicKey { unimplemented!() } }
impl From<russh::SendError> for Error { fn from(_: russh::SendError) -> Self { Error } }
impl russh::Signer for Signer { type Error = Error; async fn auth_sign(&mut self, _: &russh::keys::agent::AgentIdentity, _: Option<russh::keys::HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, Error> { Err(Error) } }
impl Lease { pub fn login(&self) -> &Login { &self.login } pub fn into_means(self) -> Means { self.means } }
impl Vault {
    pub fn close(&self) {}
    pub async fn open(_store: &Store, _config: Config, _clock: Clock) -> Result<Self, Error> { Err(Error) }
    pub async fn verify(&self, _state: &SealedState) -> Result<(), Error> { Err(Error) }
    pub async fn seal(&self, _draft: Draft, _secret: Secret, _passphrase: Option<Secret>, _kek: Option<KekRow>, _hosts: Vec<(HostId, HostBinding)>) -> Result<SealedCredential, Error> { Err(Error) }
    pub async fn bind(&self, _row: CredentialRow, _kek: KekRow, _hosts: Vec<(HostId, HostBinding)>) -> Result<Vec<BindingRow>, Error> { Err(Error) }
    pub async fn lease(&self, _permit: Audited<Permit>, _presented: &str) -> Result<Lease, Error> { Err(Error) }
    pub fn checkpoint_signer(&self) -> Box<dyn CheckpointSigner> { unimplemented!() }
}
