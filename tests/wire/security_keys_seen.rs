//! 0006: the handler sees what the security key says about its use. Apart
//! from `security_keys`, because it names what only the patch has.

use russh::server;
use russh::server::{Auth, SecurityKeyUse, VerifiedPublicKey};

use crate::security_keys::{APPLICATION, Authenticator, TOUCHED};
use crate::support::{client_config, connect, server_config, within};

/// Lets a key in whose last use was this.
struct Expecting(Option<SecurityKeyUse>);

impl server::Handler for Expecting {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(match key.security_key == self.0 {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }
}

#[tokio::test]
async fn an_untouched_key_may_be_allowed() {
    let mut config = server_config();
    config.allow_untouched_security_keys = true;
    let seen = SecurityKeyUse { flags: 0, counter: 258 };
    assert!(!seen.user_present());
    assert!(!seen.user_verified());
    let connected = connect(config, client_config(), Expecting(Some(seen)));
    let (mut guest, _server) = within("connect", connected).await;
    let mut authenticator = Authenticator::new(0);
    let key = authenticator.public_key(APPLICATION);
    let signed = guest.authenticate_publickey_with("guest", key, None, &mut authenticator);
    assert!(within("sign in", signed).await.unwrap().success());
}

#[tokio::test]
async fn a_use_is_shown() {
    let seen = SecurityKeyUse { flags: TOUCHED | 0x04, counter: 258 };
    assert!(seen.user_present() && seen.user_verified());
    let connected = connect(server_config(), client_config(), Expecting(Some(seen)));
    let (mut guest, _server) = within("connect", connected).await;
    let mut authenticator = Authenticator::new(TOUCHED | 0x04);
    let key = authenticator.public_key(APPLICATION);
    let signed = guest.authenticate_publickey_with("guest", key, None, &mut authenticator);
    assert!(within("sign in", signed).await.unwrap().success());
}
