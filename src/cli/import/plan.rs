//! The plan of `import ssh-config`: what each host and key file would become, what is there already, and what is left out and
//! why. Looks at files and at what the daemon told; changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files;
use super::look;
use crate::cli::client::Client;
use crate::cli::fail::Failure;
use crate::control::{Command, CredentialView, Data, HostView, ScopeWord};
use crate::model::{Address, Login, Role};
use crate::sshconfig::known_hosts::{KnownHosts, lookup};
use crate::sshconfig::{Config, Settings, Surroundings, expand_hostname, expand_path, valid_name};

use super::pins::{Pin, pins};

/// The keys that `ssh` tries where none is named, as far as they can be stored.
const USUAL_KEYS: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];
/// The most hosts that are planned.
const MAX_HOSTS: usize = 1000;

/// What is to become of something, or became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum State {
    /// It is to be added.
    Add,
    /// It is there as it is wanted.
    Exists,
    /// It is left out.
    Skipped,
    /// It was added.
    Added,
    /// It could not be added.
    Failed,
}

impl State {
    /// The word.
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Exists => "is there",
            Self::Skipped => "-",
            Self::Added => "added",
            Self::Failed => "FAILED",
        }
    }
}

/// The plan.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Plan {
    /// Whose the credentials become.
    pub(in crate::cli) scope: String,
    /// Hosts, in the order of the configuration.
    pub(in crate::cli) hosts: Vec<HostPlan>,
    /// Credentials, in the order in which hosts need them.
    pub(in crate::cli) credentials: Vec<KeyPlan>,
}

/// A host.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct HostPlan {
    /// As the configuration calls it.
    pub(in crate::cli) alias: String,
    /// As it is called here.
    pub(in crate::cli) name: String,
    /// Address and port.
    pub(in crate::cli) address: String,
    /// The account.
    pub(in crate::cli) user: String,
    /// Keys of the host that are to be pinned with it.
    pub(in crate::cli) host_keys: Vec<Pin>,
    /// What is to become of it.
    pub(in crate::cli) state: State,
    /// What signs in.
    pub(in crate::cli) credential: Option<String>,
    /// What is to become of that.
    pub(in crate::cli) attach: State,
    /// What is not taken over, and why.
    pub(in crate::cli) notes: Vec<String>,
}

/// A key file for one account.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct KeyPlan {
    /// The credential.
    pub(in crate::cli) name: String,
    /// The account.
    pub(in crate::cli) username: String,
    /// The file.
    pub(in crate::cli) file: String,
    /// What is to become of it.
    pub(in crate::cli) state: State,
    /// Why not.
    pub(in crate::cli) why: Option<String>,
}

/// What is at the broker, as far as the person sees it.
#[derive(Debug)]
pub(super) struct There {
    hosts: Vec<HostView>,
    credentials: Vec<CredentialView>,
    names: BTreeSet<String>,
    /// Whether the person may add hosts; whoever may not is not refused host by host.
    adds_hosts: bool,
}

impl There {
    /// Asks the daemon.
    pub(super) fn of(client: &Client) -> Result<Self, Failure> {
        let mut names = BTreeSet::new();
        for command in [Command::UserList, Command::GroupList, Command::AgentList] {
            match look(client, &command)? {
                Data::Users(v) => names.extend(v.into_iter().map(|u| u.name.to_string())),
                Data::Groups(v) => names.extend(v.into_iter().map(|g| g.name.to_string())),
                Data::Agents(v) => names.extend(v.into_iter().map(|a| a.name.to_string())),
                _ => {}
            }
        }
        let hosts = if let Data::Hosts(v) = look(client, &Command::HostList)? { v } else { Vec::new() };
        let credentials =
            if let Data::Credentials(v) = look(client, &Command::CredentialList { filter: Default::default() })? { v } else { Vec::new() };
        let adds_hosts = match look(client, &Command::Status)? {
            Data::Status(status) => matches!(status.role, Role::Owner | Role::Admin),
            _ => false,
        };
        Ok(Self { hosts, credentials, names, adds_hosts })
    }

    fn host(&self, name: &str) -> Option<&HostView> {
        self.hosts.iter().find(|h| h.name.as_str() == name)
    }
}

fn address_of(host: &HostView) -> Address {
    Address { host: host.address.clone(), port: host.port }
}

struct Planner<'a> {
    config: &'a Config,
    around: &'a Surroundings,
    there: &'a There,
    scope: ScopeWord,
    /// Files of known hosts that were read; `None`: it is not there.
    known: BTreeMap<PathBuf, Option<KnownHosts>>,
    names: BTreeSet<String>,
    plan: Plan,
}

impl Plan {
    /// Plans.
    pub(super) fn of(config: &Config, around: &Surroundings, there: &There, scope: ScopeWord) -> Self {
        let word = match scope {
            ScopeWord::Personal => "personal",
            ScopeWord::Workspace => "workspace",
        };
        let plan = Self { scope: word.to_owned(), hosts: Vec::new(), credentials: Vec::new() };
        let mut planner = Planner { config, around, there, scope, known: BTreeMap::new(), names: BTreeSet::new(), plan };
        for alias in config.aliases().into_iter().take(MAX_HOSTS) {
            let settings = planner.config.settings(&alias.name, around);
            let host = planner.host(&alias.name, &settings);
            planner.plan.hosts.push(host);
        }
        planner.plan
    }

    /// Whether it would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        let host = |h: &HostPlan| h.state == State::Add || h.attach == State::Add || (h.state == State::Exists && !h.host_keys.is_empty());
        !self.hosts.iter().any(host) && self.credentials.iter().all(|c| c.state != State::Add)
    }

    /// What is to be agreed to.
    pub(super) fn question(&self) -> String {
        let hosts = self.hosts.iter().filter(|h| h.state == State::Add).count();
        let credentials = self.credentials.iter().filter(|c| c.state == State::Add).count();
        let attached = self.hosts.iter().filter(|h| h.attach == State::Add).count();
        format!("add {hosts} hosts and {credentials} {} credentials, and attach {attached}?", self.scope)
    }
}

impl Planner<'_> {
    fn host(&mut self, alias: &str, settings: &Settings) -> HostPlan {
        let user = settings.user.clone().unwrap_or_else(|| self.around.user.clone());
        let mut out = HostPlan {
            alias: alias.to_owned(),
            name: alias.to_owned(),
            address: String::new(),
            user: user.clone(),
            host_keys: Vec::new(),
            state: State::Skipped,
            credential: None,
            attach: State::Skipped,
            notes: settings.unjudged.iter().map(|(file, line, what)| format!("{what} ({file}:{line})")).collect(),
        };
        if !settings.named {
            out.notes.push("the block that names it is never in force for it".to_owned());
            return out;
        }
        let port = settings.port.unwrap_or(22);
        let hostname = match settings.hostname.as_deref().map(|name| expand_hostname(name, alias)) {
            None => alias.to_ascii_lowercase(),
            Some(Some(name)) => name,
            Some(None) => {
                out.notes.push("its HostName holds a token that ssh refuses".to_owned());
                return out;
            }
        };
        let text = if hostname.contains(':') { format!("[{hostname}]:{port}") } else { format!("{hostname}:{port}") };
        let address = match text.parse::<Address>() {
            Ok(address) => address,
            Err(why) => {
                out.notes.push(why);
                return out;
            }
        };
        out.address = address.to_string();
        // A name is free, or is this host's already; what somebody else has, or another machine, is left to them.
        let taken = |name: &str| {
            let elsewhere = self.there.host(name).is_some_and(|h| address_of(h) != address);
            elsewhere || self.there.names.contains(name) || self.names.contains(name)
        };
        let Some(name) = valid_name(alias, taken) else {
            out.notes.push("no name can be made of it".to_owned());
            return out;
        };
        self.names.insert(name.clone());
        if name != alias {
            out.notes.push(
                if valid_name(alias, |_| false).as_deref() == Some(alias) { "its name is taken" } else { "its name was made valid" }
                    .to_owned(),
            );
        }
        out.name = name;
        self.left_out(settings, &mut out.notes);
        let there = self.there.host(&out.name);
        if there.is_none() && !self.there.adds_hosts {
            out.notes.push("it is not here for you, and hosts are added by owners and admins".to_owned());
            return out;
        }
        out.state = if there.is_some() { State::Exists } else { State::Add };
        if there.is_none_or(|h| h.host_keys.is_empty()) {
            let lookup = settings.host_key_alias.as_ref().map_or_else(|| lookup(&hostname, port), |alias| alias.to_ascii_lowercase());
            out.host_keys = self.pins(alias, settings, &lookup, &mut out.notes);
            if out.host_keys.is_empty() {
                out.notes.push("no key of it is known, so nobody can connect before: host trust".to_owned());
            }
        }
        if let Err(e) = user.parse::<Login>() {
            out.notes.push(format!("no credential: {e}"));
            return out;
        }
        let Some(file) = self.key_file(alias, settings, &mut out.notes) else { return out };
        let credential = self.credential(&file, &user);
        let current = there.and_then(|h| match self.scope {
            ScopeWord::Personal => h.my_credential.clone(),
            ScopeWord::Workspace => h.credential.clone(),
        });
        out.attach = match current {
            Some(current) if Some(&current) == credential.as_ref() => State::Exists,
            Some(current) => {
                out.notes.push(format!("{current} is attached, and stays"));
                State::Skipped
            }
            None if credential.is_some() => State::Add,
            None => State::Skipped,
        };
        out.credential = credential;
        out
    }

    /// What a configuration says and is not taken over.
    fn left_out(&self, settings: &Settings, notes: &mut Vec<String>) {
        if let Some(jump) = &settings.proxy_jump {
            notes.push(format!("ProxyJump {jump} is not taken over: the broker connects to hosts directly"));
        }
        if settings.proxy_command.is_some() {
            notes.push("ProxyCommand is not taken over: the broker runs no command to connect".to_owned());
        }
        if settings.certificate {
            notes.push("CertificateFile is not taken over".to_owned());
        }
    }

    /// The keys that the person's files have for a host.
    fn pins(&mut self, alias: &str, settings: &Settings, lookup: &str, notes: &mut Vec<String>) -> Vec<Pin> {
        let usual = || vec!["~/.ssh/known_hosts".to_owned(), "~/.ssh/known_hosts2".to_owned()];
        let named = settings.known_hosts.clone().unwrap_or_else(usual);
        let mut paths: Vec<PathBuf> = Vec::new();
        for name in named.iter().filter(|n| !n.eq_ignore_ascii_case("none")) {
            match expand_path(name, alias, settings, self.around) {
                Ok(path) => paths.push(PathBuf::from(path)),
                Err(why) => notes.push(format!("UserKnownHostsFile {name}: {why}")),
            }
        }
        paths.extend(["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from));
        for path in &paths {
            self.known.entry(path.clone()).or_insert_with(|| files::known(path));
        }
        let files: Vec<&KnownHosts> = paths.iter().filter_map(|p| self.known.get(p)?.as_ref()).collect();
        pins(&files, lookup, notes)
    }

    /// The key file that signs in: the first that is there.
    fn key_file(&self, alias: &str, settings: &Settings, notes: &mut Vec<String>) -> Option<PathBuf> {
        if !settings.says_identity {
            let ssh = Path::new(&self.around.home).join(".ssh");
            let there: Vec<PathBuf> = USUAL_KEYS.iter().map(|name| ssh.join(name)).filter(|p| p.is_file()).collect();
            return match there.as_slice() {
                [] => {
                    notes.push("no key file is named for it".to_owned());
                    None
                }
                [one] => Some(one.clone()),
                _ => {
                    notes.push("no key file is named for it, and which of yours it takes is not known: add IdentityFile".to_owned());
                    None
                }
            };
        }
        let mut chosen = None;
        for name in &settings.identity_files {
            match expand_path(name, alias, settings, self.around) {
                Err(why) => notes.push(format!("{name}: {why}")),
                Ok(path) if path.ends_with(".pub") => notes.push(format!("{name}: a public key; the private half is elsewhere")),
                Ok(path) => {
                    let path = std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(&path));
                    if !path.is_file() {
                        notes.push(format!("{name}: there is no such file"));
                    } else if chosen.is_some() {
                        notes.push(format!("{name}: left out, one key signs in"));
                    } else {
                        chosen = Some(path);
                    }
                }
            }
        }
        if settings.identity_files.is_empty() {
            notes.push("IdentityFile none: no key".to_owned());
        }
        chosen
    }

    /// The credential of a key file for an account: one for all hosts.
    fn credential(&mut self, file: &Path, user: &str) -> Option<String> {
        let shown = file.display().to_string();
        if let Some(planned) = self.plan.credentials.iter().find(|c| c.file == shown && c.username == user) {
            return (planned.state != State::Skipped).then(|| planned.name.clone());
        }
        let print = fingerprint_beside(file);
        let mine: Vec<&CredentialView> = self.there.credentials.iter().filter(|c| c.scope == self.plan.scope).collect();
        let planned: BTreeSet<&str> = self.plan.credentials.iter().map(|c| c.name.as_str()).collect();
        // The same key for the same account, under whatever name.
        let same = mine.iter().find(|c| print.is_some() && c.fingerprint == print && c.username.as_str() == user);
        let other = |name: &str| {
            let held = mine.iter().find(|c| c.name.as_str() == name);
            let is_other =
                held.is_some_and(|c| c.username.as_str() != user || (print.is_some() && c.fingerprint != print) || c.fingerprint.is_none());
            planned.contains(name) || is_other
        };
        let base = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let base = base.strip_suffix(".ppk").unwrap_or(&base);
        let plain = valid_name(base, |_| false).filter(|name| !other(name));
        let name = same.map(|c| c.name.to_string()).or(plain).or_else(|| valid_name(&format!("{base}-{user}"), other));
        let (name, state, why) = match name {
            Some(name) if mine.iter().any(|c| c.name.as_str() == name) => (name, State::Exists, None),
            Some(name) => (name, State::Add, None),
            None => (base.to_owned(), State::Skipped, Some("no name can be made of it".to_owned())),
        };
        self.plan.credentials.push(KeyPlan { name: name.clone(), username: user.to_owned(), file: shown, state, why });
        (state != State::Skipped).then_some(name)
    }
}

/// The fingerprint of the public key that lies beside a private one.
fn fingerprint_beside(file: &Path) -> Option<String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    let text = files::public_key(Path::new(&name))?;
    super::pins::fingerprint(&text)
}
