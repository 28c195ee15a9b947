//! What people see of an agent's command and of a host's output: nothing in it is obeyed by a terminal.
#![no_main]

use keyward::render;
use libfuzzer_sys::fuzz_target;

fn harmless(text: &str, may: &[char]) {
    let bad = text.chars().find(|c| {
        (c.is_control() && !may.contains(c))
            || matches!(u32::from(*c), 0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe0fff)
    });
    assert_eq!(bad, None, "{text:?}");
}

fuzz_target!(|bytes: &[u8]| {
    let shown = render::show(bytes);
    assert_eq!(shown.bytes, bytes.len());
    harmless(&shown.plain(), &['\n']);
    for warning in &shown.warnings {
        harmless(&warning.sentence(), &[]);
    }
    harmless(&render::clean_bytes(bytes, 80), &[]);
    harmless(&render::output(bytes), &['\n']);
    let _ = render::explain::explain(bytes);
});
