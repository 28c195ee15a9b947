//! JSON: the document as it is stored, with its summary. Never leaves anything out.

use std::fmt;

use serde::Serialize;

use super::text::Harmless;
use super::{Document, Error, HostReport, Summary};

/// A document whose hosts come one by one, each with its facts: `lean` is the document without them. So a run of any size is written
/// with one host's facts in memory.
///
/// # Errors
/// `host` fails, or `out` takes no more.
pub fn write_each<E: From<Error>>(
    lean: &Document,
    mut host: impl FnMut(usize) -> Result<HostReport, E>,
    out: &mut dyn fmt::Write,
) -> Result<(), E> {
    let failed = |e: fmt::Error| E::from(Error::from(e));
    let (begin, end) = around(lean).map_err(E::from)?;
    out.write_str(&begin).map_err(failed)?;
    for number in 0..lean.hosts.len() {
        let mut text = String::new();
        serde_json::to_writer_pretty(Harmless::new(&mut text), &host(number)?).map_err(|e| E::from(Error::from(e)))?;
        out.write_str(if number == 0 { "\n" } else { ",\n" }).map_err(failed)?;
        for (at, line) in text.lines().enumerate() {
            out.write_str(if at == 0 { "    " } else { "\n    " }).and_then(|()| out.write_str(line)).map_err(failed)?;
        }
    }
    if !lean.hosts.is_empty() {
        out.write_str("\n  ").map_err(failed)?;
    }
    out.write_str(&end).map_err(failed)
}

/// What stands before the first host, and what behind the last.
fn around(lean: &Document) -> Result<(String, String), Error> {
    const HOSTS: &str = "\"hosts\": []";
    let summary = lean.summary();
    let without = Document { hosts: Vec::new(), policies: lean.policies.clone(), ..bare(lean) };
    let mut text = String::new();
    serde_json::to_writer_pretty(Harmless::new(&mut text), &Whole { document: &without, summary })?;
    text.push('\n');
    // A text cannot hold it: its quotes would have a backslash before them.
    let at = text.find(HOSTS).ok_or(Error::Write(fmt::Error))? + HOSTS.len() - 1;
    let end = text.split_off(at);
    Ok((text, end))
}

fn bare(document: &Document) -> Document {
    Document {
        schema: document.schema.clone(),
        id: document.id,
        state: document.state,
        profile: document.profile.clone(),
        selector: document.selector.clone(),
        user: document.user.clone(),
        started_at: document.started_at.clone(),
        ended_at: document.ended_at.clone(),
        digest: document.digest.clone(),
        policies: Vec::new(),
        hosts: Vec::new(),
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    document: &'a Document,
    summary: Summary,
}

pub(super) fn write(document: &Document, out: &mut dyn fmt::Write) -> Result<(), Error> {
    serde_json::to_writer_pretty(Harmless::new(out), &Whole { document, summary: document.summary() })?;
    out.write_char('\n')?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_by_host_is_the_same_text() {
        let document: Document = serde_json::from_str(include_str!("../../tests/report/sample.json")).unwrap();
        for hosts in [0, 1, document.hosts.len()] {
            let mut whole = document.clone();
            whole.hosts.truncate(hosts);
            let mut expected = String::new();
            write(&whole, &mut expected).unwrap();
            let mut lean = whole.clone();
            for host in &mut lean.hosts {
                host.packages = host.facts.as_ref().map(|f| f.packages.len());
                if let Some(facts) = &mut host.facts {
                    *facts = crate::facts::Facts { missing: std::mem::take(&mut facts.missing), ..crate::facts::Facts::default() };
                }
            }
            let mut each = String::new();
            write_each::<Error>(&lean, |n| Ok(whole.hosts[n].clone()), &mut each).unwrap();
            assert_eq!(each, expected);
        }
    }
}
