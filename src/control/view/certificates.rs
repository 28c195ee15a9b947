//! What is shown of keys that were made here and of the certificate authority: public halves alone.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::{CredentialId, Login, Name};

view! {
    /// A key that was made here.
    GeneratedView {
        id: CredentialId,
        name: Name,
        scope: String,
        username: Login,
        kind: String,
        fingerprint: String,
        /// A line for authorized_keys, with the credential's name behind it.
        public_key: String,
    }
}

view! {
    /// A key of a certificate authority.
    AuthorityKeyView {
        /// `signing`, `next` or `old`.
        stage: String,
        kind: String,
        fingerprint: String,
        /// A line for the file that TrustedUserCAKeys names.
        public_key: String,
        created_at: Time,
    }
}

view! {
    /// A workspace's certificate authority.
    AuthorityView {
        workspace: Name,
        /// The one that signs first.
        keys: Vec<AuthorityKeyView>,
        /// The credentials that stand on it, of those that the caller sees.
        credentials: Vec<Name>,
        /// What a host's sshd_config needs.
        sshd_config: Vec<String>,
    }
}

view! {
    /// Lines that make hosts trust an authority.
    TrustLinesView {
        lines: Vec<String>,
    }
}
