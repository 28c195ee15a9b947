//! A command that an agent asks to run, and the way of it: pending → approved → running → executed, each by value. What has
//! not been approved by a person cannot be turned into something that runs; what was changed after that cannot either.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::{AgentId, Approver, HostId, Login, ProposalId, SessionId, UserId, printable};
use crate::clock::Time;

/// Everything that decides what happens, and nothing else: the agent's own description is no part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Act {
    /// Which agent asks.
    pub agent: AgentId,
    /// On which session's connection.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// Under which account of the host.
    pub login: Login,
    /// The bytes of the exec request (RFC 4254 §6.5).
    pub command: Vec<u8>,
    /// What the command reads on standard input; it ends after these bytes.
    pub stdin: Vec<u8>,
    /// Variables that are set before, in this order. A host that does not take one runs nothing.
    pub env: Vec<(String, String)>,
    /// How long it may run.
    pub timeout: Duration,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").field("session", &self.session).field("digest", &self.digest()).finish_non_exhaustive()
    }
}

impl Act {
    /// The digest that a person approves: SHA-256 over every field, each with its length before it, so that no byte can move
    /// from one field into another. No pty is ever given, and the digest says so.
    pub fn digest(&self) -> ActDigest {
        let mut hash = Context::new(&SHA256);
        let mut field = |bytes: &[u8]| {
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        field(b"keyward proposal 1");
        field(self.agent.bytes());
        field(self.session.bytes());
        field(self.host.bytes());
        field(self.login.as_str().as_bytes());
        field(&self.command);
        field(&self.stdin);
        field(b"no pty");
        field(&self.timeout.as_secs().to_be_bytes());
        field(&u64::try_from(self.env.len()).unwrap_or(u64::MAX).to_be_bytes());
        for (name, value) in &self.env {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        ActDigest(bytes)
    }
}

/// The digest of an [`Act`]; 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActDigest([u8; 32]);

impl ActDigest {
    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ActDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ActDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ActDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ActDigest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no digest: 64 hexadecimal digits, as `proposal show` prints them", printable(text, 80));
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+')).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

/// Where a proposal stands, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It waits for the person.
    Pending,
    /// The person approved it; it has not begun.
    Approved,
    /// The person denied it.
    Denied,
    /// It ended undecided, and did not run.
    Expired,
    /// It runs.
    Running,
    /// It ran, and its end was seen.
    Executed,
    /// It had begun, or may have; its end was not seen.
    Interrupted,
    /// It was approved and did not run.
    Failed,
}

impl Stage {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Pending, "pending"),
        (Self::Approved, "approved"),
        (Self::Denied, "denied"),
        (Self::Expired, "expired"),
        (Self::Running, "running"),
        (Self::Executed, "executed"),
        (Self::Interrupted, "interrupted"),
        (Self::Failed, "failed"),
    ];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("", |(_, word)| word)
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Approved | Self::Running)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(s, _)| *s).ok_or(())
    }
}

/// It waits.
#[derive(Debug)]
pub struct Pending(());

/// A person approved it.
#[derive(Debug)]
pub struct Approved {
    by: Approver,
}

/// It is about to run, or does.
#[derive(Debug)]
pub struct Running(());

/// It ran.
#[derive(Debug)]
pub struct Executed(());

/// A proposal at stage `S`. Cannot be copied; each step takes it and gives the next one.
#[must_use]
#[derive(Debug)]
pub struct Proposal<S> {
    id: ProposalId,
    person: UserId,
    act: Act,
    digest: ActDigest,
    expires_at: Time,
    stage: S,
}

/// Why a proposal was not approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// The digest is another one: what was looked at is not this.
    #[error("the digest is not the proposal's: what you looked at is not what would run")]
    OtherDigest,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// It runs on somebody else's connection.
    #[error("it would run on somebody else's connection")]
    SomebodyElse,
    /// The bytes are not those that were proposed or approved any more.
    #[error("its bytes changed after they were approved")]
    Changed,
}

impl<S> Proposal<S> {
    /// Its id.
    pub fn id(&self) -> ProposalId {
        self.id
    }
    /// Whose connection it would run on: the only person who may approve it.
    pub fn person(&self) -> UserId {
        self.person
    }
    /// What would happen.
    pub fn act(&self) -> &Act {
        &self.act
    }
    /// The digest of that.
    pub fn digest(&self) -> &ActDigest {
        &self.digest
    }
    /// Until when it may be approved.
    pub fn expires_at(&self) -> Time {
        self.expires_at
    }
}

impl Proposal<Pending> {
    /// A new one.
    pub fn new(id: ProposalId, person: UserId, act: Act, expires_at: Time) -> Self {
        let digest = act.digest();
        Self { id, person, act, digest, expires_at, stage: Pending(()) }
    }

    /// Approves exactly the bytes with this digest.
    ///
    /// # Errors
    /// The proposal as it was, and why.
    #[allow(clippy::result_large_err)] // the old state comes back
    pub fn approve(self, by: Approver, shown: &ActDigest, now: Time) -> Result<Proposal<Approved>, (Self, NotApproved)> {
        let why = if by.user() != self.person {
            NotApproved::SomebodyElse
        } else if *shown != self.digest {
            NotApproved::OtherDigest
        } else if self.act.digest() != self.digest {
            NotApproved::Changed
        } else if now >= self.expires_at {
            NotApproved::Expired
        } else {
            let Self { id, person, act, digest, expires_at, stage: _ } = self;
            return Ok(Proposal { id, person, act, digest, expires_at, stage: Approved { by } });
        };
        Err((self, why))
    }

    /// The same proposal with the command that the person wrote instead; its digest is another one.
    pub fn edited(self, command: Vec<u8>) -> Self {
        let act = Act { command, ..self.act };
        Self { digest: act.digest(), act, ..self }
    }
}

impl Proposal<Approved> {
    /// Who approved it.
    pub fn approved_by(&self) -> &Approver {
        &self.stage.by
    }

    /// Lets it run: only if its bytes are still those that were approved.
    ///
    /// # Errors
    /// [`NotApproved::Changed`]; it is gone then, nothing can run it.
    pub fn start(self) -> Result<Proposal<Running>, NotApproved> {
        if self.act.digest() != self.digest {
            return Err(NotApproved::Changed);
        }
        let Self { id, person, act, digest, expires_at, stage: _ } = self;
        Ok(Proposal { id, person, act, digest, expires_at, stage: Running(()) })
    }
}

impl Proposal<Running> {
    /// The bytes to run, once more compared with their digest.
    ///
    /// # Errors
    /// [`NotApproved::Changed`].
    pub fn bytes(&self) -> Result<&Act, NotApproved> {
        if self.act.digest() == self.digest { Ok(&self.act) } else { Err(NotApproved::Changed) }
    }

    /// It ran.
    pub fn executed(self) -> Proposal<Executed> {
        let Self { id, person, act, digest, expires_at, stage: _ } = self;
        Proposal { id, person, act, digest, expires_at, stage: Executed(()) }
    }
}

/// What is signed when an approval needs a signature: one text that names the proposal and the digest of everything that
/// decides. A signature over it fits no other proposal, nor the same one with other bytes.
pub fn canonical(id: ProposalId, digest: &ActDigest) -> String {
    format!("keyward proposal approval 1\nproposal {id}\nsha256 {digest}\ndecision approve\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Means, Principal};

    fn act() -> Act {
        Act {
            agent: AgentId::from([1; 16]),
            session: SessionId::from([2; 16]),
            host: HostId::from([3; 16]),
            login: "deploy".parse().unwrap(),
            command: b"systemctl status nginx; df -h /srv".to_vec(),
            stdin: b"some input".to_vec(),
            env: vec![("LANG".to_owned(), "C".to_owned()), ("TZ".to_owned(), "UTC".to_owned())],
            timeout: Duration::from_secs(600),
        }
    }

    const PERSON: [u8; 16] = [9; 16];

    fn pending() -> Proposal<Pending> {
        Proposal::new(ProposalId::from([4; 16]), UserId::from(PERSON), act(), Time::from_millis(1000))
    }

    fn human(id: [u8; 16]) -> Approver {
        Approver::of(&Principal::Human(UserId::from(id)), Means::SignIn("SHA256:x".to_owned())).unwrap()
    }

    #[test]
    fn an_agent_is_no_approver() {
        for means in [Means::SignIn(String::new()), Means::Allowance(AllowanceId::from([1; 16]))] {
            assert!(Approver::of(&Principal::Agent(AgentId::from([1; 16])), means).is_none());
        }
    }

    use super::super::AllowanceId;

    #[test]
    fn only_the_right_person_in_time_approves_the_bytes_they_saw() {
        let digest = act().digest();
        let early = Time::from_millis(999);
        let (p, why) = pending().approve(human([8; 16]), &digest, early).unwrap_err();
        assert_eq!(why, NotApproved::SomebodyElse);
        let (p, why) = p.approve(human(PERSON), &ActDigest::from([0; 32]), early).unwrap_err();
        assert_eq!(why, NotApproved::OtherDigest);
        let (p, why) = p.approve(human(PERSON), &digest, Time::from_millis(1000)).unwrap_err();
        assert_eq!(why, NotApproved::Expired);
        let edited = p.edited(b"df -h".to_vec());
        assert_ne!(*edited.digest(), digest);
        let (edited, why) = edited.approve(human(PERSON), &digest, early).unwrap_err();
        assert_eq!(why, NotApproved::OtherDigest, "what was seen before the edit approves nothing of it");
        let new = *edited.digest();
        let running = edited.approve(human(PERSON), &new, early).unwrap().start().unwrap();
        assert_eq!(running.bytes().unwrap().command, b"df -h");
    }

    #[test]
    fn every_field_moves_the_digest_and_no_byte_can_change_its_field() {
        let base = act().digest();
        let others = [
            Act { agent: AgentId::from([7; 16]), ..act() },
            Act { session: SessionId::from([7; 16]), ..act() },
            Act { host: HostId::from([7; 16]), ..act() },
            Act { login: "root".parse().unwrap(), ..act() },
            Act { command: b"systemctl status nginx; df -h /srv ".to_vec(), ..act() },
            Act { stdin: vec![], ..act() },
            Act { command: b"systemctl status nginx; df -h /srvs".to_vec(), stdin: b"ome input".to_vec(), ..act() },
            Act { env: vec![], ..act() },
            Act { env: vec![("TZ".to_owned(), "UTC".to_owned()), ("LANG".to_owned(), "C".to_owned())], ..act() },
            Act { env: vec![("LANGC".to_owned(), String::new()), ("TZ".to_owned(), "UTC".to_owned())], ..act() },
            Act { timeout: Duration::from_secs(601), ..act() },
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(other.digest(), base, "{i}");
        }
    }

    /// Flips one bit somewhere in what an approved proposal holds.
    fn flip(p: &mut Proposal<Approved>, at: usize) {
        let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        let (command, stdin) = (p.act.command.len() * 8, p.act.stdin.len() * 8);
        let fixed = 4 * 128 + 256;
        match at % (command + stdin + fixed) {
            bit if bit < command => flip(&mut p.act.command, bit),
            bit if bit < command + stdin => flip(&mut p.act.stdin, bit - command),
            bit => {
                let bit = bit - command - stdin;
                let id = |id: &[u8; 16], bit: usize| {
                    let mut bytes = *id;
                    flip(&mut bytes, bit);
                    bytes
                };
                match bit / 128 {
                    0 => p.act.agent = id(p.act.agent.bytes(), bit % 128).into(),
                    1 => p.act.session = id(p.act.session.bytes(), bit % 128).into(),
                    2 => p.act.host = id(p.act.host.bytes(), bit % 128).into(),
                    3 => p.act.timeout = Duration::from_secs(p.act.timeout.as_secs() ^ (1 << (bit % 60))),
                    _ => flip(&mut p.digest.0, bit - 512),
                }
            }
        }
    }

    #[test]
    fn a_million_single_bit_mutations_of_an_approved_proposal_execute_nothing() {
        let digest = act().digest();
        let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut executed = 0u32;
        for _ in 0..1_000_000 {
            // xorshift: which bit, without a dependency and the same in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let mut approved = pending().approve(human(PERSON), &digest, Time::from_millis(1)).unwrap();
            flip(&mut approved, usize::try_from(seed >> 20).unwrap());
            executed += u32::from(approved.start().is_ok());
        }
        assert_eq!(executed, 0);
        // The same path without a mutation does run: the test can tell.
        assert!(pending().approve(human(PERSON), &digest, Time::from_millis(1)).unwrap().start().is_ok());
    }

    #[test]
    fn digests_and_stages_round_trip() {
        let digest = act().digest();
        assert_eq!(digest.to_string().parse::<ActDigest>().unwrap(), digest);
        for bad in ["", "00", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(bad.parse::<ActDigest>().is_err(), "{bad}");
        }
        for (stage, word) in Stage::ALL {
            assert_eq!((word.parse(), stage.to_string().as_str()), (Ok(stage), word));
        }
    }
}
