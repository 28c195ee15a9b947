//! Counts failures per key with a bucket that refills; bounded in memory whatever strangers send. Pure but for its counts.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use crate::clock::Time;

/// Keys that are counted at once; when there are more, full buckets go first, then the fullest.
const MOST_KEYS: usize = 10_000;

/// So many per time, as `30/min`. The same number is what a fresh bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    millis: u64,
}

/// A text that is no rate.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no rate: write 30/min, 5/s or 100/h")]
pub struct RateError(String);

impl Rate {
    /// So many per minute.
    pub const fn per_minute(count: u32) -> Self {
        Self { count, millis: 60_000 }
    }

    /// So many per hour.
    pub const fn per_hour(count: u32) -> Self {
        Self { count, millis: 3_600_000 }
    }
}

impl FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(text.to_owned());
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let millis = match unit.trim() {
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let count = count.trim().parse().ok().filter(|c| *c > 0).ok_or_else(wrong)?;
        Ok(Self { count, millis })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.millis {
            1000 => "s",
            60_000 => "min",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// Buckets, one per key.
#[derive(Debug)]
pub struct Throttle<K> {
    rate: Rate,
    buckets: HashMap<K, (f64, Time)>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// With full buckets.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    #[allow(clippy::cast_precision_loss)] // counts of seconds and failures
    fn level(&self, bucket: (f64, Time), now: Time) -> f64 {
        let gained = now.since(bucket.1).as_millis() as f64 * f64::from(self.rate.count) / self.rate.millis as f64;
        (bucket.0 + gained).min(f64::from(self.rate.count))
    }

    /// Whether there is something left for `key`.
    pub fn has_left(&mut self, key: &K, now: Time) -> bool {
        self.buckets.get(key).is_none_or(|b| self.level(*b, now) >= 1.0)
    }

    /// Takes one from `key`'s bucket.
    pub fn spend(&mut self, key: K, now: Time) {
        let level = self.buckets.get(&key).map_or(f64::from(self.rate.count), |b| self.level(*b, now));
        if self.buckets.len() >= MOST_KEYS && !self.buckets.contains_key(&key) {
            self.make_room(now);
        }
        self.buckets.insert(key, ((level - 1.0).max(0.0), now));
    }

    fn make_room(&mut self, now: Time) {
        let full = f64::from(self.rate.count);
        let mut levels: Vec<(K, f64)> = self.buckets.iter().map(|(k, b)| (k.clone(), self.level(*b, now))).collect();
        levels.sort_by(|a, b| b.1.total_cmp(&a.1));
        // A tenth at once, so that this does not happen at every failure of a flood.
        for (i, (key, level)) in levels.into_iter().enumerate() {
            if level < full && i >= MOST_KEYS / 10 {
                break;
            }
            self.buckets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let mut t = Throttle::new("3/min".parse().unwrap());
        let mut now = Time::from_millis(0);
        for _ in 0..3 {
            assert!(t.has_left(&"a", now));
            t.spend("a", now);
        }
        assert!(!t.has_left(&"a", now));
        assert!(t.has_left(&"b", now), "one does not pay for another");
        now = now.plus(Duration::from_secs(20));
        assert!(t.has_left(&"a", now));
    }

    #[test]
    fn a_flood_of_keys_costs_bounded_memory_and_forgets_the_worst_last() {
        let mut t = Throttle::new(Rate::per_minute(2));
        let now = Time::from_millis(0);
        for _ in 0..2 {
            t.spend(u32::MAX, now);
        }
        for key in 0..50_000 {
            t.spend(key, now);
        }
        assert!(t.buckets.len() <= MOST_KEYS);
        assert!(!t.has_left(&u32::MAX, now));
    }

    #[test]
    fn rates_are_written_as_read() {
        for text in ["30/min", "5/s", "100/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["", "30", "0/min", "x/min", "3/day"] {
            assert!(bad.parse::<Rate>().is_err());
        }
    }
}
