//! `keyward root-key`: the root key goes to another place while the daemon is stopped; and what the audit log says of an
//! unsealing. A place is destroyed only after another one was proved to open the vault.

use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use super::anchor::Anchor;
use super::root::{self, Root};
use super::sealed::Unsealer;
use super::{Error, home, place, system};
use crate::audit::Log;
use crate::cli::grammar::root::{RootKeyVerb, SourceWord};
use crate::cli::{Exit, Failure, RootKeyWork};
use crate::clock::Clock;
use crate::config::{self, Config, RootSource};
use crate::control::Problem;
use crate::model::{Event, EventName};
use crate::store::{self, Store, users};
use crate::vault::root::{self as keys, Moved, Source};
use crate::vault::{self, Vault};

/// Records who unsealed the vault, by which source, and how often it was tried in vain since it was sealed; whoever waits for it is
/// given back. That it was sealed without a word in the log – at the start – is shown by `daemon.started` before it.
pub(super) async fn record_unsealing(
    by: Unsealer,
    root: &Root,
    store: &Store,
    log: &Log,
) -> Result<Option<oneshot::Sender<Result<(), Problem>>>, Error> {
    let actor = match by.uid {
        Some(uid) => store.read(move |c| users::by_uid(c, uid)).await?.map_or_else(|| format!("uid {uid}"), |u| u.name.to_string()),
        None => "keyward".to_owned(),
    };
    let mut event =
        Event::new(EventName::VaultUnsealed, actor).with("source", root.source.word()).count("failed_tries", u64::from(by.failed));
    if let Some(uid) = by.uid {
        event = event.count("uid", u64::from(uid));
    }
    log.record(event).await?;
    Ok(by.answer)
}

/// Does what a verb about the root key says; what is to be told about it.
///
/// # Errors
/// As they are shown.
pub fn root_key(work: RootKeyWork<'_>) -> Result<String, Failure> {
    if place::var(keys::VARIABLE).is_some() {
        return Err(Failure::of(&Error::RootKeyInEnvironment));
    }
    super::harden::bind_now();
    super::harden::settle_allocator();
    super::harden::harden();
    let RootKeyWork { home, verb, ask, mut out } = work;
    let hidden = |show: bool| {
        if show || !out.1 {
            return Ok(());
        }
        let hint = "pipe it into what keeps it; or, if nobody looks on: --show";
        Err(Failure::new(Exit::Usage, "standard output is a terminal, and a root key is not for eyes", hint))
    };
    match verb {
        RootKeyVerb::New { show } => {
            hidden(show)?;
            keys::print_new(&mut out.0).map_err(|error| Failure::of(&system("standard output")(error)))?;
            Ok("printed once, and kept nowhere\n".to_owned())
        }
        RootKeyVerb::Print { config, show } => {
            hidden(show)?;
            let (_, root, _) = settings(&home, config.as_deref())?;
            let passphrase = passphrase(&root.source, false, ask)?;
            keys::print(&root.source, passphrase.as_ref(), &mut out.0).map_err(|e| Failure::of(&vault::Error::from(e)))?;
            Ok("whoever has this and a copy of the database can open everything in it\n".to_owned())
        }
        RootKeyVerb::Move { to, path, config } => Move::new(&home, to, path, config.as_deref())?.run(ask),
        RootKeyVerb::Forget { file, config } => forget(&home, &file, config.as_deref(), ask),
    }
}

type Ask<'a> = dyn FnMut(&str, bool) -> Result<crate::secret::Secret, Failure> + 'a;

fn passphrase(source: &Source, new: bool, ask: &mut Ask<'_>) -> Result<Option<crate::secret::Secret>, Failure> {
    source.wants_passphrase().then(|| ask(&format!("passphrase of {source}"), new)).transpose()
}

/// The configuration, the source that it names, and the home as the daemon would call it.
fn settings(home: &Path, config: Option<&Path>) -> Result<(Config, Root, PathBuf), Failure> {
    let home = home.canonicalize().map_err(|e| no_vault(home, &e))?;
    let path = config::path(config, &home);
    let config = config::load(path.as_deref()).map_err(|e| Failure::of(&e))?;
    let root = Root::of(&config, &home).map_err(|e| Failure::of(&e))?;
    Ok((config, root, home))
}

fn no_vault(home: &Path, why: &dyn std::fmt::Display) -> Failure {
    let hint = "a vault is made by the first start: keyward serve; another home is named with --home DIR";
    Failure::new(Exit::Failed, format!("there is no vault in {}: {why}", home.display()), hint)
}

/// Proves that this source opens this home's vault.
fn prove(home: &Path, config: &Config, source: &Source, passphrase: Option<crate::secret::Secret>) -> Result<(), Failure> {
    let database = home.join("keyward.db");
    if !database.exists() {
        return Err(no_vault(home, &"keyward.db is missing"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::of(&system("the runtime")(e)))?;
    let opened: Result<(), Error> = runtime.block_on(async {
        let store = Store::open(store::Config { path: database, reserve: 0, patience: config.patience })?;
        let vault = Vault::open_from(&store, source.clone(), passphrase, Clock::System).await;
        if let Ok(vault) = &vault {
            vault.close();
        }
        store.close();
        Ok(vault.map(drop)?)
    });
    opened.map_err(|e| Failure::of(&e))
}

/// A move, prepared.
struct Move {
    home: home::Home,
    config: Config,
    root: Root,
    to: Source,
    word: SourceWord,
    path: Option<PathBuf>,
    /// The configuration that was named.
    named: Option<PathBuf>,
}

impl Move {
    fn new(home: &Path, word: SourceWord, path: Option<PathBuf>, config: Option<&Path>) -> Result<Self, Failure> {
        let named = config.map(Path::to_path_buf);
        let (config, root, home) = settings(home, config)?;
        let home = home::Home::take(&home).map_err(|e| stop_first(&e))?;
        let usage = |message: &str, hint: &str| Failure::new(Exit::Usage, message, hint);
        let path = match path {
            Some(path) if !path.is_absolute() => return Err(usage("--path is not absolute", "name it from the root: --path /etc/…")),
            Some(path) if path.starts_with(home.path()) => {
                return Err(usage(
                    "--path lies in the home: a backup of the home would hold the root key",
                    "name another folder: --path /etc/…",
                ));
            }
            other => other,
        };
        let file = path.clone().unwrap_or_default();
        let to = match word {
            SourceWord::File => Source::File(file),
            SourceWord::Passphrase => Source::Passphrase(file),
            SourceWord::Credential => Source::Command(keys::decrypting(&file)),
            SourceWord::Command if config.root.command.is_empty() => {
                return Err(usage(
                    "the configuration names no program",
                    "put it into broker.toml: [root_key] command = [\"/path/of/program\"]",
                ));
            }
            SourceWord::Command => Source::Command(root::program(&config)),
        };
        if to == root.source {
            return Err(usage("that is where the root key is", "keyward root-key move --help"));
        }
        Ok(Self { home, config, root, to, word, path, named })
    }

    fn run(self, ask: &mut Ask<'_>) -> Result<String, Failure> {
        let failed = |e: keys::Error| Failure::of(&vault::Error::from(e));
        let from = &self.root.source;
        let old = passphrase(from, false, ask)?;
        let new = passphrase(&self.to, !self.to.exists().map_err(failed)?, ask)?;
        if let (SourceWord::Credential, Some(path)) = (self.word, &self.path)
            && !path.exists()
        {
            keys::encrypt((from, old.as_ref()), path).map_err(failed)?;
        }
        let moved = keys::transfer((from, old.as_ref()), (&self.to, new.as_ref())).map_err(failed)?;
        prove(self.home.path(), &self.config, &self.to, new)?;
        let anchors = self.anchors();
        self.carry_anchor(anchors.as_deref()).map_err(|e| Failure::of(&e))?;
        let place = self.path.as_ref().map_or_else(|| self.to.to_string(), |path| path.display().to_string());
        let what = match moved {
            Moved::Written => format!("the root key was written to {place}, was read from there and opens the vault"),
            Moved::Found => format!("the same root key is at {place} already; it was read from there and opens the vault"),
        };
        let mut said = format!("{what}\nput this into broker.toml:\n");
        for line in self.lines(anchors.as_deref()) {
            said.push_str(&format!("    {line}\n"));
        }
        match from.own_file() {
            Some(file) => {
                let config = self.named.as_ref().map(|c| format!(" --config {}", c.display())).unwrap_or_default();
                let forget = format!("keyward root-key forget{config} {}", file.display());
                said.push_str(&format!("then destroy the old place, which is as good as ever: {forget}\n"));
            }
            None => said.push_str(&format!("the old place, {from}, is as good as ever: take the key out of it there\n")),
        }
        Ok(said)
    }

    /// The folder of the anchor, where it cannot lie beside the root key: the configured one, else one beside the home, else
    /// where it lies now.
    fn anchors(&self) -> Option<PathBuf> {
        if !matches!(self.word, SourceWord::Credential | SourceWord::Command) {
            return None;
        }
        if let Some(folder) = &self.config.root.anchor {
            return Some(folder.clone());
        }
        let beside = self.home.path().parent()?.join("keyward-anchor");
        let mut make = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
        match make.create(&beside) {
            Ok(()) => Some(beside),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Some(beside),
            Err(_) => self.root.anchor.parent().map(Path::to_path_buf),
        }
    }

    fn lines(&self, anchors: Option<&Path>) -> Vec<String> {
        let anchor = || anchors.map(|folder| format!("anchor = \"{}\"", folder.display()));
        let path = self.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        match self.word {
            SourceWord::File => {
                vec!["[vault]".to_owned(), format!("root_key = \"{path}\""), "[root_key]".to_owned(), "source = \"file\"".to_owned()]
            }
            SourceWord::Passphrase => {
                vec!["[vault]".to_owned(), format!("root_key = \"{path}\""), "[root_key]".to_owned(), "source = \"passphrase\"".to_owned()]
            }
            SourceWord::Credential => {
                let unit = format!("# and into its unit: LoadCredentialEncrypted={}:{path}", keys::CREDENTIAL);
                let known = ["[root_key]".to_owned(), "source = \"credential\"".to_owned()];
                known.into_iter().chain(anchor()).chain([unit]).collect()
            }
            SourceWord::Command => ["[root_key]".to_owned(), "source = \"command\"".to_owned()].into_iter().chain(anchor()).collect(),
        }
    }

    /// What is known of the database stands beside the root key, and goes with it.
    fn carry_anchor(&self, folder: Option<&Path>) -> Result<(), Error> {
        let mut config = self.config.clone();
        if let Some(folder) = folder {
            config.root.anchor = Some(folder.to_path_buf());
        }
        let new = match self.word {
            SourceWord::File | SourceWord::Passphrase => {
                config.root_key.clone_from(&self.path);
                Root::anchor(&self.to, &config, self.home.path())
            }
            SourceWord::Credential | SourceWord::Command => Root::anchor(&self.to, &config, self.home.path()),
        };
        if new == self.root.anchor {
            return Ok(());
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::Anchor { path, error }
        };
        if let Some(anchor) = Anchor::read(&self.root.anchor).map_err(failed(&self.root.anchor))? {
            anchor.write(&new).map_err(failed(&new))?;
        }
        Ok(())
    }
}

fn stop_first(e: &home::Error) -> Failure {
    let mut failure = Failure::of(e);
    if matches!(e, home::Error::Taken(_)) {
        failure.hint = Some("stop the daemon first: systemctl stop keyward".to_owned());
    }
    failure
}

fn forget(home: &Path, file: &Path, config: Option<&Path>, ask: &mut Ask<'_>) -> Result<String, Failure> {
    let (config, root, home) = settings(home, config)?;
    let home = home::Home::take(&home).map_err(|e| stop_first(&e))?;
    let own = root.source.own_file();
    let same = own.is_some_and(|own| own == file || matches!((own.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b));
    if same {
        let hint = "move it first: keyward root-key move --help";
        return Err(Failure::new(Exit::Failed, format!("{} is where the configuration says that the root key is", file.display()), hint));
    }
    if config.root.source == RootSource::Auto && own.is_none() && root.source.word() == "credential" {
        let hint = "write it into broker.toml: [root_key] source = \"credential\"";
        return Err(Failure::new(Exit::Failed, "the configuration does not say where the root key is", hint));
    }
    if std::fs::symlink_metadata(file).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        let message = format!("{} is not there: nothing was removed", file.display());
        return Err(Failure::new(Exit::Failed, message, "if it was to be forgotten, that is done already; else name the file"));
    }
    if !keys::is_root_key(file).map_err(|e| Failure::of(&vault::Error::from(e)))? {
        return Err(Failure::new(Exit::Failed, format!("{} holds no root key", file.display()), format!("ls -l {}", file.display())));
    }
    let passphrase = passphrase(&root.source, false, ask)?;
    prove(home.path(), &config, &root.source, passphrase)?;
    keys::forget(file).map_err(|e| Failure::of(&vault::Error::from(e)))?;
    Ok(format!(
        "{} opens the vault; {} was overwritten and removed. Copies in backups and snapshots are not reached by that\n",
        root.source,
        file.display()
    ))
}
