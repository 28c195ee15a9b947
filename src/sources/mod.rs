//! Other people's vaults: what `broker.toml` names as sources, and one secret out of one of them at the moment of use. Never
//! stores, never caches, never shows a secret; takes addresses and commands from the file alone. Knows nothing of rows.

mod error;
mod exec;
mod file;
mod http;
mod json;
mod remote;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use error::{Error, Step, Why};
pub use exec::Exec;
pub use http::Address;
pub use remote::{Remote, Ticket};

use crate::model::{Fetched, Field, Name, RefPath, Reference, Wish};
use crate::scrub::{STACK, wiped, wiped_turns};
use crate::secret::Secret;
use remote::Progress;

/// The longest answer, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// The longest that a fetch may take: the permit that it is for lives 30 seconds.
pub const LONGEST_TIME: Duration = Duration::from_secs(15);
/// How long the end of a program that took too long may take.
const LET_END: Duration = Duration::from_millis(500);
/// How many may be fetched from one source at once.
const AT_ONCE: usize = 16;

/// How the sources are configured, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(pub BTreeMap<Name, Source>);

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: Kind,
    /// How long one use of it may take, from its place in the queue to the secret.
    pub timeout: Duration,
    /// Which paths it may be asked for, as globs; `*` does not pass a `/`, `**` does.
    pub paths: Vec<String>,
    /// Where the paths of a person's own references begin, with `{user}` for their name; `None`: there are no personal ones.
    pub personal: Option<String>,
}

/// What a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HashiCorp Vault or OpenBao.
    Vault(Remote),
    /// A program.
    Exec(Exec),
}

/// A glob of `paths`.
///
/// # Errors
/// What is wrong with it.
pub fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob =
        GlobBuilder::new(text).literal_separator(true).build().map_err(|e| format!("`{text}` is no pattern of paths: {}", e.kind()))?;
    Ok(glob.compile_matcher())
}

/// What may be told of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: Name,
    /// `vault` or `exec`.
    pub kind: &'static str,
    /// Where it is: an address, or a program.
    pub place: String,
    /// Where personal references begin, if there may be any.
    pub personal: Option<String>,
    /// Which paths it may be asked for.
    pub paths: Vec<String>,
}

/// How far a test came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// It answers, and takes the broker's sign-in; nothing was read.
    Reached,
    /// The program is there; it was not run.
    Found,
    /// A secret was read, and dropped unseen.
    Read,
}

impl Tested {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Found => "found",
            Self::Read => "read",
        }
    }
}

/// All sources. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<BTreeMap<Name, Open>>);

#[derive(Debug)]
struct Open {
    source: Source,
    paths: Vec<GlobMatcher>,
    /// What a program gets of the broker's environment, read once at the start.
    passed: BTreeMap<String, OsString>,
    places: Arc<Semaphore>,
}

impl Sources {
    /// The sources of the configuration. `environment` looks up what `pass_env` names.
    pub fn new(config: Config, environment: impl Fn(&str) -> Option<OsString>) -> Self {
        let open = |(name, source): (Name, Source)| {
            let named: &[String] = if let Kind::Exec(exec) = &source.kind { &exec.pass_env } else { &[] };
            let passed = named.iter().filter_map(|key| Some((key.clone(), environment(key)?))).collect();
            // A pattern that is none matches nothing; the configuration has refused it before.
            let paths = source.paths.iter().filter_map(|text| glob(text).ok()).collect();
            (name, Open { source, paths, passed, places: Arc::new(Semaphore::new(AT_ONCE)) })
        };
        Self(Arc::new(config.0.into_iter().map(open).collect()))
    }

    /// What there is, by name.
    pub fn known(&self) -> Vec<Known> {
        let known = |(name, open): (&Name, &Open)| {
            let (kind, place) = match &open.source.kind {
                Kind::Vault(remote) => ("vault", remote.address.to_string()),
                Kind::Exec(exec) => ("exec", exec.argv.first().cloned().unwrap_or_default()),
            };
            Known { name: name.clone(), kind, place, personal: open.source.personal.clone(), paths: open.source.paths.clone() }
        };
        self.0.iter().map(known).collect()
    }

    /// Whether a wish keeps the rules of its source: asked when a reference is made, and again at each use.
    ///
    /// # Errors
    /// [`Error`] at the step [`Step::Rules`].
    pub fn admits(&self, wish: &Wish, what: Fetched) -> Result<(), Error> {
        self.rules(wish, what).map(|_| ())
    }

    fn rules(&self, wish: &Wish, what: Fetched) -> Result<&Open, Error> {
        let Reference { source: name, path, field } = &wish.reference;
        let failed = |why| Error { source_name: name.clone(), step: Step::Rules, why };
        let open = self.0.get(name).ok_or_else(|| failed(Why::NoSuchSource))?;
        if !open.paths.iter().any(|glob| glob.is_match(path.as_str())) {
            return Err(failed(Why::PathNotAllowed));
        }
        if let Some(owner) = &wish.owner {
            // The broker's own right to have certificates signed would be everybody's, for every account.
            if what == Fetched::Certificate {
                return Err(failed(Why::NotPersonal));
            }
            let prefix = open.source.personal.as_ref().ok_or_else(|| failed(Why::NotPersonal))?.replace("{user}", owner.as_str());
            if path.as_str().strip_prefix(&prefix).is_none_or(str::is_empty) {
                return Err(failed(Why::NotPersonal));
            }
        } else if let Some((folder, _)) = open.source.personal.as_ref().and_then(|template| template.split_once("{user}"))
            && path.as_str().starts_with(folder)
        {
            // What people keep there for themselves is nobody else's, admins included.
            return Err(failed(Why::SomebodysOwn));
        }
        match (&open.source.kind, what, field) {
            (Kind::Exec(_), Fetched::Certificate, _) => {
                Err(failed(Why::Unfit("a program gives no certificates: take a source of type vault")))
            }
            (Kind::Vault(_), Fetched::Certificate, Some(_)) => {
                Err(failed(Why::Unfit("a certificate has no field: its path is the role that signs it")))
            }
            (Kind::Exec(exec), _, None) if exec.takes_field() => Err(failed(Why::Unfit("this source needs --field"))),
            (Kind::Exec(exec), _, Some(_)) if !exec.takes_field() => Err(failed(Why::Unfit("this source takes no --field"))),
            _ => Ok(open),
        }
    }

    /// Fetches a password or the file of a private key.
    ///
    /// # Errors
    /// [`Error`]: which source, at which step, why.
    pub async fn fetch(&self, wish: &Wish, what: Fetched) -> Result<Secret, Error> {
        let open = self.rules(wish, what)?;
        let at = Progress::new(open.first_step());
        let text = open.within(&wish.reference.source, &at, async {
            match &open.source.kind {
                Kind::Vault(remote) => remote.read(&wish.reference, what, &at).await,
                Kind::Exec(exec) => open.run(exec, &wish.reference, what).await.map_err(|why| (Step::Run, why)),
            }
        });
        Ok(Secret::from_zeroizing(text.await?))
    }

    /// Has a certificate signed for a public key. The answer is judged by whoever holds the key.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn certificate(&self, wish: &Wish, public_key: &str) -> Result<String, Error> {
        let open = self.rules(wish, Fetched::Certificate)?;
        let name = &wish.reference.source;
        let Kind::Vault(remote) = &open.source.kind else {
            return Err(Error { source_name: name.clone(), step: Step::Rules, why: Why::NoSuchSource });
        };
        let at = Progress::new(Step::Connect);
        let signed = open.within(name, &at, remote.sign(&wish.reference, public_key, &wish.login, &at)).await?;
        let text = std::str::from_utf8(&signed).map_err(|_| Error { source_name: name.clone(), step: Step::Sign, why: Why::NotUtf8 })?;
        Ok(text.trim().to_owned())
    }

    /// Reaches a source and signs in there; with a path reads a secret, too, and drops it unseen.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn test(&self, name: &Name, place: Option<(RefPath, Option<Field>)>, what: Fetched) -> Result<Tested, Error> {
        let failed = |step, why| Error { source_name: name.clone(), step, why };
        let open = self.0.get(name).ok_or_else(|| failed(Step::Rules, Why::NoSuchSource))?;
        if let Some((path, field)) = place {
            let login = "test".parse().map_err(|_| failed(Step::Rules, Why::Unfit("no account")))?;
            let wish = Wish { reference: Reference { source: name.clone(), path, field }, login, owner: None };
            return self.fetch(&wish, what).await.map(|_| Tested::Read);
        }
        match &open.source.kind {
            Kind::Vault(remote) => {
                let at = Progress::new(Step::Connect);
                open.within(name, &at, remote.greet(&at)).await.map(|()| Tested::Reached)
            }
            Kind::Exec(exec) => exec.program(&open.passed).map(|_| Tested::Found).map_err(|why| failed(Step::Run, why)),
        }
    }
}

impl Open {
    /// Does `work` in a place of the source's own, within its time.
    async fn within<T>(&self, name: &Name, at: &Progress, work: impl Future<Output = Result<T, remote::Failed>>) -> Result<T, Error> {
        let limit = self.limit();
        let failed = |step, why| Error { source_name: name.clone(), step, why };
        let placed = async {
            let _place = self.places.acquire().await.map_err(|_| failed(at.step(), Why::Busy))?;
            work.await.map_err(|(step, why)| failed(step, why))
        };
        // A program is ended by its own thread, which tells the log what it said: that comes first.
        let patience = if matches!(self.source.kind, Kind::Exec(_)) { limit + LET_END } else { limit };
        // What is read, decrypted and taken apart leaves pieces on the stack.
        timeout(patience, wiped_turns(placed)).await.unwrap_or_else(|_| Err(failed(at.step(), Why::TimedOut(limit))))
    }

    fn limit(&self) -> Duration {
        self.source.timeout.min(LONGEST_TIME)
    }

    fn first_step(&self) -> Step {
        if matches!(self.source.kind, Kind::Exec(_)) { Step::Run } else { Step::Connect }
    }

    /// Runs the program on a thread of its own. If this future is dropped, the program and its group are ended.
    async fn run(&self, exec: &Exec, reference: &Reference, what: Fetched) -> Result<Zeroizing<Vec<u8>>, Why> {
        let (wanted, waiting) = std::io::pipe().map_err(|_| Why::NotStarted("no pipe"))?;
        let mut exec = exec.clone();
        // A key has many lines.
        exec.first_line &= what == Fetched::Password;
        let run = exec::Run {
            source: reference.source.clone(),
            exec,
            passed: self.passed.clone(),
            reference: reference.clone(),
            limit: self.limit(),
            wanted,
        };
        let (tell, told) = oneshot::channel();
        let work = move || drop(tell.send(wiped(|| exec::run(&run)).unwrap_or(Err(Why::BrokeOff))));
        std::thread::Builder::new()
            .name("source-exec".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|_| Why::NotStarted("no thread"))?;
        let read = told.await.unwrap_or(Err(Why::BrokeOff));
        drop(waiting);
        let text = read?;
        if what == Fetched::Password && text.contains(&b'\n') { Err(Why::ManyLines) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests;
