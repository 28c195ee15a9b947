//! How bad a vulnerability is, in one set of words for all distributions. Never guesses: a word that is not known is `unknown`.

use std::fmt;

use crate::advisories::Severity;

/// How bad it is, the worst first; what is not known stands between high and medium, so that nobody overlooks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// CVSS 9.0 and more.
    Critical,
    /// CVSS 7.0 and more; Red Hat's `important`.
    High,
    /// Nobody has said.
    Unknown,
    /// CVSS 4.0 and more; `moderate`.
    Medium,
    /// CVSS 0.1 and more.
    Low,
    /// CVSS 0.0; `negligible`, `unimportant`.
    None,
}

impl Grade {
    /// All of them, the worst first.
    pub const ALL: &'static [Self] = &[Self::Critical, Self::High, Self::Unknown, Self::Medium, Self::Low, Self::None];

    /// Of a severity, if there is one: its word; where the word is not known, its score.
    pub fn of(severity: Option<&Severity>) -> Self {
        let Some(severity) = severity else { return Self::Unknown };
        match severity.level.to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" | "minor" => Self::Low,
            "none" | "negligible" | "unimportant" => Self::None,
            _ => severity.score.map_or(Self::Unknown, Self::of_score),
        }
    }

    fn of_score(score: f64) -> Self {
        match score {
            s if s >= 9.0 => Self::Critical,
            s if s >= 7.0 => Self::High,
            s if s >= 4.0 => Self::Medium,
            s if s > 0.0 => Self::Low,
            0.0 => Self::None,
            _ => Self::Unknown,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Unknown => "unknown",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::None => "none",
        }
    }

    /// A number that is the larger, the worse it is.
    pub(super) fn badness(self) -> usize {
        Self::ALL.iter().rev().position(|g| *g == self).unwrap_or(0)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(level: &str, score: Option<f64>) -> Severity {
        Severity { level: level.to_owned(), score, vector: None }
    }

    #[test]
    fn words_of_distributions_are_understood_and_others_are_not_guessed() {
        let of = |level: &str, score| Grade::of(Some(&severity(level, score)));
        assert_eq!(of("Critical", None), Grade::Critical);
        assert_eq!(of("important", None), Grade::High);
        assert_eq!(of("moderate", Some(9.8)), Grade::Medium, "the distribution knows its build better");
        assert_eq!(of("unimportant", None), Grade::None);
        assert_eq!(of("not yet assigned", None), Grade::Unknown);
        assert_eq!(of("not yet assigned", Some(9.0)), Grade::Critical);
        assert_eq!(of("", Some(6.9)), Grade::Medium);
        assert_eq!(of("", Some(0.0)), Grade::None);
        assert_eq!(of("", Some(f64::NAN)), Grade::Unknown);
        assert_eq!(of("", Some(-1.0)), Grade::Unknown);
        assert_eq!(Grade::of(None), Grade::Unknown);
    }
}
