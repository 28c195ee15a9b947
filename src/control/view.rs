//! What a caller gets to see, with the JSON keys of the contract. Views are made by the desk, which leaves out what this
//! caller may not see; printing them adds nothing and hides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audit::Lie;
use crate::clock::Time;
use crate::model::{Action, Actions, CredentialId, GrantId, HostId, HostKey, Login, Name, Role, SessionId, UserId};

/// The data of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, clippy::large_enum_variant)] // each variant is the view that it holds; there is one of them per call
pub enum Data {
    /// There is nothing to show.
    Nothing,
    Status(StatusView),
    Users(Vec<UserView>),
    User(UserView),
    Keys(Vec<KeyView>),
    Groups(Vec<GroupView>),
    Group(GroupView),
    Hosts(Vec<HostView>),
    Host(HostView),
    Probed(ProbedView),
    Credentials(Vec<CredentialView>),
    Credential(CredentialView),
    PublicKey(PublicKeyView),
    Grants(Vec<GrantView>),
    Grant(GrantView),
    Explained(ExplainedView),
    Sessions(Vec<SessionView>),
    Session(SessionView),
    Deleted(DeletedView),
    Entries(Vec<EntryView>),
    Verdict(VerdictView),
    /// What is left to say after the entries themselves were streamed.
    Exported(ExportedView),
    SshConfig(SshConfigView),
}

macro_rules! view {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $t:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)] // the fields are the keys of the contract
        pub struct $name { $($(#[$field_meta])* pub $field: $t,)* }
    };
}

view! {
    /// `status`.
    StatusView {
        version: String,
        uptime_s: u64,
        live_connections: usize,
        leases_open: u64,
        pending_proposals: u64,
        audit_seq: u64,
        workspace: Name,
        vault: String,
        store_free_bytes: Option<u64>,
        listen: String,
        host_keys: Vec<String>,
        you: Name,
        role: Role,
    }
}

view! {
    /// A person.
    UserView {
        id: UserId,
        name: Name,
        role: Role,
        uid: Option<u32>,
        disabled: bool,
        groups: Vec<Name>,
        keys: Vec<KeyView>,
        created_at: Time,
    }
}

view! {
    /// A public key of a person.
    KeyView {
        fingerprint: String,
        #[serde(rename = "type")]
        kind: String,
        comment: String,
        added_at: Time,
        public_key: String,
    }
}

view! {
    /// A group.
    GroupView {
        name: Name,
        members: Vec<Name>,
    }
}

view! {
    /// A host. `credential` is its default; `my_credential` the caller's own choice.
    HostView {
        name: Name,
        address: String,
        port: u16,
        tags: BTreeMap<String, String>,
        credential: Option<String>,
        via: Option<Name>,
        host_keys: Vec<HostKey>,
        id: HostId,
        trust_first_use: bool,
        my_credential: Option<String>,
        #[serde(default)]
        attached: Vec<String>,
        created_at: Time,
    }
}

view! {
    /// What a host proved when it was asked.
    ProbedView {
        host: Name,
        address: String,
        keys: Vec<ProbedKey>,
        pinned: Vec<String>,
    }
}

view! {
    /// One key that a host proved.
    ProbedKey {
        fingerprint: String,
        public_key: String,
        pinned: bool,
    }
}

view! {
    /// A credential without its secret.
    CredentialView {
        id: CredentialId,
        name: Name,
        scope: String,
        username: Login,
        kind: String,
        fingerprint: Option<String>,
        hosts: Vec<Name>,
        updated_at: Time,
        last_used_at: Option<Time>,
        created_at: Time,
    }
}

view! {
    /// The public half of a key.
    PublicKeyView {
        name: Name,
        fingerprint: String,
        public_key: String,
    }
}

view! {
    /// A grant.
    GrantView {
        id: GrantId,
        to: String,
        hosts: String,
        allow: Actions,
        commands: Option<Vec<String>>,
        from: Option<String>,
        until: Option<Time>,
        between: Option<String>,
        max_session_s: Option<u64>,
        created_at: Time,
        created_by: Name,
    }
}

view! {
    /// What was found of one grant.
    ConsideredView {
        id: GrantId,
        to: String,
        hosts: String,
        outcome: String,
        decides: bool,
    }
}

view! {
    /// `grant explain`.
    ExplainedView {
        user: Name,
        host: Name,
        action: Option<String>,
        from: String,
        allowed: bool,
        reason: String,
        allow: Actions,
        commands: Option<Vec<String>>,
        ends_at: Option<Time>,
        credential: Option<String>,
        grants: Vec<ConsideredView>,
    }
}

view! {
    /// A session.
    SessionView {
        id: SessionId,
        user: Name,
        host: Name,
        credential: Option<String>,
        client: String,
        started_at: Time,
        ended_at: Option<Time>,
        end_reason: Option<String>,
        exit_status: Option<u32>,
        bytes_in: u64,
        bytes_out: u64,
        recording: Option<String>,
        channels: Option<usize>,
    }
}

view! {
    /// What a deletion left behind.
    DeletedView {
        name: Name,
        shredded: bool,
        live_sessions: Vec<SessionId>,
        ended: bool,
    }
}

view! {
    /// An entry of the audit log.
    EntryView {
        seq: u64,
        at: Time,
        #[serde(flatten)]
        body: Map<String, Value>,
        prev: String,
        hash: String,
    }
}

view! {
    /// `audit verify`.
    VerdictView {
        entries: u64,
        head: String,
        checkpoints: u64,
        lie: Option<Lie>,
        holds: bool,
    }
}

view! {
    /// `audit export`, after its entries.
    ExportedView {
        entries: u64,
    }
}

view! {
    /// `ssh-config`.
    SshConfigView {
        user: Name,
        broker: String,
        port: u16,
        hosts: Vec<Name>,
    }
}

/// The word that stands for a personal credential where somebody else looks.
pub const PERSONAL: &str = "personal";

/// The words of an action that was asked about.
pub(super) fn action_word(action: Option<Action>) -> Option<String> {
    action.map(|a| a.as_str().to_owned())
}
