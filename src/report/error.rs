//! What can go wrong while a report is written. Never a host's fault: whatever a host says can be written.

use std::fmt;

use super::document::SCHEMA;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document has another layout.
    #[error("the scan is stored as `{0}`, and this version of keyward reads {SCHEMA}: use the version that wrote it")]
    Schema(String),
    /// Where it was to go took no more.
    #[error("the report could not be written")]
    Write(#[from] fmt::Error),
    /// JSON could not be made of it.
    #[error("the report could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// XML could not be made of it.
    #[error("the report could not be written as JUnit's XML: {0}")]
    Junit(#[from] quick_junit::SerializeError),
}
