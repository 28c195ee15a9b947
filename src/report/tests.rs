//! Reports of a document that holds every state, and what a run comes to.

use super::*;
use crate::advisories::Coverage;
use crate::model::{CheckState, HostState, RunState};

/// Every state of a host, a check and a lookup, and a host that is hostile in all that it says.
fn sample() -> Document {
    serde_json::from_str(include_str!("../../tests/report/sample.json")).unwrap()
}

/// The hosts of the sample with these names.
fn only(names: &[&str]) -> Document {
    let mut document = sample();
    document.hosts.retain(|h| names.contains(&h.name.as_str()));
    assert_eq!(document.hosts.len(), names.len());
    document
}

fn text(document: &Document, format: Format) -> String {
    write(document, format, &Style { colour: false, width: Some(100), unicode: true }).unwrap()
}

fn gaps(document: &Document) -> Vec<String> {
    document.summary().gaps.into_iter().map(|g| g.why).collect()
}

#[test]
fn the_sample_holds_every_state() {
    let document = sample();
    let summary = document.summary();
    assert!(HostState::ALL.iter().all(|s| summary.hosts.of(*s) > 0));
    assert!(CheckState::ALL.iter().all(|s| summary.checks.of(*s) > 0));
    assert!(Grade::ALL.iter().all(|g| summary.vulnerabilities.of(*g) > 0));
    assert_eq!(summary.hosts.total, document.hosts.len());
    assert_eq!(summary.outcome, Outcome::Incomplete);
}

#[test]
fn formats_have_words() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(*format));
    }
    let wrong = "pdf\x1b".parse::<Format>().unwrap_err();
    assert_eq!(wrong, r"`pdf\u{1b}` is no format: write one of table, json, sarif, cyclonedx, junit, html");
}

#[test]
fn what_a_run_comes_to() {
    let clean = only(&["alpine-1", "rocky-1"]);
    assert_eq!((clean.outcome(), clean.outcome().exit_status()), (Outcome::Clean, 0));
    let findings = only(&["alpine-1", "web-1"]);
    assert_eq!((findings.outcome(), findings.outcome().exit_status()), (Outcome::Findings, 4));
    let both = only(&["web-1", "old-1"]);
    assert_eq!((both.outcome(), both.outcome().exit_status()), (Outcome::Incomplete, 5), "a partial run must not look finished");
}

#[test]
fn a_failed_check_or_a_vulnerability_of_any_grade_is_a_finding() {
    let mut document = only(&["web-1"]);
    let host = &mut document.hosts[0];
    host.checks.iter_mut().for_each(|c| c.state = CheckState::Passed);
    host.vulnerabilities.retain(|v| v.severity.as_ref().is_some_and(|s| s.level == "unimportant"));
    assert_eq!(host.vulnerabilities.len(), 1);
    assert_eq!(document.outcome(), Outcome::Findings);
    document.hosts[0].vulnerabilities.clear();
    assert_eq!(document.outcome(), Outcome::Clean);
    document.hosts[0].checks[0].state = CheckState::Failed;
    assert_eq!(document.outcome(), Outcome::Findings);
}

#[test]
fn whatever_is_missing_makes_a_run_incomplete() {
    type Change = (&'static str, fn(&mut Document));
    let changes: &[Change] = &[
        ("the scan still runs", |d| d.state = RunState::Running),
        ("the scan was cancelled", |d| d.state = RunState::Cancelled),
        ("the scan was interrupted", |d| d.state = RunState::Interrupted),
        ("no host was scanned", |d| d.hosts.clear()),
        ("skipped", |d| d.hosts[0].state = HostState::Skipped),
        ("waiting", |d| d.hosts[0].state = HostState::Waiting),
        ("partial", |d| d.hosts[0].state = HostState::Partial),
        ("there are no facts", |d| d.hosts[0].facts = None),
        ("not known: users (needs root)", |d| {
            d.hosts[0].facts.as_mut().unwrap().missing.insert("users".to_owned(), "needs root".to_owned());
        }),
        ("1 probe was not answered: f:/etc/os-release (timed out)", |d| d.hosts[0].probes[0].status = "timed_out".to_owned()),
        ("1 probe was not answered: f:/etc/os-release (something new)", |d| d.hosts[0].probes[0].status = "something_new".to_owned()),
        ("answered more than is kept", |d| d.hosts[0].probes[0].cut = true),
        ("1 check was not run: 5.2.4", |d| d.hosts[0].checks[0].state = CheckState::NotRun),
        ("has 6 checks, and 5 of them have a result", |d| drop(d.hosts[0].checks.pop())),
        ("has 6 checks, and 0 of them have a result", |d| d.hosts[0].checks.clear()),
        ("not covered: Fedora", |d| d.hosts[0].vulnerability_coverage = Coverage::Unsupported { why: "Fedora".to_owned() }),
        ("no archive: gone", |d| d.hosts[0].vulnerability_coverage = Coverage::NoArchive { why: "gone".to_owned() }),
        ("no packages: none", |d| d.hosts[0].vulnerability_coverage = Coverage::NoPackages { why: "none".to_owned() }),
    ];
    for (why, change) in changes {
        let mut document = only(&["alpine-1"]);
        assert_eq!(document.outcome(), Outcome::Clean);
        change(&mut document);
        assert_eq!(document.outcome(), Outcome::Incomplete, "{why}");
        let gaps = gaps(&document);
        assert!(gaps.len() == 1 && gaps[0].contains(why), "{why}: {gaps:?}");
    }
}

#[test]
fn what_does_not_belong_to_the_run_is_no_gap() {
    let mut document = only(&["alpine-1"]);
    document.hosts[0].vulnerability_coverage = Coverage::NotAsked;
    assert_eq!(document.outcome(), Outcome::Clean, "nobody asked for vulnerabilities");
    let probe = &mut document.hosts[0].probes[0];
    (probe.exit, probe.as_root) = (Some(77), true);
    assert_eq!(document.outcome(), Outcome::Clean, "root's answer is an answer");
    document.hosts[0].probes[0].as_root = false;
    assert_eq!(gaps(&document), ["1 probe was not answered: f:/etc/os-release (needs root)"]);
    document.hosts[0].ran_as = Some("root".to_owned());
    assert_eq!(document.outcome(), Outcome::Clean);
}

#[test]
fn another_layout_is_not_guessed_at() {
    let mut document = sample();
    document.schema = "keyward-scan/2".to_owned();
    let error = write(&document, Format::Json, &Style::default()).unwrap_err();
    assert!(error.to_string().contains("`keyward-scan/2`"), "{error}");
}

#[test]
fn no_format_lets_anything_through_that_a_terminal_obeys() {
    for format in Format::ALL {
        let text = text(&sample(), *format);
        let obeyed = |c: char| (c.is_control() && c != '\n') || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069);
        assert!(!text.contains(obeyed), "{format}");
        assert_eq!(text, self::text(&sample(), *format), "{format}: the same document is the same text");
    }
}

#[test]
fn a_table_says_in_words_what_its_colours_say() {
    let document = sample();
    let style = Style { colour: false, width: None, unicode: true };
    let plain = write(&document, Format::Table, &style).unwrap();
    for said in
        ["◐ incomplete", "✗ failed", "◐ not run", "✗ critical", "→ 5.6.1+really5.4.5-1", "no fix known", "unreachable: no answer from"]
    {
        assert!(plain.contains(said), "{said}\n{plain}");
    }
    let coloured = write(&document, Format::Table, &Style { colour: true, ..style }).unwrap();
    assert!(coloured.contains("\x1b[31m✗ failed\x1b[0m"));
    let mut bare = coloured;
    for escape in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        bare = bare.replace(escape, "");
    }
    assert_eq!(bare, plain);
    let ascii = write(&only(&["web-1", "db-1"]), Format::Table, &Style { width: Some(80), ..Style::default() }).unwrap();
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn a_table_keeps_to_its_width_and_says_nothing_of_what_is_not_known() {
    for width in [40, 80, 132] {
        let text = write(&sample(), Format::Table, &Style { colour: false, width: Some(width), unicode: true }).unwrap();
        // Headings are names of hosts: they are whole.
        let long: Vec<&str> =
            text.lines().filter(|l| unicode_width::UnicodeWidthStr::width(*l) > usize::from(width) && l.starts_with(' ')).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
    let mut document = only(&["fedora-1"]);
    document.hosts[0].checks.clear();
    let text = text(&document, Format::Table);
    assert!(text.contains("not looked up") && text.contains("not known"), "{text}");
}

#[test]
fn json_is_the_document_and_its_summary() {
    let document = sample();
    let text = text(&document, Format::Json);
    assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::from_value::<Summary>(value["summary"].clone()).unwrap(), document.summary());
}

#[test]
fn sarif_has_a_result_for_each_finding_and_a_notification_for_each_gap() {
    let document = sample();
    let summary = document.summary();
    let value: serde_json::Value = serde_json::from_str(&text(&document, Format::Sarif)).unwrap();
    let run = &value["runs"][0];
    let results = run["results"].as_array().unwrap();
    let of = |kind: &str| results.iter().filter(|r| r["kind"] == kind).count();
    assert_eq!(of("fail"), summary.checks.failed + summary.vulnerabilities.total());
    assert_eq!(of("open"), summary.checks.not_run);
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"].as_array().unwrap().len(), summary.gaps.len());
    let ssh = results.iter().find(|r| r["ruleId"] == "DSA-5724-1").unwrap();
    assert_eq!(ssh["level"], "error");
    assert!(ssh["message"]["text"].as_str().unwrap().contains("CVE-2024-6387"));
}

#[test]
fn fingerprints_outlive_versions_and_words() {
    let marks = |document: &Document| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(&text(document, Format::Sarif)).unwrap();
        let results = value["runs"][0]["results"].as_array().unwrap().clone();
        results.iter().map(|r| r["partialFingerprints"]["keywardFinding/v1"].as_str().unwrap().to_owned()).collect()
    };
    let mut document = only(&["web-1"]);
    let before = marks(&document);
    document.id = crate::model::ScanId::from([9; 16]);
    document.hosts[0].vulnerabilities[0].installed = "1:9.2p1-2+deb12u9".to_owned();
    document.hosts[0].checks[0].actual = Some("permitrootlogin prohibit-password".to_owned());
    assert_eq!(marks(&document), before);
    document.hosts[0].name = "web-9".to_owned();
    assert!(marks(&document).iter().all(|m| !before.contains(m)));
}

#[test]
fn cyclonedx_ties_vulnerabilities_to_what_is_installed() {
    let value: serde_json::Value = serde_json::from_str(&text(&sample(), Format::CycloneDx)).unwrap();
    let hosts = value["components"].as_array().unwrap();
    assert_eq!(hosts.len(), sample().hosts.len());
    let web = hosts.iter().find(|h| h["name"] == "web-2").unwrap()["components"].as_array().unwrap();
    let server = web.iter().find(|c| c["name"] == "openssh-server").unwrap();
    assert_eq!(server["purl"], "pkg:deb/debian/openssh-server@1:9.2p1-2%2Bdeb12u2?arch=amd64&distro=debian-12");
    let ssh = value["vulnerabilities"].as_array().unwrap().iter().find(|v| v["id"] == "DSA-5724-1").unwrap();
    let refs: Vec<&str> = ssh["affects"].as_array().unwrap().iter().map(|a| a["ref"].as_str().unwrap()).collect();
    assert!(refs.contains(&"host/web-2/deb/openssh-server/1~3a~9.2p1-2~2b~deb12u2/amd64"), "{refs:?}");
    assert_eq!(refs.len(), 4);
    assert_eq!(ssh["ratings"][0]["method"], "CVSSv31");
    let unknown = &value["compositions"].as_array().unwrap().iter().find(|c| c["aggregate"] == "unknown").unwrap()["assemblies"];
    assert!(unknown.as_array().unwrap().contains(&"host/arch-1".into()) && unknown.as_array().unwrap().contains(&"host/old-1".into()));
}

#[test]
fn every_format_lists_every_gap() {
    let document = sample();
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    for format in Format::ALL {
        let style = Style { colour: false, width: None, unicode: true };
        let text = squeezed(&write(&document, *format, &style).unwrap());
        for gap in document.summary().gaps {
            let why = match format {
                Format::Html | Format::Junit => gap.why.replace('&', "&amp;").replace('<', "&lt;"),
                _ => gap.why,
            };
            assert!(text.contains(&squeezed(&why)), "{format}: {why}");
        }
    }
}

#[test]
fn cyclonedx_names_the_host_where_the_package_is_not_known() {
    let mut document = only(&["web-1"]);
    document.hosts[0].facts.as_mut().unwrap().packages.clear();
    let value: serde_json::Value = serde_json::from_str(&text(&document, Format::CycloneDx)).unwrap();
    assert!(value["vulnerabilities"].as_array().unwrap().iter().all(|v| v["affects"][0]["ref"] == "host/web-1"));
}

#[test]
fn junit_is_green_only_for_a_run_that_is_whole_and_clean() {
    let of = |document: &Document| {
        let report = quick_junit::Report::deserialize_from_str(&text(document, Format::Junit)).unwrap();
        (report.tests, report.failures, report.errors, report.test_suites.iter().map(|s| s.skipped).sum::<usize>())
    };
    let (tests, failures, errors, skipped) = of(&only(&["alpine-1", "rocky-1"]));
    assert!(tests > 12);
    assert_eq!((failures, errors, skipped), (0, 0, 2));
    let summary = sample().summary();
    let (_, failures, errors, skipped) = of(&sample());
    assert_eq!(failures, summary.checks.failed + summary.vulnerabilities.total());
    assert!(errors > summary.checks.not_run);
    assert_eq!(skipped, summary.checks.not_applicable);
    for state in [HostState::Unreachable, HostState::Skipped, HostState::Waiting] {
        let mut document = only(&["alpine-1"]);
        let host = &mut document.hosts[0];
        (host.state, host.facts) = (state, None);
        host.checks.clear();
        host.probes.clear();
        assert_eq!(of(&document).2, 1, "{state}");
    }
    let mut document = sample();
    document.hosts.clear();
    assert_eq!(of(&document).2, 1, "no host at all");
}

#[test]
fn html_holds_no_markup_of_a_host() {
    let page = text(&sample(), Format::Html);
    assert_eq!(page.matches("<script").count(), 1);
    for made in ["<img", "<svg onload", "<i>", "<!--", "onerror=alert(1)>"] {
        assert!(!page.contains(made), "{made}");
    }
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;"));
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    assert!(page.contains("id=\"host-web-1\"") && page.contains("href=\"#host-web-1\""));
}

#[test]
fn html_of_a_host_that_says_very_much_stays_small() {
    let mut document = only(&["web-1"]);
    let host = &mut document.hosts[0];
    let much = "\u{202e}<b>".repeat(200_000);
    host.error = Some(much.clone());
    host.warnings = vec![much.clone()];
    host.checks[0].actual = Some(much.clone());
    host.facts.as_mut().unwrap().os.name = much.clone();
    host.facts.as_mut().unwrap().packages[0].name = much;
    assert!(text(&document, Format::Html).len() < 200_000);
    assert!(text(&document, Format::Table).len() < 50_000);
}

#[test]
fn a_report_grows_with_its_hosts_and_no_faster_and_its_page_stays_small() {
    let mut document = only(&["web-1"]);
    let one = document.hosts.remove(0);
    document.hosts = (0..200)
        .map(|number| {
            let mut host = one.clone();
            host.name = format!("web-{number}");
            let facts = host.facts.as_mut().unwrap();
            let package = facts.packages[0].clone();
            facts.packages = (0..700)
                .map(|at| {
                    let mut package = package.clone();
                    package.name = format!("package-{at}");
                    package.version = format!("{}.{at}", number % 3);
                    package
                })
                .collect();
            let check = host.checks[0].clone();
            host.checks = (0..60)
                .map(|at| {
                    let mut check = check.clone();
                    check.id = format!("1.{at}");
                    check
                })
                .collect();
            host
        })
        .collect();
    let mut half = document.clone();
    half.hosts.truncate(100);
    for format in Format::ALL {
        let [half, whole] = [&half, &document].map(|document| text(document, *format).len());
        // Some names and numbers of the second hundred are longer by a figure.
        assert!(whole < half * 21 / 10, "{format}: {half} bytes for half of the hosts, {whole} for all of them");
        if *format == Format::Html {
            assert!(whole < 10_000_000, "{whole}");
        }
    }
}
