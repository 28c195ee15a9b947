//! YAML as a tree of texts with their lines: nothing is guessed to be a number or a boolean, so `no` and `007` stay what they are.
//! Never expands more than it read: depth, size and aliases are bounded while it is read.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::error::{Fault, Misplaced};

/// How deep lists and maps may lie in each other.
const DEPTH: usize = 24;
/// How many values, keys included, a file may hold.
const VALUES: usize = 500_000;
/// How many values aliases may repeat, all together.
const REPEATED: usize = 20_000;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
    /// How many values it is, itself included.
    weight: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing: `key:` or `~`.
    Null,
    /// Any scalar. The column where it ends, if it is a plain one, on one line.
    Text(String, Option<usize>),
    List(Vec<Node>),
    /// In the order of the file; keys may come twice.
    Map(Vec<(Key, Node)>),
}

/// A key and its line.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Value {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(..) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// A list or map that is being read.
struct Open {
    line: usize,
    anchor: usize,
    key: Option<Key>,
    value: Value,
    weight: usize,
}

/// Reads the one document of a text.
pub(super) fn read(text: &str) -> Result<Node, Misplaced> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: std::collections::BTreeMap<usize, Node> = std::collections::BTreeMap::new();
    let mut repeated = 0usize;
    let mut values = 0usize;
    let mut root: Option<Node> = None;
    while let Some(next) = parser.next_event() {
        values += 1;
        let (event, span) = next.map_err(|e| {
            Fault::new(
                format!("this is no YAML: {}", crate::model::printable(e.info(), 120)),
                "valid YAML; quote texts that hold `: ` or ` #` or begin with a sign",
            )
            .at(e.marker().line())
        })?;
        let line = span.start.line();
        if values > VALUES {
            return Err(Fault::new(format!("the file holds more than {VALUES} values"), "several policies").at(line));
        }
        let (node, anchor) = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) if root.is_some() => {
                return Err(Fault::new("a second document begins here", "one policy per file").at(line));
            }
            Event::DocumentStart(_) => continue,
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEPTH => {
                return Err(Fault::new(format!("lists and maps lie more than {DEPTH} deep in each other"), "a flatter file").at(line));
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open { line, anchor, key: None, value: Value::List(Vec::new()), weight: 1 });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open { line, anchor, key: None, value: Value::Map(Vec::new()), weight: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, value, weight, .. }) = open.pop() else { continue };
                (Node { line, value, weight }, anchor)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let end = (plain && span.end.line() == line).then(|| span.end.col());
                let value = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
                    _ => Value::Text(text.into_owned(), end),
                };
                (Node { line, value, weight: 1 }, anchor)
            }
            Event::Alias(id) => {
                let Some(target) = anchors.get(&id) else {
                    return Err(Fault::new("an alias stands inside what it names", "the text itself").at(line));
                };
                repeated = repeated.saturating_add(target.weight);
                if repeated > REPEATED {
                    return Err(Fault::new(format!("aliases repeat more than {REPEATED} values"), "the values themselves").at(line));
                }
                (Node { line, ..target.clone() }, 0)
            }
        };
        if anchor > 0 {
            repeated = repeated.saturating_add(node.weight);
            if repeated > REPEATED {
                return Err(Fault::new(format!("anchors and aliases hold more than {REPEATED} values"), "the values themselves").at(line));
            }
            anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            None => root = Some(node),
            Some(within) => within.take(node)?,
        }
    }
    root.ok_or_else(|| Fault::new("the file is empty", "a policy: `policy:` and `checks:`").at(1))
}

impl Open {
    fn take(&mut self, node: Node) -> Result<(), Misplaced> {
        self.weight = self.weight.saturating_add(node.weight);
        match (&mut self.value, self.key.take()) {
            (Value::List(list), _) => list.push(node),
            (Value::Map(map), Some(key)) => map.push((key, node)),
            (Value::Map(_), None) => match node.value {
                Value::Text(text, _) => self.key = Some(Key { line: node.line, text }),
                Value::Null => self.key = Some(Key { line: node.line, text: String::new() }),
                other => return Err(Fault::new(format!("{} stands where a key is expected", other.kind()), "`key: value`").at(node.line)),
            },
            (Value::Null | Value::Text(..), _) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn error(text: &str) -> String {
        read(text).unwrap_err().in_file("f").to_string()
    }

    fn quickly<T>(f: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let out = f();
        assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
        out
    }

    #[test]
    fn keeps_texts_as_they_are_written() {
        let Value::Map(map) = read("a: no\nb: 007\nc: ~\nd: \"~\"\ne: 0x1F\nf:\n  - 'it''s'\n  - >-\n    two\n    lines\n").unwrap().value
        else {
            panic!("no map")
        };
        let shown: Vec<String> = map
            .iter()
            .map(|(k, n)| match &n.value {
                Value::Text(t, _) => format!("{}:{}={t}", k.line, k.text),
                Value::Null => format!("{}:{} null", k.line, k.text),
                Value::List(l) => format!("{}:{} {}", k.line, k.text, l.iter().map(|n| format!("{:?}", n.value)).collect::<String>()),
                Value::Map(_) => "map".to_owned(),
            })
            .collect();
        assert_eq!(shown, ["1:a=no", "2:b=007", "3:c null", "4:d=~", "5:e=0x1F", "6:f Text(\"it's\", None)Text(\"two lines\", None)"]);
    }

    #[test]
    fn refuses_a_billion_laughs_quickly() {
        let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for i in 1..30 {
            let previous = format!("*a{}", i - 1);
            text += &format!("a{i}: &a{i} [{}]\n", [previous.as_str(); 10].join(", "));
        }
        assert!(quickly(|| error(&text)).contains("more than 20000 values"));
        // An alias of a large value, again and again.
        let text = format!("a: &a [{}]\nb:\n{}", "x, ".repeat(1000), "- *a\n".repeat(10_000));
        assert!(quickly(|| error(&text)).contains("more than 20000 values"));
        assert!(error("a: &a [*a]\n").contains("f:1: "));
    }

    #[test]
    fn refuses_more_values_than_a_policy_has() {
        assert!(quickly(|| error(&format!("[{}]", "a,".repeat(600_000)))).contains("more than 500000 values"));
    }

    #[test]
    fn refuses_what_lies_too_deep_quickly() {
        for text in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(100_000), "? ".repeat(50_000)] {
            let said = quickly(|| error(&text));
            assert!(said.starts_with("f:"), "{said}");
        }
        let deep: String = (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(quickly(|| error(&deep)).contains("deep in each other"));
    }

    #[test]
    fn says_where_it_is_no_yaml() {
        assert!(error("a: b\nc: [\n").starts_with("f:"));
        assert!(error("a: b: c\n").starts_with("f:1: this is no YAML"));
        assert!(error("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(error("").contains("the file is empty"));
        assert!(error("? [a]\n: b\n").contains("where a key is expected"));
    }
}
