//! The one-time code of somebody whose key was accepted: asked for before anything that they sealed, as often as they may answer. Only
//! translates: who is asked, and what a code is worth, is for custody to say.

use std::borrow::Cow;

use super::{ANSWERS, Auth, Handler, Known, MethodKind, User, only, question, server, sessions};
use crate::secret::Secret;
use crate::sessions::{CodeNeed, CodeVerdict};

/// Somebody who is asked for a code.
pub(super) struct Owing {
    person: User,
    /// The user name under which they sign in.
    name: String,
    /// Nothing more is taken: they were told why, and their client has yet to say that it heard it.
    over: bool,
}

/// The longest answer that is looked at; recovery codes have 34 characters.
const ANSWER: usize = 256;

impl Handler {
    /// What a person is answered who has a code to give first; `None`: they have not.
    pub(super) async fn code_first(&mut self, user: &str, person: &User) -> Option<Auth> {
        let Some((key, _)) = self.key.clone() else { return Some(Auth::reject()) };
        let comer = self.comer(person);
        match sessions::code_needed(&self.door.rooms, person, &key, comer.as_ref(), self.peer).await {
            CodeNeed::No => None,
            CodeNeed::GivenBefore(vouch) => {
                self.shown(vouch);
                None
            }
            CodeNeed::Unknown => Some(Auth::reject()),
            CodeNeed::Yes => {
                let mut tries = 0;
                self.note(|s| {
                    // What was answered wrongly stays counted, however often the key is shown.
                    tries = *s.owing.get_or_insert(0);
                    s.known = None;
                });
                if tries >= ANSWERS {
                    return Some(Auth::reject());
                }
                self.owing = Some(Owing { person: person.clone(), name: user.to_owned(), over: false });
                Some(Auth::Reject { proceed_with_methods: Some(only(MethodKind::KeyboardInteractive)), partial_success: true })
            }
        }
    }

    /// Whether whoever answers questions under this name owes a code.
    pub(super) fn owes(&self, user: &str) -> bool {
        self.owing.as_ref().is_some_and(|owing| owing.name == user)
    }

    /// Takes an answer, or puts the question.
    pub(super) async fn code_answered(&mut self, response: Option<server::Response<'_>>) -> Auth {
        let Some(mut owing) = self.owing.take() else { return Auth::reject() };
        let Some(mut answers) = response else {
            let question = code_question(&owing.person, "");
            self.owing = Some(owing);
            return question;
        };
        if owing.over {
            return Auth::reject();
        }
        let answer = answers.next().unwrap_or_default();
        let mut exact = zeroize::Zeroizing::new(Vec::with_capacity(answer.len().min(ANSWER)));
        exact.extend_from_slice(answer.get(..answer.len().min(ANSWER)).unwrap_or_default());
        drop(answer);
        let Some((key, _)) = self.key.clone() else { return Auth::reject() };
        match sessions::code_given(&self.door.rooms, &owing.person, &key, Secret::from_zeroizing(exact), self.peer).await {
            CodeVerdict::Right(vouch) => {
                self.shown(vouch);
                self.note(|s| (s.owing, s.person) = (None, None));
                // Where they go is what the accepted key was shown for, whatever was offered meanwhile.
                self.heads_for(&owing.name);
                match self.passphrase_first(&owing.name, &owing.person).await {
                    Some(true) => question(),
                    Some(false) => Auth::reject(),
                    None => {
                        self.note(|s| s.known = Some(Known::Person(owing.person)));
                        Auth::Accept
                    }
                }
            }
            CodeVerdict::Wrong(why) => {
                let mut tries = 0;
                self.note(|s| {
                    tries = s.owing.map_or(1, |n| n + 1);
                    (s.owing, s.person) = (Some(tries), Some(owing.person.id));
                });
                if tries >= ANSWERS {
                    return Auth::reject();
                }
                let question = code_question(&owing.person, why);
                self.owing = Some(owing);
                question
            }
            CodeVerdict::Over(why) => {
                self.note(|s| (s.owing, s.person) = (Some(ANSWERS), Some(owing.person.id)));
                owing.over = true;
                self.owing = Some(owing);
                asked(format!("keyward: {why} (Enter) "), true)
            }
        }
    }

    /// From here on this connection has shown the second factor: this vouches for the person.
    fn shown(&mut self, vouch: String) {
        if let Some((key, _)) = &mut self.key {
            *key = vouch;
        }
    }
}

/// What a person is asked, with what is to be said about their answer before.
fn code_question(person: &User, why: &str) -> Auth {
    let said = if why.is_empty() { String::new() } else { format!("keyward: {why}. ") };
    asked(format!("{said}One-time code for {}: ", person.name), false)
}

/// One question. Everything stands in its prompt: clients that say little (`ssh -q`) show no instructions.
fn asked(prompt: String, echo: bool) -> Auth {
    let prompts = vec![(Cow::Owned(prompt), echo)];
    Auth::Partial { name: Cow::Borrowed(""), instructions: Cow::Borrowed(""), prompts: Cow::Owned(prompts) }
}
