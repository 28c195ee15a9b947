//! `keyward systemd-unit`: the text of a unit. The only place where it stands; `examples/keyward.service` is what it prints.

use std::fmt::Write;
use std::path::Path;

use super::fail::{Exit, Failure};
use super::grammar::Globals;
use super::grammar::root::{SourceWord, UnitArgs};

/// The home that a service has unless another is named.
const HOME: &str = "/var/lib/keyward";

/// Prints it.
pub(super) fn print(globals: &Globals, words: &UnitArgs) -> Result<Exit, Failure> {
    let home = globals.home.as_deref().unwrap_or(Path::new(HOME));
    super::out(unit(&words.user, home, words.source)?.as_bytes());
    Ok(Exit::Done)
}

/// The unit for a daemon of `user` that lives in `home`.
///
/// # Errors
/// Names that systemd would read as something else.
fn unit(user: &str, home: &Path, source: SourceWord) -> Result<String, Failure> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    if !plain(user) || user.contains('/') || user.starts_with('-') {
        return Err(Failure::new(
            Exit::Usage,
            "the account's name is not one that a unit can hold",
            "letters, digits, dot, dash: --user keyward",
        ));
    }
    let shown = home.display().to_string();
    let dots = home.components().any(|c| matches!(c, std::path::Component::ParentDir | std::path::Component::CurDir));
    if !plain(&shown) || !home.is_absolute() || dots {
        let hint = format!("an absolute path of letters, digits, dot and dash: keyward --home {HOME} systemd-unit");
        return Err(Failure::new(Exit::Usage, "the home's path is not one that a unit can hold", hint));
    }
    let mut out = String::new();
    let _ = write!(out, "{}", head(user, &shown));
    // In /var/lib systemd makes it and gives it to the user.
    match home.strip_prefix("/var/lib") {
        Ok(name) => {
            let _ =
                write!(out, "# The home{}\nStateDirectory={}{}\nStateDirectoryMode=0700\n", why(source), name.display(), anchor(source));
        }
        Err(_) => {
            let _ = write!(out, "# The home has to be there, mode 0700, and belong to {user}.\nReadWritePaths={shown}\n");
        }
    }
    out.push_str(root_key(source));
    out.push_str(SANDBOX);
    Ok(out)
}

/// What else lies in the directories of state.
fn why(source: SourceWord) -> &'static str {
    match source {
        SourceWord::File | SourceWord::Passphrase => ".",
        SourceWord::Credential | SourceWord::Command => ", and the folder of the anchor, which does not belong into a backup of the home.",
    }
}

fn anchor(source: SourceWord) -> &'static str {
    match source {
        SourceWord::File | SourceWord::Passphrase => "",
        SourceWord::Credential | SourceWord::Command => " keyward-anchor",
    }
}

fn head(user: &str, home: &str) -> String {
    format!(
        "# /etc/systemd/system/keyward.service, as `keyward systemd-unit` prints it; docs/operators.md says what it needs.
[Unit]
Description=Keyward SSH connection broker
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User={user}
ExecStart=/usr/local/bin/keyward --home {home} serve --config /etc/keyward/broker.toml
ExecReload=/bin/kill -HUP $MAINPID
# Longer than the time that running sessions are given to end.
TimeoutStopSec=90
Restart=on-failure
"
    )
}

/// How the root key reaches the daemon.
fn root_key(source: SourceWord) -> &'static str {
    match source {
        SourceWord::File => {
            "# The root key is made there on the first run; the anchor beside it is written with each checkpoint.
ReadWritePaths=/etc/keyward/key
"
        }
        SourceWord::Passphrase => {
            "# The wrapped root key and the anchor. The daemon starts sealed; somebody has to run: keyward unseal
# broker.toml:  [vault] root_key = \"/etc/keyward/key/root.wrapped\"   [root_key] source = \"passphrase\"
ReadWritePaths=/etc/keyward/key
"
        }
        SourceWord::Credential => {
            "# The root key, encrypted to this machine (its TPM, if it has one). Made once, as root:
#   keyward root-key new | systemd-creds encrypt --name=keyward-root-key - /etc/credstore.encrypted/keyward-root-key
# broker.toml:  [root_key] source = \"credential\", anchor = \"/var/lib/keyward-anchor\"
LoadCredentialEncrypted=keyward-root-key:/etc/credstore.encrypted/keyward-root-key
"
        }
        SourceWord::Command => {
            "# The program that prints the root key lives in this sandbox, too: give it what it needs.
# broker.toml:  [root_key] source = \"command\", command = [\"/path/of/program\"], anchor = \"/var/lib/keyward-anchor\"
"
        }
    }
}

const SANDBOX: &str = "LimitNOFILE=65536
# So that secrets are not swapped out, and no core file holds them.
LimitMEMLOCK=infinity
LimitCORE=0

NoNewPrivileges=yes
# No capability: port 22 would need CapabilityBoundingSet=CAP_NET_BIND_SERVICE and AmbientCapabilities=CAP_NET_BIND_SERVICE.
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
# Other processes are not seen, and of /proc only what is its own.
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
KeyringMode=private
# Clients and hosts, and the local door. Which addresses, a firewall knows better.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @keyring
# Of what that takes away it needs its own limits alone.
SystemCallFilter=prlimit64 setrlimit
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_what_is_printed() {
        assert_eq!(unit("keyward", Path::new(HOME), SourceWord::File).unwrap(), include_str!("../../examples/keyward.service"));
    }

    #[test]
    fn each_source_has_its_own_lines() {
        let of = |source| unit("keyward", Path::new(HOME), source).unwrap();
        let credential = of(SourceWord::Credential);
        assert!(credential.contains("\nLoadCredentialEncrypted=keyward-root-key:/etc/credstore.encrypted/keyward-root-key\n"));
        assert!(credential.contains("\nStateDirectory=keyward keyward-anchor\n") && !credential.contains("ReadWritePaths="));
        assert!(of(SourceWord::Passphrase).contains("\nReadWritePaths=/etc/keyward/key\n"));
        let elsewhere = unit("kw", Path::new("/srv/kw"), SourceWord::File).unwrap();
        assert!(
            elsewhere.contains("\nUser=kw\n") && elsewhere.contains("\nReadWritePaths=/srv/kw\n") && !elsewhere.contains("StateDirectory")
        );
    }

    #[test]
    fn nothing_that_a_unit_would_read_otherwise_gets_in() {
        for (user, home) in [
            ("a b", HOME),
            ("a\nExecStart=/bin/sh", HOME),
            ("%u", HOME),
            ("", HOME),
            ("-x", HOME),
            ("../x", HOME),
            ("keyward", "relative"),
            ("keyward", "/var/lib/a b"),
            ("keyward", "/var/lib/%n"),
            ("keyward", "/var/lib/x\nUser=root"),
            ("keyward", "/var/lib/../../etc"),
        ] {
            assert!(unit(user, Path::new(home), SourceWord::File).is_err(), "{user:?} {home:?}");
        }
    }
}
