//! 0004: after the sign-in no buffer holds what somebody signed in with.

use std::borrow::Cow;
use std::sync::Arc;

use russh::client::KeyboardInteractiveAuthResponse as Step;
use russh::server;
use russh::server::{Auth, Response};

use crate::memory::{Masked, Stacks};
use crate::support::{client_config, connect, server_config, within};

/// Takes a password or an answer, and looks at it without a copy.
struct Porter(Arc<Masked>);

impl server::Handler for Porter {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(match self.0.is(password.as_bytes()) {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn auth_keyboard_interactive<'a>(&'a mut self, _: &str, _: &str, response: Option<Response<'a>>) -> Result<Auth, Self::Error> {
        Ok(match response {
            None => Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: Cow::Owned(vec![("Password: ".into(), false), ("Code: ".into(), false)]),
            },
            Some(mut answers) => match answers.next() {
                Some(answer) if self.0.is(&answer) => Auth::Accept,
                _ => Auth::reject(),
            },
        })
    }
}

#[tokio::test]
async fn a_password_is_gone_after_the_sign_in() {
    let secret = Arc::new(Masked::fresh());
    let porter = Porter(secret.clone());
    let (mut guest, _server) = within("connect", connect(server_config(), client_config(), porter)).await;
    let signed_in = guest.authenticate_password("guest", secret.reveal());
    assert!(within("sign in", signed_in).await.unwrap().success());
    assert_eq!(secret.found(Stacks::Search), [""; 0]);
}

#[tokio::test]
async fn a_refused_password_is_gone_too() {
    let (secret, other) = (Masked::fresh(), Arc::new(Masked::fresh()));
    let (mut guest, _server) = within("connect", connect(server_config(), client_config(), Porter(other))).await;
    let refused = guest.authenticate_password("guest", secret.reveal());
    assert!(!within("refusal", refused).await.unwrap().success());
    assert_eq!(secret.found(Stacks::Search), [""; 0]);
}

#[tokio::test]
async fn an_answer_is_gone_after_the_sign_in() {
    let secret = Arc::new(Masked::fresh());
    let porter = Porter(secret.clone());
    let (mut guest, _server) = within("connect", connect(server_config(), client_config(), porter)).await;
    let start = guest.authenticate_keyboard_interactive_start("guest", None);
    assert!(matches!(within("prompt", start).await.unwrap(), Step::InfoRequest { .. }));
    let answers = vec![secret.reveal(), String::from("123456")];
    let answered = guest.authenticate_keyboard_interactive_respond(answers);
    assert!(matches!(within("sign in", answered).await.unwrap(), Step::Success));
    assert_eq!(secret.found(Stacks::Search), [""; 0]);
}
