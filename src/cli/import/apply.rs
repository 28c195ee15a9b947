//! The plan of `import ssh-config`, done: each step an ordinary verb, told as it is done. One that is refused leaves the
//! others; what was done stays. A passphrase is asked for once per file and wiped at the end.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::ask;
use super::plan::{Plan, State};
use crate::cli::client::Client;
use crate::cli::fail::{Exit, Failure};
use crate::cli::print::Style;
use crate::cli::prompt;
use crate::control::{Command, CredentialRef, HostChange, Problem, Reply, ScopeWord, SecretForm, Secrets, WayWords};
use crate::fault::Kind;
use crate::model::printable;
use crate::secret::Secret;

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// Passphrases by file, while the import lasts. Empty: the person has none to give.
type Passphrases = BTreeMap<String, Zeroizing<String>>;

/// Why a step was not done: the words for a person.
type Undone = String;

struct Run<'a> {
    client: &'a Client,
    style: &'a Style,
    scope: ScopeWord,
    done: usize,
    undone: usize,
}

/// Does what the plan says, and marks in it what became of each step.
///
/// # Errors
/// If a step was refused or the daemon went away: with how much was done.
pub(super) fn run(client: &Client, plan: &mut Plan, scope: ScopeWord, style: &Style) -> Result<Exit, Failure> {
    let mut run = Run { client, style, scope, done: 0, undone: 0 };
    if let Err(failure) = run.all(plan) {
        run.say(&format!("{} steps were done before that, and stay", run.done));
        return Err(failure);
    }
    if run.undone > 0 {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} steps were done, {} were not", run.done, run.undone),
            "see why above; what was done stays, and a second run does only the rest",
        ));
    }
    if plan.hosts.iter().any(|h| h.state == State::Added) {
        run.say("note: nobody connects without a grant: keyward grant add --to NAME --hosts HOST --allow shell,exec");
    }
    Ok(Exit::Done)
}

impl Run<'_> {
    fn all(&mut self, plan: &mut Plan) -> Result<(), Failure> {
        for host in &mut plan.hosts {
            let keys: Vec<String> = host.host_keys.iter().map(|k| k.key.clone()).collect();
            let (Ok(name), Ok(address)) = (host.name.parse(), host.address.parse()) else { continue };
            let command = match host.state {
                State::Add => {
                    let tags = BTreeMap::new();
                    let way = WayWords::default();
                    Command::HostAdd { name, address, credential: None, tags, host_keys: keys, trust_first_use: false, way }
                }
                State::Exists if !keys.is_empty() => {
                    Command::HostEdit { name, change: HostChange { host_keys: keys, ..HostChange::default() } }
                }
                _ => continue,
            };
            let added = host.state == State::Add;
            let answer = ask(self.client, &command, Secrets::none())?;
            match self.step(&format!("host {}", host.name), answer.map_err(told)) {
                Ok(()) if added => host.state = State::Added,
                Ok(()) => {}
                Err(why) => {
                    host.state = State::Failed;
                    host.notes.push(why);
                }
            }
        }
        let mut passphrases = Passphrases::new();
        for key in plan.credentials.iter_mut().filter(|c| c.state == State::Add) {
            let answer = self.add_key(&key.name, &key.username, &key.file, &mut passphrases)?;
            match self.step(&format!("credential {} ({})", key.name, key.file), answer) {
                Ok(()) => key.state = State::Added,
                Err(why) => (key.state, key.why) = (State::Failed, Some(why)),
            }
        }
        drop(passphrases);
        for host in plan.hosts.iter_mut().filter(|h| h.attach == State::Add) {
            let ready = |wanted: &str| plan.credentials.iter().any(|c| c.name == wanted && matches!(c.state, State::Added | State::Exists));
            let (Some(credential), Ok(name)) = (host.credential.clone(), host.name.parse()) else { continue };
            if !matches!(host.state, State::Added | State::Exists) || !ready(&credential) {
                host.attach = State::Failed;
                continue;
            }
            let Ok(wanted) = credential.parse() else { continue };
            let credential = CredentialRef { name: wanted, scope: Some(self.scope) };
            let command = Command::CredentialAttach { credential, host: name, mine: self.scope == ScopeWord::Personal };
            let answer = ask(self.client, &command, Secrets::none())?;
            match self.step(&format!("attaching to {}", host.name), answer.map_err(told)) {
                Ok(()) => host.attach = State::Added,
                Err(why) => {
                    host.attach = State::Failed;
                    host.notes.push(why);
                }
            }
        }
        Ok(())
    }

    /// Counts a step and tells of it.
    fn step(&mut self, what: &str, answer: Result<Reply, Undone>) -> Result<(), Undone> {
        match answer {
            Ok(reply) => {
                self.done += 1;
                if let Some(done) = reply.done {
                    self.say(&done);
                }
                Ok(())
            }
            Err(why) => {
                self.undone += 1;
                super::super::err(&format!("note: {what}: {}\n", printable(&why, 1000)));
                Err(why)
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.style.quiet {
            super::super::err(&format!("{}\n", printable(text, 1000)));
        }
    }

    /// Adds a key; asks for its passphrase if it has one and somebody is there.
    fn add_key(&self, name: &str, username: &str, file: &str, known: &mut Passphrases) -> Result<Result<Reply, Undone>, Failure> {
        let (Ok(credential), Ok(login)) = (name.parse(), username.parse()) else { return Ok(Err("no name can be made of it".to_owned())) };
        let scope = self.scope;
        let command = Command::CredentialAdd { name: credential, username: login, form: SecretForm::Key, scope };
        let by_hand = format!("it has a passphrase; to give it: keyward credential add {name} --username {username} --key {file}");
        let mut answer = self.send(&command, file, known.get(file))?;
        for _ in 0..TRIES {
            let wrong = matches!(&answer, Err(p) if p.kind == Kind::Invalid) && known.contains_key(file);
            if !matches!(&answer, Err(p) if p.kind == Kind::PassphraseNeeded) && !wrong {
                break;
            }
            if known.get(file).is_some_and(|p| p.is_empty()) || !prompt::is_terminal() {
                return Ok(Err(by_hand));
            }
            if let (true, Err(problem)) = (wrong, &answer) {
                super::super::err(&format!("{}\n", printable(&problem.message, 500)));
            }
            let passphrase = prompt::ask(&format!("passphrase of {} (empty: leave it out): ", printable(file, 300)))?;
            let given = !passphrase.is_empty();
            known.insert(file.to_owned(), passphrase);
            if !given {
                return Ok(Err(by_hand));
            }
            answer = self.send(&command, file, known.get(file))?;
        }
        Ok(answer.map_err(told))
    }

    fn send(&self, command: &Command, file: &str, passphrase: Option<&Zeroizing<String>>) -> Result<Result<Reply, Problem>, Failure> {
        let material = match prompt::key_file(Path::new(file)) {
            Ok(secret) => secret,
            Err(failure) => return Ok(Err(Problem { kind: Kind::Unavailable, message: failure.message, hint: failure.hint })),
        };
        let passphrase = passphrase.filter(|p| !p.is_empty()).map(|text| {
            let mut exact = Zeroizing::new(Vec::with_capacity(text.len()));
            exact.extend_from_slice(text.as_bytes());
            Secret::from_zeroizing(exact)
        });
        ask(self.client, command, Secrets { material: Some(material), passphrase })
    }
}

fn told(problem: Problem) -> Undone {
    problem.hint.map_or_else(|| problem.message.clone(), |hint| format!("{} ({hint})", problem.message))
}
