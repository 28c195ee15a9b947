//! Keyboard-interactive (RFC 4256): what is answered from the vault, what is relayed to the person. Nothing is ever
//! answered empty.

use tokio::sync::{mpsc, oneshot};

use crate::model::printable;
use crate::secret::Secret;

/// The most prompts of one request, and the most requests of one sign-in, that are relayed.
pub(super) const MOST_PROMPTS: usize = 8;
/// The most rounds of one sign-in.
pub(super) const MOST_ROUNDS: usize = 10;

/// A question of the host that only the person can answer.
#[derive(Debug)]
pub struct Prompt {
    /// What the host wrote before the question, made printable; may be empty.
    pub instructions: String,
    /// The question, made printable.
    pub text: String,
    /// Whether the answer may be seen while it is typed.
    pub echo: bool,
    /// Where the answer goes; dropping it means that there is none.
    pub answer: oneshot::Sender<Secret>,
}

/// Words for "password" that a prompt for one has, in the languages that PAM speaks most.
const PASSWORD_WORDS: [&str; 10] =
    ["password", "passwort", "kennwort", "mot de passe", "contraseña", "senha", "wachtwoord", "пароль", "パスワード", "密码"];

/// Whether one hidden question asks for the password, and not for a code or a new password.
pub(super) fn asks_for_password(prompts: &[(String, bool)]) -> bool {
    let [(text, echo)] = prompts else { return false };
    let text = text.to_lowercase();
    // PAM puts `(login@host) ` in front of it: names of others, which say nothing about the question.
    let text = text.trim_start();
    let text = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(text, |(_, question)| question);
    let words = || text.split(|c: char| !c.is_alphanumeric());
    let other =
        words().any(|w| ["onetime", "otp", "new", "code", "token", "again", "retype", "pin"].contains(&w)) || text.contains("one-time");
    !echo && !other && PASSWORD_WORDS.iter().any(|w| text.contains(w))
}

/// Asks the person. `None`: there is nobody to ask, or no answer came.
pub(super) async fn ask(
    to: &mpsc::Sender<Prompt>,
    instructions: &str,
    text: &str,
    echo: bool,
    limit: std::time::Duration,
) -> Option<Secret> {
    let (answer, answered) = oneshot::channel();
    let prompt = Prompt {
        instructions: printable(instructions.trim(), 2000),
        text: printable(text.trim_end_matches(['\n', '\r']), 500),
        echo,
        answer,
    };
    to.send(prompt).await.ok()?;
    tokio::time::timeout(limit, answered).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_hidden_question_for_the_password_is_answered() {
        let one = |text: &str, echo| vec![(text.to_owned(), echo)];
        assert!(asks_for_password(&one("Password: ", false)));
        assert!(asks_for_password(&one("(root@web-1) Password:", false)));
        assert!(asks_for_password(&one("Mot de passe : ", false)));
        assert!(asks_for_password(&one("(root@code-1) Password: ", false)), "a host's name is not the question");
        assert!(asks_for_password(&one("(decoder@hotpot) Password: ", false)));
        for (text, echo) in [
            ("Password: ", true),
            ("Verification code: ", false),
            ("One-time password (OATH): ", false),
            ("New password: ", false),
            ("Retype new password: ", false),
            ("", false),
            ("PIN: ", false),
        ] {
            assert!(!asks_for_password(&one(text, echo)), "{text:?}");
        }
        assert!(!asks_for_password(&[]));
        assert!(!asks_for_password(&[("Password: ".to_owned(), false), ("Code: ".to_owned(), false)]));
    }
}
