//! Words about agents, proposals and what was allowed again.

use clap::{Args, Subcommand};

use super::words::{Source, file, seconds, source};
use super::{Call, Follow, Wanted};
use crate::cli::fail::{Exit, Failure};
use crate::control::{AgainWords, Command, Decidable, Digest};
use crate::model::{ActDigest, AgentLimits, AllowanceId, Name, ProposalId};

/// `agent …`
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// Add an agent: a program that proposes commands, and belongs to one person
    ///
    /// It signs in with its own ssh key, or with a token that is printed once. It may propose where its person may run the
    /// command and a grant has `propose`; its person decides each time. It never sees a credential, and cannot decide.
    #[command(after_help = "EXAMPLES:\n  keyward agent add helper --for alice --key helper.pub\n  \
                            keyward --quiet agent add helper --for alice > helper.token\n  \
                            ssh -p 2222 web-1@BROKER 'df -h'          # with the agent's key: proposes it, waits, prints what it wrote\n  \
                            ssh -p 2222 helper@BROKER mcp             # an MCP server on standard input and output")]
    Add(AddAgent),
    /// List agents
    List,
    /// Remove an agent; its connections and proposals end at once
    Remove {
        /// Which
        name: Name,
    },
}

/// Words of `agent add`.
#[derive(Debug, Args)]
pub struct AddAgent {
    /// What it is called: letters, digits, `.`, `_`, `-`
    name: Name,
    /// Whose it is [default: yours]
    #[arg(long = "for", value_name = "USER")]
    owner: Option<Name>,
    /// Its public key: a file, - for standard input, or the line itself; without one a token is printed
    #[arg(long, value_name = "FILE|-", value_parser = source)]
    key: Option<Source>,
    /// Proposals that may wait or run at once
    #[arg(long, value_name = "N", default_value_t = AgentLimits::default().pending)]
    pending: u32,
    /// Proposals in a minute
    #[arg(long, value_name = "N", default_value_t = AgentLimits::default().per_minute)]
    per_minute: u32,
    /// Bytes of output, of each stream, that it gets of one command
    #[arg(long, value_name = "BYTES", default_value_t = AgentLimits::default().output)]
    output: u64,
    /// Its commands need a signature of the person's key over each proposal
    #[arg(long)]
    require_signature: bool,
}

/// `proposal …`
#[derive(Debug, Subcommand)]
pub enum ProposalVerb {
    /// List proposals, newest first
    List {
        /// Only those that wait
        #[arg(long)]
        pending: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Show a proposal whole: every byte of it, what can be said about it, its digest, how it went
    Show {
        /// prp_… as `proposal list` shows it; pln_… for a plan with all its steps
        #[arg(value_name = "ID")]
        what: Decidable,
    },
    /// Approve exactly the bytes with this digest; they run at once on your open connection
    ///
    /// The digest names what you looked at: `proposal show` prints it. A plan (pln_…) is approved with its own digest, all
    /// steps in order. Nothing is ever approved without a person; --again is your word for these very bytes only.
    #[command(after_help = "EXAMPLES:\n  ssh -p 2222 alice@BROKER proposal approve prp_… --digest 1f2e…\n  \
                            ssh -p 2222 alice@BROKER proposal approve prp_… --digest 1f2e… --again 5 --within 30m\n  \
                            echo 'df -h /srv' | ssh -p 2222 alice@BROKER proposal approve prp_… --digest 1f2e… --edit\n  \
                            ssh … proposal canonical prp_… | ssh-keygen -Y sign -n approval@keyward -f ~/.ssh/id_ed25519_sk > sig\n  \
                            ssh … proposal approve prp_… --digest 1f2e… --signature - < sig")]
    Approve(Approve),
    /// Deny a proposal; the agent reads the reason
    Deny {
        /// prp_… as `proposal list` shows it
        id: ProposalId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Print the text that is signed where an approval needs a signature
    Canonical {
        /// prp_…
        id: ProposalId,
        /// With this command instead, from standard input
        #[arg(long)]
        edit: bool,
    },
    /// Decide on a full screen: what waits, every byte of it, approve, edit, deny
    Watch,
    /// What you have allowed to run again
    #[command(subcommand)]
    Again(AgainVerb),
}

/// `proposal again …`
#[derive(Debug, Subcommand)]
pub enum AgainVerb {
    /// List what you have allowed: the same bytes, in one session, so many times, until then
    List,
    /// Take it back
    Revoke {
        /// alw_…
        id: AllowanceId,
    },
}

/// Words of `proposal approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// prp_…, or pln_… for all steps of a plan
    #[arg(value_name = "ID")]
    what: Decidable,
    /// The digest of what you looked at
    #[arg(long, value_name = "HEX")]
    digest: ActDigest,
    /// Run another command instead: it is read from standard input
    #[arg(long, conflicts_with_all = ["signature"])]
    edit: bool,
    /// Allow the same bytes again in this session, so many times
    #[arg(long, value_name = "N", requires = "within")]
    again: Option<u32>,
    /// For so long: 30m, 8h
    #[arg(long, value_name = "DURATION", value_parser = seconds, requires = "again")]
    within: Option<u64>,
    /// Sign the proposal with a key of your ssh agent (local program only)
    #[arg(long, conflicts_with = "signature")]
    sign: bool,
    /// A signature over what `proposal canonical` prints: a file, or - for standard input
    #[arg(long, value_name = "FILE|-", value_parser = file)]
    signature: Option<Source>,
}

impl AgentVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add(AddAgent { key: Some(key), .. }) => vec![key],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Command {
        match self {
            Self::Add(a) => Command::AgentAdd {
                name: a.name,
                owner: a.owner,
                key: texts.pop(),
                limits: AgentLimits { pending: a.pending, per_minute: a.per_minute, output: a.output },
                require_signature: a.require_signature,
            },
            Self::List => Command::AgentList,
            Self::Remove { name } => Command::AgentRemove { name },
        }
    }
}

impl ProposalVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Approve(Approve { edit: true, .. }) | Self::Canonical { edit: true, .. } => vec![&Source::Stdin],
            Self::Approve(Approve { signature: Some(signature), .. }) => vec![signature],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Result<Call, Failure> {
        Ok(match self {
            Self::List { pending, limit } => Command::ProposalList { pending, limit }.into(),
            Self::Show { what: Decidable::Proposal(id) } => Command::ProposalShow { id }.into(),
            Self::Show { what: Decidable::Plan(id) } => Command::PlanShow { id }.into(),
            Self::Deny { id, reason } => Command::ProposalDeny { id, reason }.into(),
            Self::Canonical { id, .. } => Command::ProposalCanonical { id, edit: texts.pop().map(without_newline) }.into(),
            Self::Watch => {
                Call { command: Command::ProposalList { pending: true, limit: 50 }, secret: Wanted::Nothing, follow: Follow::Watch }
            }
            Self::Again(AgainVerb::List) => Command::AllowanceList.into(),
            Self::Again(AgainVerb::Revoke { id }) => Command::AllowanceRevoke { id }.into(),
            Self::Approve(a) => {
                let (edit, signature) = if a.edit { (texts.pop().map(without_newline), None) } else { (None, texts.pop()) };
                let follow = match (a.sign, a.what) {
                    (false, _) => Follow::Print,
                    (true, Decidable::Proposal(id)) => Follow::Sign(id),
                    (true, Decidable::Plan(_)) => {
                        return Err(Failure::new(Exit::Usage, "a plan is not signed as one", "sign its steps one by one"));
                    }
                };
                let again = a.again.zip(a.within).map(|(times, within_s)| AgainWords { times, within_s });
                let command = Command::ProposalApprove { what: a.what, digest: Digest(a.digest), edit, again, signature };
                Call { command, secret: Wanted::Nothing, follow }
            }
        })
    }
}

/// A command that was typed or piped in ends with its line's end, which is no part of it.
fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
