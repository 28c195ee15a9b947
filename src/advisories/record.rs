//! A record of OSV as it stands in an archive: what is read of it, and nothing that would refuse a record for a word it does
//! not know. Decides nothing.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// As much of a record as says whether the rest is worth reading. Going over all of it shows, too, that it is JSON.
#[derive(Deserialize)]
pub(super) struct Glance {
    /// When it changed last, RFC 3339.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) modified: String,
    /// What it is about.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) affected: Vec<GlanceAffected>,
}

/// One package that a record is about.
#[derive(Deserialize)]
pub(super) struct GlanceAffected {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) package: GlancePackage,
}

/// Its name.
#[derive(Default, Deserialize)]
pub(super) struct GlancePackage {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ecosystem: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

/// A record.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) published: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) withdrawn: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) aliases: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) upstream: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) related: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) summary: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) details: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) severity: Vec<Rating>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) affected: Vec<Affected>,
    #[serde(default)]
    pub(super) database_specific: Value,
}

/// How bad somebody says it is: a vector or a word.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Rating {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) score: String,
}

/// A package that a record is about, and which versions of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Affected {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) package: PackageNamed,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) severity: Vec<Rating>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ranges: Vec<Range>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) versions: Vec<String>,
    #[serde(default)]
    pub(super) ecosystem_specific: Value,
    #[serde(default)]
    pub(super) database_specific: Value,
}

/// Which package.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PackageNamed {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ecosystem: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) purl: String,
}

/// What happened to a package, in the order of its versions.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Range {
    /// `ECOSYSTEM`, `SEMVER`, `GIT`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) events: Vec<Event>,
}

/// One thing that happened; the schema allows one of these at a time.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) introduced: Option<String>,
    #[serde(default)]
    pub(super) fixed: Option<String>,
    #[serde(default)]
    pub(super) last_affected: Option<String>,
    #[serde(default)]
    pub(super) limit: Option<String>,
}

impl Affected {
    /// The names of the binary packages that it lists. Ubuntu: `[{"binary_name": …, "binary_version": …}]`;
    /// SUSE: `[{name: version, …}]`.
    pub(super) fn binaries(&self) -> Vec<&str> {
        let Some(Value::Array(listed)) = self.ecosystem_specific.get("binaries") else { return Vec::new() };
        listed
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|each| match each.get("binary_name") {
                Some(name) => name.as_str().into_iter().collect::<Vec<_>>(),
                None => each.keys().map(String::as_str).collect(),
            })
            .collect()
    }
}

/// Generated records write `null` for an empty list or text.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_unknown_fields_and_unknown_words_are_read_over() {
        let text =
            br#"{"id":"X-1","published":null,"aliases":null,"novel":{"a":[1,2]},"affected":[{"package":{"ecosystem":"Neo:1","name":"n"},
            "ranges":[{"type":"QUANTUM","events":[{"introduced":"0","novel":"1"}],"database_specific":3}],"versions":null,"severity":null}],
            "severity":[{"type":"CVSS_V9","score":"?"}],"references":[{"type":"ODD","url":"x"}]}"#;
        let record: Record = serde_json::from_slice(text).unwrap();
        assert_eq!((record.id.as_str(), record.affected.len(), record.aliases.len()), ("X-1", 1, 0));
        let glance: Glance = serde_json::from_slice(text).unwrap();
        assert_eq!(glance.affected[0].package.name, "n");
        assert_eq!(glance.modified, "");
    }

    #[test]
    fn names_written_with_escapes_are_the_same_names() {
        let glance: Glance =
            serde_json::from_slice(br#"{"affected":[{"package":{"ecosystem":"Debian\u003a12","name":"g\u002b\u002b"}}]}"#).unwrap();
        assert_eq!((glance.affected[0].package.ecosystem.as_str(), glance.affected[0].package.name.as_str()), ("Debian:12", "g++"));
    }

    #[test]
    fn binaries_are_listed_in_two_ways() {
        let of = |text: &str| Affected { ecosystem_specific: serde_json::from_str(text).unwrap(), ..Affected::default() };
        assert_eq!(
            of(r#"{"binaries":[{"binary_name":"libssl3","binary_version":"1"},{"binary_name":"openssl"}]}"#).binaries(),
            ["libssl3", "openssl"]
        );
        assert_eq!(
            of(r#"{"binaries":[{"libopenssl1_1":"1.1.1l-1","openssl-1_1":"1.1.1l-1"}]}"#).binaries(),
            ["libopenssl1_1", "openssl-1_1"]
        );
        for odd in ["null", "{}", r#"{"binaries":"x"}"#, r#"{"binaries":[1,{"binary_name":4}]}"#] {
            assert_eq!(of(odd).binaries(), [""; 0], "{odd}");
        }
    }
}
