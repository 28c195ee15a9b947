//! The wire to a host.
use crate::fault::{Fault, Kind};
use crate::model::Address;

/// A key that a host proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey { pub public_key: String, pub fingerprint: String }
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub enum Error {}
impl Fault for Error { fn kind(&self) -> Kind { Kind::Bug } }
/// How long each step to a host may take.
#[derive(Clone, Debug, Default)]
pub struct Config {}
/// Asks a host for the keys that it proves, one connection per key type.
pub async fn probe(_config: &Config, _address: &Address) -> Result<Vec<ProvenKey>, Error> { Ok(vec![]) }
