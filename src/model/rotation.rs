//! The words of rotations: how one stands, how a host in it stands, and what a person approved for one host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::printable;
use super::scan::words;

words! {
    /// How a rotation stands.
    RotationStage, "stage of a rotation":
    /// The new secret goes to the hosts; here the old one is in force.
    Installing "installing",
    /// The new secret is in force here; the old one goes from the hosts.
    Cleaning "cleaning",
    /// A person gave it up: the new secret goes from the hosts again.
    Aborting "aborting",
}

words! {
    /// How a host in a rotation stands.
    HostStep, "step of a rotation":
    /// It knows the old secret alone.
    Pending "pending",
    /// Its password is being changed: which of the two it takes is not known.
    Setting "setting",
    /// It was given the new key beside the old one; no sign-in has shown it yet.
    Installed "installed",
    /// It took the new secret.
    Verified "verified",
    /// The new secret is in force here, and the old key still lies on the host.
    Switched "switched",
    /// The old key is gone from it.
    Cleaned "cleaned",
    /// A person left it out.
    Skipped "skipped",
}

/// What a person approved for one host by a verb about a credential. The connection takes it only when it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpkeepAct {
    /// Of which credential.
    pub credential: super::CredentialId,
    /// The host.
    pub host: super::HostId,
}
