//! The broker's own rooms in a process of the test's, for moments that the release binary has no place to stop at: a ledger, a
//! vault and custody over a person, a host and a credential. The test runs itself a second time and speaks with it in lines.

use std::io::{BufRead, Write};
use std::time::Duration;

use keyward::audit::Log;
use keyward::authz::Guard;
use keyward::clock::Clock;
use keyward::custody::{Asked, Custody, NewSecret};
use keyward::model::{
    Credential, Event, EventName, Grant, GrantId, Host, HostId, HostKey, Name, Role, Scope, SessionId, Subject, User, UserId, UserKey,
};
use keyward::store::{self, Store};
use keyward::vault::{self, Vault};

use crate::world::folder;

/// The fingerprint of the key that signs the person in.
pub(crate) const KEY: &str = "SHA256:person";

/// The rooms.
pub(crate) struct Rooms {
    pub(crate) custody: Custody,
    pub(crate) user: User,
    pub(crate) host: Host,
    pub(crate) credential: Credential,
    _dir: tempfile::TempDir,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Rooms {
    /// Alice, who is granted `allow` on the host at `address`, where `secret` signs in as `login`.
    pub(crate) async fn new(allow: &str, address: &str, public_key: String, fingerprint: String, login: &str, secret: NewSecret) -> Self {
        let dir = folder();
        let clock = Clock::System;
        let store = Store::open(store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
        let vault = Vault::open(&store, vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
        let log = Log::new(store.clone(), clock.clone());
        let custody = Custody::new(store, log.clone(), vault, Guard::default(), clock.clone());
        let now = clock.now();
        let user = User { id: UserId::from([1; 16]), name: name("alice"), role: Role::Member, uid: None, disabled: false, created_at: now };
        let key = HostKey { public_key, fingerprint, source: "given".to_owned(), pinned_at: now };
        let host = Host {
            id: HostId::from([2; 16]),
            name: name("web-1"),
            workspace: name("default"),
            address: address.parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![key],
            via: None,
            legacy: keyward::model::Legacy::default(),
            created_at: now,
        };
        let grant = Grant {
            id: GrantId::from([3; 16]),
            workspace: name("default"),
            to: Subject::Everyone,
            hosts: "web-1".parse().unwrap(),
            allow: allow.parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session: None,
            second_factor: false,
            created_at: now,
            created_by: name("alice"),
        };
        let (person, place) = (user.clone(), host.clone());
        let made = log
            .change(move |c| -> Result<((), Vec<Event>), store::Error> {
                store::users::insert(c, &person)?;
                let (public_key, comment) = ("ssh-ed25519 AAAA".to_owned(), String::new());
                store::users::insert_key(c, &UserKey { user: person.id, fingerprint: KEY.to_owned(), public_key, comment, added_at: now })?;
                store::hosts::insert(c, &place)?;
                store::grants::insert(c, &grant)?;
                Ok(((), vec![Event::new(EventName::HostAdded, "alice")]))
            })
            .await;
        made.unwrap().into_inner();
        let told = |_: &Credential| Event::new(EventName::CredentialAdded, "alice");
        let scope = Scope::Workspace(name("default"));
        let credential = custody.add_credential(name("deploy"), scope, login.parse().unwrap(), secret, told).await.unwrap();
        custody.attach(credential.id, host.id, None, Event::new(EventName::CredentialAttached, "alice")).await.unwrap();
        Self { custody, user, host, credential, _dir: dir }
    }

    /// Alice's wish to connect.
    pub(crate) fn asked(&self, session: SessionId) -> Asked {
        Asked {
            user: self.user.id,
            key: Some(KEY.to_owned()),
            needs: None,
            workspace: name("default"),
            host: self.host.name.clone(),
            credential: None,
            session,
            client: "127.0.0.1:1".parse().unwrap(),
        }
    }

    /// The fingerprint that the host is pinned to.
    pub(crate) fn pin(&self) -> &str {
        &self.host.host_keys[0].fingerprint
    }
}

/// A secret as it is written to the process: only what the rooms keep of it can be found there.
pub(crate) fn disguised(secret: &str) -> String {
    secret.bytes().map(|b| (b ^ 0x5a).to_string()).collect::<Vec<_>>().join(" ")
}

/// The other half of [`disguised`].
pub(crate) fn undisguised(line: &str) -> Vec<u8> {
    let mut secret = Vec::with_capacity(64);
    for byte in line.split(' ') {
        secret.push(std::hint::black_box(byte.parse::<u8>().unwrap() ^ 0x5a));
    }
    secret
}

/// The next line that the test says.
pub(crate) fn line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// As [`line`], beside other work.
pub(crate) async fn next() -> String {
    tokio::task::spawn_blocking(line).await.unwrap()
}

/// Says something to the test.
pub(crate) fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{word}").unwrap();
}
