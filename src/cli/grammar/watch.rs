//! Words about sessions and the audit log.

use clap::{Subcommand, ValueEnum};

use super::words::{Source, file, since};
use crate::clock::Time;
use crate::control::Command;
use crate::model::SessionId;

/// `session …`
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// List sessions, newest first
    List {
        /// Only those that live
        #[arg(long)]
        live: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show a session
    Show {
        /// ses_… as `session list` shows it
        id: SessionId,
    },
    /// End a session that lives
    End {
        /// ses_… as `session list --live` shows it
        id: SessionId,
    },
}

/// In which form the log is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON document a line
    #[default]
    Jsonl,
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// List entries, oldest first: the newest that match
    #[command(
        after_help = "EXAMPLES:\n  keyward audit list --since 2h\n  keyward audit list --user alice --host web-1 --since 2026-11-01 --limit 1000"
    )]
    List {
        /// Only from this time on, or since so long ago: 2h
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Time>,
        /// Only what this person did
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only what concerns this host
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 200)]
        limit: u32,
    },
    /// Verify the whole log; exit status 1 if an entry was changed, removed or added
    ///
    /// Without a copy of the checkpoints elsewhere, root could rewrite log and checkpoints together: give your copy.
    #[command(after_help = "EXAMPLE:\n  keyward audit verify --checkpoint /mnt/worm/keyward-checkpoints")]
    Verify {
        /// Your own copy of the checkpoint file, or - for standard input
        #[arg(long, value_name = "FILE", value_parser = file)]
        checkpoint: Option<Source>,
    },
    /// Print every entry, oldest first
    #[command(after_help = "EXAMPLE:\n  keyward audit export --format jsonl --since 2026-11-01 > november.jsonl")]
    Export {
        /// In which form
        #[arg(long, value_enum, default_value_t)]
        format: ExportFormat,
        /// Only from this time on, or since so long ago: 2h
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Time>,
    },
}

impl SessionVerb {
    pub(super) fn call(self) -> Command {
        match self {
            Self::List { live, limit } => Command::SessionList { live, limit },
            Self::Show { id } => Command::SessionShow { id },
            Self::End { id } => Command::SessionEnd { id },
        }
    }
}

impl AuditVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Verify { checkpoint: Some(checkpoint) } => vec![checkpoint],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Command {
        match self {
            Self::List { since, user, host, limit } => Command::AuditList { since, user, host, limit },
            Self::Verify { .. } => Command::AuditVerify { checkpoints: texts.pop() },
            Self::Export { format: ExportFormat::Jsonl, since } => Command::AuditExport { since },
        }
    }
}
