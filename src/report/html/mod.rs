//! One page of HTML that needs nothing beside itself and asks nobody for anything. Whatever a host said is text there, never markup;
//! its own script and style are named by their hashes, and nothing else may run.

mod checks;
mod hosts;
mod packages;
mod parts;
mod top;
mod vulnerabilities;

use std::fmt;

use base64ct::{Base64, Encoding};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Error;
use super::document::{Document, HostReport};
use super::gather::{self, CheckRow, PackageRow, VulnerabilityRow};
use super::summary::{HostSummary, Summary};
use super::text::line;

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// From so many findings on, what stands elsewhere on the page is not repeated with each host, so that the page stays usable.
const ROOMY: usize = 6000;

/// What the sections are made of.
struct Page<'a> {
    document: &'a Document,
    summary: Summary,
    hosts: Vec<(&'a HostReport, HostSummary)>,
    checks: Vec<CheckRow<'a>>,
    vulnerabilities: Vec<VulnerabilityRow<'a>>,
    packages: Vec<PackageRow<'a>>,
    /// Whether there is room to say things twice.
    roomy: bool,
}

impl<'a> Page<'a> {
    fn of(document: &'a Document) -> Self {
        let summary = document.summary();
        let findings = summary.checks.failed + summary.checks.not_run + summary.vulnerabilities.total();
        Self {
            hosts: document.hosts.iter().map(|h| (h, h.summary(&document.policies))).collect(),
            checks: gather::checks(document),
            vulnerabilities: gather::vulnerabilities(document),
            packages: gather::packages(document),
            roomy: findings <= ROOMY,
            document,
            summary,
        }
    }
}

/// The page; its sections are written one by one.
pub(super) fn write(document: &Document, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let page = Page::of(document);
    let title = format!("{}: scan of {}", page.summary.outcome, line(&document.selector, 80));
    out.write_str(&head(&title).into_string())?;
    out.write_str("<body>")?;
    out.write_str(&top::header(&page).into_string())?;
    out.write_str("<main id=\"top\">")?;
    out.write_str(&top::overview(&page).into_string())?;
    out.write_str(&top::tools(&page).into_string())?;
    hosts::section(&page, out)?;
    checks::section(&page, out)?;
    vulnerabilities::section(&page, out)?;
    packages::section(&page, out)?;
    out.write_str(&top::colophon(&page).into_string())?;
    out.write_str("</main></body></html>\n")?;
    Ok(())
}

fn head(title: &str) -> Markup {
    html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy());
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            meta name="color-scheme" content="light dark";
            title { (title) }
            style { (PreEscaped(STYLE)) }
            script { (PreEscaped(SCRIPT)) }
        }
    }
}

/// Nothing may be loaded, and of scripts and styles only the two of this page may be used.
fn policy() -> String {
    format!("default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'", source(SCRIPT), source(STYLE))
}

fn source(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("sha256-{}", Base64::encode_string(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_and_the_script_cannot_end_their_elements() {
        for text in [SCRIPT, STYLE] {
            assert!(!text.contains("</") && !text.contains("<!--"));
            assert!(!text.contains("http") && !text.contains("url("), "the page asks nobody for anything");
        }
        assert_eq!(source("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }
}
