//! Grants: who may do what on which hosts, under which conditions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{GrantId, GroupId, Name, UserId, printable};
use crate::clock::Time;

/// One thing that can be done on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Action {
    /// An interactive shell.
    Shell = 1,
    /// A command.
    Exec = 2,
    /// The SFTP subsystem; with `exec` not granted also `scp`'s and `rsync`'s commands stay refused.
    Sftp = 4,
    /// Connections from the person's side to where the host can connect: `-L`, `-D`, `-W` (`direct-tcpip`, `direct-streamlocal`).
    ForwardLocal = 8,
    /// An agent may propose commands.
    Propose = 16,
    /// Scan jobs.
    Scan = 32,
    /// The host listens for the person: `-R` (`tcpip-forward`, `streamlocal-forward`).
    ForwardRemote = 64,
    /// The host may ask the person's agent to sign: `-A`.
    ForwardAgent = 128,
    /// The host may use the person's display: `-X`, `-Y`.
    X11 = 256,
}

impl Action {
    /// All, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Shell,
        Self::Exec,
        Self::Sftp,
        Self::ForwardLocal,
        Self::ForwardRemote,
        Self::ForwardAgent,
        Self::X11,
        Self::Propose,
        Self::Scan,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sftp => "sftp",
            Self::ForwardLocal => "forward-local",
            Self::ForwardRemote => "forward-remote",
            Self::ForwardAgent => "forward-agent",
            Self::X11 => "x11",
            Self::Propose => "propose",
            Self::Scan => "scan",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Action {
    type Err = String;
    /// The words of [`Action::as_str`], and `forward` for `forward-local`.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|a| a.as_str() == text).or((text == "forward").then_some(Self::ForwardLocal));
        found.ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("`{}` is no action: {words} are", printable(text, 40))
        })
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u16);

impl Actions {
    /// With `action` added.
    #[must_use]
    pub fn with(self, action: Action) -> Self {
        Self(self.0 | action as u16)
    }
    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether `action` is in it.
    pub fn has(self, action: Action) -> bool {
        self.0 & action as u16 != 0
    }
    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |a| self.has(*a))
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.iter().map(Action::as_str).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Actions {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').try_fold(Self::default(), |set, word| Ok(set.with(word.trim().parse()?)))
    }
}

impl Serialize for Actions {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter().map(Action::as_str))
    }
}

impl<'de> Deserialize<'de> for Actions {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(d)?.iter().try_fold(Self::default(), |set, word| Ok(set.with(word.parse().map_err(de::Error::custom)?)))
    }
}

/// To whom a grant is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Everybody who can sign in.
    Everyone,
    /// One person.
    User(UserId),
    /// The members of a group.
    Group(GroupId),
}

/// Which hosts a grant covers: a name, a glob of names, or a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `web-1` or `web-*`: `*` any characters, `?` one, `[ab]` one of these, `{a,b}` either.
    Name(String),
    /// `tag:env=prod`.
    Tag(String, String),
}

impl HostPattern {
    /// Whether a host with this name and these tags is covered.
    pub fn covers(&self, name: &Name, tags: &BTreeMap<String, String>) -> bool {
        match self {
            // Most patterns are one of these, and lists of hosts ask for each host.
            Self::Name(glob) if glob == "*" || glob == name.as_str() => true,
            Self::Name(glob) => globset::Glob::new(glob).is_ok_and(|g| g.compile_matcher().is_match(name.as_str())),
            Self::Tag(key, value) => tags.get(key) == Some(value),
        }
    }

    /// Whether it is the name of exactly one host.
    pub fn literal(&self) -> Option<Name> {
        match self {
            Self::Name(text) => text.parse().ok(),
            Self::Tag(..) => None,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(tag) = text.strip_prefix("tag:") {
            let (key, value) = tag.split_once('=').ok_or_else(|| format!("`{}`: a tag is written tag:KEY=VALUE", printable(text, 80)))?;
            return Ok(Self::Tag(key.to_owned(), value.to_owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-*?[]{},!".contains(c);
        if text.is_empty() || text.len() > 256 || !text.chars().all(allowed) || globset::Glob::new(text).is_err() {
            return Err(format!("`{}` is no host name or pattern: write web-1, 'web-*' or tag:KEY=VALUE", printable(text, 80)));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) => f.pad(text),
            Self::Tag(key, value) => f.pad(&format!("tag:{key}={value}")),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Hours of the day in which a grant holds, in UTC; `22:00-06:00` goes over midnight. Minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyWindow {
    from: u16,
    to: u16,
}

impl DailyWindow {
    /// Whether `at` lies in it; the end is not part of it.
    pub fn contains(self, at: Time) -> bool {
        let t = at.utc();
        let minute = u16::from(t.hour()) * 60 + u16::from(t.minute());
        if self.from <= self.to { (self.from..self.to).contains(&minute) } else { minute >= self.from || minute < self.to }
    }

    /// The moment at or after `at` when the window closes; `None` if it is not open at `at`.
    pub fn closes(self, at: Time) -> Option<Time> {
        if !self.contains(at) {
            return None;
        }
        let into_day = at.millis().rem_euclid(86_400_000);
        let mut end = i64::from(self.to) * 60_000;
        if end <= into_day {
            end += 86_400_000;
        }
        Some(Time::from_millis(at.millis() - into_day + end))
    }
}

impl FromStr for DailyWindow {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let minute = |t: &str| {
            let (h, m) = t.split_once(':')?;
            let (h, m) = (h.parse::<u16>().ok()?, m.parse::<u16>().ok()?);
            (h < 24 && m < 60 && t.len() == 5).then_some(h * 60 + m)
        };
        text.split_once('-')
            .and_then(|(from, to)| Some(Self { from: minute(from)?, to: minute(to)? }))
            .filter(|w| w.from != w.to)
            .ok_or_else(|| format!("`{}` is no time of day: write 08:00-18:00 (UTC)", printable(text, 40)))
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl Serialize for DailyWindow {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DailyWindow {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// A grant as the store has it. All conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The workspace whose hosts it covers.
    pub workspace: Name,
    /// To whom.
    pub to: Subject,
    /// On which hosts.
    pub hosts: HostPattern,
    /// What.
    pub allow: Actions,
    /// Only these commands, compared byte by byte; `None`: any. It says nothing about what a shell or sftp may do.
    pub commands: Option<Vec<String>>,
    /// Only from this network.
    pub from: Option<IpNet>,
    /// Only before this time; sessions end then.
    pub until: Option<Time>,
    /// Only at these hours; sessions end then.
    pub between: Option<DailyWindow>,
    /// A session ends after this long.
    #[serde(with = "seconds")]
    pub max_session: Option<Duration>,
    /// Only on a connection on which the person showed their second factor; then it carries no scan.
    #[serde(default)]
    pub second_factor: bool,
    /// When it was added.
    pub created_at: Time,
    /// Who added it.
    pub created_by: Name,
}

mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};
    pub(super) fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        d.map(|d| d.as_secs()).serialize(s)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_names_and_tags() {
        let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let web: Name = "web-1".parse().unwrap();
        for (pattern, covers) in [
            ("web-1", true),
            ("web-*", true),
            ("*", true),
            ("db-*", false),
            ("tag:env=prod", true),
            ("tag:env=dev", false),
            ("web-", false),
        ] {
            assert_eq!(pattern.parse::<HostPattern>().unwrap().covers(&web, &tags), covers, "{pattern}");
        }
        for bad in ["", "tag:x", "a b", "[", "a/b"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_may_cross_midnight() {
        let at = |t: &str| Time::parse(&format!("2026-11-23T{t}:00Z")).unwrap();
        let day: DailyWindow = "08:00-18:00".parse().unwrap();
        assert!(day.contains(at("08:00")) && day.contains(at("17:59")) && !day.contains(at("18:00")) && !day.contains(at("07:59")));
        let night: DailyWindow = "22:00-06:00".parse().unwrap();
        assert!(night.contains(at("23:30")) && night.contains(at("05:59")) && !night.contains(at("12:00")));
        assert_eq!(day.closes(at("09:30")), Some(at("18:00")));
        assert_eq!(night.closes(at("23:30")), Some(Time::parse("2026-11-24T06:00:00Z").unwrap()));
        assert_eq!(night.closes(at("12:00")), None);
        assert!("8-18".parse::<DailyWindow>().is_err());
        assert!("08:00-08:00".parse::<DailyWindow>().is_err());
    }

    #[test]
    fn actions_are_words() {
        assert_eq!("exec,shell".parse::<Actions>().unwrap().to_string(), "shell,exec");
        assert!("exec,root".parse::<Actions>().is_err());
    }
}
