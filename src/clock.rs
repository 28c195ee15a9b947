//! The only `now`, and the only source of fresh ids. Never sleeps; a simulated clock stands still until it is moved.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Prints and serialises as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// From milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// As the `time` crate has it; the epoch if it is out of its range.
    pub fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339, or a date alone (`2026-11-23`, its midnight in UTC).
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let at = OffsetDateTime::parse(&whole, &Rfc3339)
            .map_err(|_| format!("`{}` is no time: write 2026-12-31 or 2026-12-31T18:00:00Z", text.escape_debug()))?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map(Self).map_err(|_| "out of range".to_owned())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().format(&Rfc3339).unwrap_or_default())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// Where the time comes from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// A test's: milliseconds since the epoch.
    Simulated(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn simulated(at: Time) -> Self {
        Self::Simulated(Arc::new(AtomicI64::new(at.0)))
    }

    /// The time now.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn now(&self) -> Time {
        match self {
            Self::System => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Time(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Simulated(at) => Time(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a simulated clock; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Self::Simulated(at) = self {
            at.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// A fresh id: 48 bits of time, 80 random bits, as a UUIDv7 or ULID has them, so ids sort by age.
    pub fn fresh<Id: From<[u8; 16]>>(&self) -> Id {
        let mut bytes = [0u8; 16];
        // aws-lc-rs draws from the system; it fails only where the system has no randomness, and then nothing may go on.
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            std::process::abort();
        }
        let ms = u64::try_from(self.now().0).unwrap_or(0).to_be_bytes();
        for (to, from) in bytes.iter_mut().zip(ms.iter().skip(2)) {
            *to = *from;
        }
        Id::from(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_and_parse_as_rfc_3339() {
        let t = Time::from_millis(1_795_000_000_123);
        assert_eq!(Time::parse(&t.to_string()).unwrap(), t);
        assert_eq!(Time::parse("2026-11-23").unwrap().to_string(), "2026-11-23T00:00:00Z");
        assert!(Time::parse("tomorrow").unwrap_err().contains("2026-12-31"));
    }
}
