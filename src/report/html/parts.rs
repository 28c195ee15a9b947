//! What all sections of the page are built from: badges, bars, tables that fold out. Colours only repeat what words say.

use maud::{Markup, PreEscaped, html};

use super::super::document::HostReport;
use super::super::grade::Grade;
use super::super::summary::{CheckCounts, GradeCounts};
use super::super::text::{fingerprint, line, lines, slug, thousands};
use crate::model::{CheckState, HostState};

/// The longest name, in characters.
pub(super) const NAME: usize = 160;
/// The longest version in a table, in characters.
pub(super) const VERSION: usize = 60;
/// The longest text, in characters.
pub(super) const TEXT: usize = 1200;
/// The longest text of a host that is shown with each host, in characters.
pub(super) const BRIEF: usize = 300;
/// The longest part of an address, in bytes.
const ANCHOR: usize = 100;

/// The least width of a part of a bar, in thousandths.
const LEAST: usize = 15;

/// The states of checks, in the order in which they are shown.
pub(super) const STATES: [CheckState; 4] = [CheckState::Failed, CheckState::NotRun, CheckState::Passed, CheckState::NotApplicable];

/// The address of something on the page.
pub(super) fn anchor(kind: &str, name: &str) -> String {
    let slug = slug(name);
    if slug.len() <= ANCHOR { format!("{kind}-{slug}") } else { format!("{kind}-{}", fingerprint(&[name])) }
}

pub(super) fn host_anchor(host: &HostReport) -> String {
    anchor("host", &host.name)
}

/// A link to a host.
pub(super) fn host_link(host: &HostReport) -> Markup {
    html! { a href={ "#" (host_anchor(host)) } { (line(&host.name, NAME)) } }
}

/// Hosts by name: with links, or, where there are very many, without.
pub(super) fn host_list<'a>(hosts: impl IntoIterator<Item = &'a HostReport>, links: bool) -> Markup {
    html! {
        span.names {
            @for (at, host) in hosts.into_iter().enumerate() {
                @if at > 0 { ", " }
                @if links { (host_link(host)) } @else { (line(&host.name, NAME)) }
            }
        }
    }
}

/// A word on its colour.
pub(super) fn badge(class: &str, text: &str) -> Markup {
    html! { span class={ "b " (class) } { (text) } }
}

pub(super) fn grade_class(grade: Grade) -> &'static str {
    match grade {
        Grade::Critical => "c-critical",
        Grade::High => "c-high",
        Grade::Unknown => "c-unknown",
        Grade::Medium => "c-medium",
        Grade::Low => "c-low",
        Grade::None => "c-none",
    }
}

pub(super) fn check_class(state: CheckState) -> &'static str {
    match state {
        CheckState::Failed => "c-failed",
        CheckState::NotRun => "c-open",
        CheckState::Passed => "c-passed",
        CheckState::NotApplicable => "c-none",
    }
}

pub(super) fn check_word(state: CheckState) -> &'static str {
    match state {
        CheckState::Failed => "failed",
        CheckState::NotRun => "not run",
        CheckState::Passed => "passed",
        CheckState::NotApplicable => "not applicable",
    }
}

pub(super) fn host_class(state: HostState) -> &'static str {
    match state {
        HostState::Done => "c-passed",
        HostState::Partial | HostState::Waiting | HostState::Running | HostState::Skipped => "c-open",
        HostState::Unreachable | HostState::Refused => "c-failed",
    }
}

/// Vulnerabilities by grade, as badges; where they were not looked up, that.
pub(super) fn grades(counts: &GradeCounts, known: bool) -> Markup {
    html! {
        @if counts.total() == 0 {
            @if known { span.zero { "0" } } @else { span.unknown { "not known" } }
        }
        @for (grade, number) in counts.present() {
            (badge(grade_class(grade), &format!("{} {grade}", thousands(number)))) " "
        }
    }
}

/// By how bad they are, so that one critical counts more than any number of lesser ones.
pub(super) fn weight(counts: &GradeCounts) -> u64 {
    Grade::ALL.iter().fold(0u64, |sum, g| sum.saturating_mul(1024).saturating_add(u64::try_from(counts.of(*g).min(1023)).unwrap_or(0)))
}

/// Parts of a whole, side by side; the words stand beside it. What is there is seen, however small it is.
pub(super) fn bar(parts: &[(&'static str, usize)], label: &str) -> Markup {
    let total: usize = parts.iter().map(|(_, n)| n).sum();
    let mut at = 0usize;
    let mut rects = String::new();
    for (class, number) in parts.iter().filter(|(_, n)| *n > 0) {
        let width = (number.saturating_mul(1000) / total.max(1)).max(LEAST);
        rects.push_str(&format!("<rect class=\"{class}\" x=\"{at}\" width=\"{width}\" height=\"10\"/>"));
        at += width;
    }
    html! {
        svg.bar viewBox={ "0 0 " (at.max(1)) " 10" } preserveAspectRatio="none" role="img" aria-label=(label) { (PreEscaped(rects)) }
    }
}

/// How checks came out, as a bar.
pub(super) fn check_bar(counts: &CheckCounts) -> Markup {
    let label: Vec<String> = STATES.iter().map(|s| format!("{} {}", counts.of(*s), check_word(*s))).collect();
    bar(&STATES.map(|s| (check_class(s), counts.of(s))), &label.join(", "))
}

/// A number in a cell of its own; zero stands back.
pub(super) fn number(value: usize, class: &str) -> Markup {
    html! {
        td.n data-v=(value) {
            @if value == 0 { span.zero { "0" } } @else { span class=(class) { (thousands(value)) } }
        }
    }
}

/// The beginning of a section, up to the rows of its table.
pub(super) fn begin(id: &str, title: &str, about: &str, noun: &str, columns: &[&str]) -> String {
    let head = html! {
        div.title {
            h2 id={ (id) "-title" } { (title) }
            p.count role="status" data-noun=(noun) {}
            button.all type="button" aria-expanded="false" { "Open all" }
        }
        p.about { (about) }
    };
    let columns = html! {
        thead { tr {
            @for column in columns { th scope="col" { (column) } }
        } }
    };
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">{}<div class=\"scroll\"><table aria-labelledby=\"{id}-title\">{}",
        head.into_string(),
        columns.into_string()
    )
}

/// The end of what [`begin`] began.
pub(super) const END: &str = "</table></div><p class=\"nothing\" hidden>Nothing here matches.</p></section>";

/// A row that folds out; its first cell is what opens it.
pub(super) fn item(id: &str, problem: bool, name: &Markup, cells: &Markup, columns: usize, detail: &Markup) -> Markup {
    html! {
        tbody.item id=(id) data-problem[problem] {
            tr {
                th scope="row" { button.fold type="button" aria-expanded="true" aria-controls={ (id) "." } { (name) } }
                (cells)
            }
            tr.more id={ (id) "." } { td colspan=(columns) { (detail) } }
        }
    }
}

/// A fact, if there is one.
pub(super) fn fact(name: &str, text: Option<&str>, most: usize) -> Markup {
    let text = text.map(|t| lines(t, most)).filter(|t| !t.trim().is_empty());
    html! { @if let Some(text) = text { div.fact { dt { (name) } dd { (text) } } } }
}

/// A fact that is code or output.
pub(super) fn code(name: &str, text: Option<&str>, most: usize) -> Markup {
    let text = text.map(|t| lines(t, most)).filter(|t| !t.trim().is_empty());
    html! { @if let Some(text) = text { div.fact { dt { (name) } dd { code { (text) } } } } }
}
