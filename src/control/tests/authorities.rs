//! Who vouches for hosts and for people: what goes with it, and which keys are nobody else's.

use super::*;
use crate::control::Agreed;

const CA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBo4VSlaltztj9aIelsYDItQiUCj78a4za2I9xnIeSax";

#[tokio::test]
async fn a_host_that_leaves_its_authority_is_not_open_to_whoever_comes_first() {
    let w = world().await;
    let unpinned =
        |reply: &Reply| reply.notes.iter().any(|note| note.contains("no host key is pinned") && note.contains("host trust web-"));
    w.with("olga", "host-ca add corp x --hosts '*.example.org'", &[CA], None).await.unwrap();
    for host in ["web-1", "web-2", "web-3"] {
        let added = w.does("olga", &format!("host add {host} {host}.example.org --trust-first-use")).await;
        assert!(!unpinned(&added), "the authority vouches for it");
    }
    // To another name that it covers: nothing goes.
    let within = w.does("olga", "host edit web-1 --address other.example.org").await;
    assert!(!unpinned(&within) && w.json("olga", "host show web-1").await["trust_first_use"] == true);
    let away = w.does("olga", "host edit web-1 --address 192.0.2.7").await;
    let host = w.json("olga", "host show web-1").await;
    assert_eq!((&host["trust_first_use"], &host["host_keys"]), (&false.into(), &serde_json::json!([])));
    assert!(unpinned(&away), "{:?}", away.notes);
    // Whoever asks for it has it.
    let asked = w.does("olga", "host edit web-2 --address 192.0.2.8 --trust-first-use").await;
    assert!(!unpinned(&asked) && w.json("olga", "host show web-2").await["trust_first_use"] == true);
    // The other way to lose the last pin is the same rule.
    w.does("olga", "host-ca remove corp").await;
    assert_eq!(w.json("olga", "host show web-3").await["trust_first_use"], false);
    assert_eq!(w.json("olga", "host show web-2").await["trust_first_use"], true, "that one had none");
}

#[tokio::test]
async fn a_key_is_an_authoritys_or_somebodys_whichever_came_first() {
    let w = world().await;
    w.with("olga", "user-ca add office x", &[CA], None).await.unwrap();
    for (words, who) in [("user add lena --key x", "olga"), ("user key add mo x", "mo"), ("agent add helper --key x", "mo")] {
        let refused = w.with(who, words, &[CA], None).await.expect_err(words);
        assert_eq!(refused.kind(), Kind::Conflict, "{words}: {refused}");
        assert!(refused.to_string().contains("is that of the authority office, whose certificates sign people in"), "{words}: {refused}");
        assert!(refused.hint().unwrap().contains("ssh-keygen -t ed25519"), "{words}");
    }
    assert_eq!(w.may_not("olga", "user show lena").await.kind(), Kind::NotFound, "nothing was changed");
    assert_eq!(w.json("mo", "agent list").await, serde_json::json!([]));
    // The same authority again is told as that.
    let again = w.with("olga", "user-ca add second x", &[CA], None).await.unwrap_err();
    assert!(again.to_string().contains("as office"), "{again}");
    // The other order.
    w.does("olga", "user-ca remove office").await;
    for (words, who) in [("user key add mo x", "mo"), ("agent add helper --key x", "mo")] {
        w.with(who, words, &[CA], None).await.unwrap();
        let refused = w.with("olga", "user-ca add office x", &[CA], None).await.expect_err(words);
        assert!(refused.to_string().contains("signs in a person or an agent"), "{words}: {refused}");
        let key = w.json("mo", "user key list mo").await;
        if let Some(fingerprint) = key[0]["fingerprint"].as_str() {
            w.does("mo", &format!("user key remove mo {fingerprint}")).await;
        }
    }
}

#[tokio::test]
async fn an_import_says_how_many_personal_credentials_an_authority_took_along() {
    let w = world().await;
    w.with("olga", "host add web-1 web-1.example.org --host-key x", &[&format!("web-1 {ED}")], None).await.unwrap();
    w.does("olga", "grant add --to mo --hosts web-1 --allow exec").await;
    w.password("mo", "credential add mine --username mo --password").await;
    let import = async |text: String| -> Reply {
        let caller = Caller { user: id_of("olga"), key: None, door: Door::Ssh, client: None, workspace: name("default") };
        let (out, _in) = tokio::sync::mpsc::channel(1);
        let command = Command::ImportKnownHosts { text, add_hosts: false, agreed: Agreed::Everything };
        w.desk.handle(caller, command, Secrets::none(), &out).await.unwrap()
    };
    for line in [format!("@cert-authority *.example.org {CA}\n"), format!("@revoked *.example.org {CA}\n")] {
        w.does("mo", "credential attach mine --host web-1 --mine").await;
        let reply = import(line.clone()).await;
        assert!(reply.notes.iter().any(|note| note.starts_with("1 personal credential is attached no more")), "{line}: {:?}", reply.notes);
    }
    assert_eq!(w.json("olga", "host-ca list").await, serde_json::json!([]));
}

#[tokio::test]
async fn how_long_certificates_are_valid_is_changed_for_those_that_are_signed_from_then_on() {
    let w = world().await;
    w.does("olga", "ca create").await;
    w.does("olga", "credential add deploy --username deploy --certificate").await;
    w.password("olga", "credential add root --username root --password --scope workspace").await;
    assert_eq!(w.json("olga", "credential show deploy").await["validity_s"], 120);
    let edited = w.json("olga", "credential edit deploy --validity 5m --rename web").await;
    assert_eq!((&edited["name"], &edited["validity_s"]), (&"web".into(), &300.into()));
    assert_eq!(w.json("anna", "credential show web").await["validity_s"], 300);
    let entry = w.json("otto", "audit list --limit 1").await[0].clone();
    assert_eq!((&entry["event"], &entry["detail"]["changed"]), (&"credential.edited".into(), &"name,validity".into()), "{entry}");
    assert_eq!(entry["detail"]["validity_s"], 300);
    let before = w.json("olga", "credential show root").await;
    let refused = w.may_not("olga", "credential edit root --validity 60s --rename admin").await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("credential root is of the kind password"), "{refused}");
    assert_eq!(w.json("olga", "credential show root").await, before);
    assert_eq!(w.may_not("mo", "credential edit web --validity 60s").await.kind(), Kind::NotFound, "it is not theirs to see");
}
