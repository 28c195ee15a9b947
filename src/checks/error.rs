//! What is wrong with a policy, where, and what to write instead. Never holds more than a line of the file.

use std::fmt;

use crate::model::printable;

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The file, as it was named.
    pub file: String,
    /// The line in it, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// The id of the check, if it is about one.
    pub check: Option<String>,
    /// Which of its rules, from 1, if it is about one.
    pub rule: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub write: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.file, 200))?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match (&self.check, self.rule) {
            (Some(check), Some(rule)) => write!(f, ": check {}, rule {rule}", printable(check, 64))?,
            (Some(check), None) => write!(f, ": check {}", printable(check, 64))?,
            (None, Some(rule)) => write!(f, ": requirements, rule {rule}")?,
            (None, None) => {}
        }
        write!(f, ": {} (write {})", self.what, self.write)
    }
}

impl std::error::Error for PolicyError {}

/// Something odd in a policy that does not keep it from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line in its file, from 1.
    pub line: usize,
    /// What is odd about it.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What is wrong and what to write instead, before it is known where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) write: String,
    /// It is an expression that nobody can read, in a rule that is well made otherwise.
    pub(super) expression: bool,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, write: impl Into<String>) -> Self {
        Self { what: what.into(), write: write.into(), expression: false }
    }

    /// It is about an expression alone.
    pub(super) fn of_expression(self) -> Self {
        Self { expression: true, ..self }
    }

    /// At a line.
    pub(super) fn at(self, line: usize) -> Misplaced {
        Misplaced { line, check: None, rule: None, fault: self }
    }
}

/// A fault with its place, before the file's name is known.
#[derive(Clone, Debug)]
pub(super) struct Misplaced {
    line: usize,
    check: Option<String>,
    rule: Option<usize>,
    fault: Fault,
}

impl Misplaced {
    pub(super) fn in_check(mut self, id: &str) -> Self {
        self.check.get_or_insert_with(|| id.to_owned());
        self
    }

    pub(super) fn in_rule(mut self, number: usize) -> Self {
        self.rule.get_or_insert(number);
        self
    }

    pub(super) fn in_file(self, file: &str) -> PolicyError {
        let Self { line, check, rule, fault } = self;
        PolicyError { file: file.to_owned(), line, check, rule, what: fault.what, write: fault.write }
    }
}
