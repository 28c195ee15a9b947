//! Words about authorities whose certificates sign people in.

use clap::{ArgGroup, Args, Subcommand};

use super::words::{Source, source};
use super::{Call, Follow, Wanted};
use crate::cli::fail::{Exit, Failure};
use crate::control::{Command, NewUserCa, RevokeWord};
use crate::model::{Name, Role};

/// `user-ca …`
#[derive(Debug, Subcommand)]
pub enum UserCaVerb {
    /// Add an authority: user certificates of OpenSSH that it signed sign people in
    ///
    /// A certificate's principal is the name of a person here, unless --map says whose it is; with one --map no principal counts that
    /// is not mapped. People with the roles member and auditor can sign in so, unless --role says otherwise; only an owner
    /// may give `--role owner`. What a certificate does not permit (a terminal, forwarding) and what it forces (a command, addresses, a
    /// time) narrows what grants allow; it never adds to it. Its sessions end when it runs out.
    #[command(after_help = "EXAMPLES:\n  ssh-keygen -t ed25519 -f user_ca && keyward user-ca add office user_ca.pub\n  \
                            keyward user-ca add idp - --map alice@example.org=alice --only ops < idp.pub\n  \
                            ssh-keygen -s user_ca -I alice@laptop -n alice -V +8h -z 17 id_ed25519.pub\n  \
                            ssh -i id_ed25519 -p 2222 web-1@BROKER")]
    Add(AddUserCa),
    /// List the authorities whose certificates sign people in
    List,
    /// Show one with what was revoked of it
    Show {
        /// Which
        name: Name,
    },
    /// Remove one; sessions that stand on its certificates end
    ///
    /// What was revoked of it is forgotten with it.
    Remove {
        /// Which
        name: Name,
    },
    /// Revoke certificates of an authority; sessions that stand on them end
    ///
    /// What is revoked stays so: it is forgotten only when the authority is removed.
    #[command(
        after_help = "EXAMPLES:\n  keyward user-ca revoke office --serial 17\n  keyward user-ca revoke office --key-id alice@laptop\n  \
                            keyward user-ca revoke office --fingerprint SHA256:…"
    )]
    Revoke(Revoke),
}

/// Words of `user-ca add`.
#[derive(Debug, Args)]
pub struct AddUserCa {
    /// What it is called here
    name: Name,
    /// Its public key: a file, - for standard input, or the line itself
    #[arg(value_name = "FILE|-", value_parser = source)]
    key: Source,
    /// Whose certificate one with this principal is; may be given several times
    #[arg(long = "map", value_name = "PRINCIPAL=PERSON", value_parser = mapping)]
    principals: Vec<(String, Name)>,
    /// Only this person or the members of this group; may be given several times
    #[arg(long, value_name = "USER|GROUP")]
    only: Vec<Name>,
    /// People with this role; may be given several times [default: member and auditor]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
}

/// Words of `user-ca revoke`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub struct Revoke {
    /// Of which authority
    name: Name,
    /// The certificate with this number
    #[arg(long, value_name = "N", group = "what")]
    serial: Option<u64>,
    /// Those with this name (key id)
    #[arg(long, value_name = "ID", group = "what")]
    key_id: Option<String>,
    /// Those over the key with this fingerprint
    #[arg(long, value_name = "SHA256:…", group = "what")]
    fingerprint: Option<String>,
}

fn mapping(text: &str) -> Result<(String, Name), String> {
    let wrong = || "a mapping is written PRINCIPAL=PERSON".to_owned();
    // A principal may have `=` in it, a person's name has none.
    let (principal, person) = text.rsplit_once('=').filter(|(principal, _)| !principal.is_empty()).ok_or_else(wrong)?;
    Ok((principal.to_owned(), person.parse().map_err(|e: crate::model::NameError| e.to_string())?))
}

impl UserCaVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add(words) => vec![&words.key],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, texts: Vec<String>) -> Result<Call, Failure> {
        Ok(match self {
            Self::Add(words) => {
                let mut principals = std::collections::BTreeMap::new();
                for (principal, person) in words.principals {
                    if principals.insert(principal.clone(), person).is_some() {
                        let twice = format!("the principal {principal} is mapped twice");
                        return Err(Failure::new(Exit::Usage, twice, "a principal is one person's; a person may have several"));
                    }
                }
                let ca = NewUserCa { name: words.name, key: texts.join("\n"), principals, only: words.only, roles: words.roles };
                Command::UserCaAdd { ca }.into()
            }
            Self::List => Command::UserCaList.into(),
            Self::Show { name } => Command::UserCaShow { name }.into(),
            Self::Remove { name } => Command::UserCaRemove { name }.into(),
            Self::Revoke(words) => {
                let what = match (words.serial, words.key_id, words.fingerprint) {
                    (Some(serial), _, _) => RevokeWord::Serial(serial),
                    (_, Some(key_id), _) => RevokeWord::KeyId(key_id),
                    (_, _, fingerprint) => RevokeWord::Fingerprint(fingerprint.unwrap_or_default()),
                };
                Call { command: Command::UserCaRevoke { name: words.name, what }, secret: Wanted::Nothing, follow: Follow::Print }
            }
        })
    }
}
