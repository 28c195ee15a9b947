//! People sign in with user certificates of OpenSSH: stock `ssh` and `ssh-keygen` on one side, authorities that the owner added on the
//! other. What a certificate limits is not there, what it does not say opens nothing, and every refusal looks the same to the client.

use std::path::PathBuf;
use std::process::Command;

use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::{Outcome, Scene, run};

/// The usual scene, an authority, and a key that the broker does not know.
struct Office {
    ca: Key,
    laptop: Key,
    scene: Scene,
}

/// What everybody reads whom no key and no certificate signs in.
const REFUSED: &str = "Permission denied (publickey)";

impl Office {
    /// The authority is trusted as `office`, with these flags.
    fn new(flags: &[&str]) -> Self {
        let scene = Scene::with(Settings::default());
        let ca = Key::new(scene.dir().join("user_ca"));
        let laptop = Key::new(scene.dir().join("laptop"));
        let this = Self { ca, laptop, scene };
        let file = this.ca.public_file().display().to_string();
        let mut words = vec!["user-ca", "add", "office", file.as_str()];
        words.extend(flags);
        this.scene.broker.does(&words);
        this
    }

    /// A certificate over the laptop's key, made by `ca` with these words of ssh-keygen.
    fn certifies(&self, ca: &Key, words: &[&str]) -> PathBuf {
        let public = self.laptop.public_file();
        let made = public.with_file_name("laptop-cert.pub");
        let _ = std::fs::remove_file(&made);
        let mut keygen = Command::new("ssh-keygen");
        keygen.arg("-q").arg("-s").arg(&ca.path).args(words).arg(&public);
        run(keygen, "").ok();
        made
    }

    fn certificate(&self, words: &[&str]) -> PathBuf {
        self.certifies(&self.ca, &[&["-I", "alice@laptop", "-z", "17"], words].concat())
    }

    /// `ssh` with the laptop's key and this certificate alone.
    fn ssh(&self, certificate: &std::path::Path, towards: &str, words: &[&str]) -> Outcome {
        let identity = format!("IdentityFile={}", self.laptop.path.display());
        let file = format!("CertificateFile={}", certificate.display());
        let base = ["-o", "IdentitiesOnly=yes", "-o", &identity, "-o", &file, "-l", towards];
        let config = std::fs::read_to_string(self.scene.alice.config()).expect("the client's configuration");
        // Without the key that the broker knows.
        let own = self.scene.dir().join("config-without-keys");
        let kept: String =
            config.lines().filter(|l| !l.trim().to_lowercase().starts_with("identityfile")).map(|l| format!("{l}\n")).collect();
        std::fs::write(&own, kept).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&own).args(base).args(words).env_remove("SSH_AUTH_SOCK");
        run(ssh, "")
    }

    #[track_caller]
    fn works(&self, certificate: &std::path::Path) {
        let outcome = self.ssh(certificate, "web-1", &["through", "id -un"]);
        assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{outcome:?}\n{}", self.scene.broker.log());
    }

    /// Refused at the sign-in, with the words that everybody gets; the reason stands in the audit log.
    #[track_caller]
    fn fails(&self, certificate: &std::path::Path, towards: &str, why: &str) {
        let outcome = self.ssh(certificate, towards, &["through", "id -un"]);
        assert_eq!(outcome.status, Some(255), "{outcome:?}");
        assert!(outcome.errors().contains(REFUSED), "{outcome:?}");
        let refused: Vec<String> = self
            .scene
            .broker
            .audit()
            .into_iter()
            .filter(|e| e["event"] == "signin.refused")
            .map(|e| e["reason"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert!(refused.iter().any(|r| r.contains(why)), "{why}: {refused:?}");
    }
}

#[test]
fn a_certificate_of_a_trusted_authority_signs_its_person_in() {
    let office = Office::new(&[]);
    office.works(&office.certificate(&["-n", "alice", "-V", "+10m"]));
    let accepted = office.scene.broker.audit().into_iter().rfind(|e| e["event"] == "signin.accepted").expect("it is in the log");
    assert_eq!((accepted["actor"].as_str(), accepted["detail"]["key_id"].as_str()), (Some("alice"), Some("alice@laptop")));
    assert_eq!(accepted["detail"]["principal"], "alice");
    assert!(accepted["detail"]["ca"].as_str().is_some_and(|ca| ca.starts_with("SHA256:")), "{accepted}");
    // Verbs, too; but no way in that outlives it.
    let certificate = office.certificate(&["-n", "alice,bob", "-V", "+10m"]);
    let shown = office.ssh(&certificate, "alice", &["through", "host list"]).ok();
    assert!(shown.text().contains("web-1"), "{shown:?}");
    let key = std::fs::read_to_string(office.laptop.public_file()).unwrap();
    let added = office.ssh(&certificate, "alice", &["through", &format!("user key add alice '{}'", key.trim())]);
    assert_eq!(added.status, Some(1), "{added:?}");
    assert!(added.errors().contains("must not outlive it"), "{added:?}");
}

#[test]
fn what_is_not_vouched_for_is_refused_alike_and_recorded_apart() {
    let office = Office::new(&[]);
    let stranger = Key::new(office.scene.dir().join("stranger"));
    office.fails(&office.certifies(&stranger, &["-I", "x", "-n", "alice"]), "web-1", "is not trusted");
    office.fails(&office.certificate(&[]), "web-1", "has no principals");
    office.fails(&office.certificate(&["-n", "nobody"]), "web-1", "no principal of the certificate is a person");
    office.fails(&office.certificate(&["-n", "root"]), "web-1", "with the role owner");
    office.fails(&office.certificate(&["-n", "alice", "-V", "20200101:20200102"]), "web-1", "not valid at this time");
    office.fails(&office.certificate(&["-n", "alice", "-V", "+1d:+2d"]), "web-1", "not valid at this time");
    office.fails(&office.certificate(&["-n", "alice", "-O", "source-address=192.0.2.0/24"]), "web-1", "not good from this address");
    office.fails(&office.certificate(&["-n", "alice", "-O", "critical:new@example.org=x"]), "web-1", "`new@example.org`");
    office.fails(&office.certificate(&["-n", "alice"]), "bob+web-1", "no principal of the certificate is bob");
    office.fails(&office.certificate(&["-n", "alice", "-O", "force-command=id"]), "alice", "the console runs others");
    office.scene.broker.does(&["user", "disable", "alice"]);
    office.fails(&office.certificate(&["-n", "alice"]), "web-1", "the person is disabled");
    office.scene.broker.does(&["user", "enable", "alice"]);
    office.works(&office.certificate(&["-n", "alice", "-O", "source-address=127.0.0.0/8,::1/128"]));
}

#[test]
fn what_a_certificate_takes_away_no_grant_gives_back() {
    let office = Office::new(&[]);
    let forced = office.certificate(&["-n", "alice", "-O", "force-command=id -un"]);
    office.works(&forced);
    let other = office.ssh(&forced, "web-1", &["through", "uptime"]);
    assert_eq!(other.status, Some(255), "{other:?}");
    assert!(other.errors().contains("not among those granted"), "{other:?}");
    let bare = office.certificate(&["-n", "alice", "-O", "clear"]);
    office.works(&bare);
    let pty = office.ssh(&bare, "web-1", &["-tt", "through", "tty"]);
    assert!(pty.errors().contains("PTY allocation request failed"), "{pty:?}");
    assert!(!pty.text().contains("/dev/"), "{pty:?}");
    let opened: Vec<_> = office.scene.broker.audit().into_iter().filter(|e| e["event"] == "channel.opened").collect();
    assert!(!opened.is_empty() && opened.iter().all(|e| e["detail"]["pty"].is_null()), "a refused terminal is none: {opened:?}");
}

#[test]
fn whoever_keeps_personal_credentials_is_signed_in_by_their_own_keys_alone() {
    let office = Office::new(&[]);
    let certificate = office.certificate(&["-n", "alice"]);
    office.works(&certificate);
    let add = "credential add mine --username nobody --password --scope personal";
    office.scene.alice.verb("alice", add, "not for the authority").ok();
    office.fails(&certificate, "web-1", "keeps personal credentials");
    assert!(office.scene.alice.exec(crate::world::Way::Through, "id -un").ok().text().contains(NAME));
    office.scene.alice.verb("alice", "credential delete mine --yes", "").ok();
    office.works(&certificate);
}

#[test]
fn whom_a_certificate_signed_in_says_nothing_about_authorities() {
    let office = Office::new(&["--role", "admin"]);
    office.scene.broker.does(&["user", "add", "carol", "--role", "admin"]);
    let certificate = office.certificate(&["-n", "carol"]);
    let listed = office.ssh(&certificate, "carol", &["through", "user-ca list"]).ok();
    assert!(listed.text().contains("office"), "{listed:?}");
    let key = std::fs::read_to_string(Key::new(office.scene.dir().join("mine")).public_file()).unwrap();
    for words in
        [format!("user-ca add mine '{}'", key.trim()), "user-ca remove office".to_owned(), "user-ca revoke office --serial 1".to_owned()]
    {
        let refused = office.ssh(&certificate, "carol", &["through", &words]);
        assert_eq!(refused.status, Some(1), "{words}: {refused:?}");
        assert!(refused.errors().contains("must not outlive it"), "{words}: {refused:?}");
    }
    assert_eq!(office.scene.broker.json(&["user-ca", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn revoking_and_removing_count_at_once() {
    let office = Office::new(&[]);
    let certificate = office.certificate(&["-n", "alice"]);
    office.works(&certificate);
    office.scene.broker.does(&["user-ca", "revoke", "office", "--serial", "17"]);
    office.fails(&certificate, "web-1", "revoked (serial)");
    let shown = office.scene.broker.json(&["user-ca", "show", "office"]);
    assert_eq!((&shown["revoked"], &shown["revocations"][0]["what"]), (&1.into(), &"17".into()));
    let other = office.certifies(&office.ca, &["-I", "alice@desk", "-z", "18", "-n", "alice"]);
    office.works(&other);
    office.scene.broker.does(&["user-ca", "remove", "office"]);
    office.fails(&other, "web-1", "is not trusted");
}

#[test]
fn mappings_and_limits_say_who_is_meant() {
    let office = Office::new(&["--map", "a.smith@example.org=alice", "--only", "alice"]);
    office.works(&office.certificate(&["-n", "a.smith@example.org"]));
    office.fails(&office.certificate(&["-n", "alice"]), "web-1", "no principal of the certificate is a person");
    office.scene.broker.does(&["user", "add", "bob", "--role", "member"]);
    let file = Key::new(office.scene.dir().join("second")).public_file().display().to_string();
    office.scene.broker.does(&["user-ca", "add", "second", &file, "--only", "bob"]);
    let second = Key::of(&office.scene.dir().join("second"));
    office.fails(&office.certifies(&second, &["-I", "x", "-n", "alice"]), "web-1", "does not sign in this person");
}

#[test]
fn a_key_that_signs_for_hosts_or_signs_somebody_in_is_no_authority_for_people() {
    let scene = Scene::with(Settings::default());
    scene.broker.does(&["ca", "create", "--type", "ed25519"]);
    let line = scene.broker.does(&["ca", "public-key"]);
    let key = line.split_whitespace().skip_while(|w| !w.starts_with("ssh-")).take(2).collect::<Vec<_>>().join(" ");
    let said = scene.broker.refuses_with(&["user-ca", "add", "office", "-"], format!("{key}\n"));
    assert!(said.contains("signs certificates for hosts"), "{said}");
    let own = scene.alice.key.public_file().display().to_string();
    let said = scene.broker.refuses(&["user-ca", "add", "office", &own]);
    assert!(said.contains("signs in a person or an agent"), "{said}");
}
