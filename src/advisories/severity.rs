//! How bad a record says it is: the base score of its vector, or the distribution's own word. Never a score that nobody gave.

use cvss::Cvss;
use serde_json::Value;

use super::record::{Affected, Rating, Record};
use super::types::Severity;

/// Of one record about one package. `None`: it does not say.
///
/// The package's own ratings count before those of the record, a newer version of CVSS before an older one, the worst score
/// before a better one. Where Debian says `unimportant`, that is the level, whatever the vector: the package as Debian
/// builds it is not open to it.
pub(super) fn of(record: &Record, affected: &Affected) -> Option<Severity> {
    let ratings = if affected.severity.is_empty() { &record.severity } else { &affected.severity };
    let vector = ratings.iter().filter_map(scored).max_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.total_cmp(&b.1)));
    let word = word(record, affected, ratings);
    match (vector, word) {
        (Some((_, score, vector)), word) => {
            let level = if word.as_deref() == Some("unimportant") { "unimportant" } else { level(&vector, score) };
            Some(Severity { level: level.to_owned(), score: Some(score), vector: Some(vector) })
        }
        (None, Some(level)) => Some(Severity { level, score: None, vector: None }),
        (None, None) => None,
    }
}

/// The worse of two; the first if they are equally bad.
pub(super) fn worse(a: Option<Severity>, b: Option<Severity>) -> Option<Severity> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let worse = rank(&b.level).cmp(&rank(&a.level)).then_with(|| b.score.unwrap_or(-1.0).total_cmp(&a.score.unwrap_or(-1.0)));
            Some(if worse.is_gt() { b } else { a })
        }
        (a, b) => a.or(b),
    }
}

/// How bad a level is, among the words that CVSS and the distributions use.
fn rank(level: &str) -> u8 {
    match level {
        "critical" => 5,
        "high" | "important" => 4,
        "medium" | "moderate" => 3,
        "low" => 2,
        "negligible" | "unimportant" | "none" => 0,
        _ => 1,
    }
}

/// CVSS's version, the base score and the vector.
fn scored(rating: &Rating) -> Option<(u8, f64, String)> {
    if !rating.kind.starts_with("CVSS_V") || rating.score.len() > 512 {
        return None;
    }
    let vector = rating.score.trim().trim_start_matches('(').trim_end_matches(')');
    let (version, score) = match base(vector).parse::<Cvss>().ok()? {
        Cvss::CvssV20(v) => (2, v.score().value()),
        // The crate takes an incomplete vector of version 3 and scores it 0.0: that would be "none" where nobody said so.
        Cvss::CvssV30(v) | Cvss::CvssV31(v) if complete(&v) => (3, v.base_score().value()),
        Cvss::CvssV40(v) => (4, v.score().value()),
        _ => return None,
    };
    // Products of floats are rounded to the one digit that CVSS gives.
    (0.0..=10.0).contains(&score).then(|| (version, (score * 10.0).round() / 10.0, vector.to_owned()))
}

/// Without the metrics of version 4 that say how a threat or a site changes the score, because there they are all in one.
fn base(vector: &str) -> String {
    if !vector.starts_with("CVSS:4") {
        return vector.to_owned();
    }
    let counts = |part: &&str| {
        let key = part.split(':').next().unwrap_or_default();
        ["CVSS", "AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"].contains(&key)
    };
    vector.split('/').filter(counts).collect::<Vec<_>>().join("/")
}

fn complete(v: &cvss::v3::Vector) -> bool {
    let exploited = v.av.is_some() && v.ac.is_some() && v.pr.is_some() && v.ui.is_some();
    exploited && v.s.is_some() && v.c.is_some() && v.i.is_some() && v.a.is_some()
}

/// CVSS 3's words, as NVD uses those it has for CVSS 2.
fn level(vector: &str, score: f64) -> &'static str {
    let old = !vector.starts_with("CVSS:");
    match score {
        s if s <= 0.0 => "none",
        s if s < 4.0 => "low",
        s if s < 7.0 => "medium",
        s if s < 9.0 || old => "high",
        _ => "critical",
    }
}

/// The distribution's word, in lower case.
fn word(record: &Record, affected: &Affected, ratings: &[Rating]) -> Option<String> {
    let given = [&affected.ecosystem_specific, &affected.database_specific, &record.database_specific]
        .into_iter()
        .flat_map(|of| ["ubuntu_priority", "urgency", "severity"].into_iter().filter_map(|key| of.get(key).and_then(Value::as_str)));
    let priority = ratings.iter().filter(|r| r.kind == "Ubuntu").map(|r| r.score.as_str());
    // "Important: openssl security update": Red Hat's word, as its rebuilds repeat it.
    let prefix =
        record.summary.split_once(':').map(|(front, _)| front).filter(|w| matches!(*w, "Critical" | "Important" | "Moderate" | "Low"));
    priority.chain(given).chain(prefix).find_map(known)
}

/// A word that says how bad it is; `not yet assigned` and `end-of-life` do not.
fn known(word: &str) -> Option<String> {
    let word = word.trim().to_ascii_lowercase();
    let short = !word.is_empty() && word.len() <= 20 && word.bytes().all(|b| b.is_ascii_lowercase());
    (short && !matches!(word.as_str(), "untriaged" | "unknown" | "undefined" | "undetermined")).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(record: &str, affected: &str) -> Option<(String, Option<f64>)> {
        of(&serde_json::from_str(record).unwrap(), &serde_json::from_str(affected).unwrap()).map(|s| (s.level, s.score))
    }

    fn rated(kind: &str, vector: &str) -> Option<(String, Option<f64>)> {
        of_text(&format!(r#"{{"id":"X","severity":[{{"type":"{kind}","score":"{vector}"}}]}}"#), "{}")
    }

    #[test]
    fn vectors_have_the_scores_that_their_calculators_give() {
        for (kind, vector, level, score) in [
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical", 9.8),
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", "high", 8.1),
            ("CVSS_V3", "CVSS:3.0/AV:L/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N", "medium", 4.6),
            ("CVSS_V3", "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "low", 1.6),
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "none", 0.0),
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "critical", 10.0),
            ("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C", "high", 10.0),
            ("CVSS_V2", "AV:N/AC:L/Au:N/C:N/I:N/A:P", "medium", 5.0),
            ("CVSS_V2", "(AV:L/AC:H/Au:M/C:N/I:P/A:N)", "low", 0.8),
            ("CVSS_V2", "AV:L/AC:H/Au:M/C:N/I:N/A:N", "none", 0.0),
            ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "critical", 9.3),
            ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U/MAV:P", "critical", 9.3),
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O", "critical", 9.8),
            ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", "none", 0.0),
        ] {
            assert_eq!(rated(kind, vector), Some((level.to_owned(), Some(score))), "{vector}");
        }
    }

    #[test]
    fn broken_and_unknown_vectors_say_nothing() {
        let long = format!("CVSS:3.1/{}", "AV:N/".repeat(200));
        for (kind, vector) in [
            ("CVSS_V3", "CVSS:3.1/AV:N"),
            ("CVSS_V2", "AV:N/AC:L"),
            ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N"),
            ("CVSS_V3", ""),
            ("CVSS_V3", "7.5"),
            ("CVSS_V3", "CVSS:3.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            ("CVSS_V3", "CVSS:3.1/AV:N/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            ("CVSS_V4", "CVSS:4.0/\u{fffd}:N"),
            ("CVSS_V9", "CVSS:9.0/A:B"),
            ("Wolfi", "high"),
            ("CVSS_V3", long.as_str()),
        ] {
            assert_eq!(rated(kind, vector), None, "{kind} {vector}");
        }
    }

    #[test]
    fn the_newest_version_and_then_the_worst_score_count() {
        let both = r#"{"id":"X","severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"},
            {"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L"},{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N"},
            {"type":"Ubuntu","score":"low"}]}"#;
        assert_eq!(of_text(both, "{}"), Some(("medium".into(), Some(5.5))));
        let own = r#"{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}"#;
        assert_eq!(of_text(both, own), Some(("critical".into(), Some(9.8))));
    }

    #[test]
    fn without_a_vector_the_distributions_word_counts() {
        let plain = r#"{"id":"X"}"#;
        assert_eq!(of_text(plain, r#"{"ecosystem_specific":{"urgency":"unimportant"}}"#), Some(("unimportant".into(), None)));
        assert_eq!(of_text(plain, r#"{"ecosystem_specific":{"urgency":"not yet assigned"}}"#), None);
        assert_eq!(of_text(plain, r#"{"ecosystem_specific":{"urgency":"end-of-life"}}"#), None);
        assert_eq!(of_text(r#"{"id":"X","database_specific":{"severity":"Important"}}"#, "{}"), Some(("important".into(), None)));
        assert_eq!(of_text(r#"{"id":"X","severity":[{"type":"Ubuntu","score":"negligible"}]}"#, "{}"), Some(("negligible".into(), None)));
        assert_eq!(of_text(r#"{"id":"X","summary":"Moderate: curl security update"}"#, "{}"), Some(("moderate".into(), None)));
        assert_eq!(of_text(r#"{"id":"X","summary":"openssl: a flaw"}"#, "{}"), None);
        assert_eq!(of_text(plain, "{}"), None);
    }

    #[test]
    fn unimportant_is_said_with_the_vector() {
        let vector = r#"{"id":"X","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}"#;
        assert_eq!(of_text(vector, r#"{"ecosystem_specific":{"urgency":"unimportant"}}"#), Some(("unimportant".into(), Some(9.8))));
        assert_eq!(of_text(vector, r#"{"ecosystem_specific":{"urgency":"low"}}"#), Some(("critical".into(), Some(9.8))));
    }

    #[test]
    fn the_worse_of_two_is_kept() {
        let word = |level: &str, score| Some(Severity { level: level.into(), score, vector: None });
        assert_eq!(worse(word("low", None), word("important", None)), word("important", None));
        assert_eq!(worse(word("high", Some(7.5)), word("high", Some(8.1))), word("high", Some(8.1)));
        assert_eq!(worse(word("critical", Some(9.8)), word("odd", None)), word("critical", Some(9.8)));
        assert_eq!(worse(None, word("low", None)), word("low", None));
        assert_eq!(worse(None, None), None);
    }
}
