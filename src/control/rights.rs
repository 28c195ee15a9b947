//! The one place that decides who may use which verb. Pure: a table of verb and role, and four questions about whose
//! something is. Grants decide what happens on hosts; this decides what happens at the broker.

use crate::model::{Credential, Role, Scope, User, UserId};

/// How far a verb reaches for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not at all: refused and audited.
    No,
    /// Only what is theirs: their own row, keys, groups, sessions, personal credentials, hosts and grants they have.
    Own,
    /// Everything that is not somebody else's personal credential; owners stay an owner's business.
    All,
}

macro_rules! verbs {
    ($($variant:ident $word:literal: $owner:ident $admin:ident $auditor:ident $member:ident;)*) => {
        /// What can be refused. Several commands share a verb where the same rule holds for them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // each has its word
        pub enum Verb { $($variant,)* }

        impl Verb {
            /// Every verb.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How it is called in refusals and in the audit log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// How far it reaches for `role`.
            pub fn reach(self, role: Role) -> Reach {
                let (owner, admin, auditor, member) = match self { $(Self::$variant => (Reach::$owner, Reach::$admin, Reach::$auditor, Reach::$member),)* };
                match role {
                    Role::Owner => owner,
                    Role::Admin => admin,
                    Role::Auditor => auditor,
                    Role::Member => member,
                }
            }
        }
    };
}

verbs! {
    //                                                 owner admin auditor member
    Status               "status":                      All   All   All   All;
    Seal                 "seal":                        All   No    No    No;
    UserAdd              "user add":                    All   All   No    No;
    UserSee              "user list":                   All   All   All   Own;
    UserDisable          "user disable":                All   All   No    No;
    UserRemove           "user remove":                 All   All   No    No;
    UserKeyChange        "user key add":                All   All   Own   Own;
    UserKeySee           "user key list":               All   All   All   Own;
    TotpEnroll           "user totp enroll":            Own   Own   Own   Own;
    TotpSee              "user totp show":              All   All   All   Own;
    TotpChange           "user totp remove":            All   All   Own   Own;
    UserCaChange         "user-ca add":                 All   All   No    No;
    UserCaSee            "user-ca list":                All   All   All   No;
    GroupChange          "group add":                   All   All   No    No;
    GroupSee             "group list":                  All   All   All   Own;
    HostChange           "host add":                    All   All   No    No;
    HostTrust            "host trust":                  All   All   No    No;
    HostSee              "host list":                   All   All   All   Own;
    HostCaChange         "host-ca add":                 All   All   No    No;
    HostCaSee            "host-ca list":                All   All   All   No;
    CredentialSee        "credential list":             Own   Own   Own   Own;
    CredentialChange     "credential add --scope workspace": All All No   No;
    CredentialChangeOwn  "credential add":              Own   Own   Own   Own;
    CredentialAttach     "credential attach":           All   All   No    No;
    CredentialAttachMine "credential attach --mine":    Own   Own   Own   Own;
    CaChange             "ca create":                   All   All   No    No;
    CaSee                "ca show":                     All   All   All   Own;
    CredentialTry        "credential test":             Own   Own   Own   Own;
    SourceSee            "source list":                 All   All   All   Own;
    SourceTest           "source test":                 All   All   No    No;
    PersonalSeal         "personal seal":               Own   Own   Own   Own;
    PersonalSee          "personal slots":              Own   Own   Own   Own;
    Unlock               "unlock":                      Own   Own   Own   Own;
    Lock                 "lock":                        Own   Own   Own   Own;
    LockAll              "lock --all":                  All   All   No    No;
    GrantChange          "grant add":                   All   All   No    No;
    GrantSee             "grant list":                  All   All   All   Own;
    GrantExplain         "grant explain":               All   All   All   Own;
    SessionSee           "session list":                All   All   All   Own;
    SessionEnd           "session end":                 All   All   Own   Own;
    AuditRead            "audit list":                  All   All   All   No;
    AuditVerify          "audit verify":                All   All   All   No;
    SshConfig            "ssh-config":                  All   All   All   Own;
    AgentChange          "agent add":                   All   All   No    Own;
    AgentSee             "agent list":                  All   All   All   Own;
    ProposalSee          "proposal list":               All   All   All   Own;
    ProposalDecide       "proposal approve":            Own   Own   Own   Own;
    ScanRun              "scan run":                    All   All   No    Own;
    ScanSee              "scan list":                   All   All   All   Own;
    WorkspaceChange      "workspace add":               All   No    No    No;
    WorkspaceSee         "workspace list":              All   All   All   Own;
    VaultSee             "vault status":                All   All   All   No;
    VaultRotate          "vault rotate":                All   No    No    No;
    Backup               "backup":                      All   No    No    No;
}

/// Whether `actor`, for whom `verb` reaches so far, may use it on what is `owner`'s.
pub(super) fn reaches(reach: Reach, actor: &User, owner: UserId) -> bool {
    match reach {
        Reach::All => true,
        Reach::Own => actor.id == owner,
        Reach::No => false,
    }
}

/// Whether `actor` may change somebody of this role: owners are changed by owners (and by themselves).
pub(super) fn may_change_person(actor: &User, target: UserId, role: Role) -> bool {
    role != Role::Owner || actor.role == Role::Owner || actor.id == target
}

/// Whether `actor` sees a credential: a workspace's, or their own. An owner's role changes nothing here.
pub(super) fn sees(actor: UserId, scope: &Scope) -> bool {
    match scope {
        Scope::Personal(owner) => *owner == actor,
        Scope::Workspace(_) => true,
    }
}

/// Whether a workspace's credential is shown to somebody for whom hosts reach so far: to a member only if it is attached,
/// for them, to a host that they may use.
pub(super) fn sees_workspaces(hosts: Reach, attached: bool) -> bool {
    hosts == Reach::All || attached
}

/// Which verb it is to change this credential: its own row for what is personal, another for the workspace's.
pub(super) fn change_of(credential: &Credential) -> Verb {
    match credential.scope {
        Scope::Personal(_) => Verb::CredentialChangeOwn,
        Scope::Workspace(_) => Verb::CredentialChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    /// The whole table once more, as letters: owner, admin, auditor, member. Who changes a right changes it twice.
    const EXPECTED: &[(&str, &str)] = &[
        ("status", "aaaa"),
        ("seal", "a---"),
        ("user add", "aa--"),
        ("user list", "aaao"),
        ("user disable", "aa--"),
        ("user remove", "aa--"),
        ("user key add", "aaoo"),
        ("user key list", "aaao"),
        ("user totp enroll", "oooo"),
        ("user totp show", "aaao"),
        ("user totp remove", "aaoo"),
        ("user-ca add", "aa--"),
        ("user-ca list", "aaa-"),
        ("group add", "aa--"),
        ("group list", "aaao"),
        ("host add", "aa--"),
        ("host trust", "aa--"),
        ("host list", "aaao"),
        ("host-ca add", "aa--"),
        ("host-ca list", "aaa-"),
        ("credential list", "oooo"),
        ("credential add --scope workspace", "aa--"),
        ("credential add", "oooo"),
        ("credential attach", "aa--"),
        ("credential attach --mine", "oooo"),
        ("ca create", "aa--"),
        ("ca show", "aaao"),
        ("credential test", "oooo"),
        ("source list", "aaao"),
        ("source test", "aa--"),
        ("personal seal", "oooo"),
        ("personal slots", "oooo"),
        ("unlock", "oooo"),
        ("lock", "oooo"),
        ("lock --all", "aa--"),
        ("grant add", "aa--"),
        ("grant list", "aaao"),
        ("grant explain", "aaao"),
        ("session list", "aaao"),
        ("session end", "aaoo"),
        ("audit list", "aaa-"),
        ("audit verify", "aaa-"),
        ("ssh-config", "aaao"),
        ("agent add", "aa-o"),
        ("agent list", "aaao"),
        ("proposal list", "aaao"),
        ("proposal approve", "oooo"),
        ("scan run", "aa-o"),
        ("scan list", "aaao"),
        ("workspace add", "a---"),
        ("workspace list", "aaao"),
        ("vault status", "aaa-"),
        ("vault rotate", "a---"),
        ("backup", "a---"),
    ];

    fn user(id: u8, role: Role) -> User {
        User { id: UserId::from([id; 16]), name: "x".parse().unwrap(), role, uid: None, disabled: false, created_at: Time::from_millis(0) }
    }

    #[test]
    fn every_verb_for_every_role() {
        assert_eq!(EXPECTED.len(), Verb::ALL.len());
        for (verb, (word, letters)) in Verb::ALL.iter().zip(EXPECTED) {
            assert_eq!(verb.as_str(), *word);
            let got: String = [Role::Owner, Role::Admin, Role::Auditor, Role::Member]
                .map(|role| match verb.reach(role) {
                    Reach::All => 'a',
                    Reach::Own => 'o',
                    Reach::No => '-',
                })
                .iter()
                .collect();
            assert_eq!(got, *letters, "{word}");
        }
    }

    #[test]
    fn only_owners_change_owners() {
        for actor in Role::ALL {
            for target in Role::ALL {
                let may = may_change_person(&user(1, actor), UserId::from([2; 16]), target);
                assert_eq!(may, target != Role::Owner || actor == Role::Owner, "{actor} on {target}");
            }
        }
    }

    #[test]
    fn a_personal_credential_is_its_owners_alone() {
        let (me, other) = (UserId::from([1; 16]), UserId::from([2; 16]));
        assert!(sees(me, &Scope::Personal(me)));
        assert!(!sees(me, &Scope::Personal(other)));
        assert!(sees(me, &Scope::Workspace("default".parse().unwrap())));
        // No role reaches further than `Own` where personal credentials are concerned.
        for role in Role::ALL {
            assert_eq!(Verb::CredentialChangeOwn.reach(role), Reach::Own);
            assert_eq!(Verb::CredentialSee.reach(role), Reach::Own);
        }
        assert!(reaches(Reach::Own, &user(1, Role::Owner), me) && !reaches(Reach::Own, &user(1, Role::Owner), other));
    }
}
