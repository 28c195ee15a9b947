//! The grammar: one, for the local program and for the ssh console. Says what words there are and what they mean;
//! reads no file, asks nobody, and sends nothing.

mod certificates;
mod credentials;
mod grants;
mod host_ca;
mod hosts;
mod imports;
mod people;
mod personal;
mod proposals;
pub mod root;
mod scans;
mod sources;
mod totp;
mod upkeep;
mod user_cas;
mod vault;
mod watch;
mod words;
mod workspaces;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::fail::Failure;
use crate::control::Command;
use crate::model::{DEFAULT_WORKSPACE, Name};

pub use imports::{ImportVerb, SshConfigWords};
pub use totp::confirmation;
pub use vault::{RestoreArgs, StoppedArgs, VaultVerb};
pub use words::Source;

/// What a call needs besides its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A password, for this credential.
    Password(Name),
    /// A sudo password, for this credential.
    SudoPassword(Name),
    /// A private key from there.
    Key(Source),
    /// A passphrase that is to seal something, twice.
    NewPassphrase,
    /// A passphrase or recovery code that opens something.
    Unlock,
    /// A one-time code.
    Code,
    /// A one-time code, of whoever comes over ssh.
    CodeOverSsh,
}

/// What happens after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It is printed.
    Print,
    /// `host trust`: the keys are shown, and pinned if somebody says so.
    Confirm(Name),
    /// `credential rotate`: the plan is shown, and done if somebody says so.
    Agree,
    /// `proposal approve --sign`: what is to be signed is fetched first, and signed by the person's ssh agent.
    Sign(crate::model::ProposalId),
    /// Something is taken away: on a terminal the daemon is asked what hangs on it, and then the person whether they are sure.
    Sure(Box<Command>),
    /// `unlock`: the person's ssh agent is asked first, if it has the key of a slot.
    Unlock,
    /// `personal slot add agent`: the person's ssh agent signs twice, with this key or with the only one that fits.
    AgentSlot(Option<String>),
    /// `user totp enroll`: it is shown, and a code of it is asked for at a terminal.
    Enrol,
    /// `proposal watch`: the inbox, on a full screen.
    Watch,
    /// `import known-hosts`: the plan is shown, and done if somebody says so.
    Import,
    /// `backup`: what is streamed goes to this file, or to standard output.
    Save(Option<PathBuf>),
    /// `vault rotate --shred`: this is asked first, if somebody is there to be asked.
    Ask(String),
}

/// A verb, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The command.
    pub command: Command,
    /// The secret that goes with it.
    pub secret: Wanted,
    /// What happens after.
    pub follow: Follow,
}

impl From<Command> for Call {
    fn from(command: Command) -> Self {
        Self { command, secret: Wanted::Nothing, follow: Follow::Print }
    }
}

/// An SSH connection broker: vault credentials are injected just in time, and nobody sees them.
#[derive(Debug, Parser)]
#[command(
    name = "keyward",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    max_term_width = 110,
    after_help = "EXIT STATUS:\n  0 done · 1 refused or failed · 2 usage · 3 daemon not reachable · 4 findings and 5 incomplete (scan) · 70 a bug\n\n\
                  Secrets are never arguments: they are asked for on a terminal, or read from standard input.\n\
                  The same verbs work over ssh, with nothing installed: ssh -p 2222 YOU@BROKER host list\n\n\
                  EXAMPLES:\n  keyward serve\n  keyward host add web-1 192.0.2.7 && keyward host trust web-1\n  \
                  keyward credential add deploy --username deploy --key ~/.ssh/deploy --scope workspace\n  \
                  keyward credential attach deploy --host web-1\n  keyward grant add --to alice --hosts 'web-*' --allow shell,exec\n  \
                  ssh -p 2222 web-1@BROKER"
)]
pub struct Cli {
    /// For every verb.
    #[command(flatten)]
    pub globals: Globals,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Where the broker lives [env: KEYWARD_HOME] [default: ~/.local/state/keyward; /var/lib/keyward for root]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but data and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// The workspace
    #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT_WORKSPACE)]
    pub workspace: Name,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the broker in the foreground
    ///
    /// The first run makes the home: root key, ssh host key, database, and the owner, named after you, with the public
    /// keys found in ~/.ssh and in the ssh agent. When it accepts connections it prints one line that begins with
    /// `ready:`; where the vault waits for a passphrase, that line ends with `sealed`, and another without it follows `keyward
    /// unseal`. SIGTERM and SIGINT let sessions end in order, SIGHUP reads the configuration again.
    #[command(after_help = "EXAMPLES:\n  keyward serve\n  keyward serve --listen 0.0.0.0:2222 --config /etc/keyward/broker.toml")]
    Serve(ServeArgs),
    /// Show how the daemon, store and vault are
    Status,
    /// Seal the vault: sessions end, its keys are wiped, and nobody signs in until `keyward unseal`
    ///
    /// For owners. When it answers, no new connection is let in. Running sessions are given the time that a stop of the daemon gives
    /// them (`status` says `sealing`); then the keys are wiped, and the daemon stays up: it tells every ssh client that the vault is
    /// sealed. Whatever the root key's source is, somebody has to run `keyward unseal` on the broker's machine.
    #[command(after_help = "EXAMPLES:\n  keyward seal\n  keyward seal --now      # end what runs")]
    Seal {
        /// End sessions at once
        #[arg(long)]
        now: bool,
    },
    /// Open a sealed vault; asks for the passphrase of the root key, if it has one
    ///
    /// On the broker's machine alone, as root or as the user that the daemon runs as: over ssh, nobody can be known while the vault is
    /// sealed. The passphrase is asked for on a terminal, or is the first line of standard input. After a wrong one, the next is
    /// taken only after some seconds, and each time later.
    #[command(after_help = "EXAMPLES:\n  keyward unseal\n  keyward status          # vault: sealed, and what is wanted")]
    Unseal,
    /// People: who they are, and the keys that sign them in
    #[command(subcommand)]
    User(people::UserVerb),
    /// Groups of people, for grants
    #[command(subcommand)]
    Group(people::GroupVerb),
    /// Authorities whose certificates sign people in, beside their own keys
    #[command(name = "user-ca", subcommand)]
    UserCa(user_cas::UserCaVerb),
    /// Hosts: where they are, and the keys that prove it
    #[command(subcommand)]
    Host(hosts::HostVerb),
    /// Host CAs: whose signature under a host's certificate stands in for a pinned key
    #[command(subcommand)]
    HostCa(host_ca::HostCaVerb),
    /// Credentials: what signs in on hosts; never shown, only used
    #[command(subcommand)]
    Credential(credentials::CredentialVerb),
    /// The certificate authority: signs a certificate for each sign-in, so that no secret stands on hosts
    #[command(subcommand)]
    Ca(certificates::CaVerb),
    /// Workspaces: hosts, credentials and grants apart from all others, each under a key of its own
    #[command(subcommand)]
    Workspace(workspaces::WorkspaceVerb),
    /// Sources: other people's vaults, where credentials may lie
    #[command(subcommand)]
    Source(sources::SourceVerb),
    /// Sealing: your own credentials under a key that the broker at rest does not have
    #[command(subcommand)]
    Personal(personal::PersonalVerb),
    /// Open your sealed credentials: by your ssh agent, passphrase or recovery code
    ///
    /// They stay open until `lock`, or until they were not used for a while ([vault] personal_idle in broker.toml). Over ssh your
    /// agent is asked if you forward it (ssh -A) and it has the key of a slot. Else the passphrase or recovery code is asked for on a
    /// terminal (ssh -t), or read from standard input.
    #[command(
        after_help = "EXAMPLES:\n  keyward unlock\n  ssh -A -p 2222 alice@broker unlock\n  ssh -t -p 2222 alice@broker unlock --typed"
    )]
    Unlock {
        /// Ask for the passphrase or recovery code, whatever the agent has
        #[arg(long)]
        typed: bool,
    },
    /// Lock your sealed credentials now; connections that stand are not ended
    ///
    /// With --json: `scope` (personal or everybody), `locked` (how many were open and are so no more), `locked_at` (null if none was) and
    /// `personal` (how yours are now, as in `status`).
    #[command(
        after_help = "EXAMPLES:\n  keyward lock\n  keyward lock --all     # everybody's, for an owner or admin\n  keyward lock --json | jq -e '.personal != \"open\"'"
    )]
    Lock {
        /// Everybody's
        #[arg(long)]
        all: bool,
    },
    /// Grants: who may do what on which hosts
    #[command(subcommand)]
    Grant(grants::GrantVerb),
    /// Sessions: who is connected, and who was
    #[command(subcommand)]
    Session(watch::SessionVerb),
    /// Agents: programs that propose commands, each for one person
    #[command(subcommand)]
    Agent(proposals::AgentVerb),
    /// Proposals: commands that agents ask to run; you decide
    #[command(subcommand)]
    Proposal(proposals::ProposalVerb),
    /// Scans: facts and checks over many hosts, one short lease each
    #[command(subcommand)]
    Scan(scans::ScanVerb),
    /// Speak MCP on standard input and output, as an agent: a bridge to the daemon
    ///
    /// For MCP clients that start their servers as programs. The agent is shown by its token, or named by the person that it
    /// belongs to; without either, it is the only agent that you have. It ends when standard input does.
    #[command(after_help = "EXAMPLES:\n  keyward mcp --token-file ~/helper.token\n  keyward mcp --agent helper\n  \
                            ssh -p 2222 helper@BROKER mcp             # the same from elsewhere, with the agent's key")]
    Mcp(McpArgs),
    /// The audit log: what happened, in a chain that shows every change
    #[command(subcommand)]
    Audit(watch::AuditVerb),
    /// Print Host blocks for ~/.ssh/config, so that `ssh web-1` goes through the broker
    #[command(after_help = "EXAMPLE:\n  keyward ssh-config > ~/.ssh/keyward.conf   # and: Include keyward.conf")]
    SshConfig {
        /// For somebody else
        #[arg(long, value_name = "NAME")]
        user: Option<Name>,
    },
    /// Imports: what OpenSSH's files have, brought over
    #[command(subcommand)]
    Import(ImportVerb),
    /// The vault: its keys, how old they are, and new ones for old
    #[command(subcommand)]
    Vault(vault::VaultVerb),
    /// Write a backup of the database into a file
    ///
    /// Consistent while the broker runs, checked, and without rows that were deleted. Secrets in it are encrypted, and the root
    /// key that opens them is NOT in it: keep a copy of both, and keep them apart. Everything else – who there is, hosts,
    /// grants, the audit log – is plain: encrypt the file if others can read it. Beside FILE a FILE.json says what it is.
    #[command(after_help = "EXAMPLES:\n  keyward backup /mnt/backup/keyward-$(date +%F).db\n  \
                            keyward backup - | age -R recipients.txt > keyward.db.age\n  \
                            ssh -p 2222 YOU@BROKER backup - > keyward.db")]
    Backup(vault::BackupArgs),
    /// Put a backup in the place of the database; only while the daemon is stopped
    ///
    /// Checked before anything is touched: whether it is a backup of this vault, opens with the root key that is here, has its
    /// seal, and an audit log that holds. The database that is there is kept beside it. What happened since the backup is
    /// forgotten, what was revoked since is in force again: the next start refuses, unless that was accepted.
    #[command(after_help = "EXAMPLE:\n  keyward restore /mnt/backup/keyward-2026-11-26.db --accept-rollback")]
    Restore(vault::RestoreArgs),
    /// The root key: where it comes from, and how it gets elsewhere
    #[command(subcommand)]
    RootKey(root::RootKeyVerb),
    /// Print a unit for systemd, with the sandbox that the daemon can live in
    #[command(after_help = "EXAMPLES:\n  keyward --home /var/lib/keyward systemd-unit > /etc/systemd/system/keyward.service\n  \
                            keyward --home /var/lib/keyward systemd-unit --source credential")]
    SystemdUnit(root::UnitArgs),
    /// Print completions for a shell
    #[command(after_help = "EXAMPLE:\n  keyward completions bash > ~/.local/share/bash-completion/completions/keyward")]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Flags of `mcp`.
#[derive(Clone, Debug, Args)]
pub struct McpArgs {
    /// The agent's token: the first line of a file that nobody else can read
    #[arg(long, value_name = "FILE", conflicts_with = "agent")]
    pub token_file: Option<PathBuf>,
    /// Which of your agents
    #[arg(long, value_name = "NAME")]
    pub agent: Option<Name>,
}

/// How the daemon logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The configuration [default: broker.toml in the home, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where ssh clients connect; overrides the configuration
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Go on, this once, with a database that is older than what is known of it: after a backup was put back on purpose
    #[arg(long)]
    pub accept_rollback: bool,
    /// How to log, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

impl Verb {
    /// The texts that this verb wants read, in the order in which [`Verb::call`] takes them.
    pub fn sources(&self) -> Vec<&Source> {
        match self {
            Self::User(verb) => verb.sources(),
            Self::UserCa(verb) => verb.sources(),
            Self::Host(verb) => verb.sources(),
            Self::HostCa(verb) => verb.sources(),
            Self::Grant(verb) => verb.sources(),
            Self::Audit(verb) => verb.sources(),
            Self::Agent(verb) => verb.sources(),
            Self::Proposal(verb) => verb.sources(),
            Self::Scan(verb) => verb.sources(),
            Self::Import(verb) => verb.sources(),
            Self::Personal(verb) => verb.sources(),
            _ => Vec::new(),
        }
    }

    /// The call, with the texts that [`Verb::sources`] asked for. `None`: the verb is the program's own and goes nowhere.
    ///
    /// # Errors
    /// Words that do not fit together.
    pub fn call(self, texts: Vec<String>) -> Result<Option<Call>, Failure> {
        Ok(Some(match self {
            Self::Serve(_) | Self::Mcp(_) | Self::Completions { .. } | Self::Restore(_) => return Ok(None),
            Self::Vault(verb) => return Ok(verb.call()),
            Self::Backup(words) => words.call(),
            Self::Unseal | Self::RootKey(_) | Self::SystemdUnit(_) => return Ok(None),
            Self::Status => Command::Status.into(),
            Self::Seal { now } => Command::Seal { now }.into(),
            Self::User(verb) => verb.call(texts),
            Self::Group(verb) => verb.call().into(),
            Self::UserCa(verb) => verb.call(texts)?,
            Self::Host(verb) => verb.call(texts),
            Self::HostCa(verb) => verb.call(texts).into(),
            Self::Credential(verb) => verb.call()?,
            Self::Ca(verb) => verb.call(),
            Self::Workspace(verb) => verb.call(),
            Self::Source(verb) => verb.call(),
            Self::Personal(verb) => verb.call(texts),
            Self::Unlock { typed } => {
                let follow = if typed { Follow::Print } else { Follow::Unlock };
                Call { command: Command::Unlock { agent: None }, secret: Wanted::Unlock, follow }
            }
            Self::Lock { all } => Command::Lock { all }.into(),
            Self::Grant(verb) => verb.call(texts).into(),
            Self::Session(verb) => verb.call().into(),
            Self::Audit(verb) => verb.call(texts).into(),
            Self::Agent(verb) => verb.call(texts).into(),
            Self::Proposal(verb) => verb.call(texts)?,
            Self::Scan(verb) => verb.call(texts),
            Self::Import(verb) => return Ok(verb.call(texts)),
            Self::SshConfig { user } => Command::SshConfig { user }.into(),
        }))
    }
}

#[cfg(test)]
mod tests;
