//! What verbs about second factors answer. A secret and recovery codes stand in an answer once, and nowhere else.

use super::*;

view! {
    /// `user totp enroll`: for the authenticator, once.
    TotpOfferView {
        user: Name,
        uri: String,
        secret: String,
        always: bool,
        confirm_until: Time,
    }
}

view! {
    /// Recovery codes, once.
    TotpCodesView {
        user: Name,
        recovery_codes: Vec<String>,
    }
}

view! {
    /// `user totp show`.
    TotpView {
        user: Name,
        enrolled_at: Option<Time>,
        /// `always` or `grants`.
        wanted: Option<String>,
        last_used_at: Option<Time>,
        recovery_codes_left: usize,
        confirm_until: Option<Time>,
    }
}
