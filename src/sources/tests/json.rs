//! The pull parser against serde_json, and against documents that are made to break it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn got(document: &str, path: &[&str]) -> Result<String, Fault> {
    text(document.as_bytes(), path).map(|found| String::from_utf8(found.to_vec()).unwrap())
}

#[test]
fn the_one_text_is_found_and_decoded() {
    let document = r#" {"auth": null, "data": {"metadata": {"version": 3, "x": [1, [2, {"password": "no"}], "]"]},
        "data": {"other": "\"}{", "password": "a\"b\\c\/d\n\t\u00e9\ud83d\udd11"}}, "warnings": []} "#;
    let found = text(document.as_bytes(), &["data", "data", "password"]).unwrap();
    assert_eq!(std::str::from_utf8(&found).unwrap(), "a\"b\\c/d\n\té🔑");
    assert_eq!(found.capacity(), found.len(), "the buffer has its exact length");
    assert_eq!(got(document, &["data", "data", "other"]).unwrap(), "\"}{");
}

#[test]
fn what_is_not_there_or_no_text_is_told_apart() {
    let document = r#"{"a": {"n": 1, "t": true, "z": null, "o": {}, "l": ["x"], "e": ""}, "b": "text"}"#;
    for field in ["n", "t", "z", "o", "l"] {
        assert_eq!(got(document, &["a", field]), Err(Fault::NotText), "{field}");
    }
    assert_eq!(got(document, &["a", "e"]).unwrap(), "");
    for path in [&["a", "x"][..], &["x"], &["b", "x"], &["a", "o", "x"], &["a", "l", "x"]] {
        assert_eq!(got(document, path), Err(Fault::Missing), "{path:?}");
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    assert_eq!(got(r#"{"p": "a", "p": "b"}"#, &["p"]), Err(Fault::NotJson));
    assert_eq!(got(r#"{"p": "a", "\u0070": "b"}"#, &["p"]), Err(Fault::NotJson));
    assert_eq!(got(r#"{"\u0070": "b"}"#, &["p"]).unwrap(), "b");
}

#[test]
fn what_is_no_json_is_refused_whole() {
    let deep = format!(r#"{{"x": {}1{}, "p": "a"}}"#, "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
    let many = format!(r#"{{"x": [{}1], "p": "a"}}"#, "1,".repeat(MEMBERS));
    let endless = "[".repeat(60_000);
    for bad in [
        "",
        " ",
        "{",
        "}",
        "{\"p\"",
        "{\"p\":",
        "{\"p\":\"a",
        "{\"p\":\"a\"",
        "{\"p\":\"a\"}}",
        "{\"p\":\"a\"} x",
        "{\"p\":\"a\",}",
        "{,\"p\":\"a\"}",
        "{\"p\":\"a\" \"q\":1}",
        "{\"p\":\"a\\x\"}",
        "{\"p\":\"a\\u12\"}",
        "{\"p\":\"\\ud800\"}",
        "{\"p\":\"\\ud800\\u0041\"}",
        "{\"p\":\"\\udc00\"}",
        "{\"p\":\"a\nb\"}",
        "{\"q\":01,\"p\":\"a\"}",
        "{\"q\":1.,\"p\":\"a\"}",
        "{\"q\":1e,\"p\":\"a\"}",
        "{\"q\":-,\"p\":\"a\"}",
        "{\"q\":nul,\"p\":\"a\"}",
        "{\"q\":[1,],\"p\":\"a\"}",
        "{\"q\":[1}],\"p\":\"a\"}",
        "{\"q\":{\"x\"},\"p\":\"a\"}",
        "{\"q\":{1:2},\"p\":\"a\"}",
        "{'p':'a'}",
        "{\"q\":NaN,\"p\":\"a\"}",
        &deep,
        &many,
        &endless,
    ] {
        assert_eq!(got(bad, &["p"]), Err(Fault::NotJson), "{}", bad.get(..60).unwrap_or(bad));
    }
    assert_eq!(text(b"{\"p\":\"\xff\"}", &["p"]), Err(Fault::NotJson));
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn it_agrees_with_serde_json(around in document(), secret in ".*", pretty: bool) {
        let whole = json!({ "a": around.clone(), "data": { "x": around.clone(), "p": secret, "y": around } });
        let written = if pretty { serde_json::to_string_pretty(&whole).unwrap() } else { whole.to_string() };
        prop_assert_eq!(got(&written, &["data", "p"]), Ok(secret));
    }

    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let valid = serde_json::from_slice::<Value>(&bytes).is_ok();
        let read = text(&bytes, &["p"]);
        prop_assert!(valid || read == Err(Fault::NotJson));
    }

    #[test]
    fn a_changed_byte_is_no_way_in(secret in "[a-z\"\\\\\u{1}]{0,8}", at: usize, byte: u8) {
        let mut written = json!({ "a": [1, {"b": null}], "data": { "p": secret }, "c": -1.5e3 }).to_string().into_bytes();
        let at = at % written.len();
        written[at] = byte;
        let read = text(&written, &["data", "p"]);
        match serde_json::from_slice::<Value>(&written) {
            Err(_) => prop_assert_eq!(read, Err(Fault::NotJson)),
            Ok(whole) => if let Ok(read) = read {
                prop_assert_eq!(whole["data"]["p"].as_str().map(str::as_bytes), Some(read.as_slice()));
            },
        }
    }
}
