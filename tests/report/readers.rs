//! JSON, SARIF, CycloneDX and JUnit, read by what others wrote.

use std::path::Path;

use keyward::report::{Document, Format};

use crate::sample::{checkout, every_state, full_of, python, without_gaps, written};

/// What `check.py` has to say of a document in a format.
fn complaints(document: &Document, format: Format, schema: Option<&str>) -> String {
    complaints_of(&written(document, format), format, schema)
}

fn complaints_of(text: &str, format: Format, schema: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    std::fs::write(&path, text).unwrap();
    let schema = schema.map(|s| checkout().join(s));
    let word = format.to_string();
    let arguments: Vec<&Path> = [Path::new(&word), &path].into_iter().chain(schema.as_deref()).collect();
    let output = python("check.py", &arguments);
    assert!(output.status.code().is_some_and(|c| c < 2), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

const SCHEMA: Option<&str> = Some("docs/scan-schema.json");
const SARIF: Option<&str> = Some("tests/report/sarif.schema.json");

#[test]
fn json_is_as_its_schema_says_and_has_no_key_that_it_does_not_describe() {
    for document in [every_state(), without_gaps(), empty()] {
        assert_eq!(complaints(&document, Format::Json, SCHEMA), "");
    }
}

#[test]
fn the_schema_of_json_refuses_what_is_no_report() {
    let text = written(&without_gaps(), Format::Json);
    for (from, to) in [
        ("keyward-scan/1", "keyward-scan/2"),
        ("\"state\": \"done\"", "\"state\": \"finished\""),
        ("\"gaps\"", "\"holes\""),
        ("\"took_ms\": 2310", "\"took_ms\": -1"),
        ("\"coverage\": \"covered\"", "\"coverage\": \"perhaps\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert_ne!(complaints_of(&text.replace(from, to), Format::Json, SCHEMA), "", "{to}");
    }
}

#[test]
fn sarif_is_as_the_standard_says() {
    for document in [every_state(), without_gaps(), empty()] {
        assert_eq!(complaints(&document, Format::Sarif, SARIF), "");
    }
}

#[test]
fn what_is_wrong_with_sarif_is_found() {
    let text = written(&every_state(), Format::Sarif);
    for (from, to) in
        [("\"kind\": \"open\"", "\"kind\": \"pass\""), ("\"ruleIndex\": 1", "\"ruleIndex\": 2"), ("ssh://web-1", "ssh://web 1")]
    {
        assert!(text.contains(from), "{from}");
        assert_ne!(complaints_of(&text.replace(from, to), Format::Sarif, SARIF), "", "{to}");
    }
}

#[test]
fn cyclonedx_is_as_its_schema_says_and_its_package_urls_are_read_back() {
    for document in [every_state(), without_gaps(), empty()] {
        assert_eq!(complaints(&document, Format::CycloneDx, None), "");
    }
}

#[test]
fn junit_is_xml_whose_sums_are_right() {
    for document in [every_state(), without_gaps(), empty()] {
        assert_eq!(complaints(&document, Format::Junit, None), "");
    }
}

#[test]
fn whatever_a_host_says_every_format_stays_what_it_is() {
    let hostile = [
        "",
        " ",
        "</script><script>alert(1)</script>",
        "\"'><svg onload=alert(1)>",
        "]]>&<!--&amp;&#0;",
        "[a](javascript:alert(1)) {0} {{ }",
        "\u{0}\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{feff}\u{fffe}\u{ffff}\u{e0001}\r\n\t",
        "/../%2f..//%?#@:+ &=,;|~",
        "CVE-2024-1",
        "משהו 日本語 e\u{301}\u{301}\u{301} 👩‍👩‍👧",
        &"x".repeat(100_000),
        &"\u{e0001}".repeat(30_000),
    ];
    for text in hostile {
        let document = full_of(text);
        for (format, schema) in [(Format::Json, SCHEMA), (Format::Sarif, SARIF), (Format::CycloneDx, None), (Format::Junit, None)] {
            assert_eq!(complaints(&document, format, schema), "", "{format}: {text:.40?}");
        }
        let page = written(&document, Format::Html);
        assert_eq!((page.matches("<script").count(), page.matches("<svg onload").count(), page.matches("<!--").count()), (1, 0, 0));
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        assert!(written(&document, Format::Table).len() < 300_000, "{text:.40?}");
    }
}

fn empty() -> Document {
    let mut document = every_state();
    document.hosts.clear();
    document.ended_at = None;
    document
}
