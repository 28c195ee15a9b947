//! Answers as hosts of several systems give them, hostile ones, and the inventory run on the machine that the tests run on.

mod bsd;
mod changes;
mod hostile;
mod linux;
mod machine;
mod system;

use crate::facts::{Facts, Package, gather};
use crate::probes::{Answer, Answers};

/// A key of its own, and its fingerprint as `ssh-keygen -l` says it.
pub(super) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHgCGBHlFaearQ0bwsoYUF/gSkdNDB8wr9fwzm8HCy1Y";
pub(super) const FINGERPRINT: &str = "SHA256:RXuDA/f5/gp+diQytJXzdMmEjRMGSObZhfJITwjq0HU";

/// Answers that ended with 0; what is not named here was not there.
pub(super) fn answers(said: &[(&str, &str)]) -> Answers {
    let mut answers: Answers = super::inventory().into_iter().map(|p| (p.id, Answer::ended(66, ""))).collect();
    for (id, text) in said {
        assert!(answers.insert((*id).to_owned(), Answer::ended(0, *text)).is_some(), "{id} is no probe");
    }
    answers
}

pub(super) fn facts(said: &[(&str, &str)]) -> Facts {
    gather(&answers(said))
}

pub(super) fn package<'f>(facts: &'f Facts, name: &str) -> &'f Package {
    facts.packages.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("{name} is not there: {:?}", facts.missing))
}

/// Name, version, source, source version.
pub(super) fn four(p: &Package) -> [&str; 4] {
    [&p.name, &p.version, &p.source, &p.source_version]
}
