//! The top of the page: what the run comes to, in words, numbers and bars, and what is missing from it.

use maud::{Markup, html};

use super::super::summary::Outcome;
use super::super::text::{line, many, thousands};
use super::Page;
use super::parts::{NAME, STATES, TEXT, anchor, badge, bar, check_class, check_word, grade_class, host_class};
use crate::model::HostState;

/// The most gaps that are listed; each host lists its own.
const GAPS: usize = 200;
/// So many gaps are shown unfolded.
const OPEN: usize = 8;

pub(super) fn header(page: &Page<'_>) -> Markup {
    let document = page.document;
    let found = format!(
        "{} failed, {} found.",
        many(page.summary.checks.failed, "check"),
        many(page.summary.vulnerabilities.total(), "vulnerability")
    );
    let (class, sign, word, text) = match page.summary.outcome {
        Outcome::Clean => ("c-passed", "✓", "Clean", "Everything was answered, and nothing is wrong.".to_owned()),
        Outcome::Findings => ("c-failed", "✗", "Findings", format!("Everything was answered: {found}")),
        Outcome::Incomplete => ("c-open", "◐", "Incomplete", format!("Not everything was answered. So far: {found}")),
    };
    let ended = document.ended_at.as_deref().map_or_else(|| "still running".to_owned(), |at| line(at, NAME));
    html! {
        a.skip href="#top" { "Skip to the report" }
        header {
            p.brand { "keyward scan" }
            h1 { (line(&document.profile, NAME)) " on " (line(&document.selector, NAME)) }
            p class={ "verdict " (class) } { span.sign aria-hidden="true" { (sign) } strong { (word) } " " span { (text) } }
            dl.run {
                div { dt { "Started" } dd { (line(&document.started_at, NAME)) " by " (document.user.as_str()) } }
                div { dt { "Ended" } dd { (ended) } }
                div { dt { "Scan" } dd { code { (document.id) } } }
                div { dt { "What was asked (SHA-256)" } dd { code { (line(&document.digest, NAME)) } } }
            }
        }
    }
}

pub(super) fn overview(page: &Page<'_>) -> Markup {
    html! {
        section.overview aria-label="Overview" {
            (hosts_card(page)) (checks_card(page)) (vulnerabilities_card(page)) (packages_card(page))
        }
        (gaps(page))
    }
}

/// A number, a bar of its parts, and the parts in words.
fn card(title: &str, number: &str, parts: &[(&'static str, &str, usize)], note: &str) -> Markup {
    let label: Vec<String> = parts.iter().map(|(_, word, n)| format!("{n} {word}")).collect();
    let widths: Vec<(&'static str, usize)> = parts.iter().map(|(class, _, n)| (*class, *n)).collect();
    html! {
        div.card {
            h2 { (title) }
            p.big { (number) }
            (bar(&widths, &label.join(", ")))
            ul.legend {
                @for (class, word, number) in parts { li { span class={ "dot " (class) } aria-hidden="true" {} b { (thousands(*number)) } " " (word) } }
            }
            @if !note.is_empty() { p.note { (note) } }
        }
    }
}

fn hosts_card(page: &Page<'_>) -> Markup {
    let counts = &page.summary.hosts;
    let states = HostState::ALL.iter().map(|s| (host_class(*s), s.as_str(), counts.of(*s)));
    let mut parts: Vec<_> = states.filter(|(_, _, n)| *n > 0).collect();
    parts.sort_by_key(|(class, _, _)| (*class != "c-failed", *class != "c-open"));
    card("Hosts", &thousands(counts.total), &parts, "")
}

fn checks_card(page: &Page<'_>) -> Markup {
    let counts = &page.summary.checks;
    let parts: Vec<_> = STATES.iter().map(|s| (check_class(*s), check_word(*s), counts.of(*s))).filter(|(_, _, n)| *n > 0).collect();
    let note = match page.document.policies.len() {
        0 => "No policy was used.".to_owned(),
        policies => format!("{} of {}, counted on each host.", many(page.checks.len(), "check"), many(policies, "policy")),
    };
    card("Checks", &thousands(counts.total()), &parts, &note)
}

fn vulnerabilities_card(page: &Page<'_>) -> Markup {
    let summary = &page.summary;
    let counts = &summary.vulnerabilities;
    let parts: Vec<_> = counts.present().map(|(g, n)| (grade_class(g), g.as_str(), n)).collect();
    let number = if summary.looked_up == 0 && counts.total() == 0 { "not known".to_owned() } else { thousands(counts.total()) };
    let mut note = format!("Looked up for {} of {}.", summary.looked_up, many(summary.hosts.total, "host"));
    if summary.vulnerabilities_new + summary.vulnerabilities_fixed > 0 {
        note.push_str(&format!(
            " Since the run before: {} new, {} fixed.",
            thousands(summary.vulnerabilities_new),
            thousands(summary.vulnerabilities_fixed)
        ));
    }
    card("Vulnerabilities", &number, &parts, &note)
}

fn packages_card(page: &Page<'_>) -> Markup {
    let hurt = page.packages.iter().filter(|p| p.vulnerabilities > 0).count();
    let fine = page.packages.len() - hurt;
    let parts: Vec<_> =
        [("c-failed", "with a known vulnerability", hurt), ("c-none", "without", fine)].into_iter().filter(|(_, _, n)| *n > 0).collect();
    let note = format!("Names in one version each; {} are installed on all hosts together.", thousands(page.summary.packages));
    card("Packages", &thousands(page.packages.len()), &parts, &note)
}

fn gaps(page: &Page<'_>) -> Markup {
    let gaps = &page.summary.gaps;
    html! {
        @if !gaps.is_empty() {
            details.gaps open[gaps.len() <= OPEN] {
                summary { span.sign aria-hidden="true" { "◐" } " What is missing: " (many(gaps.len(), "gap")) }
                ul {
                    @for gap in gaps.iter().take(GAPS) {
                        li {
                            @if let Some(host) = &gap.host { a href={ "#" (anchor("host", host)) } { (line(host, NAME)) } ": " }
                            (line(&gap.why, TEXT))
                        }
                    }
                    @if gaps.len() > GAPS { li { "and " (gaps.len() - GAPS) " more: each host lists its own" } }
                }
            }
        }
    }
}

/// The search and the ways to the sections.
pub(super) fn tools(page: &Page<'_>) -> Markup {
    let sections = [
        ("hosts", "Hosts", page.hosts.len()),
        ("checks", "Checks", page.checks.len()),
        ("vulnerabilities", "Vulnerabilities", page.vulnerabilities.len()),
        ("packages", "Packages", page.packages.len()),
    ];
    html! {
        div.tools {
            nav aria-label="Sections" {
                @for (id, title, number) in sections { a href={ "#" (id) } { (title) " " span.zero { (thousands(number)) } } }
            }
            form.search role="search" {
                label for="find" { "Search" }
                input #find type="search" autocomplete="off" spellcheck="false" placeholder="host, check, CVE, package";
                label.only { input #only type="checkbox"; " Problems only" }
            }
        }
    }
}

pub(super) fn colophon(page: &Page<'_>) -> Markup {
    html! {
        footer {
            @if !page.document.policies.is_empty() {
                h2 { "Policies" }
                ul {
                    @for policy in &page.document.policies {
                        li {
                            (line(&policy.name, NAME)) " (" (line(&policy.id, NAME)) "), " (many(policy.checks, "check")) ", SHA-256 "
                            code { (line(&policy.sha256, NAME)) }
                        }
                    }
                }
            }
            p { "Written by keyward " (env!("CARGO_PKG_VERSION")) ". This page asks nobody for anything. " (badge("c-none", page.summary.outcome.as_str())) }
        }
    }
}
