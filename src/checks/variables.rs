//! Variables of a policy, `$name: a,b,c`, put into the places of rules. Never grows a rule beyond a bound, however they name each other.

use super::error::Fault;
use crate::model::printable;

/// How many variables a policy may have.
const COUNT: usize = 1024;
/// How long a place may become, in bytes.
const LENGTH: usize = 64 * 1024;

/// Names, with their `$`, and values; the longest name first, so that `$a_b` is not taken for `$a`.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    /// Adds one.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        if !name.starts_with('$') || name.len() < 2 {
            return Err(Fault::new(
                format!("`{}` is no name of a variable", printable(name, 60)),
                "a name behind `$`, such as `$sshd_file`",
            ));
        }
        if self.0.len() >= COUNT {
            return Err(Fault::new(format!("there are more than {COUNT} variables"), "fewer"));
        }
        if self.0.iter().any(|(n, _)| n == name) {
            return Err(Fault::new(format!("the variable `{}` is there twice", printable(name, 60)), "it once"));
        }
        let at = self.0.partition_point(|(n, _)| (n.len(), name) >= (name.len(), n));
        self.0.insert(at, (name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// A place with the values for the names, each name once in turn.
    pub(super) fn fill(&self, place: &str) -> Result<String, Fault> {
        let mut out = place.to_owned();
        for (name, value) in &self.0 {
            let times = if out.contains('$') { out.matches(name.as_str()).count() } else { 0 };
            if times == 0 {
                continue;
            }
            if times.saturating_mul(value.len()).saturating_add(out.len()) > LENGTH {
                return Err(Fault::new(
                    format!("with its variables a rule is longer than {LENGTH} bytes"),
                    "shorter variables, or several rules",
                ));
            }
            out = out.replace(name.as_str(), value);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_longest_name() {
        for names in [["$a", "$a_b", "$a_b_c"], ["$a_b_c", "$a", "$a_b"], ["$a_b", "$a_b_c", "$a"]] {
            let mut v = Variables::default();
            for name in names {
                v.add(name, &format!("<{}>", name.len())).unwrap();
            }
            assert_eq!(v.fill("$a,$a_b/x,$a_b_c $a").unwrap(), "<2>,<4>/x,<6> <2>");
            assert_eq!(v.fill("no $ here $x").unwrap(), "no $ here $x");
        }
    }

    #[test]
    fn stays_within_its_bound() {
        let mut v = Variables::default();
        for i in 0..60 {
            v.add(&format!("${}", "x".repeat(60 - i)), &format!("${} ", "x".repeat(59 - i)).repeat(10)).unwrap_or_default();
        }
        assert!(v.fill(&format!("${}", "x".repeat(60))).unwrap_err().what.contains("longer than"));
        assert!(v.add("x", "y").is_err() && v.add("$", "y").is_err() && v.add("$x", "z").is_err());
    }
}
