//! The vulnerabilities: a row for each in a source package, the worst first; unfolded, where it is installed and in which version.

use std::fmt;

use maud::{Markup, html};

use super::super::Error;
use super::super::gather::VulnerabilityRow;
use super::super::text::{line, many, some};
use super::Page;
use super::parts::{BRIEF, END, NAME, TEXT, VERSION, anchor, badge, begin, fact, grade_class, host_list, item, number};

const COLUMNS: [&str; 6] = ["Vulnerability", "Severity", "Package", "Installed", "Fixed in", "Hosts"];

pub(super) fn section(page: &Page<'_>, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let looked = format!("Looked up for {} of {}. The worst come first.", page.summary.looked_up, many(page.summary.hosts.total, "host"));
    out.write_str(&begin("vulnerabilities", "Vulnerabilities", &looked, "vulnerability", &COLUMNS))?;
    for row in &page.vulnerabilities {
        out.write_str(&vulnerability(page, row).into_string())?;
    }
    out.write_str(END)?;
    Ok(())
}

fn vulnerability(page: &Page<'_>, row: &VulnerabilityRow<'_>) -> Markup {
    let about = row.about;
    let installed: Vec<String> = row.places.keys().map(|(installed, _)| line(installed, VERSION)).collect();
    let mut fixed: Vec<&str> = row.places.keys().filter_map(|(_, fixed)| *fixed).collect();
    fixed.dedup();
    let cells = html! {
        td data-v=(row.grade.badness()) {
            (badge(grade_class(row.grade), row.grade.as_str()))
            @if row.new { " " (badge("c-new", "new")) }
        }
        td { (line(&about.source, NAME)) }
        td { code { (some(installed, 3)) } }
        td { @if fixed.is_empty() { span.soft { "no fix known" } } @else { code { (some(fixed.iter().map(|f| line(f, VERSION)), 3)) } } }
        (number(row.hosts(), ""))
    };
    let name = html! { (line(row.name(), NAME)) @if let Some(id) = row.other_name() { " " span.id { (line(id, NAME)) } } };
    let id = anchor("vuln", &format!("{}/{}", about.id, about.source));
    item(&id, true, &name, &cells, COLUMNS.len(), &detail(page, row))
}

fn detail(page: &Page<'_>, row: &VulnerabilityRow<'_>) -> Markup {
    let about = row.about;
    let names = some(std::iter::once(&about.id).chain(&about.aliases).map(|a| line(a, NAME)), 40);
    let severity = about.severity.as_ref().map(|s| {
        let score = s.score.map(|s| format!(" {s:.1}")).unwrap_or_default();
        format!("{}{score} {}", line(&s.level, 40), line(s.vector.as_deref().unwrap_or_default(), NAME))
    });
    html! {
        dl.facts.wide {
            (fact("In a sentence", Some(&about.summary), TEXT))
            (fact("Its names", Some(&names), TEXT))
            (fact("Severity", severity.as_deref(), BRIEF))
            (fact("Published", about.published.as_deref(), NAME))
        }
        ul.found {
            @for ((installed, fixed), hosts) in &row.places {
                li {
                    code { (line(installed, NAME)) }
                    @match fixed {
                        Some(fixed) => { " → " code { (line(fixed, NAME)) } }
                        None => span.soft { " no fix known" }
                    }
                    " on " (many(hosts.len(), "host")) ": "
                    (host_list(hosts.iter().map(|(h, _)| *h), page.roomy))
                    @if let Some((_, advised)) = hosts.first() {
                        dl { (fact("packages", Some(&some(advised.packages.iter().map(|p| line(p, NAME)), 40)), TEXT)) }
                    }
                }
            }
        }
    }
}
