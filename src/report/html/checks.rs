//! The checks: a row each over all hosts, those that fail most first; unfolded, what it wants, and where what was found instead.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use maud::{Markup, html};

use super::super::Error;
use super::super::document::HostReport;
use super::super::gather::CheckRow;
use super::super::text::{line, many};
use super::Page;
use super::parts::{BRIEF, END, NAME, TEXT, anchor, badge, begin, check_bar, check_class, check_word, code, fact, host_list, item, number};
use crate::checks::Checked;
use crate::model::CheckState;

const COLUMNS: [&str; 7] = ["Check", "Policy", "Failed", "Not run", "Passed", "n/a", "On all hosts"];

pub(super) fn section(page: &Page<'_>, out: &mut dyn fmt::Write) -> Result<(), Error> {
    out.write_str(&begin("checks", "Checks", "Each check over all hosts. Those that fail most come first.", "check", &COLUMNS))?;
    let mut rows: Vec<&CheckRow<'_>> = page.checks.iter().collect();
    // Stable: among equals the order of the policies stays.
    rows.sort_by_key(|row| (Reverse(row.counts.failed), Reverse(row.counts.not_run), row.counts.passed == 0));
    for row in rows {
        out.write_str(&check(row).into_string())?;
    }
    out.write_str(END)?;
    Ok(())
}

fn check(row: &CheckRow<'_>) -> Markup {
    let about = row.about;
    let counts = &row.counts;
    let cells = html! {
        td.soft { (line(&about.policy, NAME)) }
        (number(counts.failed, "t-failed"))
        (number(counts.not_run, "t-open"))
        (number(counts.passed, ""))
        (number(counts.not_applicable, ""))
        td.spark data-v=(counts.failed * 1000 / counts.total().max(1)) { (check_bar(counts)) }
    };
    let name = html! { span.id { (line(&about.id, NAME)) } " " (line(&about.title, BRIEF)) };
    let id = anchor("check", &format!("{}/{}", about.policy, about.id));
    item(&id, counts.failed + counts.not_run > 0, &name, &cells, COLUMNS.len(), &detail(row))
}

fn detail(row: &CheckRow<'_>) -> Markup {
    let about = row.about;
    html! {
        dl.facts.wide {
            (code("Expected", about.expected.as_deref(), TEXT))
            (fact("What it looks at", about.description.as_deref(), TEXT))
            (fact("Why it matters", about.rationale.as_deref(), TEXT))
            (fact("What to do", about.remediation.as_deref(), TEXT))
            @if !about.compliance.is_empty() {
                div.fact { dt { "Stands for" } dd {
                    @for (of, numbers) in &about.compliance { span.map { (line(of, 60)) " " (line(&numbers.join(", "), BRIEF)) } " " }
                } }
            }
        }
        (places(row, CheckState::Failed, |c| c.actual.as_deref()))
        (places(row, CheckState::NotRun, |c| c.reason.as_deref()))
        (places(row, CheckState::NotApplicable, |c| c.reason.as_deref()))
        (places(row, CheckState::Passed, |_| None))
    }
}

/// The hosts where it came out so; those with the same words of it stand together.
fn places<'a>(row: &'a CheckRow<'a>, state: CheckState, said: impl Fn(&'a Checked) -> Option<&'a str>) -> Markup {
    let mut groups: BTreeMap<Option<&str>, Vec<&HostReport>> = BTreeMap::new();
    for (host, check) in row.of(state) {
        groups.entry(said(check)).or_default().push(host);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, hosts)| Reverse(hosts.len()));
    let links = matches!(state, CheckState::Failed | CheckState::NotRun);
    html! {
        @if row.counts.of(state) > 0 {
            h3 { (badge(check_class(state), check_word(state))) " on " (many(row.counts.of(state), "host")) }
            ul.found {
                @for (said, hosts) in groups {
                    li {
                        (host_list(hosts, links))
                        @if let Some(said) = said { dl { (code(if state == CheckState::Failed { "actual" } else { "why" }, Some(said), BRIEF)) } }
                    }
                }
            }
        }
    }
}
