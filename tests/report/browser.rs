//! The page of HTML in a headless Chromium: what people do with it, and what a hostile host cannot.

use std::sync::OnceLock;

use keyward::report::Format;
use serde_json::Value;

use crate::sample::{every_state, large, python, written};

/// What the browser saw, looked at once for all tests.
fn seen() -> &'static Value {
    static SEEN: OnceLock<Result<Value, String>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (page, big) = (folder.path().join("page.html"), folder.path().join("large.html"));
        std::fs::write(&page, written(&every_state(), Format::Html)).unwrap();
        std::fs::write(&big, written(&large(), Format::Html)).unwrap();
        let output = python("browser.py", &[&page, &big, folder.path()]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
    });
    seen.as_ref().unwrap_or_else(|e| panic!("{e}"))
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}")).iter().map(|v| v.as_str().unwrap()).collect()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_hostile_host_is_text_and_nothing_else() {
    let seen = seen();
    assert_eq!(seen["title"], "incomplete: scan of tag:production");
    let elements = seen["elements"].as_object().unwrap();
    for element in ["img", "iframe", "object", "embed", "link", "base", "i"] {
        assert!(!elements.contains_key(element), "<{element}> came from a host");
    }
    assert_eq!(count(&elements["script"]), 1);
    assert_eq!(words(&seen["handlers"]), Vec::<&str>::new());
    assert!(words(&seen["links"]).iter().all(|l| l.starts_with('#')), "{}", seen["links"]);
    let text = seen["text"].as_str().unwrap();
    for said in [
        "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>",
        "a\"'><svg onload=alert(1)>",
        "1&amp;<b>",
        r"invoice\u{202e}xcod.exe",
        r"\u{1b}[2J\u{0} [click](javascript:alert(1)) {0} ]]>",
        "characters more)",
    ] {
        assert!(text.contains(said), "{said}");
    }
    assert!(!text.contains(['\u{202e}', '\0', '\x1b']));
}

#[test]
fn nothing_is_asked_of_anybody_and_nothing_else_may_run() {
    let seen = seen();
    assert_eq!(words(&seen["console"]), Vec::<&str>::new());
    let requests = words(&seen["requests"]);
    assert!(
        requests.iter().all(|url| (url.starts_with("file://") && url.ends_with("/page.html")) || *url == "about:blank"),
        "{requests:?}"
    );
    let refused = words(&seen["refused"]).join("\n");
    for directive in ["script-src", "style-src", "img-src"] {
        assert!(refused.contains(directive), "{directive}: {refused}");
    }
    assert_eq!(seen["still"], serde_json::json!(["incomplete: scan of tag:production", "block"]));
}

#[test]
fn columns_sort_and_say_so() {
    let sorted = seen()["sorted"].as_array().unwrap();
    assert_eq!(sorted[0]["aria"], "descending", "counts are looked at from the top");
    assert_eq!(words(&sorted[0]["hosts"])[0], "evil-1");
    assert_eq!(sorted[1]["aria"], "ascending");
    assert_eq!(words(&sorted[1]["hosts"]).last(), Some(&"evil-1"));
    assert_eq!(sorted[2]["aria"], "ascending");
    assert_eq!(words(&seen()["worst_first"]), ["critical", "high", "unknown", "unknown", "medium", "low", "none"]);
    let names = words(&sorted[2]["hosts"]);
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn the_search_filters_every_section_and_links_lead_past_it() {
    let seen = seen();
    assert_eq!(words(&seen["found_cve"]["hosts"]), ["host-web-1"]);
    assert_eq!(words(&seen["found_cve"]["checks"]), Vec::<&str>::new());
    assert_eq!(seen["found_cve"]["vulnerabilities"].as_array().unwrap().len(), 1);
    assert!(words(&seen["found_two_words"]["checks"]).contains(&"check-cis_debian12~2f~5.2.4"));
    for section in ["hosts", "checks", "vulnerabilities", "packages"] {
        assert_eq!(words(&seen["found_nothing"][section]), Vec::<&str>::new());
    }
    assert_eq!(seen["said_nothing"], 4);
    assert_eq!(seen["arrived"], serde_json::json!({"open": true, "seen": true, "search": ""}));
    let problems = words(&seen["problems"]);
    assert!(problems.contains(&"host-web-1") && problems.contains(&"host-old-1"), "{problems:?}");
    assert!(!problems.contains(&"host-alpine-1") && !problems.contains(&"host-rocky-1"), "{problems:?}");
    assert_eq!(words(&seen["dead_links"]), Vec::<&str>::new());
    assert_eq!(words(&seen["ids_twice"]), Vec::<&str>::new());
}

#[test]
fn rows_unfold_by_keyboard() {
    assert_eq!(count(&seen()["folded"]), 0);
    assert_eq!(words(&seen()["unfolding"]), ["false", "true", "false"]);
}

#[test]
fn without_script_and_on_paper_everything_is_there() {
    let seen = seen();
    let bare = &seen["without_script"];
    assert!(count(&bare["items"]) > 30);
    assert_eq!(bare["items"], bare["more"]);
    for gone in ["search", "sort", "all"] {
        assert_eq!(bare[gone], 0, "{gone} does nothing without a script");
    }
    let print = &seen["print"];
    assert_eq!(print["items"], bare["items"]);
    assert_eq!(print["more"], bare["items"]);
    assert_eq!((count(&print["tools"]), count(&print["buttons"])), (0, 0));
    assert!(count(&print["heads"]) > 10);
    assert_eq!(print["gaps"], true);
    assert_eq!(seen["pdf"], "%PDF-");
}

#[test]
fn every_text_has_the_contrast_that_wcag_aa_wants() {
    for scheme in ["light", "dark"] {
        let pairs = seen()["contrast"][scheme].as_object().unwrap();
        assert!(pairs.len() > 8, "{pairs:?}");
        for (pair, ratio) in pairs {
            assert!(ratio.as_f64().unwrap() >= 4.5, "{scheme}: {pair}: {ratio}");
        }
    }
}

#[test]
fn a_narrow_screen_scrolls_in_one_direction() {
    for scheme in ["narrow_light", "narrow_dark"] {
        let narrow = &seen()[scheme];
        assert_eq!(narrow["page"], 0, "{narrow}");
        assert!(narrow["tables"].as_array().unwrap().iter().all(|t| t == 0), "{narrow}");
    }
}

#[test]
fn a_large_page_stays_usable() {
    let large = &seen()["large"];
    assert!(count(&large["items"]) > 2000, "{large}");
    assert_eq!(large["found"], 1, "{large}");
    // What a person would call slow; machines that test are slower than that.
    let limits = [("opened_s", 30.0), ("first_search_ms", 5000.0), ("search_ms", 3000.0), ("sort_ms", 5000.0)];
    for (what, limit) in limits {
        assert!(large[what].as_f64().unwrap() < limit, "{what}: {large}");
    }
}
