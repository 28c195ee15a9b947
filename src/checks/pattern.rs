//! What stands behind ` -> ` in a rule: minterms that one line has to meet, all together. Never looks at more than one line at a time.

use std::sync::Arc;

use super::error::Fault;
use super::expression::{Compiler, Engine, Expression, GaveUp};

/// How many minterms a rule may have.
const MINTERMS: usize = 64;

/// A pattern for lines.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    minterms: Vec<Minterm>,
    /// It is one negated minterm that no line may meet, as Wazuh 5 reads it.
    none_may: bool,
}

#[derive(Clone, Debug)]
struct Minterm {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Matches(Arc<Expression>),
    Number {
        expression: Arc<Expression>,
        compare: Compare,
        value: i64,
    },
    /// The whole line, whatever its case.
    Equals(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

impl Compare {
    fn holds(self, found: i64, value: i64) -> bool {
        match self {
            Self::Less => found < value,
            Self::AtMost => found <= value,
            Self::Equal => found == value,
            Self::Unequal => found != value,
            Self::AtLeast => found >= value,
            Self::More => found > value,
        }
    }
}

/// What lines came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// This line decides that the pattern is met; none, where it is met because no line speaks against it.
    Met(Option<Vec<u8>>),
    /// No line meets it. One that came close: its number did not compare, or it is the one that speaks against it.
    Unmet(Option<Vec<u8>>),
    /// A line has something else where a number is expected.
    NoNumber(Vec<u8>),
    /// An expression gave up on a line.
    GaveUp,
}

/// What one line came to.
enum One {
    Yes,
    No { close: bool },
    NoNumber,
}

/// How a policy's rules are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) engine: Engine,
    /// Wazuh 5: one negated minterm alone means that no line may meet it.
    pub(super) lone_negation_is_none: bool,
}

/// Splits a text at ` && ` and reads its minterms. Adds to `odd` what is no error.
pub(super) fn pattern(text: &str, dialect: Dialect, compiler: &mut Compiler, odd: &mut Vec<String>) -> Result<Pattern, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("nothing stands behind ` -> `", "`-> r:REGEX`, or the rule without ` -> `"));
    }
    let mut minterms = Vec::new();
    for one in text.split(" && ") {
        if minterms.len() >= MINTERMS {
            return Err(Fault::new(format!("more than {MINTERMS} tests are joined by ` && `"), "several rules"));
        }
        let (negated, one) = one.strip_prefix('!').map_or((false, one), |rest| (true, rest));
        let kind = one.get(..2).unwrap_or("").to_ascii_lowercase();
        let rest = one.get(2..).unwrap_or("");
        let test = match kind.as_str() {
            "r:" => {
                let (expression, said) = compiler.expression(dialect.engine, rest)?;
                odd.extend(said);
                Test::Matches(expression)
            }
            "n:" => number(rest, dialect.engine, compiler, odd)?,
            _ => {
                if one.trim().is_empty() {
                    odd.push("an empty test is met by empty lines only".to_owned());
                }
                Test::Equals(one.to_owned())
            }
        };
        minterms.push(Minterm { negated, test });
    }
    let none_may = dialect.lone_negation_is_none && matches!(&*minterms, [Minterm { negated: true, .. }]);
    Ok(Pattern { minterms, none_may })
}

/// `REGEX compare OP VALUE`.
fn number(text: &str, engine: Engine, compiler: &mut Compiler, odd: &mut Vec<String>) -> Result<Test, Fault> {
    const WRITE: &str = "`n:REGEX(\\d+) compare <= 4`, with one of < <= == != >= >";
    let Some((regex, comparison)) = text.rsplit_once("compare") else {
        return Err(Fault::new("a numeric test has no ` compare `", WRITE));
    };
    if !comparison.starts_with(' ') || !regex.ends_with(' ') {
        odd.push("` compare ` wants a space on both sides".to_owned());
    }
    let regex = regex.strip_suffix(' ').unwrap_or(regex);
    let comparison = comparison.trim();
    let digits = comparison.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '-');
    let sign = comparison.get(..comparison.len() - digits.len()).unwrap_or("").trim();
    let compare = match sign {
        "<" => Compare::Less,
        "<=" => Compare::AtMost,
        "==" => Compare::Equal,
        "!=" => Compare::Unequal,
        ">=" => Compare::AtLeast,
        ">" => Compare::More,
        "=" | "=>" | "=<" | "\\!=" => {
            let (compare, known) = match sign {
                "=>" => (Compare::AtLeast, ">="),
                "=<" => (Compare::AtMost, "<="),
                "=" => (Compare::Equal, "=="),
                _ => (Compare::Unequal, "!="),
            };
            odd.push(format!("`compare {sign}` is read as `compare {known}`"));
            compare
        }
        _ => return Err(Fault::new(format!("`compare {comparison}` is no comparison"), WRITE)),
    };
    let length = digits.char_indices().find(|(i, c)| !(c.is_ascii_digit() || (*i == 0 && *c == '-'))).map_or(digits.len(), |(i, _)| i);
    let (digits, behind) = digits.split_at_checked(length).unwrap_or((digits, ""));
    let Ok(value) = digits.parse::<i64>() else {
        return Err(Fault::new(format!("`compare {comparison}` does not end in a number of at most 18 digits"), WRITE));
    };
    if !behind.is_empty() {
        odd.push(format!("what stands behind the number in `compare {comparison}` is not used"));
    }
    let (expression, said) = compiler.expression(engine, regex)?;
    odd.extend(said);
    if !expression.has_group() {
        odd.push("a numeric test captures no number, so it applies to no line that matches: write (\\d+)".to_owned());
    }
    Ok(Test::Number { expression, compare, value })
}

/// The number that a text begins with, as C reads it: spaces, a sign, digits; what follows does not count.
fn leading_number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (sign, rest) = text.strip_prefix('-').map_or((1, text.strip_prefix('+').unwrap_or(text)), |rest| (-1, rest));
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest.get(..digits)?.parse::<i64>().ok().map(|n| n * sign)
}

impl Minterm {
    fn meets(&self, line: &[u8]) -> Result<One, GaveUp> {
        let (met, close) = match &self.test {
            Test::Matches(e) => (e.matches(line)?, false),
            Test::Equals(text) => (line.eq_ignore_ascii_case(text.as_bytes()), false),
            Test::Number { expression, compare, value } => match expression.first_group(line)? {
                None => (false, false),
                Some(group) => match group.as_deref().and_then(leading_number) {
                    None => return Ok(One::NoNumber),
                    Some(found) => (compare.holds(found, *value), true),
                },
            },
        };
        Ok(if met != self.negated { One::Yes } else { One::No { close } })
    }
}

impl Pattern {
    /// Whether one line meets all minterms: a test that fails decides, even where another lacks its number.
    fn one(&self, line: &[u8]) -> Result<One, GaveUp> {
        let mut out = One::Yes;
        for minterm in &self.minterms {
            match (minterm.meets(line)?, &out) {
                (One::No { close: false }, _) => return Ok(One::No { close: false }),
                (One::No { close }, _) => out = One::No { close },
                (One::NoNumber, One::Yes) => out = One::NoNumber,
                _ => {}
            }
        }
        Ok(out)
    }

    /// What lines come to: the first that meets the pattern decides.
    pub(super) fn lines<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) -> Lines {
        let mut close: Option<Vec<u8>> = None;
        let mut no_number: Option<Vec<u8>> = None;
        let mut any = false;
        for line in lines {
            any = true;
            match self.one(line) {
                Err(GaveUp) => return Lines::GaveUp,
                Ok(One::Yes) if !self.none_may => return Lines::Met(Some(line.to_vec())),
                Ok(One::No { .. }) if self.none_may => return Lines::Unmet(Some(line.to_vec())),
                Ok(One::No { close: true }) if close.is_none() => close = Some(line.to_vec()),
                Ok(One::NoNumber) if no_number.is_none() => no_number = Some(line.to_vec()),
                Ok(_) => {}
            }
        }
        match no_number {
            Some(line) => Lines::NoNumber(line),
            None if self.none_may && any => Lines::Met(None),
            None => Lines::Unmet(close),
        }
    }

    /// Whether it wants something to be there, not only to be missing.
    pub(super) fn wants_something(&self) -> bool {
        self.minterms.iter().any(|m| !m.negated)
    }

    /// Whether what has been seen decides whatever else there may be.
    pub(super) fn decided(&self, so_far: &Lines) -> bool {
        match so_far {
            Lines::Met(_) => !self.none_may,
            Lines::Unmet(_) => self.none_may && matches!(so_far, Lines::Unmet(Some(_))),
            Lines::NoNumber(_) | Lines::GaveUp => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Dialect = Dialect { engine: Engine::Pcre2, lone_negation_is_none: false };

    fn read(text: &str, dialect: Dialect) -> Result<(Pattern, Vec<String>), Fault> {
        let mut odd = Vec::new();
        let read = pattern(text, dialect, &mut Compiler::default(), &mut odd)?;
        Ok((read, odd))
    }

    fn on(text: &str, content: &str) -> Lines {
        read(text, FOUR).unwrap().0.lines(content.lines().map(str::as_bytes))
    }

    fn met(line: &str) -> Lines {
        Lines::Met(Some(line.as_bytes().to_vec()))
    }

    #[test]
    fn wants_all_minterms_on_one_line() {
        let both = "!r:^# && r:Protocol && r:2";
        assert_eq!(on(both, "Protocol\n2\n"), Lines::Unmet(None));
        assert_eq!(on(both, "#Protocol 2\nProtocol 2\n"), met("Protocol 2"));
        assert_eq!(on(both, "#Protocol 2\n"), Lines::Unmet(None));
        // A negated test is met by any line that does not match, so also among lines that do.
        assert_eq!(on("!r:a", "a\nb\n"), met("b"));
        assert_eq!(on("!r:a", "a\na\n"), Lines::Unmet(None));
        assert_eq!(on("!r:a", ""), Lines::Unmet(None));
    }

    #[test]
    fn compares_a_whole_line_whatever_its_case() {
        assert_eq!(on("Yes", " yes\nYES\n"), met("YES"));
        assert_eq!(on("1", "11\n"), Lines::Unmet(None));
        assert_eq!(on("!1", "1\n0\n"), met("0"));
    }

    #[test]
    fn compares_numbers() {
        for (op, four, five) in
            [("<", false, false), ("<=", true, false), ("==", true, false), ("!=", false, true), (">=", true, true), (">", false, true)]
        {
            let rule = format!(r"n:^\s*MaxAuthTries\s*\t*(\d+) compare {op} 4");
            assert_eq!(matches!(on(&rule, "x\nMaxAuthTries 4"), Lines::Met(_)), four, "{rule}");
            assert_eq!(matches!(on(&rule, "x\nMaxAuthTries 5"), Lines::Met(_)), five, "{rule}");
        }
        assert_eq!(on(r"n:^a (\d+) compare <= 4", "b\na 6\n"), Lines::Unmet(Some(b"a 6".to_vec())));
        assert_eq!(on(r"n:^a (\S+) compare <= 4", "a x\n"), Lines::NoNumber(b"a x".to_vec()));
        assert_eq!(on(r"n:^a (\S+) compare <= 4", "a x\na 3\n"), met("a 3"));
        assert_eq!(on(r"n:^a (\S+) compare == -1", "a -1days\n"), met("a -1days"));
        assert_eq!(
            on(r"n:^a (\d+) compare > 4", &format!("a {}\n", "9".repeat(40))),
            Lines::NoNumber(format!("a {}", "9".repeat(40)).into())
        );
        // Another test on the line decides before a number that is none.
        assert_eq!(on(r"!r:^a && n:^a (\S+) compare <= 4", "a x\n"), Lines::Unmet(None));
        assert_eq!(on(r"!n:^a (\d+) compare <= 4 && r:^a", "a 3\na 5\n"), met("a 5"));
        assert_eq!(on(r"n:b(x)?(\d) compare == 1", "b1\n"), Lines::NoNumber(b"b1".to_vec()));
    }

    #[test]
    fn reads_numbers_as_c_does() {
        for (text, number) in [("7", Some(7)), (" +7x", Some(7)), ("-7.5", Some(-7)), ("x7", None), ("", None), ("- 7", None)] {
            assert_eq!(leading_number(text), number, "{text}");
        }
    }

    #[test]
    fn reads_a_lone_negation_as_wazuh_5_does_if_told() {
        let five = Dialect { engine: Engine::Pcre2, lone_negation_is_none: true };
        let lone = read("!r:a", five).unwrap().0;
        let on = |content: &str| lone.lines(content.lines().map(str::as_bytes));
        assert_eq!(on("b\nc"), Lines::Met(None));
        assert_eq!(on("b\na"), Lines::Unmet(Some(b"a".to_vec())));
        assert_eq!(on(""), Lines::Unmet(None));
        assert!(!lone.decided(&on("b")) && lone.decided(&on("a")) && !lone.decided(&on("")));
        let two = read("!r:a && r:b", five).unwrap().0;
        assert!(matches!(two.lines([&b"a"[..], b"b"].into_iter()), Lines::Met(Some(_))));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, said) in [
            ("", "nothing stands behind"),
            (r"n:(\d+)", "no ` compare `"),
            (r"n:(\d+) compare ~ 4", "is no comparison"),
            (r"n:(\d+) compare <= x", "is no comparison"),
            (r"n:(\d+) compare <=", "does not end in a number"),
            (r"n:(\d+) compare <= -x", "does not end in a number"),
            (r"n:(\d+) compare <= 99999999999999999999", "does not end in a number"),
            ("r:(", "no regular expression"),
            (&["r:a"; 65].join(" && "), "more than 64"),
        ] {
            let fault = read(text, FOUR).unwrap_err();
            assert!(fault.what.contains(said), "{text}: {}", fault.what);
            assert!(!fault.write.is_empty());
        }
    }

    #[test]
    fn takes_odd_comparisons_and_says_so() {
        for (text, meets) in [
            (r"n:a(\d+) compare => 5", "a6"),
            (r"n:a(\d+) compare =< 5", "a4"),
            (r"n:a(\d+) compare = 5", "a5"),
            (r"n:a(\d+) compare \!= 5", "a4"),
            (r"n:a(\d+) compare>= 5", "a5"),
            (r"n:a(\d+)compare >= 5", "a5"),
            (r"n:a(\d+) compare >= 5s", "a5"),
        ] {
            let (read, odd) = read(text, FOUR).unwrap();
            assert_eq!(odd.len(), 1, "{text}: {odd:?}");
            assert_eq!(read.lines([meets.as_bytes()].into_iter()), met(meets), "{text}");
        }
        assert_eq!(read(r"n:a(\d+) compare >=5", FOUR).unwrap().1, Vec::<String>::new());
        assert!(read(r"n:\d+ compare <= 4", FOUR).unwrap().1[0].contains("captures no number"));
        assert_eq!(on(r"n:\d+ compare <= 4", "x\n3\n"), Lines::NoNumber(b"3".to_vec()));
    }
}
