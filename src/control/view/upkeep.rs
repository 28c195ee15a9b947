//! What is shown of a credential that is tried, installed or rotated.

use serde::{Deserialize, Serialize};

use crate::model::{HostStep, Login, Name, RotationStage, SessionId};

/// A step of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct StepView {
    pub name: String,
    pub ok: bool,
    pub ms: u64,
    pub error: Option<String>,
}

/// `credential test`. `failed_step` is `name`, `network`, `host_key`, `vault` or `sign_in`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct TestedView {
    pub credential: Name,
    pub host: Name,
    pub username: Login,
    pub session: SessionId,
    pub signed_in: bool,
    pub method: Option<String>,
    pub failed_step: Option<String>,
    pub error: Option<String>,
    pub hint: Option<String>,
    pub steps: Vec<StepView>,
}

/// `credential install`. `verified` is `null` where nothing was tried: in a dry run, or because the credential is not attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct InstalledView {
    pub credential: Name,
    pub host: Name,
    pub username: Login,
    pub using: Name,
    pub line: String,
    pub command: String,
    pub script: Option<String>,
    pub installed: bool,
    pub already: bool,
    pub verified: Option<bool>,
    pub error: Option<String>,
}

/// A host of a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct RotatingHostView {
    pub host: Name,
    pub step: HostStep,
    pub failure: Option<String>,
}

/// `credential rotate`. `state` is `planned`, `open`, `done` or `aborted`; `plan` is there in a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct RotationView {
    pub credential: Name,
    pub state: String,
    pub stage: Option<RotationStage>,
    pub hosts: Vec<RotatingHostView>,
    pub plan: Vec<String>,
}

/// A rotation that stands open, in a credential's own view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct OpenRotationView {
    pub stage: RotationStage,
    pub hosts: Vec<RotatingHostView>,
}
