//! How an archive of the size of Debian's does. Measures and asserts only what was found.

use std::time::Instant;

use super::super::look_up;
use super::making::{Zip, host};
use crate::facts::Facts;

#[test]
fn fifty_thousand_records_are_read_once_for_all_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = Zip::default();
    zip.wide = true;
    let mut unpacked = 0;
    for n in 0..50_000 {
        let affected: Vec<String> = (11..=14)
            .map(|release| {
                format!(
                    r#"{{"package":{{"ecosystem":"Debian:{release}","name":"source-{}","purl":"pkg:deb/debian/x?arch=source"}},
                    "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"1:2.{}-1+deb{release}u1"}}]}}],
                    "versions":["1:2.0-1","1:2.1-1","1:2.2-1"],"ecosystem_specific":{{"urgency":"not yet assigned"}}}}"#,
                    n % 9000,
                    n % 7
                )
            })
            .collect();
        let record = format!(
            r#"{{"schema_version":"1.7.3","id":"DEBIAN-CVE-2024-{n}","modified":"2026-01-01T00:00:00Z","upstream":["CVE-2024-{n}"],
            "details":"{}","affected":[{}]}}"#,
            "What happens when. ".repeat(20),
            affected.join(",")
        );
        unpacked += record.len();
        zip.add("DEBIAN-CVE.json", record.as_bytes());
    }
    zip.write(&dir.path().join("Debian"));
    let names: Vec<(String, String)> = (0..700).map(|n| (format!("binary-{n}"), format!("source-{}", n * 10))).collect();
    let packages: Vec<(&str, &str, &str, &str)> = names.iter().map(|(b, s)| (b.as_str(), "1:2.3-1", s.as_str(), "1:2.3-1")).collect();
    let hosts: Vec<Facts> = (0..20).map(|n| host("debian", if n % 2 == 0 { "12" } else { "13" }, &packages)).collect();
    let named: Vec<String> = (0..20).map(|n| format!("host-{n}")).collect();
    let asked: Vec<(&str, &Facts)> = named.iter().map(String::as_str).zip(&hosts).collect();
    let started = Instant::now();
    let all = look_up(dir.path(), &asked, &|| false);
    let took = started.elapsed();
    let found: Vec<usize> = all.values().map(|(_, advised)| advised.len()).collect();
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|n| *n == found[0] && *n > 1000), "{found:?}");
    let output = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("50,000 records, {} MB unpacked, 20 hosts of 700 packages, {} findings each: {took:?}\n", unpacked >> 20, found[0]),
    );
    output.unwrap();
}
