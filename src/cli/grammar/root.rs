//! `root-key`, `unseal`, `seal` and `systemd-unit`: where the root key comes from, and how the daemon is started with it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where a root key may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceWord {
    /// A file
    File,
    /// A credential that systemd decrypts for the service
    Credential,
    /// A file that a passphrase opens, given at each start
    Passphrase,
    /// A program that prints it
    Command,
}

/// Verbs about the root key. All are the local program's own: no daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum RootKeyVerb {
    /// Print a new root key, for a vault that does not exist yet
    ///
    /// For sources that Keyward does not write to: pipe it into what keeps it. It is printed once and kept nowhere. A root key
    /// of type `file` or `passphrase` is made by the first start or the first `unseal`.
    #[command(after_help = "EXAMPLES:\n  keyward root-key new | systemd-creds encrypt --name=keyward-root-key - \
                            /etc/credstore.encrypted/keyward-root-key\n  keyward root-key new | pass insert --multiline keyward")]
    New {
        /// Also on a terminal
        #[arg(long)]
        show: bool,
    },
    /// Print this vault's root key, for a copy in a safe place or another source
    ///
    /// Read from the source that the configuration names; a passphrase is asked for. Whoever has the root key and a copy of the
    /// database can open everything in it.
    #[command(after_help = "EXAMPLE:\n  keyward root-key print > /media/safe/root.key")]
    Print {
        /// The configuration [default: broker.toml in the home, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Also on a terminal
        #[arg(long)]
        show: bool,
    },
    /// Put this vault's root key into another place, and prove that it opens the vault from there
    ///
    /// The daemon must be stopped. The root key is read from the source that the configuration names, put into the new place,
    /// read back from there, and the vault is opened with it. The old place stays: what is to be written into broker.toml, and how
    /// the old place is destroyed after that, is printed. A move that was cut off is done again by the same words.
    ///
    /// To a `command` nothing is written: the one that the configuration names (`command`) has to print the root key already. To
    /// a `credential`, systemd-creds encrypts it into --path.
    #[command(after_help = "EXAMPLES:\n  keyward root-key move --to passphrase --path /etc/keyward/key/root.wrapped\n  \
                            keyward root-key move --to credential --path /etc/credstore.encrypted/keyward-root-key")]
    Move {
        /// The new source
        #[arg(long, value_enum, value_name = "SOURCE")]
        to: SourceWord,
        /// The new file; nothing may be there yet
        #[arg(long, value_name = "FILE", required_if_eq_any = [("to", "file"), ("to", "passphrase"), ("to", "credential")])]
        path: Option<PathBuf>,
        /// The configuration [default: broker.toml in the home, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Destroy a file that held the root key before a move, once the configured source is proved to open the vault
    ///
    /// The daemon must be stopped. The file is overwritten and removed; copies in backups and snapshots are not reached.
    #[command(after_help = "EXAMPLE:\n  keyward root-key forget /etc/keyward/key/root.key")]
    Forget {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The configuration [default: broker.toml in the home, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Flags of `systemd-unit`.
#[derive(Clone, Debug, Args)]
pub struct UnitArgs {
    /// The account that the daemon runs as
    #[arg(long, value_name = "NAME", default_value = "keyward")]
    pub user: String,
    /// Where the root key comes from
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t = SourceWord::File)]
    pub source: SourceWord,
}
