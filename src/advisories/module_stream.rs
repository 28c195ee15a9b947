//! Module streams of RHEL 8 and its rebuilds: a fix in nodejs:20 says nothing about an installed nodejs:18. Knows streams only.

use super::record::{Affected, Record};

/// How much of a record's details is searched for streams, in bytes.
const DETAILS_MAX: usize = 4096;

/// Whether what is installed and what the record speaks of are of one stream, or both of none.
///
/// A record names its stream in the package URL or, at the rebuilds, in its summary ("nodejs:18 security update"). Where it
/// names none of the installed module, the leading numbers of the versions must be the same: streams are named after them.
pub(super) fn same(record: &Record, affected: &Affected, version: &str, module: Option<&str>) -> bool {
    let said = from_purl(&affected.package.purl);
    let about = said.is_some() || versions(affected).any(is_modular);
    let installed = module.is_some() || is_modular(version);
    if about != installed {
        return false;
    }
    if !about {
        return true;
    }
    let Some(own) = module.and_then(first_two) else { return like(affected, version) };
    if let Some(said) = said {
        return said == own;
    }
    let named: Vec<_> = from_text(&record.summary).chain(from_text(start(&record.details))).filter(|(name, _)| *name == own.0).collect();
    if named.is_empty() { like(affected, version) } else { named.contains(&own) }
}

fn versions(affected: &Affected) -> impl Iterator<Item = &str> {
    let events = affected.ranges.iter().flat_map(|r| &r.events);
    events.flat_map(|e| [e.fixed.as_deref(), e.last_affected.as_deref()]).flatten().chain(affected.versions.iter().map(String::as_str))
}

/// `1:18.20.4-1.module+el8.10.0+…`, `…module_el8…`.
fn is_modular(version: &str) -> bool {
    version.contains(".module+") || version.contains(".module_")
}

fn like(affected: &Affected, version: &str) -> bool {
    versions(affected).any(|other| leading(other) == leading(version))
}

/// The first number, without the epoch.
fn leading(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['.', '-']).next().unwrap_or(version)
}

/// `nodejs:18:8090020240312140000:d63f516d` → `nodejs`, `18`.
fn first_two(label: &str) -> Option<(String, String)> {
    let mut parts = label.split(':');
    match (parts.next(), parts.next()) {
        (Some(name), Some(stream)) if !name.is_empty() && !stream.is_empty() => Some((name.to_owned(), stream.to_owned())),
        _ => None,
    }
}

fn from_purl(purl: &str) -> Option<(String, String)> {
    let (_, qualifiers) = purl.split_once('?')?;
    let value = qualifiers.split(['&', '#']).find_map(|q| q.strip_prefix("rpmmod="))?;
    first_two(&value.replace("%3A", ":").replace("%3a", ":"))
}

fn from_text(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let fits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-'));
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '[' | ']' | '"' | '\'' | '`')).filter_map(move |word| {
        let (name, stream) = word.trim_end_matches(['.', ':']).split_once(':')?;
        (fits(name) && fits(stream)).then(|| (name.to_owned(), stream.to_owned()))
    })
}

fn start(text: &str) -> &str {
    let mut end = text.len().min(DETAILS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED_18: &str = "1:18.20.4-1.module+el8.10.0+1836+2c9aa7d4";
    const INSTALLED_18: &str = "1:18.20.2-1.module+el8.9.0+1680+ab89b0d6";
    const LABEL_18: Option<&str> = Some("nodejs:18:8090020240312140000:d63f516d");
    const LABEL_16: Option<&str> = Some("nodejs:16:8090020240312140000:d63f516d");

    fn is(summary: &str, purl: &str, fixed: &str, version: &str, module: Option<&str>) -> bool {
        let record: Record = serde_json::from_value(serde_json::json!({"id": "X", "summary": summary})).unwrap();
        let affected: Affected = serde_json::from_value(serde_json::json!({
            "package": {"purl": purl}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
        }))
        .unwrap();
        same(&record, &affected, version, module)
    }

    #[test]
    fn no_module_meets_no_module_only() {
        assert!(is("Important: bash security update", "", "0:5.1-2.el9", "5.1-1.el9", None));
        assert!(!is("Important: nodejs:18 security update", "", FIXED_18, "1:18.1-1.el9", None));
        assert!(!is("Important: nodejs security update", "", "1:18.20.4-1.el9", INSTALLED_18, LABEL_18));
    }

    #[test]
    fn the_stream_is_in_the_summary_or_in_the_package_url() {
        assert!(is("Important: nodejs:18 security update", "", FIXED_18, INSTALLED_18, LABEL_18));
        assert!(!is("Important: nodejs:18 security update", "", FIXED_18, "1:16.20.2-1.module+el8.9.0+1+a", LABEL_16));
        assert!(is("Important: nodejs:16 and nodejs:18 update", "", FIXED_18, INSTALLED_18, LABEL_18));
        let purl = "pkg:rpm/redhat/nodejs?arch=x86_64&rpmmod=nodejs%3A18%3A8090020240312140000%3Arhel8";
        assert!(is("nodejs security update", purl, FIXED_18, INSTALLED_18, LABEL_18));
        assert!(!is("nodejs security update", purl, FIXED_18, "1:16.20.2-1.module+el8.9.0+1+a", LABEL_16));
        assert!(!is("x", "pkg:rpm/redhat/npm?rpmmod=other:18:1:2", FIXED_18, INSTALLED_18, LABEL_18));
        assert!(is(
            "Important: virt:rhel and virt-devel:rhel security update",
            "",
            "0:6.2-1.module+el8",
            "6.1-1.module+el8",
            Some("virt:rhel:8:x")
        ));
    }

    #[test]
    fn where_no_stream_is_named_the_leading_number_tells() {
        assert!(is("nodejs security update", "", FIXED_18, INSTALLED_18, LABEL_18));
        assert!(!is("nodejs security update", "", FIXED_18, "1:16.20.2-1.module+el8.9.0+1+a", LABEL_16));
        assert!(is("nodejs:18 security update", "", FIXED_18, INSTALLED_18, None), "the label was not asked for");
        assert!(!is("nodejs:18 security update", "", FIXED_18, "1:16.20.2-1.module+el8.9.0+1+a", None));
    }

    #[test]
    fn links_and_times_are_no_streams() {
        assert_eq!(from_text("see https://a.example/x:1 at 10:30, CVE-2024-1:").collect::<Vec<_>>(), [("10".into(), "30".into())]);
        let long = "é".repeat(5000);
        assert!(start(&long).len() <= DETAILS_MAX);
    }
}
