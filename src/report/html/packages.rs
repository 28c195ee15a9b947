//! The packages: a row for each name in one version, those with vulnerabilities first; unfolded, which hosts have it.

use std::fmt;

use maud::{Markup, html};

use super::super::Error;
use super::super::gather::PackageRow;
use super::super::text::{line, some};
use super::Page;
use super::parts::{END, NAME, TEXT, VERSION, anchor, badge, begin, code, fact, grade_class, host_list, item, number};

const COLUMNS: [&str; 5] = ["Package", "Version", "Source", "Hosts", "Vulnerabilities"];

pub(super) fn section(page: &Page<'_>, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let about = "Each package in each version that is installed somewhere. Those with known vulnerabilities come first.";
    out.write_str(&begin("packages", "Packages", about, "package", &COLUMNS))?;
    let mut rows: Vec<(usize, &PackageRow<'_>)> = page.packages.iter().enumerate().collect();
    rows.sort_by_key(|(at, row)| (row.worst.is_none(), row.worst, *at));
    for (at, row) in rows {
        out.write_str(&package(at, row).into_string())?;
    }
    out.write_str(END)?;
    Ok(())
}

fn package(at: usize, row: &PackageRow<'_>) -> Markup {
    let source = if row.source == row.name { String::new() } else { line(row.source, NAME) };
    let cells = html! {
        td { code { (line(row.version, VERSION)) } }
        td.soft { (source) }
        (number(row.hosts.len(), ""))
        td.n data-v=(row.vulnerabilities) {
            @if let Some(worst) = row.worst { (row.vulnerabilities) " " (badge(grade_class(worst), worst.as_str())) }
        }
    };
    let detail = html! {
        dl.facts.wide {
            div.fact { dt { "On" } dd { (host_list(row.hosts.iter().copied(), false)) } }
            (code("Version", Some(row.version).filter(|v| v.chars().count() > VERSION), TEXT))
            (fact("Architecture", Some(&some(row.archs.iter().map(|a| line(a, 40)), 10)), TEXT))
        }
    };
    item(&anchor("pkg", &at.to_string()), row.worst.is_some(), &html! { (line(row.name, NAME)) }, &cells, COLUMNS.len(), &detail)
}
