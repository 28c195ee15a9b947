//! Words about scans.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Call;
use super::words::{Source, file};
use crate::control::{Command, NewScan, OsvWord, PolicyText, ReportWords};
use crate::model::{Name, ScanId};

/// `scan …`
#[derive(Debug, Subcommand)]
pub enum ScanVerb {
    /// Scan hosts: gather facts, evaluate checks; nothing is written on a host
    ///
    /// Each host costs one short lease, or none where you are connected already. Every command is a read of yours that you approve by
    /// starting the scan: --dry-run prints each one, and the digest that stands for them all; --digest runs only what has that digest.
    /// What needs root is asked once more through sudo, with the credential's sudo password. Ctrl-C ends it; what was answered is kept.
    #[command(after_help = "EXAMPLES:\n  keyward scan run --hosts 'web-*,tag:env=prod' --profile baseline\n  \
                            keyward scan run --hosts web-1 --profile ssh-hardening --dry-run\n  \
                            keyward scan run --hosts '*' --osv default --format html > report.html\n  \
                            ssh -p 2222 YOU@BROKER scan run --hosts web-1 --policy - < policy.yml\n\n\
                            EXIT STATUS:\n  0 clean · 4 findings · 5 incomplete: some host or probe was not answered")]
    Run(Box<Run>),
    /// Take up a scan that was interrupted or cancelled: hosts without a result
    Resume {
        /// scn_… as `scan list` shows it
        id: ScanId,
        /// How the report is written
        #[command(flatten)]
        report: Report,
    },
    /// Cancel a scan that runs: its connections and leases end at once
    Cancel {
        /// scn_…
        id: ScanId,
    },
    /// List scans, newest first
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Show a scan: its report in one of six forms
    #[command(after_help = "EXAMPLES:\n  keyward scan show scn_…\n  keyward scan show scn_… --format html > report.html\n\n\
                            EXIT STATUS:\n  0 clean · 4 findings · 5 incomplete")]
    Show {
        /// scn_… as `scan list` shows it
        id: ScanId,
        /// How the report is written
        #[command(flatten)]
        report: Report,
    },
    /// What is new, gone or changed from one scan to another: packages, ports, people, keys, services, checks, vulnerabilities
    Diff {
        /// The earlier one: scn_…
        before: ScanId,
        /// The later one: scn_…
        after: ScanId,
    },
    /// Evaluate what a scan gathered with other policies, without asking any host
    #[command(after_help = "EXAMPLE:\n  keyward scan evaluate scn_… --policy new-rules.yml")]
    Evaluate {
        /// scn_… as `scan list` shows it
        id: ScanId,
        /// With which rules
        #[command(flatten)]
        rules: Rules,
        /// How the report is written
        #[command(flatten)]
        report: Report,
    },
    /// Delete the results of a scan
    Remove {
        /// scn_…
        id: ScanId,
    },
    /// List the built-in profiles
    Profiles,
}

/// Which rules.
#[derive(Clone, Debug, Args)]
pub struct Rules {
    /// A built-in profile: inventory, ssh-hardening, accounts, updates, baseline
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// A policy in the grammar of Wazuh's SCA files: a file, or - for standard input
    #[arg(long = "policy", value_name = "FILE|-", value_parser = file)]
    policies: Vec<Source>,
    /// Look up vulnerabilities in OSV's offline archives: `default` for the folder of broker.toml, or a folder of the broker's machine
    #[arg(long, value_name = "DIR|default")]
    osv: Option<String>,
}

/// How a report is written.
#[derive(Clone, Debug, Args)]
pub struct Report {
    /// table, json, sarif, cyclonedx, junit or html
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only this host
    #[arg(long, value_name = "NAME")]
    host: Option<Name>,
}

/// Words of `scan run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Which hosts: names, patterns and tags, with commas between: 'web-*,tag:env=prod'
    #[arg(long, value_name = "SELECTOR")]
    hosts: String,
    /// With which rules; without any, only facts are gathered
    #[command(flatten)]
    rules: Rules,
    /// Sign in with this credential [default: the one that you would connect with]
    #[arg(long, value_name = "NAME")]
    credential: Option<Name>,
    /// So many hosts at once, fewer than the broker's limit
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// Print every command and the digest; ask no host
    #[arg(long)]
    dry_run: bool,
    /// Run only if probes and policies have this digest
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    /// table, json, sarif, cyclonedx, junit or html
    #[arg(long, value_name = "FORMAT", conflicts_with = "dry_run")]
    format: Option<String>,
}

impl Rules {
    /// The profiles, the policies with their texts, and where vulnerabilities are looked up.
    fn told(self, texts: Vec<String>) -> (Vec<String>, Vec<PolicyText>, OsvWord) {
        let name = |source: &Source| match source {
            Source::File(path) => path.display().to_string(),
            Source::Inline(_) | Source::Stdin => "standard input".to_owned(),
        };
        let policies = self.policies.iter().zip(texts).map(|(source, text)| PolicyText { name: name(source), text }).collect();
        let osv = match self.osv.as_deref() {
            None => OsvWord::No,
            Some("default") => OsvWord::Default,
            // What is written at the local door is meant from where it is written.
            Some(folder) => OsvWord::Folder(std::path::absolute(PathBuf::from(folder)).unwrap_or_default().display().to_string()),
        };
        (self.profiles, policies, osv)
    }
}

impl Report {
    fn words(self) -> ReportWords {
        ReportWords { format: self.format, host: self.host, ..ReportWords::default() }
    }
}

impl ScanVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Run(run) => run.rules.policies.iter().collect(),
            Self::Evaluate { rules, .. } => rules.policies.iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, texts: Vec<String>) -> Call {
        match self {
            Self::Run(run) => {
                let Run { hosts, rules, credential, parallel, dry_run, digest, format } = *run;
                let (profiles, policies, osv) = rules.told(texts);
                let scan = NewScan { profiles, policies, hosts, credential, parallel, osv, digest };
                if dry_run {
                    Command::ScanPlan { scan }.into()
                } else {
                    Command::ScanRun { scan, report: ReportWords { format, ..ReportWords::default() } }.into()
                }
            }
            Self::Resume { id, report } => Command::ScanResume { id, report: report.words() }.into(),
            Self::Cancel { id } => Command::ScanCancel { id }.into(),
            Self::List { limit } => Command::ScanList { limit }.into(),
            Self::Show { id, report } => Command::ScanShow { id, report: report.words() }.into(),
            Self::Diff { before, after } => Command::ScanDiff { before, after }.into(),
            Self::Evaluate { id, rules, report } => {
                let (profiles, policies, osv) = rules.told(texts);
                Command::ScanEvaluate { id, profiles, policies, osv, report: report.words() }.into()
            }
            Self::Remove { id } => Command::ScanRemove { id }.into(),
            Self::Profiles => Command::ScanProfiles.into(),
        }
    }
}
