//! Hosts that speak only old algorithms, and addresses of the other family: what is opened for one host is open for that one alone.

use std::path::Path;

use serde_json::Value;

use crate::credentials::refused;
use crate::world::keys::Key;
use crate::world::process::{Process, command};
use crate::world::{Scene, Sshd, Way, run};

const OLD: &str = "diffie-hellman-group14-sha1,ssh-rsa,aes128-cbc,hmac-sha1";

/// A server as an appliance of 2010 has it.
fn appliance(place: &Path, key: &Key, lines: &str) -> Sshd {
    let rsa = Key::make(place.join("rsa"), &["-t", "rsa", "-b", "2048"], "");
    let lines = format!(
        "HostKeyAlgorithms ssh-rsa\n{lines}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
         PubkeyAcceptedAlgorithms +ssh-rsa\nRequiredRSASize 1024\n"
    );
    Sshd::with_host_key(place, &[key], &lines, rsa)
}

fn ask(scene: &Scene, host: &str) -> crate::world::Outcome {
    run(scene.alice.ssh(&["-l", host, "through", "echo in"]), "")
}

#[test]
fn an_old_host_is_refused_by_name_until_an_admin_opens_what_it_needs() {
    let scene = Scene::new();
    let lines = "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1";
    let old = appliance(&scene.place("old"), &scene.deploy, lines);
    scene.add_host("old-1", &old, "deploy");
    scene.add_host("old-2", &old, "deploy");
    scene.grant("alice", "old-*");

    let errors = refused(&ask(&scene, "old-1"));
    for word in ["diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "hmac-sha1"] {
        assert!(errors.contains(word), "{word} is not named: {errors}");
    }
    assert!(errors.contains(&format!("host edit old-1 --legacy {OLD}")), "the verb can be pasted: {errors}");
    assert_eq!(scene.broker.sessions()[0]["end_reason"], "unreachable");

    let errors = scene.broker.refuses(&["host", "edit", "old-1", "--legacy", "ssh-rsa,ssh-dss"]);
    assert!(errors.contains("`ssh-dss`") && errors.contains("aes128-cbc"), "{errors}");
    scene.broker.does(&["host", "edit", "old-1", "--legacy", OLD]);
    assert_eq!(ask(&scene, "old-1").ok().text(), "in\n");
    refused(&ask(&scene, "old-2"));

    // It is seen wherever the host is, and what was spoken is on record.
    assert_eq!(scene.broker.json(&["host", "show", "old-1"])["legacy"].as_array().map(Vec::len), Some(4));
    assert!(scene.broker.does(&["host", "list"]).contains("(legacy)"));
    assert_eq!(scene.broker.json(&["grant", "explain", "alice", "old-1"])["legacy"][0], "diffie-hellman-group14-sha1");
    let audit = scene.broker.audit();
    let find = |name: &str| audit.iter().rfind(|e| e["event"] == name && e["host"] == "old-1").unwrap();
    assert_eq!(find("host.edited")["detail"]["legacy"], OLD);
    assert_eq!(find("session.signed_in")["detail"]["algorithms"], OLD.replace(',', " "));
    let session = scene.broker.sessions().into_iter().find(|s| s["exit_status"] == 0).unwrap();
    assert_eq!(session["legacy"][0], "diffie-hellman-group14-sha1");

    // A host that has better is spoken to with better, whatever is open.
    scene.broker.does(&["host", "edit", "web-1", "--legacy", OLD]);
    scene.alice.exec(Way::Through, "true").ok();
    let audit = scene.broker.audit();
    let best = audit.iter().rfind(|e| e["event"] == "session.signed_in" && e["host"] == "web-1").unwrap();
    let spoken = best["detail"]["algorithms"].as_str().unwrap();
    assert!(spoken.contains("ssh-ed25519 aes128-gcm@openssh.com") && !OLD.split(',').any(|o| spoken.contains(o)), "{spoken}");

    scene.broker.does(&["host", "edit", "old-1", "--legacy", "none"]);
    refused(&ask(&scene, "old-1"));
}

#[test]
fn each_old_cipher_and_exchange_carries_a_session() {
    let scene = Scene::new();
    let each = [
        ("diffie-hellman-group1-sha1", "3des-cbc", "hmac-sha1"),
        ("diffie-hellman-group-exchange-sha1", "aes256-cbc", "hmac-sha1-etm@openssh.com"),
        ("diffie-hellman-group14-sha1", "aes192-cbc", "hmac-sha1"),
    ];
    for (at, (kex, cipher, mac)) in each.into_iter().enumerate() {
        let name = format!("old-{at}");
        let old = appliance(&scene.place(&name), &scene.deploy, &format!("KexAlgorithms {kex}\nCiphers {cipher}\nMACs {mac}"));
        scene.broker.does(&["host", "add", &name, &old.address(), "--credential", "deploy", "--legacy", "ssh-rsa"]);
        scene.grant("alice", &name);
        // Its key is asked for with what is open for it, too.
        let shown = scene.broker.refuses(&["host", "trust", &name, "--fingerprint", &old.host_key.fingerprint]);
        assert!(shown.contains(kex), "{shown}");
        scene.broker.does(&["host", "edit", &name, "--legacy", &format!("ssh-rsa,{kex},{cipher},{mac}")]);
        scene.broker.does(&["host", "trust", &name, "--fingerprint", &old.host_key.fingerprint]);
        let sent = crate::world::noise(2_000_000);
        let mut ssh = scene.alice.ssh(&["-l", &name, "through", "cat"]);
        ssh.stdin(std::process::Stdio::piped());
        assert_eq!(run(ssh, sent.clone()).ok().stdout, sent, "{kex} {cipher} {mac}");
    }
}

#[test]
fn hosts_and_the_broker_are_reached_over_ipv6() {
    let mut scene = Scene::at("ListenAddress ::1\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n");
    let six = format!("[::1]:{}", scene.host.port);
    scene.broker.does(&["host", "edit", "web-1", "--address", &six]);
    scene.alice.exec(Way::Through, "true").ok();
    let peer = |scene: &Scene| {
        let audit = scene.broker.audit();
        audit.iter().rfind(|e| e["event"] == "session.signed_in").unwrap()["detail"]["peer"].clone()
    };
    assert_eq!(peer(&scene), Value::from(six));
    // A name is looked up when it is dialled; the address that was taken is on record.
    scene.broker.does(&["host", "edit", "web-1", "--address", &format!("localhost:{}", scene.host.port)]);
    scene.alice.exec(Way::Through, "true").ok();
    let taken = peer(&scene);
    assert!(["127.0.0.1", "[::1]"].iter().any(|a| taken == format!("{a}:{}", scene.host.port)), "{taken}");

    // The broker itself, on IPv6 alone and on both.
    scene.broker.stop();
    for (listen, addresses) in [("[::1]:0", &["::1"][..]), ("[::]:0", &["::1", "127.0.0.1"])] {
        let mut serve = scene.broker.command(&[]);
        serve.args(["serve", "--config"]).arg(scene.broker.config()).args(["--listen", listen]);
        serve.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let mut process = Process::start(serve);
        let ready = process.lines().next().expect("the broker is ready");
        let port = ready.split(' ').nth(2).and_then(|a| a.rsplit(':').next()).expect("a port").to_owned();
        for address in addresses {
            let mut ssh = command("ssh");
            ssh.args(["-F", "none", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
            ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", &port, "-l", "web-1", "-i"]);
            ssh.arg(&scene.alice.key.path).args([address, "echo in"]);
            assert_eq!(run(ssh, "").ok().text(), "in\n", "{listen} at {address}");
        }
        process.signal(rustix::process::Signal::TERM);
        process.wait();
    }
}
