//! Tests of masking: each line of the table, what passes untouched, and that chunks do not matter.

use proptest::prelude::*;

use super::*;

fn masked_in(chunks: &[&[u8]]) -> String {
    let (mut masker, mut out) = (Masker::new(), Vec::new());
    for chunk in chunks {
        masker.feed(chunk, &mut out);
    }
    masker.finish(&mut out);
    assert!(masker.held.is_empty());
    String::from_utf8_lossy(&out).into_owned()
}

fn masked(text: &str) -> String {
    masked_in(&[text.as_bytes()])
}

#[test]
fn keys_that_touch_are_all_masked() {
    let key = pem("OPENSSH PRIVATE KEY", "\n", "");
    let (key, other) = (key.trim_end(), pem("PRIVATE KEY", "\n", ""));
    for between in ["", "-", "--", "------", "\n", " "] {
        for cut in 0..=between.len().min(1) {
            // Also where the dashes of the one are those of the other.
            let text = format!("{}{between}{other}", &key[..key.len() - cut]);
            let out = masked_in(&[text.as_bytes()]);
            assert!(!out.contains("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"), "{between:?}: {out}");
        }
    }
}

#[test]
fn each_rule_masks_its_example_and_passes_what_only_looks_like_it() {
    for rule in RULES {
        let out = masked(rule.example);
        assert!(out.contains(&format!("[masked: {}]", rule.name)), "{} ({}): {out}", rule.name, rule.what);
        assert_eq!(masked(rule.passes), rule.passes, "{} ({})", rule.name, rule.what);
    }
}

#[test]
fn golden() {
    for (text, out) in [
        (RULES[0].example, "[masked: private key]\n"),
        ("Private-Lines: 2\r\nAAAA\r\nBBBB\r\nPrivate-MAC: 0", "Private-Lines: 2\r\n[masked: PuTTY private key]\nPrivate-MAC: 0"),
        ("postgres://app:hunter2@db:5432/app", "postgres://app:[masked: password]@db:5432/app"),
        ("redis://:p/w@cache:6379", "redis://:[masked: password]@cache:6379"),
        ("http://u:a@b@host/x@y ok", "http://u:[masked: password]@host/x@y ok"),
        ("db.internal:5432:app:deploy:hunter2\nx", "db.internal:5432:app:deploy:[masked: password]\nx"),
        ("*:*:*:deploy:a\\:b", "*:*:*:deploy:[masked: password]"),
        ("machine a\n login b\n password c\n", "machine a\n login b\n password [masked: password]\n"),
        ("{\"password\": \"a\\\"b\", \"x\": 1}", "{\"password\": \"[masked: password]\", \"x\": 1}"),
        ("\"{\\\"password\\\":\\\"ab\\\"}\"", "\"{\\\"password\\\":\\\"[masked: password]\"}\""),
        ("passphrase: correct horse battery\nx: 1", "passphrase: [masked: password]\nx: 1"),
        ("at 10:00 password=ab for bob", "at 10:00 password=[masked: password] for bob"),
        ("config['password'] = 'ab'", "config['password'] = '[masked: password]'"),
        ("password := ab; c", "password := [masked: password]"),
        ("{:secret => 'ab'}", "{:secret => '[masked: secret]'}"),
        ("mysqldump --password hunter2 app", "mysqldump --password [masked: password] app"),
        ("A=1\0PASSWORD=ab\0B=2", "A=1\0PASSWORD=[masked: password]\0B=2"),
        ("Authorization: Bearer abc.def\r\nHost: a", "Authorization: Bearer [masked: authorization]\r\nHost: a"),
        ("Authorization: abc", "Authorization: [masked: authorization]"),
        ("root:$6$salt$0123456789abcdefABCDEF:19000:0", "root:[masked: password hash]:19000:0"),
        ("password: [masked: password]\n", "password: [masked: password]\n"),
    ] {
        assert_eq!(masked(text), out, "{text:?}");
    }
}

fn pem(kind: &str, newline: &str, prefix: &str) -> String {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let mut text = format!("{prefix}-----BEGIN {kind}-----{newline}");
    for _ in 0..5 {
        text += &format!("{prefix}{line}{newline}");
    }
    text + &format!("{prefix}abC=={newline}{prefix}-----END {kind}-----")
}

#[test]
fn blocks_of_keys_are_masked_however_they_are_written() {
    for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
        assert_eq!(masked(&format!("a\n{}\nb\n", pem(kind, "\n", ""))), "a\n[masked: private key]\nb\n");
    }
    assert_eq!(masked(&format!("{}\r\nb", pem("EC PRIVATE KEY", "\r\n", ""))), "[masked: private key]\r\nb");
    assert_eq!(masked(&format!("a: |\n{}\nb: 1\n", pem("EC PRIVATE KEY", "\n", "    "))), "a: |\n    [masked: private key]\nb: 1\n");
    assert_eq!(masked(&format!("{}\n", pem("PRIVATE KEY", "\n", "Nov 24 host app[1]: "))), "Nov 24 host app[1]: [masked: private key]\n");
    assert_eq!(
        masked(&format!("{{\"k\":\"{}\\n\",\"n\":1}}", pem("PRIVATE KEY", "\\n", ""))),
        "{\"k\":\"[masked: private key]\\n\",\"n\":1}"
    );
    assert_eq!(
        masked("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAgIAAAAmZGwt\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\nb"),
        "[masked: private key]\nb"
    );
    for before in ["TLS_KEY=", "TLS_PRIVATE_KEY=", "secret: ", "private_key: x ", "password='"] {
        let out = masked(&format!("{before}{}\nB=1\n", pem("PRIVATE KEY", "\n", "")));
        assert!(out.starts_with(before.trim_end_matches("x ")) && out.ends_with("]\nB=1\n"), "{out}");
    }
    let headers = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\nMIIE\n-----END RSA PRIVATE KEY-----\nb";
    assert_eq!(masked(headers), "[masked: private key]\nb");
}

#[test]
fn a_block_that_never_ends_does_not_hide_everything() {
    let begin = "-----BEGIN PRIVATE KEY-----\n";
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n";
    assert_eq!(masked(&format!("{begin}{key}{key}")), "[masked: private key]");
    let log = "ab: something else\n".repeat(10);
    assert_eq!(masked(&format!("{begin}{key}{log}")), format!("[masked: private key]{}", "ab: something else\n".repeat(6)));
    let endless = masked(&format!("{begin}{}", key.repeat(2000)));
    assert!(endless.len() > 60_000 && endless.len() < 2000 * key.len() - 60_000, "{}", endless.len());
}

/// Ordinary output, made up in the form of the programs.
const ORDINARY: &[&str] = &[
    "total 24\ndrwx------ 2 alice alice 4096 Nov  3 09:12 .ssh\n-rw-r--r-- 1 root root 1823 Jan 12 2024 passwd\n-rw-r----- 1 root shadow 900 Jan 12 2024 shadow\n",
    "Filesystem      Size  Used Avail Use% Mounted on\n/dev/nvme0n1p2  234G   87G  136G  39% /\ntmpfs            16G  1.2M   16G   1% /dev/shm\n",
    "    PID TTY          TIME CMD\nroot           1  0.0  0.1 168404 12900 ?        Ss   Nov01   0:11 /sbin/init splash\nbob 77 sshd: bob@pts/0 /usr/bin/ssh-agent -s\n",
    "Nov 24 10:12:01 web-1 sshd[811]: Accepted publickey for alice from 192.0.2.7 port 51122 ssh2: ED25519 SHA256:Uj0cVbnc3Ya4kbK0hTn1vJ9bWvS8Lwq0mBf2z1aQx9E\n\
     Nov 24 10:12:01 web-1 sshd[811]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)\n\
     Nov 24 10:12:09 web-1 sudo[9]: alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id\n\
     Nov 24 10:12:09 web-1 passwd[12]: pam_unix(passwd:chauthtok): password changed for bob\n\
     Nov 24 10:13:00 web-1 sshd[812]: Failed password for invalid user admin from 192.0.2.9 port 4711 ssh2\n",
    "alice@192.0.2.7's password: \n[sudo] password for alice: \npasswd: password updated successfully\nNew password: \n",
    "passwd:         files systemd\ngroup:          files systemd\nshadow:         files\nhosts:          files dns\n",
    "Last password change\t\t\t\t: Jan 12, 2024\nPassword expires\t\t\t\t\t: never\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMm8h0Yk2c3lHq9d2m0Jt8v5rXwQp4bNf7sZ1uEaVgKc alice@laptop\n",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b\nAuthor: A <a@example.org>\nsha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    "2: eth0: <BROADCAST> mtu 1500\n    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff\n    inet6 2001:db8:1234:5678:9abc:def0:1234:5678/64\nfe80:1234:5678:9abc:def0:1:2:3\n",
    "LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=811,fd=3))\ntcp 0 0 127.0.0.1:5432 127.0.0.1:41234 ESTABLISHED\n",
    "src/main.rs:1234:    let token = next(token);\nerror[E0308]: mismatched types --> src/lib.rs:12:5\n",
    "PATH=/usr/bin:/bin\nHOME=/root\nOLDPWD=/tmp\nSSH_AUTH_SOCK=/run/user/1000/agent\nXDG_SESSION_ID=3\n",
    "curl: (7) Failed to connect to http://localhost:8080/health port 8080\nGET https://host.example/a?b=c HTTP/1.1\n",
    "root:x:0:0:root:/root:/bin/bash\nsshd:!:19000::::::\n",
    "Password:",
    "login:",
    "$ ",
    "mysql> ",
    ">>> ",
    "% -",
    "a --",
    "eyJ",
    "id",
    "",
];

#[test]
fn ordinary_output_passes_untouched() {
    for text in ORDINARY {
        // The one line that assigns something called a token says so in code, which no rule can tell from a secret.
        let assigned = text.contains("let token = ");
        if !assigned {
            assert_eq!(masked(text), **text);
        }
    }
    // Base64 of noise, in lines and in one.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: String = (0..400_000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(state >> 58) as usize])
        })
        .collect();
    assert_eq!(masked(&noise), noise);
    let lines: Vec<&str> = noise.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).unwrap()).collect();
    assert_eq!(masked(&lines.join("\n")), lines.join("\n"));
}

#[test]
fn a_prompt_is_not_held() {
    for prompt in [
        "Password: ",
        "Password:",
        "alice@host's password: ",
        "Username:",
        "login: ",
        "host$ ",
        "Continue? [Y/n] ",
        "mysql> ",
        "https://u",
        "x=",
        "secret",
    ] {
        let (mut masker, mut out) = (Masker::new(), Vec::new());
        masker.feed(prompt.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), prompt);
    }
}

#[test]
fn counts_say_what_was_masked() {
    let (mut masker, mut out) = (Masker::new(), Vec::new());
    masker.feed(b"password=a password=b\nsecret=c\n", &mut out);
    masker.finish(&mut out);
    assert_eq!(masker.counts().collect::<Vec<_>>(), [("password", 2), ("secret", 1)]);
}

#[test]
fn what_is_held_is_not_printed() {
    let mut masker = Masker::new();
    masker.feed(concat!("gh", "p_abcdef").as_bytes(), &mut Vec::new());
    assert_eq!(format!("{masker:?}"), "Masker { held: 10, .. }");
}

#[test]
fn it_takes_time_in_proportion() {
    for part in
        ["eyJ", "eyJa.", "a://b:", "password=", "-----BEGIN ", "$6$", "login x password ", "a:1234:b:", "ghp_", "machine ", "'", "://:"]
    {
        let text = part.repeat((1 << 20) / part.len());
        let out = masked(&text);
        assert!(out.len() <= text.len() * 4);
    }
}

/// Texts of which many begin like secrets.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let whole = proptest::sample::select(RULES.iter().map(|r| r.example.as_bytes().to_vec()).collect::<Vec<_>>());
    let half = proptest::sample::select(RULES.iter().flat_map(|r| [r.example, r.passes]).collect::<Vec<_>>())
        .prop_flat_map(|text| (0..text.len()).prop_map(move |end| text.as_bytes()[..end].to_vec()));
    let sign =
        proptest::sample::select(vec![" ", "\n", "=", ":", "\"", "'", "@", "-----", "\\", "password", "<", "a", "://", "\r\n", "]", "$"])
            .prop_map(|s| s.as_bytes().to_vec());
    let key = proptest::sample::select(vec![pem("PRIVATE KEY", "\n", ""), pem("PRIVATE KEY", "\\n", "")]).prop_map(String::into_bytes);
    let part = prop_oneof![2 => whole, 4 => half, 6 => sign, 1 => key, 1 => proptest::collection::vec(any::<u8>(), 0..20)];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn chunks_do_not_matter(text in nasty(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6)) {
        let whole = masked_in(&[&text]);
        let each: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&masked_in(&each), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(&masked_in(&parts), &whole);
    }

    #[test]
    fn little_is_held(text in nasty()) {
        let (mut masker, mut out) = (Masker::new(), Vec::new());
        for b in &text {
            masker.feed(&[*b], &mut out);
            prop_assert!(masker.held.len() <= HELD_MAX && masker.held.capacity() == HELD_MAX);
        }
    }

    #[test]
    fn a_key_never_gets_out(before in nasty(), after in nasty()) {
        let key = pem("OPENSSH PRIVATE KEY", "\n", "");
        let text = [&before[..], b"\n", key.as_bytes(), b"\n", &after].concat();
        let out = masked_in(&[&text]);
        prop_assert!(!out.contains("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"), "{:?}\n{:?}", String::from_utf8_lossy(&text), out);
    }
}
