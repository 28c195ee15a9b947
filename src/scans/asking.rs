//! How a host is asked: one shell, all probes on its standard input, their answers as they come. Least privilege first; what needs root
//! once more through sudo, if the host has it. Nothing is written on the host. Keeps what was answered whatever happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep_until, timeout};

use crate::audit::Log;
use crate::clock::Clock;
use crate::model::{EventName, ProbeAct, ScanId};
use crate::probes::{self, Answer, Answers, Heard, KILL_AFTER_S, NEEDS_ROOT, NOISE_MAX, Probe, Reader, Root, Status};
use crate::sessions::{ExecChannel, ExecHeard, Gates, Site};

/// How long a shell may take to say its first word.
const SHELL: Duration = Duration::from_secs(15);
/// What a probe's answer may take on its way, beyond its own time.
const GRACE: Duration = Duration::from_secs(3);
/// What sudo's `noexec` comes to.
pub(super) const NOEXEC: &str = "sudo runs nothing that starts programs here (Defaults noexec)";
/// How often a hanging probe may cost a new shell.
const RESTARTS: usize = 3;
/// The most bytes that a host may answer in one shell, whatever its probes may.
const HOST_MAX: u64 = 16 * 1024 * 1024;
/// How long a host may take to close a channel.
const GOODBYE: Duration = Duration::from_secs(2);
/// Bytes that a host may send beyond what the probes may answer.
const SLACK: u64 = 1024 * 1024;

/// As whom probes ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RanAs {
    /// The account itself, without root.
    User,
    /// The account is root.
    Root,
    /// The account, and root through sudo.
    Sudo,
}

impl RanAs {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Root => "root",
            Self::Sudo => "sudo",
        }
    }
}

/// What asking a host came to.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answers: Answers,
    pub(super) ran_as: RanAs,
    /// What whoever reads the result should know.
    pub(super) warnings: Vec<String>,
    /// No shell answered: what there was instead.
    pub(super) no_shell: Option<String>,
    /// The connection ended before everything was answered: why.
    pub(super) broke: Option<String>,
    /// No channel could be opened at all, by no fault of the host's shell.
    pub(super) unopened: bool,
    /// The broker ended the connection: cancelled, withdrawn, ended by somebody.
    pub(super) ended: bool,
}

/// Why there is no channel.
pub(super) struct Unopened {
    pub(super) why: String,
    /// The broker could not, or was told to end; else it was the host.
    ours: bool,
}

/// A host that is asked.
pub(super) struct Asking<'a> {
    pub(super) site: &'a Site,
    pub(super) log: &'a Log,
    pub(super) clock: &'a Clock,
    pub(super) act: ProbeAct,
    pub(super) probes: &'a [Probe],
    pub(super) deadline: Instant,
    pub(super) sudo_gates: &'a Gates,
}

/// How a shell came to its end.
#[derive(Debug)]
enum End {
    Complete,
    /// The probe whose turn it was did not end.
    Stuck,
    /// No shell said a word: what came instead.
    NoShell(String),
    /// Why it broke off.
    Broke(String),
    TimeUp,
}

impl Asking<'_> {
    /// Asks everything that can be asked.
    pub(super) async fn ask(&self) -> Answered {
        let root_login = self.site.credential.username.as_str() == "root";
        let (first, later): (Vec<&Probe>, Vec<&Probe>) = self.probes.iter().partition(|p| root_login || p.root != Root::Needed);
        let mut out = Answered {
            answers: Answers::new(),
            ran_as: RanAs::User,
            warnings: Vec::new(),
            no_shell: None,
            broke: None,
            unopened: false,
            ended: false,
        };
        let mut uid = None;
        self.rounds(&first, &mut out, &mut uid, None).await;
        if out.no_shell.is_some() {
            return out;
        }
        if uid == Some(0) {
            out.ran_as = RanAs::Root;
            self.rounds(&later, &mut out, &mut uid, None).await;
            out.answers.values_mut().for_each(|a| a.as_root = true);
            return out;
        }
        let refused = |p: &&Probe| out.answers.get(&p.id).is_some_and(|a| a.exit == Some(NEEDS_ROOT));
        let wanting: Vec<&Probe> = first.iter().copied().filter(refused).chain(later).collect();
        if !wanting.is_empty() {
            self.as_root(&wanting, &mut out).await;
        }
        out
    }

    /// Asks what needs root, through sudo, once.
    async fn as_root(&self, wanting: &[&Probe], out: &mut Answered) {
        let elevated = match &out.broke {
            Some(why) => Err(why.clone()),
            None if Instant::now() >= self.deadline => Err("the time for this host was over".to_owned()),
            None => self.elevate().await,
        };
        let why = match elevated {
            Ok(channel) => {
                let mut uid = None;
                let kept: Answers = wanting.iter().filter_map(|p| Some((p.id.clone(), out.answers.remove(&p.id)?))).collect();
                let before = (out.no_shell.take(), out.broke.take());
                self.rounds(wanting, out, &mut uid, Some(channel)).await;
                let not_begun = out.no_shell.take();
                (out.no_shell, out.broke) = (before.0, before.1.or(out.broke.take()));
                for (id, mut kept) in kept {
                    // What a plain user saw is better than nothing.
                    let better = out.answers.get(&id).is_some_and(|a| matches!(a.status, Status::Ended));
                    if !better {
                        kept.as_root = false;
                        out.answers.insert(id, kept);
                    }
                }
                match not_begun {
                    None if uid == Some(0) => {
                        out.ran_as = RanAs::Sudo;
                        for probe in wanting {
                            if let Some(answer) = out.answers.get_mut(&probe.id).filter(|a| a.exit != Some(NEEDS_ROOT)) {
                                answer.as_root = matches!(answer.status, Status::Ended | Status::TimedOut);
                            }
                        }
                        return;
                    }
                    None => "sudo did not give root".to_owned(),
                    // It gave root, and root may start nothing.
                    Some(what) if what.to_lowercase().contains("permission denied") => NOEXEC.to_owned(),
                    // What was said there is not repeated: sudo may have been given the password.
                    Some(_) => "root's shell does not answer".to_owned(),
                }
            }
            Err(why) => why,
        };
        for probe in wanting {
            let needs = || Answer::not_run(format!("needs root: {why}"));
            out.answers
                .entry(probe.id.clone())
                .and_modify(|a| {
                    if matches!(a.status, Status::NotRun(_)) {
                        *a = needs()
                    }
                })
                .or_insert_with(needs);
        }
        out.warnings.push(format!("{} probes need root: {why}", wanting.len()));
    }

    /// Asks these probes, in as many shells as hanging ones make necessary; a shell that is given is the only one.
    async fn rounds(&self, probes: &[&Probe], out: &mut Answered, uid: &mut Option<u32>, mut given: Option<ExecChannel>) {
        let mut rest: Vec<&Probe> = probes.to_vec();
        let mut restarts = 0;
        while !rest.is_empty() {
            let as_root = given.is_some();
            let channel = match given.take() {
                Some(channel) => Ok(channel),
                None => self.shell(rest.len()).await,
            };
            let channel = match channel {
                Ok(channel) => channel,
                Err(Unopened { why, ours }) => {
                    out.unopened = out.answers.is_empty();
                    if ours || !out.answers.is_empty() {
                        out.broke = Some(why.clone());
                    } else {
                        out.no_shell = Some(why.clone());
                    }
                    return not_run(&rest, &why, out);
                }
            };
            let (answered, end) = self.stage(channel, &rest, uid).await;
            let done: BTreeSet<String> = answered.iter().map(|(id, _)| id.clone()).collect();
            out.answers.extend(answered);
            rest.retain(|p| !done.contains(&p.id));
            let why = match end {
                End::Complete => "the host did not answer it".to_owned(),
                End::Stuck if restarts < RESTARTS && !as_root => {
                    restarts += 1;
                    continue;
                }
                // Root's shell is not opened again: sudo is asked once.
                End::Stuck => "another probe hung before its turn came".to_owned(),
                End::TimeUp => "the time for this host was over".to_owned(),
                End::NoShell(what) => {
                    out.no_shell = Some(what.clone());
                    what
                }
                End::Broke(why) => {
                    out.broke = Some(why.clone());
                    why
                }
            };
            return not_run(&rest, &why, out);
        }
    }

    /// A plain shell of the account.
    async fn shell(&self, probes: usize) -> Result<ExecChannel, Unopened> {
        self.exec("sh -s".to_owned(), false, "user", probes).await
    }

    /// Starts a command, once that it will is on record.
    pub(super) async fn exec(&self, command: String, terminal: bool, rights: &str, probes: usize) -> Result<ExecChannel, Unopened> {
        let ours = |why: String| Unopened { why, ours: true };
        if self.site.over.is_cancelled() {
            return Err(ours(over()));
        }
        let event = self
            .event(EventName::ScanAsked)
            .with("sha256", &self.act.digest)
            .with("as", rights)
            .with("connection", if self.site.live { "the person's" } else { "its own" })
            .count("probes", u64::try_from(probes).unwrap_or(u64::MAX));
        let proof = self.log.commit(event, self.act.clone()).await.map_err(|e| ours(e.to_string()))?;
        let opening = self.site.exec(proof, command, terminal);
        tokio::select! {
            opened = opening => opened.map_err(|why| Unopened { why, ours: false }),
            () = self.site.over.cancelled() => Err(ours(over())),
            () = sleep_until(self.deadline.into()) => Err(ours("the host opened no channel in time".to_owned())),
        }
    }

    /// A word that nobody can foresee.
    pub(super) fn nonce(&self) -> String {
        let id: ScanId = self.clock.fresh();
        id.to_string().replace('_', "")
    }

    /// Feeds one shell and reads it to its end.
    async fn stage(&self, channel: ExecChannel, probes: &[&Probe], uid: &mut Option<u32>) -> (Vec<(String, Answer)>, End) {
        let nonce = self.nonce();
        let mut reader = Reader::new(&nonce, probes);
        let ExecChannel { mut output, input } = channel;
        let script = Bytes::from(probes::script(&nonce, probes));
        let mut feed = std::pin::pin!(input.send(script));
        let mut fed = false;
        let most = probes.iter().map(|p| u64::try_from(p.cap).unwrap_or(u64::MAX)).fold(SLACK, u64::saturating_add).min(HOST_MAX);
        let (mut came, mut said) = (0u64, Vec::new());
        let mut answered = Vec::new();
        let mut since = Instant::now();
        let end = loop {
            let limit = match reader.awaited().and_then(|n| probes.get(n)) {
                Some(probe) if reader.has_begun() => since + Duration::from_secs(u64::from(probe.timeout_s + KILL_AFTER_S)) + GRACE,
                _ => since + SHELL,
            };
            let heard = tokio::select! {
                biased;
                () = self.site.over.cancelled() => break End::Broke(over()),
                heard = output.next() => heard,
                sent = &mut feed, if !fed => {
                    // A shell that takes no more may still have said why.
                    let _ = sent;
                    fed = true;
                    continue;
                }
                () = sleep_until(self.deadline.into()) => break End::TimeUp,
                () = sleep_until(limit.into()) => break if reader.has_begun() { End::Stuck } else { no_shell(&reader, &said) },
            };
            match heard {
                Some(ExecHeard::Out(bytes)) => {
                    came = came.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
                    let mut ended = false;
                    for event in reader.feed(&bytes) {
                        match event {
                            Heard::Shell { uid: told } => {
                                *uid = told;
                                since = Instant::now();
                            }
                            Heard::Begun(_) => since = Instant::now(),
                            Heard::Answered(number, answer) => {
                                if let Some(probe) = probes.get(number) {
                                    answered.push((probe.id.clone(), answer.after(since.elapsed(), probe.timeout_s)));
                                }
                                since = Instant::now();
                            }
                            Heard::Ended => ended = true,
                        }
                    }
                    if ended {
                        break End::Complete;
                    }
                    if !reader.has_begun() && reader.noise().1 > NOISE_MAX {
                        break no_shell(&reader, &said);
                    }
                    if came > most {
                        break End::Broke("the host sends more than it was asked".to_owned());
                    }
                }
                Some(ExecHeard::Err(bytes)) => {
                    came = came.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
                    let room = 256usize.saturating_sub(said.len());
                    said.extend(bytes.iter().take(room));
                    if came > most {
                        break End::Broke("the host sends more than it was asked".to_owned());
                    }
                }
                Some(ExecHeard::Status(_)) => {}
                None if reader.has_begun() => break End::Broke("the connection to the host broke off, or its shell ended".to_owned()),
                None => break no_shell(&reader, &said),
            }
        };
        let status = if matches!(end, End::Stuck | End::TimeUp) { Status::TimedOut } else { Status::Broken };
        if let Some((number, mut answer)) = reader.unfinished(status)
            && let Some(probe) = probes.get(number)
        {
            answer.took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            answer.exit = None;
            answered.push((probe.id.clone(), answer));
        }
        let _ = timeout(GOODBYE, input.close()).await;
        (answered, end)
    }
}

fn over() -> String {
    "the connection was ended: by the end of the scan, by somebody, or because it is not granted any more".to_owned()
}

/// What there was instead of a shell.
fn no_shell(reader: &Reader, said: &[u8]) -> End {
    let (noise, _) = reader.noise();
    let heard = if noise.is_empty() { said } else { noise };
    let text = crate::model::printable(String::from_utf8_lossy(heard).trim(), 120);
    End::NoShell(if text.is_empty() {
        "no shell answers for this account, and it says nothing".to_owned()
    } else {
        format!("no shell answers for this account; it says: {text}")
    })
}

fn not_run(rest: &[&Probe], why: &str, out: &mut Answered) {
    for probe in rest {
        out.answers.entry(probe.id.clone()).or_insert_with(|| Answer::not_run(why));
    }
}
