//! Words about keys that are made here, and about certificates. No word of it holds a secret.

use clap::{Args, Subcommand, ValueEnum};

use super::credentials::Scope;
use super::words::seconds;
use super::{Call, Follow, Wanted};
use crate::control::{Command, KeyWord, RotateStep};
use crate::model::{Login, Name, Validity};

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyType {
    /// Every server since OpenSSH 6.5 (2014) takes it
    Ed25519,
    /// ECDSA on the curve P-256
    #[value(name = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on the curve P-384
    #[value(name = "ecdsa-p384")]
    EcdsaP384,
    /// ECDSA on the curve P-521
    #[value(name = "ecdsa-p521")]
    EcdsaP521,
    /// RSA of 4096 bits: takes some seconds to make; for servers that know nothing else
    #[value(name = "rsa-4096")]
    Rsa4096,
}

impl From<KeyType> for KeyWord {
    fn from(kind: KeyType) -> Self {
        match kind {
            KeyType::Ed25519 => Self::Ed25519,
            KeyType::EcdsaP256 => Self::EcdsaP256,
            KeyType::EcdsaP384 => Self::EcdsaP384,
            KeyType::EcdsaP521 => Self::EcdsaP521,
            KeyType::Rsa4096 => Self::Rsa4096,
        }
    }
}

/// Words of `credential generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// What it is called
    name: Name,
    /// The account on the hosts
    #[arg(long, value_name = "USER")]
    username: Login,
    /// What kind of key
    #[arg(long = "type", value_enum, default_value = "ed25519", value_name = "TYPE")]
    kind: KeyType,
    /// Whose it is
    #[arg(long, value_enum, default_value = "personal")]
    scope: Scope,
}

impl Generate {
    pub(super) fn call(self) -> Call {
        let Self { name, username, kind, scope } = self;
        Command::CredentialGenerate { name, username, kind: kind.into(), scope: scope.into() }.into()
    }
}

/// `ca …`
#[derive(Debug, Subcommand)]
pub enum CaVerb {
    /// Make the workspace's certificate authority
    ///
    /// Its private key is made in the vault and is never outside. It signs nothing but certificates for single sign-ins of
    /// credentials that were added with --certificate.
    #[command(after_help = "EXAMPLES:\n  keyward ca create\n  \
                            keyward ca public-key | ssh root@web-1 'cat > /etc/ssh/keyward_user_ca.pub'\n  \
                            ssh root@web-1 'echo TrustedUserCAKeys /etc/ssh/keyward_user_ca.pub >> /etc/ssh/sshd_config && sshd -t && systemctl reload ssh'\n  \
                            keyward credential add deploy --username deploy --certificate\n  keyward credential attach deploy --host web-1")]
    Create {
        /// What kind of key
        #[arg(long = "type", value_enum, default_value = "ed25519", value_name = "TYPE")]
        kind: KeyType,
    },
    /// Show its keys, what stands on it, and the lines for the hosts
    Show,
    /// Print the public keys that hosts are to trust, one a line
    ///
    /// During a rotation these are several: hosts trust all of them.
    #[command(after_help = "EXAMPLES:\n  keyward ca public-key > keyward_user_ca.pub            # for TrustedUserCAKeys\n  \
                            keyward ca public-key --principal deploy               # for ~deploy/.ssh/authorized_keys")]
    PublicKey {
        /// As lines of authorized_keys that trust it for this account alone
        #[arg(long, value_name = "USER")]
        principal: Option<Login>,
    },
    /// Replace its key, in two steps: a next key that hosts learn to trust, then the switch
    ///
    /// Without a flag the next key is made; it signs nothing. Bring `ca public-key` to every host, then `ca rotate --switch`:
    /// from then on the next key signs, and the old one signs no more. `ca retire` ends the rotation.
    #[command(after_help = "EXAMPLES:\n  keyward ca rotate\n  keyward ca rotate --switch\n  keyward ca retire")]
    Rotate {
        /// What kind of key, if not the same as now
        #[arg(long = "type", value_enum, value_name = "TYPE", conflicts_with_all = ["switch", "cancel"])]
        kind: Option<KeyType>,
        /// Every host trusts the next key: it signs from now on
        #[arg(long, conflicts_with = "cancel")]
        switch: bool,
        /// Drop the next key
        #[arg(long)]
        cancel: bool,
    },
    /// Delete the old key after a rotation
    #[command(after_help = "EXAMPLE:\n  keyward ca retire --yes")]
    Retire {
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
    /// Delete the certificate authority; refused while credentials stand on it
    #[command(after_help = "EXAMPLE:\n  keyward ca remove --yes")]
    Remove {
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

impl CaVerb {
    pub(super) fn call(self) -> Call {
        match self {
            Self::Create { kind } => Command::CaCreate { kind: kind.into() },
            Self::Show => Command::CaShow,
            Self::PublicKey { principal } => Command::CaPublicKey { principal },
            Self::Rotate { switch: true, .. } => Command::CaRotate { step: RotateStep::Switch },
            Self::Rotate { cancel: true, .. } => Command::CaRotate { step: RotateStep::Cancel },
            Self::Rotate { kind, .. } => Command::CaRotate { step: RotateStep::Begin(kind.map(Into::into)) },
            Self::Retire { yes } => return sure(Command::CaRetire, yes),
            Self::Remove { yes } => return sure(Command::CaRemove, yes),
        }
        .into()
    }
}

/// On a terminal the authority is shown, and somebody is asked.
fn sure(command: Command, yes: bool) -> Call {
    let follow = if yes { Follow::Print } else { Follow::Sure(Box::new(Command::CaShow)) };
    Call { command, secret: Wanted::Nothing, follow }
}

/// `60s` to `300s`.
pub(super) fn validity(text: &str) -> Result<Validity, String> {
    let limits = || format!("a certificate is valid for {}s to {}s", Validity::SHORTEST, Validity::LONGEST);
    Validity::of_seconds(seconds(text)?).ok_or_else(limits)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::grammar::Cli;
    use crate::control::ScopeWord;

    fn command(words: &str) -> Option<Command> {
        let words = std::iter::once("keyward").chain(words.split(' '));
        Cli::try_parse_from(words).ok()?.verb.call(Vec::new()).ok()?.map(|call| call.command)
    }

    #[test]
    fn a_certificate_is_the_workspaces_unless_something_else_is_said() {
        let scope = |words: &str| match command(words) {
            Some(Command::CredentialAddCertificate { scope, validity, .. }) => Some((scope, validity.seconds())),
            _ => None,
        };
        assert_eq!(scope("credential add c --username u --certificate"), Some((ScopeWord::Workspace, 120)));
        assert_eq!(scope("credential add c --username u --certificate --scope personal"), Some((ScopeWord::Personal, 120)));
        assert_eq!(scope("credential add c --username u --certificate --validity 1m30s"), Some((ScopeWord::Workspace, 90)));
        let edited = command("credential edit c --validity 5m --rename d");
        let is_five_minutes = |validity: &Option<Validity>| validity.is_some_and(|validity| validity.seconds() == 300);
        assert!(matches!(edited, Some(Command::CredentialEdit { ref validity, .. }) if is_five_minutes(validity)), "{edited:?}");
        let secret = command("credential add c --username u --password");
        assert!(matches!(secret, Some(Command::CredentialAdd { scope: ScopeWord::Personal, .. })), "{secret:?}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for words in [
            "credential add c --username u",
            "credential add c --username u --certificate --password",
            "credential add c --username u --certificate --key -",
            "credential add c --username u --password --validity 60s",
            "credential add c --username u --certificate --validity 59s",
            "credential add c --username u --certificate --validity 301s",
            "credential add c --username u --certificate --validity 0",
            "credential edit c --validity 59s",
            "credential edit c --validity 301s",
            "credential edit c --validity 60s --password",
            "credential edit c --validity 60s --key -",
            "credential edit c --validity 60s --path web/root",
            "credential edit c --validity 60s --from store",
            "credential generate c --username u --type dsa",
            "credential generate c",
            "ca create --type rsa-1024",
            "ca rotate --switch --cancel",
            "ca rotate --switch --type ed25519",
            "ca public-key --principal",
        ] {
            assert_eq!(command(words), None, "{words}");
        }
    }
}
