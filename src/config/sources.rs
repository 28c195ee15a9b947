//! `[sources.NAME]`: other people's vaults. Which keys there are, which belong to which type, and what they may say. Addresses,
//! commands and files come from here alone; no verb changes them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::units::Span;
use crate::model::{Name, RefPath};
use crate::sources::{self, Exec, Kind, LONGEST_TIME, Remote, Source, Ticket};

/// All sources, as they are written.
pub(super) type Table = BTreeMap<Name, Entry>;

/// One source, judged while it is read, so that a mistake has its line.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Entry(Source);

macro_rules! written {
    ($($(#[$meta:meta])* $key:ident : $type:ty,)*) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written { $($(#[$meta])* $key: Option<$type>,)* }

        impl Written {
            /// The keys that are written and belong to none of `allowed`.
            fn beside(&self, allowed: &[&str]) -> Vec<&'static str> {
                let mut out = Vec::new();
                $(if self.$key.is_some() && !allowed.contains(&stringify!($key)) { out.push(stringify!($key)); })*
                out
            }

            #[cfg(test)]
            fn keys() -> Vec<&'static str> {
                vec![$(stringify!($key)),*]
            }
        }
    };
}

written! {
    #[serde(rename = "type")]
    kind: String,
    paths: Vec<String>, personal: bool, personal_paths: String, timeout: Span,
    address: String, ca_file: PathBuf, namespace: String, auth: String, token_file: PathBuf, role_id: String, secret_id_file: PathBuf,
    approle_mount: String, kv: u8, mount: String, ssh_mount: String,
    argv: Vec<String>, env: BTreeMap<String, String>, pass_env: Vec<String>, first_line: bool,
}

const BOTH: [&str; 5] = ["kind", "paths", "personal", "personal_paths", "timeout"];
const VAULT: [&str; 11] =
    ["address", "ca_file", "namespace", "auth", "token_file", "role_id", "secret_id_file", "approle_mount", "kv", "mount", "ssh_mount"];
const EXEC: [&str; 4] = ["argv", "env", "pass_env", "first_line"];

/// The sources for their room.
pub(super) fn apply(table: Table) -> sources::Config {
    sources::Config(table.into_iter().map(|(name, entry)| (name, entry.0)).collect())
}

impl TryFrom<Written> for Entry {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (word, own): (&str, &[&str]) = match written.kind.as_deref() {
            Some("vault") => ("vault", &VAULT),
            Some("exec") => ("exec", &EXEC),
            Some(other) => return Err(format!("`{other}` is no type of source: write type = \"vault\" or \"exec\"")),
            None => return Err("a source needs a type: write type = \"vault\" or \"exec\"".to_owned()),
        };
        if let Some(key) = written.beside(&[&BOTH, own].concat()).first() {
            return Err(format!("`{key}` does not belong to a source of type {word}"));
        }
        let timeout = written.timeout.map_or(std::time::Duration::from_secs(10), |span| span.0);
        if timeout.is_zero() || timeout > LONGEST_TIME {
            return Err(format!("`timeout` must lie between 1ms and {}s", LONGEST_TIME.as_secs()));
        }
        let paths = written.paths.clone().unwrap_or_else(|| vec!["**".to_owned()]);
        for path in &paths {
            sources::glob(path)?;
        }
        let personal = personal(&written)?;
        let kind = if word == "vault" { Kind::Vault(vault(written)?) } else { Kind::Exec(exec(written)?) };
        Ok(Self(Source { kind, timeout, paths, personal }))
    }
}

/// Where personal references begin: in a folder of each person's own, since the broker's right to read is everybody's then.
fn personal(written: &Written) -> Result<Option<String>, String> {
    let prefix = written.personal_paths.as_deref().unwrap_or("people/{user}/");
    let example = format!("{}x", prefix.replace("{user}", "user"));
    let parts = prefix.split('/').filter(|part| *part == "{user}").count();
    if parts != 1 || prefix.matches("{user}").count() != 1 || !prefix.ends_with('/') {
        return Err("`personal_paths` must have {user} as a part of its own and end with /: write \"people/{user}/\"".to_owned());
    }
    example.parse::<RefPath>().map_err(|e| format!("`personal_paths`: {e}"))?;
    Ok(written.personal.unwrap_or(false).then(|| prefix.to_owned()))
}

fn vault(written: Written) -> Result<Remote, String> {
    let address = written.address.ok_or("a source of type vault needs its `address`")?.parse()?;
    let ticket = match (written.auth.as_deref(), written.token_file, written.role_id, written.secret_id_file) {
        (Some("token"), Some(file), None, None) if written.approle_mount.is_none() => Ticket::Token { file: absolute("token_file", file)? },
        (Some("approle"), None, Some(role_id), Some(file)) => {
            if role_id.is_empty()
                || role_id.len() > 256
                || !role_id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            {
                return Err("`role_id` is 1 to 256 letters, digits, `-`, `_` and `.`".to_owned());
            }
            let mount = segments("approle_mount", written.approle_mount, "approle")?;
            Ticket::AppRole { role_id, secret_id: absolute("secret_id_file", file)?, mount }
        }
        _ => {
            let ways = "auth = \"token\" with token_file, or auth = \"approle\" with role_id and secret_id_file";
            return Err(format!("how the broker signs in is not clear: write {ways}"));
        }
    };
    let kv = written.kv.unwrap_or(2);
    if !(1..=2).contains(&kv) {
        return Err("`kv` is the version of the key-value engine: 1 or 2".to_owned());
    }
    Ok(Remote {
        address,
        ca_file: written.ca_file.map(|file| absolute("ca_file", file)).transpose()?,
        namespace: written.namespace.map(|text| segments("namespace", Some(text), "")).transpose()?,
        ticket,
        kv,
        mount: segments("mount", written.mount, "secret")?,
        ssh_mount: segments("ssh_mount", written.ssh_mount, "ssh")?,
    })
}

fn exec(written: Written) -> Result<Exec, String> {
    let argv = written.argv.ok_or("a source of type exec needs its `argv`")?;
    let Some((program, args)) = argv.split_first().filter(|(program, _)| !program.is_empty()) else {
        return Err("`argv` begins with the program".to_owned());
    };
    if program.contains('{') || !program.starts_with('/') && program.contains('/') {
        return Err("the program in `argv` is a plain name or an absolute path".to_owned());
    }
    if !args.iter().any(|arg| arg.contains("{path}")) {
        return Err("`argv` has no {path}: write it where the path belongs, for instance [\"pass\", \"show\", \"{path}\"]".to_owned());
    }
    let (env, pass_env) = (written.env.unwrap_or_default(), written.pass_env.unwrap_or_default());
    let is_name = |name: &String| {
        !name.is_empty() && name.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || i > 0 && c.is_ascii_digit())
    };
    if let Some(name) = env.keys().chain(&pass_env).find(|name| !is_name(name)) {
        return Err(format!("`{}` is no name of a variable", crate::model::printable(name, 60)));
    }
    if argv.iter().chain(env.values()).any(|text| text.contains('\0')) {
        return Err("`argv` and `env` are texts without NUL".to_owned());
    }
    Ok(Exec { argv, env, pass_env, first_line: written.first_line.unwrap_or(false) })
}

fn absolute(key: &str, file: PathBuf) -> Result<PathBuf, String> {
    if file.is_absolute() { Ok(file) } else { Err(format!("`{key}` must be an absolute path")) }
}

/// Parts of a URL's path that mean themselves.
fn segments(key: &str, text: Option<String>, default: &str) -> Result<String, String> {
    let text = text.unwrap_or_else(|| default.to_owned());
    let text = text.trim_matches('/');
    text.parse::<RefPath>().map(|path| path.as_str().to_owned()).map_err(|e| format!("`{key}`: {e}"))
}

#[cfg(test)]
#[path = "tests/sources.rs"]
mod tests;
