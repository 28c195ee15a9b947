//! What a configuration says about one host: the first value counts, as ssh_config(5) has it. Never runs what `Match exec`
//! names: such a block counts as one that does not match, and that is said.

use super::config::{Config, Criterion, File, Item, Key};
use super::pattern::{Listed, host_listed, listed, matches};

/// The most files of identities, as in OpenSSH.
const MAX_IDENTITIES: usize = 100;

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The person's name on this machine.
    pub user: String,
    /// Their home.
    pub home: String,
    /// Their number.
    pub uid: u32,
}

/// What holds for a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A `Host` line that names it without a pattern is in force.
    pub named: bool,
    /// Where it is, as written: `%h` stands for what was typed.
    pub hostname: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The account.
    pub user: Option<String>,
    /// Files of private keys, as written; `none` is left out.
    pub identity_files: Vec<String>,
    /// `IdentityFile` stood somewhere, be it `none`.
    pub says_identity: bool,
    /// Keys of an agent are not to be offered.
    pub identities_only: Option<bool>,
    /// A certificate goes with the key.
    pub certificate: bool,
    /// Through which host it is reached; `none` is none.
    pub proxy_jump: Option<String>,
    /// By which command it is reached; `none` is none.
    pub proxy_command: Option<String>,
    /// Under which name its key is known.
    pub host_key_alias: Option<String>,
    /// Files of known hosts, as written.
    pub known_hosts: Option<Vec<String>>,
    /// Blocks that could not be judged: file, line and why.
    pub unjudged: Vec<(String, usize, String)>,
}

struct Pass<'a> {
    alias: &'a str,
    around: &'a Surroundings,
    last: bool,
    wants_last: bool,
    out: Settings,
}

impl Config {
    /// What holds for a host as it is typed.
    pub fn settings(&self, alias: &str, around: &Surroundings) -> Settings {
        let mut pass = Pass { alias, around, last: false, wants_last: false, out: Settings::default() };
        pass.all(&self.roots);
        if pass.wants_last {
            // `Match final`: everything once more, with the address that is known by then.
            pass.out.hostname = Some(pass.host());
            pass.last = true;
            pass.all(&self.roots);
        }
        let mut out = pass.out;
        out.identity_files.retain(|f| !f.eq_ignore_ascii_case("none"));
        out.proxy_jump = out.proxy_jump.filter(|j| !j.eq_ignore_ascii_case("none"));
        out.proxy_command = out.proxy_command.filter(|c| !c.eq_ignore_ascii_case("none"));
        out
    }
}

impl Pass<'_> {
    fn all(&mut self, roots: &[File]) {
        for root in roots {
            self.file(root, true, false);
        }
    }

    /// `active`: what stands here counts. `never`: nothing in this file can come into force, because what includes it is not.
    fn file(&mut self, file: &File, mut active: bool, never: bool) {
        for (line, item) in &file.items {
            match item {
                Item::Host(patterns) => active = !never && self.host_line(patterns),
                Item::Match(criteria) => active = self.match_line(criteria, &file.name, *line) && !never,
                // A block that an included file opens ends with that file.
                Item::Include(files) => files.iter().for_each(|included| self.file(included, active, !active)),
                Item::Set(key, values) if active => self.set(*key, values),
                Item::Set(..) => {}
            }
        }
    }

    fn host_line(&mut self, patterns: &[String]) -> bool {
        let mut active = false;
        let mut named = false;
        for pattern in patterns {
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern.as_str()),
            };
            if matches(self.alias, pattern) {
                if negated {
                    return false;
                }
                active = true;
                named |= pattern == self.alias;
            }
        }
        self.out.named |= active && named;
        active
    }

    /// Where the host is, by what is known so far.
    fn host(&self) -> String {
        let known = self.out.hostname.as_deref();
        known
            .and_then(|name| if self.last { Some(name.to_owned()) } else { expand_hostname(name, self.alias) })
            .unwrap_or_else(|| self.alias.to_owned())
    }

    fn match_line(&mut self, criteria: &[(bool, Criterion)], file: &str, line: usize) -> bool {
        let mut result = true;
        let mut unknown = None;
        for (negated, criterion) in criteria {
            let holds = match criterion {
                Criterion::All => return result != *negated,
                Criterion::Final { asks_for_it } => {
                    self.wants_last |= asks_for_it;
                    self.last
                }
                Criterion::Host(list) => host_listed(&self.host(), list) == Listed::Yes,
                Criterion::OriginalHost(list) => host_listed(self.alias, list) == Listed::Yes,
                Criterion::User(list) => listed(self.out.user.as_deref().unwrap_or(&self.around.user), list, false) == Listed::Yes,
                Criterion::LocalUser(list) => listed(&self.around.user, list, false) == Listed::Yes,
                Criterion::Unknowable(what) => {
                    unknown = Some(what);
                    continue;
                }
            };
            result &= holds != *negated;
        }
        if let (true, Some(what)) = (result, unknown) {
            let told = (file.to_owned(), line, format!("Match {what} is not evaluated"));
            if !self.out.unjudged.contains(&told) {
                self.out.unjudged.push(told);
            }
            return false;
        }
        result
    }

    fn set(&mut self, key: Key, values: &[String]) {
        let Some(value) = values.first() else { return };
        let out = &mut self.out;
        let text = |slot: &mut Option<String>| {
            slot.get_or_insert_with(|| value.clone());
        };
        match key {
            Key::HostName => text(&mut out.hostname),
            Key::User => text(&mut out.user),
            Key::HostKeyAlias => text(&mut out.host_key_alias),
            Key::Port => out.port = out.port.or_else(|| value.parse().ok()),
            Key::IdentitiesOnly => {
                let yes = matches!(value.to_ascii_lowercase().as_str(), "yes" | "true");
                out.identities_only = out.identities_only.or(Some(yes));
            }
            Key::IdentityFile => {
                out.says_identity = true;
                if out.identity_files.len() < MAX_IDENTITIES && !out.identity_files.contains(value) {
                    out.identity_files.push(value.clone());
                }
            }
            Key::CertificateFile => out.certificate = !value.eq_ignore_ascii_case("none") || out.certificate,
            // Whichever of the two stands first, the other counts no more.
            Key::ProxyJump if out.proxy_command.is_none() => text(&mut out.proxy_jump),
            Key::ProxyCommand if out.proxy_jump.is_none() => text(&mut out.proxy_command),
            Key::ProxyJump | Key::ProxyCommand => {}
            Key::UserKnownHostsFile => {
                out.known_hosts.get_or_insert_with(|| values.to_vec());
            }
        }
    }
}

/// `HostName` with `%h` for what was typed, in lower case. `None`: it holds another token, which ssh refuses.
pub fn expand_hostname(hostname: &str, alias: &str) -> Option<String> {
    expand(hostname, |token| (token == 'h').then(|| alias.to_owned())).map(|name| name.to_ascii_lowercase())
}

/// A path with `~` and the tokens that are the same here as for ssh: `%d %h %i %k %n %p %r %u`.
///
/// # Errors
/// Which part cannot be followed here.
pub fn expand_path(path: &str, alias: &str, settings: &Settings, around: &Surroundings) -> Result<String, String> {
    if path.contains("${") {
        return Err("it names a variable of the environment".to_owned());
    }
    let path = match path.strip_prefix('~') {
        None => path.to_owned(),
        Some("") => around.home.clone(),
        Some(rest) if rest.starts_with('/') => format!("{}{rest}", around.home),
        Some(_) => return Err("it lies in somebody else's home".to_owned()),
    };
    let host = settings.hostname.as_deref().and_then(|name| expand_hostname(name, alias)).unwrap_or_else(|| alias.to_ascii_lowercase());
    let port = settings.port.unwrap_or(22);
    expand(&path, |token| {
        Some(match token {
            'd' => around.home.clone(),
            'h' => host.clone(),
            'i' => around.uid.to_string(),
            'k' => settings.host_key_alias.clone().unwrap_or_else(|| alias.to_owned()),
            'n' => alias.to_owned(),
            'p' => port.to_string(),
            'r' => settings.user.clone().unwrap_or_else(|| around.user.clone()),
            'u' => around.user.clone(),
            _ => return None,
        })
    })
    .ok_or_else(|| "it holds a token (%C, %L, %l …) that only ssh itself can fill in".to_owned())
}

fn expand(text: &str, fill: impl Fn(char) -> Option<String>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next()? {
                '%' => out.push('%'),
                token => out.push_str(&fill(token)?),
            },
            c => out.push(c),
        }
    }
    Some(out)
}
