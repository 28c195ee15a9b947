//! Somebody comes to a host by a connection inside the one that they have to the broker: which host they mean, and which credential
//! the account that their client names inside. Gives no lease and decides nothing that `warrant` does not decide again.

use std::net::SocketAddr;

use super::warrant::look_up;
use super::{Asked, Custody, Error, Purpose};
use crate::authz::{self, Facts};
use crate::fault::{Fault, Kind};
use crate::model::{Credential, Event, EventName, Host, Name, Scope, SecondFactor, User, UserId, printable};
use crate::store::second_factors::{self, Enrolment};
use crate::store::{self, credentials, defaults, grants, hosts, state, user_cas, users};

/// The port that a client asks for that names none.
const SSH: u32 = 22;
/// Credentials that a refusal names.
const NAMED: usize = 8;

/// Where somebody who signed in under their own name wants to.
#[derive(Clone, Debug)]
pub struct Towards {
    /// Who.
    pub user: UserId,
    /// What signed them in, as [`crate::model::Vouch`] writes it.
    pub key: String,
    /// The workspace that is meant if none is named.
    pub workspace: Name,
    /// `[WORKSPACE=]NAME`, or an address, as the client wrote it.
    pub to: String,
    /// The port, which the protocol lets be larger than a port is.
    pub port: u32,
    /// From where.
    pub client: SocketAddr,
}

/// Why a jump leads nowhere, or to no account.
#[derive(Debug, thiserror::Error)]
pub enum JumpError {
    /// No host that this person may use is called so or is there: unknown, ambiguous, of another workspace, or not granted – all one
    /// answer.
    #[error("a connection under your own name leads to a host that you may use, and `{0}` is none")]
    Nowhere(String),
    /// The host is granted; this is neither its port nor the usual one.
    #[error("host `{host}` is reached on its own port, {port}, or on 22")]
    Port {
        /// Which host.
        host: Name,
        /// Its port.
        port: u16,
    },
    /// The account that the client named inside is none that this person can use there, or more than one credential has it.
    #[error("`{typed}` is {} that you can use on {host}; {}", if *.several { "not the only login of that name" } else { "no login" }, list(.usable))]
    Login {
        /// What the client sent as the user name: also what nobody typed.
        typed: String,
        /// On which host.
        host: Name,
        /// The person.
        person: Name,
        /// Whether there are several.
        several: bool,
        /// What they can use: name and account.
        usable: Vec<(Name, String)>,
    },
}

fn list(all: &[(Name, String)]) -> String {
    if all.is_empty() {
        return "no credential is attached there for you".to_owned();
    }
    let more = if all.len() > NAMED { ", …" } else { "" };
    let named: Vec<String> = all.iter().take(NAMED).map(|(name, account)| format!("{name} (as {account})")).collect();
    format!("you can use: {}{more}", named.join(", "))
}

impl Fault for JumpError {
    fn kind(&self) -> Kind {
        match self {
            Self::Nowhere(_) | Self::Login { .. } => Kind::NotFound,
            Self::Port { .. } => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nowhere(_) => {
                "`host list` shows the hosts that you may use; behind one of them: ssh -W ADDRESS:PORT HOST@BROKER".to_owned()
            }
            Self::Port { host, .. } => format!("for another port behind it: ssh -W ADDRESS:PORT {host}@BROKER"),
            Self::Login { host, person, .. } => format!(
                "your own name stands for the usual one: `ssh -J {person}@BROKER {person}@{host}`, or `User {person}` under `Host {host}` in ~/.ssh/config"
            ),
        })
    }
}

impl Custody {
    /// The host that somebody wants to jump to. An unknown host and one that is not granted take the same steps.
    ///
    /// # Errors
    /// [`Error::Jump`] with why not; [`Error::SecondFactor`]: no code is asked for inside, and one is wanted; [`Error::NoSuchPerson`];
    /// else what the store and the vault say.
    pub async fn towards(&self, towards: Towards) -> Result<(User, Host), Error> {
        let now = self.clock.now();
        let nowhere = JumpError::Nowhere(printable(&towards.to, 80));
        let (found, state) = self
            .store
            .read(move |c| -> Result<_, store::Error> {
                let state = state::read(c)?;
                let (workspace, to) = match towards.to.split_once('=').map(|(workspace, to)| (workspace.parse::<Name>(), to)) {
                    Some((Ok(workspace), to)) => (workspace, to),
                    // No workspace is called so, and no host is called nothing.
                    Some((Err(_), _)) => (towards.workspace.clone(), ""),
                    None => (towards.workspace.clone(), towards.to.as_str()),
                };
                let Some((user, terms)) = user_cas::person(c, towards.user, Some(&towards.key))? else { return Ok((None, state)) };
                let (groups, grants) = (users::groups_of(c, user.id)?, grants::all(c, &workspace)?);
                let all = hosts::all(c, &workspace)?;
                let enrolled = second_factors::of(c, user.id, Enrolment::InForce)?.is_some();
                // Inside they are asked for a code, before anything is decided there.
                let asked_inside = enrolled && terms.second == SecondFactor::NotShown;
                let (mut facts, from) = (None, towards.client.ip());
                let mut granted = |host: &Host, with_a_code: bool| {
                    let facts = facts.get_or_insert_with(|| Facts {
                        user: user.clone(),
                        groups: groups.clone(),
                        host: host.clone(),
                        grants: grants.clone(),
                        terms: terms.clone(),
                    });
                    facts.host = host.clone();
                    match with_a_code {
                        true => authz::with_second(facts, from, now).is_some(),
                        false => authz::explain(facts, from, now, now).result.is_ok(),
                    }
                };
                let found = match meant(&all, to, towards.port, |host| granted(host, asked_inside)) {
                    Ok(Some(host)) => Ok(Some(host.clone())),
                    Err(port) => Err(port.into()),
                    Ok(None) => match meant(&all, to, towards.port, |host| granted(host, true)) {
                        Ok(Some(host)) => Err(Error::SecondFactor { host: host.name.clone(), enrolled }),
                        _ => Ok(None),
                    },
                };
                Ok((Some((user, found)), state))
            })
            .await?;
        if let Err(e) = self.holds(&state).await {
            if e.kind() == Kind::Tampered {
                self.log.record(Event::new(EventName::VaultTampered, "keyward").failed(e.to_string())).await?;
            }
            return Err(e);
        }
        match found {
            None => Err(Error::NoSuchPerson),
            Some((_, Err(why))) => Err(why),
            Some((_, Ok(None))) => Err(nowhere.into()),
            Some((user, Ok(Some(host)))) => Ok((user, host)),
        }
    }

    /// The credential that a client means by the account that it names inside a jump; `None`: none in particular, or nothing is
    /// granted there, which `warrant` says.
    ///
    /// # Errors
    /// [`Error::Jump`]; else what the store says.
    pub async fn login_meant(&self, asked: &Asked, typed: &str) -> Result<Option<Name>, Error> {
        let (wish, now, typed) = (asked.clone(), self.clock.now(), typed.to_owned());
        self.store
            .read(move |c| -> Result<Result<Option<Name>, JumpError>, store::Error> {
                let found = look_up(c, &wish, Purpose::Jump)?;
                let Some((user, host)) = found.granted(&wish, now) else { return Ok(Ok(None)) };
                if typed == user.name.as_str() {
                    return Ok(Ok(None));
                }
                let mut open = Vec::new();
                for credential in credentials::bound_to(c, host.id)? {
                    if defaults::is_open(c, &credential, user.id, host.id)? {
                        open.push(credential);
                    }
                }
                Ok(chosen(open, &typed).map(Some).map_err(|(several, usable)| JumpError::Login {
                    typed: printable(&typed, 80),
                    host: host.name.clone(),
                    person: user.name.clone(),
                    several,
                    usable,
                }))
            })
            .await?
            .map_err(Error::from)
    }

    /// Records that somebody was turned away inside a jump before anything was decided.
    ///
    /// # Errors
    /// [`Error::Audit`].
    pub async fn turned_away(&self, user: &Name, asked: &Asked, why: &Error) -> Result<(), Error> {
        let mut event = Event::new(EventName::SessionDenied, user.to_string()).session(asked.session).with("client", asked.client);
        event.host = Some(asked.host.to_string());
        self.log.record(event.with("way", "jump").denied(why.to_string())).await?;
        Ok(())
    }
}

/// The host that is meant: the one of that name, else the only one at that address. `Err`: it is granted, but not on this port.
fn meant<'a>(all: &'a [Host], to: &str, port: u32, mut granted: impl FnMut(&Host) -> bool) -> Result<Option<&'a Host>, JumpError> {
    let to = to.trim_start_matches('[').trim_end_matches(']');
    // Clients write names of hosts in lower case.
    let of_name = all.iter().filter(|h| h.name.as_str() == to).chain(all.iter().filter(|h| h.name.as_str().eq_ignore_ascii_case(to)));
    let mut found: Vec<&Host> = of_name.filter(|h| granted(h)).take(1).collect();
    if found.is_empty() {
        found = all.iter().filter(|h| h.address.host.eq_ignore_ascii_case(to)).filter(|h| granted(h)).collect();
    }
    let exact: Vec<&Host> = found.iter().filter(|h| u32::from(h.address.port) == port).copied().collect();
    match (exact.as_slice(), found.as_slice()) {
        ([one], _) => Ok(Some(one)),
        ([], [one]) if port == SSH => Ok(Some(one)),
        ([], [one]) => Err(JumpError::Port { host: one.name.clone(), port: one.address.port }),
        _ => Ok(None),
    }
}

/// The credential that `typed` means among those that can be used; else whether there are several, and what can be used.
fn chosen(open: Vec<Credential>, typed: &str) -> Result<Name, (bool, Vec<(Name, String)>)> {
    // A person's own stands before the workspace's of the same name.
    let own: Vec<Name> = open.iter().filter(|c| matches!(c.scope, Scope::Personal(_))).map(|c| c.name.clone()).collect();
    let open: Vec<Credential> = open.into_iter().filter(|c| matches!(c.scope, Scope::Personal(_)) || !own.contains(&c.name)).collect();
    let meant: Vec<&Credential> = open.iter().filter(|c| c.name.as_str() == typed || c.username.as_str() == typed).collect();
    let one_account = meant.iter().all(|c| c.username.as_str() == typed);
    match (meant.as_slice(), meant.iter().find(|c| c.name.as_str() == typed)) {
        ([one], _) => Ok(one.name.clone()),
        // Several sign in to that account, and one of them is called like it.
        ([_, ..], Some(named)) if one_account => Ok(named.name.clone()),
        (meant, _) => Err((!meant.is_empty(), open.iter().map(|c| (c.name.clone(), c.username.to_string())).collect())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Time;
    use crate::model::{CredentialId, CredentialKind, HostId};

    fn host(name: &str, address: &str) -> Host {
        Host {
            id: HostId::from([1; 16]),
            name: name.parse().unwrap(),
            workspace: "default".parse().unwrap(),
            address: address.parse().unwrap(),
            tags: BTreeMap::new(),
            trust_first_use: false,
            host_keys: Vec::new(),
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: Time::from_millis(0),
        }
    }

    #[test]
    fn a_host_is_meant_by_its_name_or_by_an_address_that_no_other_has() {
        let all = [
            host("web-1", "192.0.2.1:2222"),
            host("web-2", "192.0.2.2"),
            host("Web-3", "web-2"),
            host("old-1", "192.0.2.9:22"),
            host("old-2", "192.0.2.9:2222"),
            host("six", "[2001:db8::7]:22"),
            host("secret", "192.0.2.66"),
        ];
        let find = |to: &str, port: u32| match meant(&all, to, port, |h| h.name.as_str() != "secret") {
            Ok(found) => found.map_or("-".to_owned(), |h| h.name.to_string()),
            Err(e) => e.to_string(),
        };
        assert_eq!(
            [find("web-1", 22), find("web-1", 2222), find("192.0.2.1", 22), find("192.0.2.1", 2222)],
            ["web-1"; 4].map(String::from)
        );
        assert_eq!(find("web-1", 80), "host `web-1` is reached on its own port, 2222, or on 22");
        assert_eq!(find("web-2", 22), "web-2", "a name stands before an address");
        assert_eq!(find("web-3", 22), "Web-3");
        // Two at one address: the port decides, and without one that it has nothing does.
        assert_eq!((find("192.0.2.9", 22), find("192.0.2.9", 2222), find("192.0.2.9", 23)), ("old-1".into(), "old-2".into(), "-".into()));
        assert_eq!((find("2001:db8::7", 22), find("[2001:db8::7]", 22)), ("six".into(), "six".into()));
        for absent in ["secret", "192.0.2.66", "web-9", "", "192.0.2.3", "web-1 ", "web-1\0"] {
            assert_eq!(find(absent, 22), "-", "{absent:?}");
            assert_eq!(find(absent, 80), "-", "{absent:?}");
        }
    }

    fn credential(name: &str, account: &str, own: bool) -> Credential {
        let scope = if own { Scope::Personal(UserId::from([3; 16])) } else { Scope::Workspace("default".parse().unwrap()) };
        Credential {
            id: CredentialId::from([2; 16]),
            name: name.parse().unwrap(),
            scope,
            kind: CredentialKind::Password,
            username: account.parse().unwrap(),
            version: 1,
            public_key: None,
            fingerprint: None,
            created_at: Time::from_millis(0),
            updated_at: Time::from_millis(0),
            last_used_at: None,
        }
    }

    #[test]
    fn an_account_is_meant_only_if_one_credential_can_be() {
        let open = || vec![credential("deploy", "deploy", false), credential("admin", "root", false), credential("ops", "oracle", false)];
        let pick = |open: Vec<Credential>, typed: &str| chosen(open, typed).map(|name| name.to_string()).map_err(|(several, _)| several);
        for (typed, picked) in [("deploy", "deploy"), ("root", "admin"), ("admin", "admin"), ("oracle", "ops")] {
            assert_eq!(pick(open(), typed), Ok(picked.to_owned()), "{typed}");
        }
        assert_eq!(pick(open(), "robert"), Err(false));
        assert_eq!(pick(Vec::new(), "robert"), Err(false));
        let with = |more: Credential| open().into_iter().chain([more]).collect::<Vec<_>>();
        assert_eq!(pick(with(credential("second", "root", false)), "root"), Err(true), "two sign in as root");
        assert_eq!(pick(with(credential("second", "deploy", false)), "deploy"), Ok("deploy".to_owned()), "the one that is called so");
        assert_eq!(pick(with(credential("root", "toor", false)), "root"), Err(true), "a name here, an account there");
        // What cannot be named cannot be meant.
        assert_eq!(pick(with(credential("admin", "mine", true)), "root"), Err(false));
        assert_eq!(pick(with(credential("admin", "mine", true)), "admin"), Ok("admin".to_owned()));
    }

    #[test]
    fn a_refusal_names_what_can_be_used_and_what_to_write() {
        let (_, usable) = chosen(vec![credential("deploy", "www", false)], "robert").unwrap_err();
        let e = JumpError::Login {
            typed: "robert".into(),
            host: "web-1".parse().unwrap(),
            person: "alice".parse().unwrap(),
            several: false,
            usable,
        };
        assert_eq!(e.to_string(), "`robert` is no login that you can use on web-1; you can use: deploy (as www)");
        assert!(e.hint().unwrap().contains("`User alice` under `Host web-1`"));
    }
}
