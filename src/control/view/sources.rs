//! What a caller gets to see of other people's vaults: names, places and rules; never a secret.

use serde::{Deserialize, Serialize};

use crate::model::{Field, Name, RefPath};

view! {
    /// A source. `place` and `paths` are told to owners, admins and auditors.
    SourceView {
        name: Name,
        #[serde(rename = "type")]
        kind: String,
        place: Option<String>,
        paths: Vec<String>,
        personal: bool,
        personal_paths: Option<String>,
    }
}

view! {
    /// How far a test of a source came: `reached`, `found` or `read`.
    SourceTestedView {
        name: Name,
        result: String,
        took_ms: u64,
    }
}

view! {
    /// Where a credential's secret lies, for those who may change the credential.
    ReferenceView {
        from: Name,
        path: RefPath,
        field: Option<Field>,
    }
}
