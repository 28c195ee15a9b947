//! What a stock client gets to see.

use super::*;
use crate::control::Door;
use crate::control::tests::{World, id_of, world};

async fn says(w: &World, who: &str, words: &str, stdin: &[u8], terminal: bool) -> (u32, String, String) {
    let caller = Caller { user: id_of(who), key: None, door: Door::Ssh, client: None, workspace: "default".parse().unwrap() };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let screen = Screen { terminal, calling: w.desk.over_ssh(&who.parse().unwrap()), ..Screen::default() };
    let exit = run(&w.desk, caller, words.as_bytes(), stdin, &mut out, &mut err, screen).await;
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn the_same_verbs_and_the_same_words() {
    let w = world().await;
    let (exit, out, err) = says(&w, "olga", "host add web-1 192.0.2.7 --tag env=prod", b"", false).await;
    assert_eq!((exit, out.as_str()), (0, ""), "{err}");
    assert!(err.starts_with("host web-1 added\nnote: no host key is pinned"), "{err}");
    assert!(err.contains(": ssh -p 2222 olga@BROKER host trust web-1\n") && !err.contains("keyward "), "{err}");
    let (exit, out, _) = says(&w, "olga", "host list --json", b"", false).await;
    assert_eq!((exit, serde_json::from_str::<serde_json::Value>(&out).unwrap()[0]["name"].as_str()), (0, Some("web-1")));
    let (exit, out, err) = says(&w, "mo", "host show web-1", b"", false).await;
    assert_eq!((exit, out.as_str()), (1, ""));
    assert_eq!(err, "error: there is no host `web-1`\nhint: see what there is: ssh -p 2222 mo@BROKER host list\n");
    let (exit, _, err) = says(&w, "mo", "host frobnicate", b"", false).await;
    assert_eq!(exit, 2);
    assert!(err.starts_with("error: ") && err.contains("\nhint: ssh -p 2222 mo@BROKER host --help"), "{err}");
    let (exit, out, _) = says(&w, "olga", "--help", b"", false).await;
    assert!(exit == 0 && out.contains("credential"));
}

#[tokio::test]
async fn verbs_and_files_of_the_machine_are_out_of_reach() {
    let w = world().await;
    for words in
        ["serve", "completions bash", "user key add mo /etc/passwd", "credential add x --username u --key /etc/shadow", "host list 'x"]
    {
        let (exit, out, err) = says(&w, "olga", words, b"", false).await;
        assert_eq!((exit, out.as_str()), (2, ""), "{words}");
        assert!(err.contains("error: ") && err.contains("hint: "), "{words}: {err}");
    }
}

#[tokio::test]
async fn secrets_come_on_standard_input_or_are_asked_for() {
    let w = world().await;
    let (exit, _, err) = says(&w, "mo", "credential add a --username mo --password", b"hunter2\n", false).await;
    assert_eq!(exit, 0, "{err}");
    let (exit, seen, _) = says(&w, "mo", "credential add b --username mo --password", b"hunter2\rhunter2\r", true).await;
    assert_eq!(exit, 0, "{seen}");
    assert!(
        seen.starts_with("password of b: \r\npassword of b, again: \r\npersonal credential b added\r\n") && !seen.contains("hunter2"),
        "{seen}"
    );
    let (exit, seen, _) = says(&w, "mo", "credential add c --username mo --password", b"hunter2\rhunter3\r", true).await;
    assert!(exit == 1 && seen.contains("not the same"), "{seen}");
    let (exit, ..) = says(&w, "mo", "credential show c", b"", false).await;
    assert_eq!(exit, 1);
    let (exit, out, _) = says(&w, "otto", "audit export", b"", false).await;
    assert!(exit == 0 && out.lines().count() >= 3 && !out.contains("hunter2"));
}

#[tokio::test]
async fn who_asks_for_nothing_sees_the_hosts_that_are_granted() {
    let w = world().await;
    assert!(says(&w, "mo", "", b"", false).await.1.contains("No host is granted to you yet"));
    says(&w, "olga", "host add web-1 192.0.2.7", b"", false).await;
    says(&w, "olga", "grant add --to mo --hosts web-1 --allow shell", b"", false).await;
    let (exit, out, _) = says(&w, "mo", "  ", b"", false).await;
    assert_eq!(
        (exit, out.as_str()),
        (0, "Hello mo. You may use:\n  web-1\nConnect: ssh -p 2222 web-1@BROKER     Verbs: ssh -p 2222 mo@BROKER --help\n")
    );
}
