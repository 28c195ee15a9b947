//! A compiled regular expression: in linear time wherever that can be, by tracking back within a limit where it cannot. Never runs
//! without a bound on its size and its work.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::error::Fault;
use super::osregex::os_regex;
use super::pcre::pcre;
use crate::model::printable;

/// How long an expression may be, in bytes.
const LENGTH: usize = 4096;
/// How large most expressions may become, in bytes.
const SIZE: usize = 32 * 1024;
/// How large the few large ones may become, in bytes.
const SIZE_LARGE: usize = 512 * 1024;
/// How many large ones, and how many that track back, a policy may have.
const LARGE: usize = 256;
/// How many different expressions a policy may have.
const DISTINCT: usize = 5000;
/// How large the states may become that an expression keeps while it matches, in bytes; beyond it is slower, not wrong.
const STATES: usize = 256 * 1024;
/// How often matching one line may track back.
const STEPS: usize = 20_000;

/// In which language a policy writes its expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Engine {
    /// Wazuh's own, which minds no case.
    OsRegex,
    /// PCRE2.
    Pcre2,
    /// PCRE2 that minds no case, as Wazuh 5 runs it.
    Pcre2AnyCase,
}

/// A compiled expression.
#[derive(Clone)]
pub(super) enum Expression {
    Linear(regex::bytes::Regex),
    Tracking(fancy_regex::Regex),
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear(r) => write!(f, "Linear({})", r.as_str()),
            Self::Tracking(r) => write!(f, "Tracking({})", r.as_str()),
        }
    }
}

/// An expression gave up on a line: it tracked back too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GaveUp;

impl Expression {
    /// Whether it matches somewhere in a line.
    pub(super) fn matches(&self, line: &[u8]) -> Result<bool, GaveUp> {
        match self {
            Self::Linear(r) => Ok(r.is_match(line)),
            Self::Tracking(r) => r.is_match(&*String::from_utf8_lossy(line)).map_err(|_| GaveUp),
        }
    }

    /// The first group where it matches first; the inner `None` if the group is not there.
    pub(super) fn first_group(&self, line: &[u8]) -> Result<Option<Option<String>>, GaveUp> {
        match self {
            Self::Linear(r) => Ok(r.captures(line).map(|c| c.get(1).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned()))),
            Self::Tracking(r) => {
                let text = String::from_utf8_lossy(line);
                let found = r.captures(&*text).map_err(|_| GaveUp)?;
                Ok(found.map(|c| c.get(1).map(|m| m.as_str().to_owned())))
            }
        }
    }

    /// Whether it has a group.
    pub(super) fn has_group(&self) -> bool {
        match self {
            Self::Linear(r) => r.captures_len() > 1,
            Self::Tracking(r) => r.captures_len() > 1,
        }
    }

    /// Whether it tracks back.
    #[cfg(test)]
    pub(super) fn tracks_back(&self) -> bool {
        matches!(self, Self::Tracking(_))
    }
}

/// A compiled expression and what was odd about it.
type Made = (Arc<Expression>, Option<String>);

/// Compiles the expressions of one policy, each once.
#[derive(Default)]
pub(super) struct Compiler {
    made: HashMap<(Engine, String), Made>,
    large: usize,
}

impl Compiler {
    /// Compiles an expression as a policy writes it.
    pub(super) fn expression(&mut self, engine: Engine, pattern: &str) -> Result<Made, Fault> {
        let key = (engine, pattern.to_owned());
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        if pattern.len() > LENGTH {
            return Err(Fault::new(format!("a regular expression is longer than {LENGTH} bytes"), "several shorter rules"));
        }
        let made = match engine {
            Engine::OsRegex => match os_regex(pattern) {
                Ok(translated) => (self.compile(&translated.text, false, false).map_err(Fault::of_expression)?, translated.odd),
                // What OS_Regex refuses was often meant for the other language: `[(]`.
                Err(fault) => match pcre(pattern).and_then(|p| self.compile(&p.text, p.backtracks, true)) {
                    Ok(made) => (made, Some("this is no OS_Regex, it is read as PCRE2".to_owned())),
                    Err(_) => return Err(fault.of_expression()),
                },
            },
            Engine::Pcre2 | Engine::Pcre2AnyCase => {
                let translated = pcre(pattern).map_err(Fault::of_expression)?;
                let compiled = self.compile(&translated.text, translated.backtracks, engine == Engine::Pcre2AnyCase);
                (compiled.map_err(Fault::of_expression)?, None)
            }
        };
        self.keep(key, made)
    }

    /// Compiles what is written for the `regex` crate already. `shown` is how the policy writes it.
    pub(super) fn ready(&mut self, shown: &str, text: &str) -> Result<Arc<Expression>, Fault> {
        if shown.len() > LENGTH {
            return Err(Fault::new(format!("a name is longer than {LENGTH} bytes"), "a shorter one"));
        }
        let key = (Engine::OsRegex, format!("\0{text}"));
        if let Some((made, _)) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let made = self.compile(text, false, false)?;
        Ok(self.keep(key, (made, None))?.0)
    }

    fn keep(&mut self, key: (Engine, String), made: Made) -> Result<Made, Fault> {
        if self.made.len() >= DISTINCT {
            return Err(Fault::new(format!("there are more than {DISTINCT} different regular expressions"), "several policies"));
        }
        self.made.insert(key, made.clone());
        Ok(made)
    }

    fn compile(&mut self, text: &str, backtracks: bool, any_case: bool) -> Result<Arc<Expression>, Fault> {
        if !backtracks {
            // Bytes and ASCII classes, as PCRE2 has them; Unicode only where the expression speaks of it.
            for (unicode, size) in [(false, SIZE), (true, SIZE), (false, SIZE_LARGE), (true, SIZE_LARGE)] {
                let built = regex::bytes::RegexBuilder::new(text)
                    .unicode(unicode)
                    .case_insensitive(any_case)
                    .size_limit(size)
                    .dfa_size_limit(STATES)
                    .nest_limit(64)
                    .build();
                match built {
                    Ok(built) => {
                        self.count_large(size > SIZE)?;
                        return Ok(Arc::new(Expression::Linear(built)));
                    }
                    Err(regex::Error::CompiledTooBig(_)) if size == SIZE_LARGE => {
                        return Err(Fault::new("a regular expression becomes too large", "smaller numbers of repetitions"));
                    }
                    Err(_) => {}
                }
            }
        }
        self.count_large(true)?;
        let built = fancy_regex::RegexBuilder::new(text)
            .case_insensitive(any_case)
            .backtrack_limit(STEPS)
            .delegate_size_limit(SIZE_LARGE)
            .delegate_dfa_size_limit(STATES)
            .max_prog_size(SIZE)
            .build()
            .map_err(|e| {
                let said = e.to_string();
                let said = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("").trim();
                Fault::new(
                    format!("this is no regular expression: {}", printable(said, 160)),
                    "a valid one; a backslash before signs that stand for themselves",
                )
            })?;
        Ok(Arc::new(Expression::Tracking(built)))
    }

    fn count_large(&mut self, large: bool) -> Result<(), Fault> {
        self.large += usize::from(large);
        if self.large > LARGE {
            return Err(Fault::new(
                format!("more than {LARGE} regular expressions are large, look around or refer back"),
                "simpler expressions, or several policies",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn made(engine: Engine, pattern: &str) -> Arc<Expression> {
        Compiler::default().expression(engine, pattern).unwrap().0
    }

    #[test]
    fn is_linear_wherever_it_can_be() {
        for pattern in [r"^\s*a\s+b", "(?i)x", r"\p{L}", "[é]", "(a+)+$", r"[\w@-]+:\S*:\S*:\S*"] {
            assert!(!made(Engine::Pcre2, pattern).tracks_back(), "{pattern}");
        }
        assert!(made(Engine::Pcre2, "^(?!a)").tracks_back());
        assert!(!made(Engine::OsRegex, r"^\s*a\.+b").tracks_back());
    }

    #[test]
    fn reads_as_pcre_what_os_regex_refuses() {
        let (made, odd) = Compiler::default().expression(Engine::OsRegex, "^[(]x").unwrap();
        assert!(made.matches(b"(X").unwrap() && odd.unwrap().contains("PCRE2"));
        assert!(Compiler::default().expression(Engine::OsRegex, "(x").unwrap_err().what.contains("is not closed"));
    }

    #[test]
    fn minds_bytes_that_are_no_text() {
        let e = made(Engine::Pcre2, r"^a.b$");
        assert_eq!(e.matches(b"a\xFFb"), Ok(true));
        let e = made(Engine::Pcre2, r"^a(?=.b)");
        assert_eq!(e.matches(b"a\xFFb"), Ok(true));
        assert_eq!(made(Engine::Pcre2, r"^\d$").matches("٣".as_bytes()), Ok(false));
    }

    #[test]
    fn ends_within_a_bound_whatever_it_is_given() {
        let begun = Instant::now();
        let line = "a".repeat(200_000);
        for pattern in ["(a+)+$b", "(a|a)*b", "(a|aa)+$b", "(.*)*x", "a*a*a*a*a*a*b"] {
            assert_eq!(made(Engine::Pcre2, pattern).matches(line.as_bytes()), Ok(false), "{pattern}");
        }
        for pattern in [r"^(?=(a+)+b)", r"(?>a|aa)+b(?!c)", r"(a+)+\1b", r"((?:a|aa)+)+(?=b)", r"(?:(?=a)a+)+b"] {
            let answer = made(Engine::Pcre2, pattern).matches(line.as_bytes());
            assert!(matches!(answer, Err(GaveUp) | Ok(false)), "{pattern}: {answer:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "took {:?}", begun.elapsed());
    }

    #[test]
    fn refuses_what_becomes_too_large() {
        let mut compiler = Compiler::default();
        let begun = Instant::now();
        for pattern in ["(?:a{1000}){1000}", r"(?:\w{500}){500}", r"((((a{100}){100}){100}){100})", &"(".repeat(2000), &"x".repeat(5000)] {
            assert!(compiler.expression(Engine::Pcre2, pattern).is_err(), "{}", &pattern[..20.min(pattern.len())]);
        }
        let deep = format!("(?=a){}a{}", "(".repeat(1500), ")".repeat(1500));
        let _ = compiler.expression(Engine::Pcre2, &deep);
        let said = (0..300).find_map(|i| compiler.expression(Engine::Pcre2, &format!("(?=a{i})")).err()).unwrap();
        assert!(said.what.contains("more than 256"), "{said:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "took {:?}", begun.elapsed());
    }

    #[test]
    fn says_what_is_no_expression() {
        for pattern in ["(a", "a)", "[z-a]", "*a", "(?=a"] {
            let said = Compiler::default().expression(Engine::Pcre2, pattern).unwrap_err();
            assert!(!said.what.contains('\n') && said.what.len() < 300, "{said:?}");
        }
    }
}
