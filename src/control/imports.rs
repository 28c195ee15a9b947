//! `import known-hosts`: pins keys that a file of OpenSSH has for hosts that are known here. Adds, and never replaces: what
//! differs from a pin is told and left. The pins go the way of `host trust`, so that bindings follow them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::hosts::{NewHost, detached_note, shut_to_the_first};
use super::keys;
use super::known_authorities::{Authority, keyed};
use super::view::{Data, KnownAuthorityAction, KnownAuthorityStep, KnownHostAction, KnownHostStep, KnownHostsView, UnreadLine};
use crate::model::{Address, Host, HostId, HostKey, Name};
use crate::sshconfig::known_hosts::{self, KnownHosts, Line, Marker};
use crate::sshconfig::{MAX_FILE, valid_name};
use crate::store::{agents, users};

/// The most hosts that one import adds.
const MAX_NEW: usize = 1000;
/// The most lines that notes name.
const TOLD: usize = 20;
/// How the pins say where they come from.
const SOURCE: &str = "known_hosts";

/// What the caller has agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreed {
    /// Nothing: only tell.
    #[default]
    Nothing,
    /// To the plan of this name, and no other.
    Plan(String),
    /// To whatever comes out.
    Everything,
}

/// What is known of one host, here and in the file.
struct Known {
    host: Host,
    /// The host is not here yet.
    added: bool,
    keys: Vec<(usize, keys::Key)>,
    refused: Vec<(usize, String, String)>,
    revoked: BTreeSet<String>,
    /// The lines that revoke a key that is pinned.
    revoked_pins: Vec<(usize, keys::Key)>,
}

impl Call<'_> {
    pub(super) async fn import_known_hosts(&self, text: &str, add_hosts: bool, agreed: Agreed) -> Result<Reply, Error> {
        if text.len() > MAX_FILE {
            return Err(Error::unfit(
                format!("the file is longer than {MAX_FILE} bytes"),
                "split it, and import the parts one after the other",
            ));
        }
        let file = known_hosts::read("known_hosts", text.as_bytes());
        let (mut hosts, unmatched) = self.matched(&file).await?;
        let (unknown, unknown_hashed) = if add_hosts {
            self.new_hosts(&file, unmatched, &mut hosts).await?
        } else {
            (unmatched.len(), unmatched.iter().filter(|l| l.is_hashed()).count())
        };
        let steps: Vec<KnownHostStep> = hosts.iter().flat_map(steps).collect();
        let every: Vec<&Host> = hosts.iter().filter(|k| !k.added || steps.iter().any(|s| s.host == k.host.name)).map(|k| &k.host).collect();
        let authorities: Vec<Authority> = self.authorities(&file, &every).await?;
        let shown: Vec<KnownAuthorityStep> = authorities.iter().map(|a| a.step.clone()).collect();
        let mut view = KnownHostsView {
            lines: file.lines.len(),
            plan: digest(&steps, &shown),
            revoked: idle(&file, &steps, &shown),
            steps,
            unknown,
            unknown_hashed,
            authorities: shown,
            unread: file.troubles.iter().map(|t| UnreadLine { line: t.line, what: t.what.clone() }).collect(),
            applied: false,
        };
        match agreed {
            Agreed::Nothing => return Ok(told(Reply::of(Data::KnownHosts(view.clone())), &view)),
            Agreed::Plan(plan) if plan != view.plan => {
                return Err(Error::unfit(
                    "what the file would change is not any more what was agreed to: something was changed meanwhile",
                    "look at it again: keyward import known-hosts FILE",
                ));
            }
            Agreed::Plan(_) | Agreed::Everything => {}
        }
        let detached = self.pin_all(hosts, &view).await? + self.settle(authorities).await?;
        view.applied = true;
        let said = match (view.changes(), view.others()) {
            ((0, _), (0, 0, 0)) => "no key is missing: nothing was pinned".to_owned(),
            ((pins, 0), (0, 0, 0)) => format!("{} pinned", keys_word(pins)),
            ((pins, added), (0, 0, 0)) => {
                format!("{} pinned, {added} {} added", keys_word(pins), if added == 1 { "host" } else { "hosts" })
            }
            _ => format!("done: {}", view.in_words().unwrap_or_default()),
        };
        let mut reply = told(Reply::done(Data::KnownHosts(view.clone()), said), &view);
        reply.notes.extend(detached_note(detached));
        Ok(reply)
    }

    /// The lines of each host that is known here, and those of no host.
    async fn matched<'a>(&self, file: &'a KnownHosts) -> Result<(Vec<Known>, Vec<&'a Line>), Error> {
        let mut hosts: Vec<Known> = self.visible_hosts().await?.into_iter().map(|host| Known::of(host, false)).collect();
        let lookups: Vec<String> = hosts.iter().map(|k| known_hosts::lookup(&k.host.address.host, k.host.address.port)).collect();
        let mut unmatched = Vec::new();
        for line in file.lines.iter().filter(|l| l.marker != Marker::Authority) {
            let mut fits = false;
            for (known, lookup) in hosts.iter_mut().zip(&lookups) {
                if line.covers(lookup) {
                    fits = true;
                    known.take(line);
                }
            }
            if !fits && line.marker == Marker::None {
                unmatched.push(line);
            }
            // Each hashed name is tried for every host: somebody else's turn between two lines.
            tokio::task::yield_now().await;
        }
        Ok((hosts, unmatched))
    }

    /// Hosts of the lines that speak of no host here. Lines that share a name or an address are one host. Returns how many
    /// lines are left, and how many of them are hashed.
    async fn new_hosts(&self, file: &KnownHosts, lines: Vec<&Line>, hosts: &mut Vec<Known>) -> Result<(usize, usize), Error> {
        let mut taken: BTreeSet<String> = hosts.iter().map(|k| k.host.name.to_string()).collect();
        let others = self.parts.store.read(move |c| -> Result<Vec<Name>, crate::store::Error> {
            let mut names: Vec<Name> = users::all(c)?.into_iter().map(|u| u.name).collect();
            names.extend(users::groups(c)?.into_iter().map(|g| g.name));
            names.extend(agents::all(c)?.into_iter().map(|a| a.name));
            Ok(names)
        });
        taken.extend(others.await?.iter().map(ToString::to_string));
        let mut by_place: BTreeMap<(String, u16), usize> = BTreeMap::new();
        let mut fresh: Vec<Known> = Vec::new();
        let (mut left, mut hashed) = (0, 0);
        for line in lines {
            let places: Vec<(String, u16)> = line.places();
            let named = places.iter().find(|(host, _)| host.parse::<std::net::IpAddr>().is_err()).or(places.first());
            let address = named.and_then(|(host, port)| address(host, *port));
            let at = places.iter().find_map(|place| by_place.get(place)).copied();
            let (Some(address), true) = (address, at.is_some() || fresh.len() < MAX_NEW) else {
                left += 1;
                hashed += usize::from(line.is_hashed());
                continue;
            };
            let at = match at {
                Some(at) => at,
                None => {
                    let Some(name) = valid_name(&address.host, |name| taken.contains(name)).and_then(|n| n.parse::<Name>().ok()) else {
                        left += 1;
                        continue;
                    };
                    taken.insert(name.to_string());
                    fresh.push(Known::of(self.new_host(name, address), true));
                    fresh.len() - 1
                }
            };
            if let Some(known) = fresh.get_mut(at) {
                known.take(line);
            }
            for place in places {
                by_place.entry(place).or_insert(at);
            }
        }
        for known in &mut fresh {
            let lookup = known_hosts::lookup(&known.host.address.host, known.host.address.port);
            file.lines.iter().filter(|l| l.marker == Marker::Revoked && l.covers(&lookup)).for_each(|l| known.take(l));
        }
        hosts.append(&mut fresh);
        Ok((left, hashed))
    }

    fn new_host(&self, name: Name, address: Address) -> Host {
        Host {
            id: self.parts.clock.fresh::<HostId>(),
            name,
            workspace: self.workspace.clone(),
            address,
            tags: BTreeMap::new(),
            trust_first_use: false,
            host_keys: Vec::new(),
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: self.now(),
        }
    }

    /// Pins what the plan says. Returns how many personal credentials lost their binding.
    async fn pin_all(&self, hosts: Vec<Known>, view: &KnownHostsView) -> Result<usize, Error> {
        let (mut detached, mut done) = (0, 0);
        for known in hosts {
            let wanted: BTreeSet<&str> = view
                .steps
                .iter()
                .filter(|s| s.host == known.host.name && s.action == KnownHostAction::Pin)
                .map(|s| s.fingerprint.as_str())
                .collect();
            let of_host = view.steps.iter().filter(|s| s.host == known.host.name);
            let gone: BTreeSet<&str> = of_host.filter(|s| s.action == KnownHostAction::Unpin).map(|s| s.fingerprint.as_str()).collect();
            if wanted.is_empty() && gone.is_empty() {
                continue;
            }
            let name = known.host.name.clone();
            let texts: Vec<String> =
                known.keys.iter().filter(|(_, k)| wanted.contains(k.fingerprint.as_str())).map(|(_, k)| k.public_key.clone()).collect();
            let halfway = |error: Error| match done {
                0 => error,
                n => Error::Halfway { done: format!("the keys of {n} hosts were pinned, those of {name} not"), error: Box::new(error) },
            };
            if known.added {
                let Host { name, address, tags, trust_first_use, .. } = known.host;
                let way = super::words::WayWords::default();
                let new = NewHost { name, address, credential: None, tags, host_keys: texts, trust_first_use, way, source: SOURCE };
                self.host_add(new).await.map_err(halfway)?;
            } else {
                let mut after = known.host.clone();
                if !texts.is_empty() {
                    let pins: Vec<HostKey> = self.pins(&texts, SOURCE)?;
                    after.host_keys.extend(pins);
                }
                after.host_keys.retain(|pin| !gone.contains(pin.fingerprint.as_str()));
                // Else whoever has the key that was revoked could be the first again.
                shut_to_the_first(&known.host, &mut after);
                let events = self.edit_events(&known.host, &after, None);
                let changed = self.parts.custody.change_host(known.host, after, events).await.map_err(|e| halfway(e.into()))?;
                detached += changed.personal_detached;
            }
            done += 1;
        }
        Ok(detached)
    }
}

impl Known {
    fn of(host: Host, added: bool) -> Self {
        Self { host, added, keys: Vec::new(), refused: Vec::new(), revoked: BTreeSet::new(), revoked_pins: Vec::new() }
    }

    fn take(&mut self, line: &Line) {
        let kind = line.key.split(' ').next().unwrap_or_default().to_owned();
        match keys::of_host(&line.key).map(|mut keys| keys.pop()) {
            Ok(Some(key)) if line.marker == Marker::Revoked => {
                self.revoked.insert(key.fingerprint.clone());
                if self.host.host_keys.iter().any(|p| p.fingerprint == key.fingerprint) {
                    self.revoked_pins.push((line.number, key));
                }
            }
            Ok(Some(key)) if self.keys.iter().all(|(_, k)| k.fingerprint != key.fingerprint) => self.keys.push((line.number, key)),
            Ok(_) => {}
            Err(e) if line.marker == Marker::None => self.refused.push((line.number, kind, why(e))),
            Err(_) => {}
        }
    }
}

/// Why a key is not taken, without the number of a line that the caller does not have.
fn why(error: keys::Error) -> String {
    match error {
        keys::Error::Unreadable { why, .. } => why,
        keys::Error::Certificate(_) => "it is a certificate".to_owned(),
        _ => "it is no key of a host".to_owned(),
    }
}

fn kind_of(public_key: &str) -> &str {
    public_key.split(' ').next().unwrap_or_default()
}

/// What becomes of each key that the file has for a host.
fn steps(known: &Known) -> Vec<KnownHostStep> {
    let step = |line: usize, kind: &str, fingerprint: &str, action, why: Option<String>| KnownHostStep {
        host: known.host.name.clone(),
        address: known.host.address.to_string(),
        added: known.added,
        line,
        kind: kind.to_owned(),
        fingerprint: fingerprint.to_owned(),
        action,
        why,
    };
    let mut out = Vec::new();
    for (line, key) in &known.keys {
        let kind = kind_of(&key.public_key);
        // What the file revokes is told below, and keeps nothing else out.
        let pins: Vec<&HostKey> = known.host.host_keys.iter().filter(|p| !known.revoked.contains(&p.fingerprint)).collect();
        if known.revoked_pins.iter().any(|(_, k)| k.fingerprint == key.fingerprint) {
            continue;
        }
        let twin = known
            .keys
            .iter()
            .find(|(_, k)| k.fingerprint != key.fingerprint && kind_of(&k.public_key) == kind && !known.revoked.contains(&k.fingerprint));
        let (action, why) = if pins.iter().any(|p| p.fingerprint == key.fingerprint) {
            (KnownHostAction::Pinned, None)
        } else if known.revoked.contains(&key.fingerprint) {
            (KnownHostAction::Revoked, Some("the file revokes it".to_owned()))
        } else if let Some(pin) = pins.iter().find(|p| kind_of(&p.public_key) == kind) {
            (KnownHostAction::Conflict, Some(format!("{} is pinned", pin.fingerprint)))
        } else if let Some((other, _)) = twin {
            (KnownHostAction::Conflict, Some(format!("line {other} has another key of this type")))
        } else {
            (KnownHostAction::Pin, None)
        };
        out.push(step(*line, kind, &key.fingerprint, action, why));
    }
    for (line, kind, why) in &known.refused {
        out.push(step(*line, kind, "", KnownHostAction::NotTaken, Some(why.clone())));
    }
    for (line, key) in &known.revoked_pins {
        let why = Some("the file revokes it".to_owned());
        out.push(step(*line, kind_of(&key.public_key), &key.fingerprint, KnownHostAction::Unpin, why));
    }
    // A host of which no key is taken is not added.
    if known.added && out.iter().all(|s| s.action != KnownHostAction::Pin) { Vec::new() } else { out }
}

/// The name of a plan: whatever is in it changes the name.
fn digest(steps: &[KnownHostStep], authorities: &[KnownAuthorityStep]) -> String {
    let text = serde_json::to_string(&(steps, authorities)).unwrap_or_default();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The lines that revoke keys by which nothing is known here, nor would be by this file.
fn idle(file: &KnownHosts, steps: &[KnownHostStep], authorities: &[KnownAuthorityStep]) -> Vec<usize> {
    let used = |line: &&Line| {
        let of_hosts =
            steps.iter().filter(|s| matches!(s.action, KnownHostAction::Revoked | KnownHostAction::Unpin)).map(|s| &s.fingerprint);
        let of_authorities = authorities.iter().map(|a| &a.fingerprint);
        keyed(line).is_some_and(|(_, fingerprint)| of_hosts.chain(of_authorities).any(|other| *other == fingerprint))
    };
    file.lines.iter().filter(|l| l.marker == Marker::Revoked).filter(|l| !used(l)).map(|l| l.number).collect()
}

fn address(host: &str, port: u16) -> Option<Address> {
    let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    text.parse().ok()
}

/// The reply with what a person has to look at.
fn told(mut reply: Reply, view: &KnownHostsView) -> Reply {
    let (mut conflicts, mut more) = (Vec::new(), 0);
    for step in &view.steps {
        let host = &step.host;
        let note = match step.action {
            KnownHostAction::Conflict => {
                let why = step.why.as_deref().unwrap_or_default();
                format!("line {}: {} for {host} is left: {why}; see what it shows: keyward host trust {host}", step.line, step.fingerprint)
            }
            KnownHostAction::Unpin => {
                let done = if view.applied { "was taken away" } else { "would be taken away" };
                format!(
                    "line {} revokes {}, which is PINNED for {host}: that pin {done}; keyward host trust {host}",
                    step.line, step.fingerprint
                )
            }
            _ => continue,
        };
        if conflicts.len() < TOLD { conflicts.push(note) } else { more += 1 }
    }
    reply.notes.append(&mut conflicts);
    if more > 0 {
        reply.notes.push(format!("{more} more conflicts: see them all with --json"));
    }
    if view.steps.iter().any(|step| step.action == KnownHostAction::Unpin) {
        reply.notes.push(
            "a host that still announces a revoked key (hostkeys-00) over another pinned one is believed, and the key is pinned again: \
             take it out of its sshd first, or set `learn_host_keys = false`"
                .to_owned(),
        );
    }
    for a in view.authorities.iter().take(TOLD) {
        let (lines, fingerprint, why) = (numbers(&a.lines), &a.fingerprint, a.why.as_deref().unwrap_or_default());
        let name = a.name.as_ref().map(ToString::to_string).unwrap_or_default();
        reply.notes.push(match a.action {
            KnownAuthorityAction::Conflict => format!(
                "{lines}: the host CA {name} is left: {why}; for the list of the file: keyward host-ca remove {name}, and import again"
            ),
            KnownAuthorityAction::RevokedButTrusted => {
                format!("{lines} revokes {fingerprint}, which is TRUSTED as the host CA {name}: {why}; keyward host-ca remove {name}")
            }
            KnownAuthorityAction::NotTaken => format!("{lines}: the certificate authority is not taken: {why}"),
            _ => continue,
        });
    }
    if !view.revoked.is_empty() {
        let lines = numbers(&view.revoked);
        reply.notes.push(format!("{lines}: these revoked keys belong to no host known here; nothing is kept of them"));
    }
    if view.unknown > 0 {
        let hashed = if view.unknown_hashed > 0 { format!(", {} of them with a hashed name", view.unknown_hashed) } else { String::new() };
        reply.notes.push(format!("lines of no host that is known here: {}{hashed}", view.unknown));
    }
    if !view.unread.is_empty() {
        let lines = numbers(&view.unread.iter().map(|u| u.line).collect::<Vec<_>>());
        let first = view.unread.first().map(|u| u.what.clone()).unwrap_or_default();
        reply.notes.push(format!("not understood, and nothing taken from there: {lines} ({first})"));
    }
    reply
}

fn numbers(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(TOLD).map(ToString::to_string).collect();
    let more = if lines.len() > TOLD { " …" } else { "" };
    format!("line {}{more}", shown.join(", "))
}

fn keys_word(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, id_of, world};
    use super::super::{Caller, Command, Door, Secrets};
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBo4VSlaltztj9aIelsYDItQiUCj78a4za2I9xnIeSax";

    async fn asks(w: &World, who: &str, command: Command) -> Result<Reply, Error> {
        let caller = Caller {
            user: id_of(who),
            key: None,
            door: Door::Local,
            client: None,
            workspace: crate::model::DEFAULT_WORKSPACE.parse().unwrap(),
        };
        let (out, _in) = tokio::sync::mpsc::channel(100);
        w.desk.handle(caller, command, Secrets::none(), &out).await
    }

    async fn host(w: &World, name: &str, keys: &[&str]) {
        let command = Command::HostAdd {
            name: name.parse().unwrap(),
            address: format!("{name}.example.org").parse().unwrap(),
            credential: None,
            tags: BTreeMap::new(),
            host_keys: keys.iter().map(|k| (*k).to_owned()).collect(),
            trust_first_use: false,
            way: crate::control::WayWords::default(),
        };
        asks(w, "olga", command).await.unwrap();
    }

    async fn import(w: &World, who: &str, text: &str, agreed: Agreed) -> Result<KnownHostsView, Error> {
        let command = Command::ImportKnownHosts { text: text.to_owned(), add_hosts: true, agreed };
        match asks(w, who, command).await?.data {
            Data::KnownHosts(view) => Ok(view),
            other => panic!("{other:?}"),
        }
    }

    fn actions(view: &KnownHostsView) -> Vec<(&str, &str)> {
        view.steps.iter().map(|s| (s.host.as_str(), s.action.as_str())).collect()
    }

    #[tokio::test]
    async fn what_was_agreed_to_is_done_and_nothing_else() {
        let w = world().await;
        host(&w, "a", &[]).await;
        let text = format!("a.example.org {ED}\nb.example.org {ED}\n");
        let shown = import(&w, "olga", &text, Agreed::Nothing).await.unwrap();
        assert_eq!((actions(&shown), shown.changes()), (vec![("a", "pin"), ("b.example.org", "pin")], (2, 1)));
        assert!(!shown.applied);
        // Somebody adds a host that the file knows: another plan than the one that was shown.
        host(&w, "b", &[]).await;
        assert!(matches!(import(&w, "olga", &text, Agreed::Plan(shown.plan)).await, Err(Error::Unfit { .. })));
        let now = import(&w, "olga", &text, Agreed::Nothing).await.unwrap();
        assert_eq!(actions(&now), [("a", "pin"), ("b", "pin")]);
        assert!(import(&w, "olga", &text, Agreed::Plan(now.plan)).await.unwrap().applied);
        let again = import(&w, "olga", &text, Agreed::Everything).await.unwrap();
        assert_eq!(actions(&again), [("a", "pinned"), ("b", "pinned")]);
    }

    #[tokio::test]
    async fn two_keys_of_one_type_and_other_pins_are_conflicts() {
        let w = world().await;
        host(&w, "a", &[ED]).await;
        host(&w, "b", &[]).await;
        let text = format!("a.example.org {OTHER}\nb.example.org {ED}\n*.example.org,!a.example.org {OTHER}\nc,!c {ED}\n");
        let view = import(&w, "olga", &text, Agreed::Everything).await.unwrap();
        assert_eq!(actions(&view), [("a", "conflict"), ("b", "conflict"), ("b", "conflict")]);
        // What is revoked is no twin: the other one counts.
        let view = import(&w, "olga", &format!("{text}@revoked * {OTHER}\n"), Agreed::Everything).await.unwrap();
        assert_eq!(actions(&view), [("a", "revoked"), ("b", "pin"), ("b", "revoked")]);
        assert_eq!((view.unknown, view.changes()), (1, (1, 0)));
    }

    #[tokio::test]
    async fn only_those_who_may_trust_hosts_import() {
        let w = world().await;
        host(&w, "a", &[]).await;
        for who in ["mo", "otto"] {
            for agreed in [Agreed::Nothing, Agreed::Everything] {
                let refused = import(&w, who, &format!("a.example.org {ED}\n"), agreed).await;
                assert!(matches!(refused, Err(Error::Forbidden { .. })), "{who}");
            }
        }
        assert_eq!(import(&w, "anna", &format!("a.example.org {ED}\n"), Agreed::Everything).await.unwrap().changes(), (1, 0));
        assert!(matches!(import(&w, "olga", &"\n".repeat(MAX_FILE + 1), Agreed::Nothing).await, Err(Error::Unfit { .. })));
    }
}
