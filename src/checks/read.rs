//! Reads policies: from the tree of a YAML file to values. Whatever it does not know is a warning, whatever it cannot use is an error with
//! its line. Never reads a file itself.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};

use super::error::{Fault, Misplaced, PolicyError, Warning};
use super::expression::{Compiler, Engine};
use super::pattern::Dialect;
use super::policy::{Check, Condition, Policy, Requirements};
use super::rule::{Question, Rule, rule};
use super::variables::Variables;
use super::yaml::{Key, Node, Value, read};
use crate::model::printable;

/// How large a policy may be, in bytes.
const BYTES: usize = 4 * 1024 * 1024;
/// How many checks a policy may have.
const CHECKS: usize = 5000;
/// How many rules a check may have.
const RULES: usize = 255;
/// How many rules a policy may have.
const RULES_ALL: usize = 20_000;
/// How many warnings are kept.
const WARNINGS: usize = 200;
/// How long a line may be, in bytes, for a look at what stands behind a rule in it.
const LINE: usize = 16 * 1024;
/// How long an id may be, in characters.
const ID: usize = 64;
/// Keys that may not come twice, since which one counts would decide how checks come out.
const DECIDING: &[&str] = &["policy", "requirements", "variables", "checks", "id", "condition", "rules", "regex_type"];

/// Reads a policy. `file` is how errors name it.
///
/// # Errors
/// If the file is too large, is no YAML, lacks something, or has a rule that is none: the first such place.
pub fn parse(file: &str, text: &[u8]) -> Result<Policy, PolicyError> {
    Reader::default().policy(file, text).map_err(|e| e.in_file(file))
}

/// Reads policies, in this order.
///
/// # Errors
/// As [`parse`]; and if two have the same id.
pub fn parse_all(files: &[(String, Vec<u8>)]) -> Result<Vec<Policy>, PolicyError> {
    let mut policies: Vec<Policy> = Vec::new();
    for (file, text) in files {
        let policy = parse(file, text)?;
        if let Some(other) = policies.iter().find(|p| p.id == policy.id) {
            let what = format!("the policy id `{}` is taken by {}", printable(&policy.id, ID), printable(&other.file, 200));
            return Err(Fault::new(what, "an id that no other policy has").at(policy.line).in_file(file));
        }
        policies.push(policy);
    }
    Ok(policies)
}

#[derive(Default)]
struct Reader {
    compiler: Compiler,
    variables: Variables,
    warnings: Vec<Warning>,
    /// `regex_type` of the policy.
    engine: Option<Engine>,
    rules: usize,
}

/// The values of a map by their keys.
struct Fields<'n> {
    line: usize,
    by_key: BTreeMap<&'n str, &'n Node>,
}

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.by_key.get(key).copied().filter(|n| !matches!(n.value, Value::Null))
    }

    fn need(&self, key: &str, example: &str) -> Result<&'n Node, Misplaced> {
        self.get(key).ok_or_else(|| Fault::new(format!("`{key}:` is missing"), example).at(self.line))
    }

    fn text(&self, key: &str) -> Result<Option<&'n str>, Misplaced> {
        self.get(key).map(|n| text(n, &format!("`{key}:`"))).transpose()
    }
}

fn text<'n>(node: &'n Node, what: &str) -> Result<&'n str, Misplaced> {
    match &node.value {
        Value::Text(text, _) => Ok(text),
        other => {
            Err(Fault::new(format!("{what} is {}, where a text is expected", other.kind()), "a text, in quotes if it holds `: ` or ` #`")
                .at(node.line))
        }
    }
}

fn list<'n>(node: &'n Node, what: &str) -> Result<&'n [Node], Misplaced> {
    match &node.value {
        Value::List(list) => Ok(list),
        Value::Null => Ok(&[]),
        other => Err(Fault::new(format!("{what} is {}, where a list is expected", other.kind()), "a list: `- ` before each").at(node.line)),
    }
}

/// A text, or a list of texts.
fn texts(node: &Node, what: &str) -> Result<Vec<String>, Misplaced> {
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::Text(text, _) => Ok(vec![text.clone()]),
        _ => list(node, what)?.iter().map(|n| text(n, what).map(str::to_owned)).collect(),
    }
}

impl Reader {
    fn warn(&mut self, line: usize, what: impl Into<String>) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(Warning { line, what: what.into() });
        }
    }

    /// The fields of a map. What it does not know is a warning; what decides may not come twice.
    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Result<Fields<'n>, Misplaced> {
        let Value::Map(map) = &node.value else {
            let write = format!("a map: {}", known.iter().map(|k| format!("`{k}:`")).collect::<Vec<_>>().join(", "));
            return Err(Fault::new(format!("{what} is {}, where a map is expected", node.value.kind()), write).at(node.line));
        };
        let mut by_key: BTreeMap<&str, &Node> = BTreeMap::new();
        for (Key { line, text }, value) in map {
            if !known.contains(&text.as_str()) {
                self.warn(*line, format!("{what} has an unknown key `{}`, which is not used", printable(text, 60)));
            } else if by_key.contains_key(text.as_str()) {
                if DECIDING.contains(&text.as_str()) {
                    return Err(Fault::new(format!("{what} has `{text}:` twice"), "it once").at(*line));
                }
                self.warn(*line, format!("{what} has `{text}:` twice, the first is used"));
            } else {
                by_key.insert(text, value);
            }
        }
        Ok(Fields { line: node.line, by_key })
    }

    fn policy(mut self, file: &str, bytes: &[u8]) -> Result<Policy, Misplaced> {
        if bytes.len() > BYTES {
            return Err(Fault::new(format!("the file is larger than {} MiB", BYTES / 1024 / 1024), "several policies").at(0));
        }
        let source = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).map_err(|e| {
            let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
            Fault::new("the file is no UTF-8 text", "it in UTF-8").at(1 + before.iter().filter(|b| **b == b'\n').count())
        })?;
        let root = read(source)?;
        let lines: Vec<&str> = source.split('\n').collect();
        let top = self.fields(&root, "the file", &["policy", "requirements", "variables", "checks"])?;

        let node = top.need("policy", "`policy:` with `id:` and `name:`")?;
        let head = self.fields(node, "`policy`", &["id", "file", "name", "description", "references", "regex_type"])?;
        let id_node = head.need("id", "`id:` and a name that no other policy has")?;
        let id = id(id_node)?;
        let name = text(head.need("name", "`name:` and what the policy is called")?, "`name:`")?.to_owned();
        let description = head.text("description")?.unwrap_or("").to_owned();
        let references = head.get("references").map(|n| texts(n, "`references:`")).transpose()?.unwrap_or_default();
        if let Some(node) = head.get("file") {
            text(node, "`file:`")?;
        }
        self.engine = engine(&head)?;

        if let Some(node) = top.get("variables") {
            let Value::Map(map) = &node.value else {
                return Err(
                    Fault::new(format!("`variables:` is {}, where a map is expected", node.value.kind()), "`$name: a,b,c`").at(node.line)
                );
            };
            for (key, value) in map {
                let value = texts(value, "a variable")?.join(",");
                self.variables.add(&key.text, &value).map_err(|f| f.at(key.line))?;
            }
        }
        let requirements = top.get("requirements").map(|n| self.requirements(n, &lines)).transpose()?;

        let node = top.need("checks", "`checks:` with a list of checks")?;
        let nodes = list(node, "`checks:`")?;
        if nodes.is_empty() {
            return Err(Fault::new("there is no check", "at least one under `checks:`").at(node.line));
        }
        if nodes.len() > CHECKS {
            return Err(Fault::new(format!("there are more than {CHECKS} checks"), "several policies").at(node.line));
        }
        let mut ids = BTreeSet::new();
        let mut checks = Vec::with_capacity(nodes.len());
        for node in nodes {
            let check = self.check(node, &lines)?;
            if !ids.insert(check.id.clone()) {
                return Err(Fault::new("another check of this policy has the same id", "an id that no other check has")
                    .at(check.line)
                    .in_check(&check.id));
            }
            checks.push(check);
        }
        self.warnings.sort_by_key(|w| w.line);
        let sha256 = digest(&SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let Self { warnings, .. } = self;
        Ok(Policy { file: file.to_owned(), sha256, line: id_node.line, id, name, description, references, requirements, checks, warnings })
    }

    fn requirements(&mut self, node: &Node, lines: &[&str]) -> Result<Requirements, Misplaced> {
        let known = ["title", "name", "description", "condition", "rules", "regex_type"];
        let fields = self.fields(node, "`requirements`", &known)?;
        let dialect = self.dialect(&fields)?;
        let title = title(&fields)?;
        let description = fields.text("description")?.unwrap_or("").to_owned();
        let condition = condition(&fields)?;
        let rules = self.rules(&fields, dialect, lines)?;
        Ok(Requirements { line: node.line, title, description, condition, rules })
    }

    fn check(&mut self, node: &Node, lines: &[&str]) -> Result<Check, Misplaced> {
        let known = [
            "id",
            "title",
            "name",
            "description",
            "rationale",
            "remediation",
            "impact",
            "compliance",
            "mitre",
            "references",
            "condition",
            "rules",
            "regex_type",
        ];
        let fields = self.fields(node, "a check", &known)?;
        let id_node = fields.need("id", "`id:` and a number that no other check has")?;
        let id = id(id_node)?;
        self.check_fields(&fields, id_node.line, &id, lines).map_err(|e| e.in_check(&id))
    }

    fn check_fields(&mut self, fields: &Fields<'_>, line: usize, id: &str, lines: &[&str]) -> Result<Check, Misplaced> {
        let optional = |key: &str| fields.text(key).map(|t| t.map(|t| t.trim_end().to_owned()));
        let title = title(fields)?;
        let (description, rationale) = (optional("description")?, optional("rationale")?);
        let (remediation, impact) = (optional("remediation")?, optional("impact")?);
        let references = fields.get("references").map(|n| texts(n, "`references:`")).transpose()?.unwrap_or_default();
        let mut compliance = BTreeMap::new();
        if let Some(node) = fields.get("compliance") {
            self.compliance(node, &mut compliance)?;
        }
        if let Some(node) = fields.get("mitre") {
            self.mitre(node, &mut compliance)?;
        }
        let dialect = self.dialect(fields)?;
        let condition = condition(fields)?;
        let rules = self.rules(fields, dialect, lines)?;
        Ok(Check { line, id: id.to_owned(), title, description, rationale, remediation, impact, references, compliance, condition, rules })
    }

    /// In which language the expressions are. Wazuh 5 calls what was `title:` `name:`, knows PCRE2 only and minds no case.
    fn dialect(&self, fields: &Fields<'_>) -> Result<Dialect, Misplaced> {
        let five = fields.get("name").is_some() && fields.get("title").is_none();
        Ok(match engine(fields)?.or(self.engine) {
            Some(engine) => Dialect { engine, lone_negation_is_none: false },
            None if five => Dialect { engine: Engine::Pcre2AnyCase, lone_negation_is_none: true },
            None => Dialect { engine: Engine::OsRegex, lone_negation_is_none: false },
        })
    }

    /// A list of maps, or one map: from catalogues to numbers.
    fn compliance(&mut self, node: &Node, out: &mut BTreeMap<String, Vec<String>>) -> Result<(), Misplaced> {
        let maps = match &node.value {
            Value::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        for node in maps {
            let Value::Map(map) = &node.value else {
                let what = format!("`compliance:` holds {}, where a map is expected", node.value.kind());
                return Err(Fault::new(what, "`- cis: [\"1.1.1\"]`").at(node.line));
            };
            for (key, value) in map {
                out.entry(key.text.clone()).or_default().extend(texts(value, "a value of `compliance:`")?);
            }
        }
        Ok(())
    }

    /// `tactic`, `technique`, `subtechnique`, each a list, or a map with `id`.
    fn mitre(&mut self, node: &Node, out: &mut BTreeMap<String, Vec<String>>) -> Result<(), Misplaced> {
        let Value::Map(map) = &node.value else {
            return Err(
                Fault::new(format!("`mitre:` is {}, where a map is expected", node.value.kind()), "`technique: [T1036]`").at(node.line)
            );
        };
        for (key, value) in map {
            let ids = match &value.value {
                Value::Map(map) => map.iter().find(|(k, _)| k.text == "id").map(|(_, ids)| ids),
                _ => Some(value),
            };
            match ids {
                Some(ids) => out.entry(format!("mitre_{}", key.text)).or_default().extend(texts(ids, "a value of `mitre:`")?),
                None => self.warn(key.line, format!("`mitre` has no ids under `{}`", printable(&key.text, 60))),
            }
        }
        Ok(())
    }

    fn rules(&mut self, fields: &Fields<'_>, dialect: Dialect, lines: &[&str]) -> Result<Vec<Rule>, Misplaced> {
        let node = fields.need("rules", "`rules:` with a list of rules")?;
        let nodes = list(node, "`rules:`")?;
        if nodes.is_empty() {
            return Err(Fault::new("there is no rule", "at least one under `rules:`").at(node.line));
        }
        self.rules = self.rules.saturating_add(nodes.len());
        if nodes.len() > RULES {
            return Err(Fault::new(format!("there are more than {RULES} rules"), "several checks").at(node.line));
        }
        if self.rules > RULES_ALL {
            return Err(Fault::new(format!("the policy has more than {RULES_ALL} rules"), "several policies").at(node.line));
        }
        nodes.iter().enumerate().map(|(i, node)| self.rule(node, dialect, lines).map_err(|e| e.in_rule(i + 1))).collect()
    }

    fn rule(&mut self, node: &Node, dialect: Dialect, lines: &[&str]) -> Result<Rule, Misplaced> {
        let (written, end) = match &node.value {
            Value::Text(text, end) => (text, *end),
            other => {
                let what = format!("a rule is {}, where a text is expected: `{}`", other.kind(), source(lines, node.line));
                return Err(Fault::new(what, "the rule in single quotes").at(node.line));
            }
        };
        // A plain text ends at ` #`, and what follows would be lost without a word.
        let line = lines.get(node.line.saturating_sub(1)).filter(|l| l.len() <= LINE);
        let behind = end.zip(line).map(|(end, line)| line.chars().skip(end).find(|c| !c.is_whitespace()));
        if behind == Some(Some('#')) {
            self.warn(node.line, "what stands behind ` #` is a comment and no part of the rule: quote the rule if it is meant");
        }
        let mut odd = Vec::new();
        let made = rule(node.line, written, dialect, &self.variables, &mut self.compiler, &mut odd).map_err(|mut fault| {
            if !fault.what.contains('`') {
                fault.what = format!("{}: `{}`", fault.what, printable(written, 120));
            }
            fault
        });
        let made = match made {
            // Files that people bring hold one now and then: the others are still worth asking, and this one passes nobody.
            Err(fault) if fault.expression => {
                self.warn(node.line, format!("{}; a check that hangs on it is not run", fault.what));
                let question = Question::Unreadable("its expression cannot be read".to_owned());
                Ok(Rule { line: node.line, text: written.trim_end_matches(['\n', '\r']).to_owned(), negated: false, question })
            }
            made => made.map_err(|fault| fault.at(node.line)),
        };
        for what in odd {
            self.warn(node.line, format!("{what}, in `{}`", printable(written, 120)));
        }
        made
    }
}

/// A line of the file, shortened.
fn source(lines: &[&str], line: usize) -> String {
    printable(lines.get(line.saturating_sub(1)).unwrap_or(&"").trim(), 120)
}

fn id(node: &Node) -> Result<String, Misplaced> {
    let id = text(node, "`id:`")?.trim();
    let fits = !id.is_empty() && id.chars().count() <= ID && id.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c));
    if !fits {
        let what = format!("`{}` is no id", printable(id, ID));
        return Err(Fault::new(what, format!("up to {ID} letters, digits, `.`, `_`, `-`, `:`")).at(node.line));
    }
    Ok(id.to_owned())
}

/// `title:`, or `name:` as Wazuh 5 calls it.
fn title(fields: &Fields<'_>) -> Result<String, Misplaced> {
    let node = match fields.get("title") {
        Some(node) => node,
        None => fields.get("name").map_or_else(|| fields.need("title", "`title:` and what it says"), Ok)?,
    };
    Ok(text(node, "`title:`")?.trim_end().to_owned())
}

fn condition(fields: &Fields<'_>) -> Result<Condition, Misplaced> {
    const WRITE: &str = "`condition: all`, `any` or `none`";
    let node = fields.need("condition", WRITE)?;
    match text(node, "`condition:`")? {
        "all" | "all required" => Ok(Condition::All),
        "any" | "any required" => Ok(Condition::Any),
        "none" => Ok(Condition::None),
        other => Err(Fault::new(format!("`{}` is no condition", printable(other, 60)), WRITE).at(node.line)),
    }
}

fn engine(fields: &Fields<'_>) -> Result<Option<Engine>, Misplaced> {
    let Some(node) = fields.get("regex_type") else { return Ok(None) };
    match text(node, "`regex_type:`")? {
        "pcre2" => Ok(Some(Engine::Pcre2)),
        "osregex" => Ok(Some(Engine::OsRegex)),
        other => {
            Err(Fault::new(format!("`{}` is no kind of regular expression", printable(other, 60)), "`regex_type: pcre2` or `osregex`")
                .at(node.line))
        }
    }
}
