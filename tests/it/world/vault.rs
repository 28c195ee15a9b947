//! Somebody else's vault: a server that speaks the API of HashiCorp Vault and OpenBao over TLS, with an authority of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::keys::Key;
use super::process::{Lines, Process, command, run};
use super::{nonce, peer_script, python, tool};

/// A running vault.
#[derive(Debug)]
pub(crate) struct Vault {
    process: Option<Process>,
    lines: Option<Lines>,
    dir: PathBuf,
    port: u16,
    /// What it holds; written with [`Vault::store`].
    pub(crate) state: Value,
    /// The token that a token file holds.
    pub(crate) token: String,
    /// The secret id that a file holds.
    pub(crate) secret_id: String,
    /// The authority that signs certificates of people.
    pub(crate) ca: Key,
}

impl Vault {
    /// Starts one that holds nothing.
    #[track_caller]
    pub(crate) fn start(dir: &Path) -> Self {
        certificates(dir);
        let (token, secret_id) = (format!("hvs.{}", nonce(40)), nonce(40));
        private(&dir.join("token"), &token);
        private(&dir.join("secret-id"), &format!("{secret_id}\n"));
        let ca = Key::new(dir.join("ssh-ca"));
        let state = json!({
            "token": token, "approle": { "role_id": "role-1", "secret_id": secret_id }, "namespace": "team", "data": {},
            "ssh_ca": ca.path, "roles": {}, "mode": null,
        });
        let mut vault = Self { process: None, lines: None, dir: dir.to_owned(), port: 0, state, token, secret_id, ca };
        vault.store();
        vault.serve();
        vault
    }

    /// Starts it again on the port that it had.
    #[track_caller]
    pub(crate) fn serve(&mut self) {
        let mut server = command(python());
        server.arg(peer_script("vault.py")).args([&self.dir, &self.dir.join("tls.pem"), &self.dir.join("tls.key")]);
        server.arg(self.port.to_string()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process::start(server);
        let lines = process.lines();
        let ready = lines.next().expect("the vault ended before it was ready");
        self.port = ready.strip_prefix("ready ").and_then(|port| port.parse().ok()).expect("a port");
        (self.process, self.lines) = (Some(process), Some(lines));
    }

    /// It is down.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Holds from now on what stands in `state`.
    pub(crate) fn store(&self) {
        let new = self.dir.join("state.new");
        std::fs::write(&new, self.state.to_string()).expect("the vault's state");
        std::fs::rename(new, self.dir.join("state.json")).expect("the vault's state");
    }

    /// Holds `fields` at `path` from now on.
    pub(crate) fn put(&mut self, path: &str, fields: Value) {
        self.state["data"][path] = fields;
        self.store();
    }

    /// Behaves like this from now on.
    pub(crate) fn mode(&mut self, mode: Option<&str>) {
        self.state["mode"] = mode.map_or(Value::Null, Value::from);
        self.store();
    }

    /// The paths that it was asked for, so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("requests.jsonl")).unwrap_or_default();
        let path = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["path"].as_str().expect("a path").to_owned();
        text.lines().map(path).collect()
    }

    /// How often it was asked for this path.
    pub(crate) fn asked_for(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == path).count()
    }

    /// The configuration of a source with this name, with further lines.
    pub(crate) fn source(&self, name: &str, auth: &str, lines: &str) -> String {
        let dir = self.dir.display();
        let ticket = match auth {
            "token" => format!("token_file = \"{dir}/token\""),
            _ => format!("role_id = \"role-1\"\nsecret_id_file = \"{dir}/secret-id\""),
        };
        format!(
            "[sources.{name}]\ntype = \"vault\"\naddress = \"https://127.0.0.1:{}\"\nca_file = \"{dir}/ca.pem\"\nnamespace = \"team\"\n\
             auth = \"{auth}\"\n{ticket}\n{lines}\n",
            self.port
        )
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Writes a file that nobody else can read.
pub(crate) fn private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a private file");
    super::open_to_all(path, 0o600);
}

/// An authority, and a certificate of it for 127.0.0.1.
fn certificates(dir: &Path) {
    let openssl = |words: &str| {
        let mut openssl = command(tool("/usr/bin/openssl"));
        openssl.args(words.split(' ')).current_dir(dir);
        run(openssl, "").ok();
    };
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n").expect("a file");
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority -addext keyUsage=critical,keyCertSign",
    );
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj /CN=vault");
    openssl("x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tls.pem -days 2 -extfile san");
}
