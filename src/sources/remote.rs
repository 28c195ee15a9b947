//! HashiCorp Vault and OpenBao, by their documented HTTP API: sign in, read a key-value secret, have a certificate signed, sign out.
//! Never keeps a token from one use to the next, and never follows where an answer points.

use std::path::PathBuf;

use hyper::Method;
use zeroize::Zeroizing;

use super::error::{Step, Why};
use super::http::{Address, Answer, Ask, CaFile, Line};
use super::{file, json};
use crate::model::{Fetched, Login, Reference};

/// How long a certificate is asked for: the sign-in comes at once.
const CERTIFICATE: &str = "300";

/// How the broker signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// With a token that somebody else keeps valid: an operator, or the vault's own agent.
    Token {
        /// Its file.
        file: PathBuf,
    },
    /// With a role id and a secret id, anew for each use; the token is revoked after it.
    AppRole {
        /// The role id: no secret.
        role_id: String,
        /// The file of the secret id.
        secret_id: PathBuf,
        /// Where the method is mounted.
        mount: String,
    },
}

/// A vault, as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it is.
    pub address: Address,
    /// The certificate authority that it is believed by; else the system's.
    pub ca_file: CaFile,
    /// The namespace of every request.
    pub namespace: Option<String>,
    /// How the broker signs in.
    pub ticket: Ticket,
    /// The version of the key-value engine: 1 or 2.
    pub kv: u8,
    /// Where the key-value engine is mounted.
    pub mount: String,
    /// Where the SSH engine is mounted.
    pub ssh_mount: String,
}

/// A failure with the step at which it came.
pub(super) type Failed = (Step, Why);

/// How far a use has come, for whoever ends it because of its time.
#[derive(Debug)]
pub(super) struct Progress(std::sync::Mutex<Step>);

impl Progress {
    pub(super) fn new(step: Step) -> Self {
        Self(std::sync::Mutex::new(step))
    }

    fn reach(&self, step: Step) {
        if let Ok(mut held) = self.0.lock() {
            *held = step;
        }
    }

    pub(super) fn step(&self) -> Step {
        self.0.lock().map_or(Step::Connect, |step| *step)
    }
}

/// A connection that is signed in.
struct Visit<'a> {
    line: Line,
    remote: &'a Remote,
    token: Zeroizing<Vec<u8>>,
}

impl Remote {
    /// Reads one secret.
    pub(super) async fn read(&self, reference: &Reference, what: Fetched, at: &Progress) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let mut visit = self.visit(at).await?;
        at.reach(Step::Read);
        let read = visit.read(reference, what).await;
        visit.leave().await;
        read.map_err(|why| (Step::Read, why))
    }

    /// Has a user certificate signed for `public_key` and the account `login`.
    pub(super) async fn sign(
        &self,
        role: &Reference,
        public_key: &str,
        login: &Login,
        at: &Progress,
    ) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let mut visit = self.visit(at).await?;
        at.reach(Step::Sign);
        let signed = visit.sign(role, public_key, login).await;
        visit.leave().await;
        signed.map_err(|why| (Step::Sign, why))
    }

    /// Signs in, has the token looked at, and leaves.
    pub(super) async fn greet(&self, at: &Progress) -> Result<(), Failed> {
        let mut visit = self.visit(at).await?;
        let looked = visit.ask(Method::GET, "/v1/auth/token/lookup-self", None).await.and_then(|answer| expect_ok(&answer));
        visit.leave().await;
        looked.map_err(|why| (Step::SignIn, why))
    }

    async fn visit(&self, at: &Progress) -> Result<Visit<'_>, Failed> {
        // What is shown is read first: without it nobody has to be reached.
        let held = match &self.ticket {
            Ticket::Token { file } | Ticket::AppRole { secret_id: file, .. } => file::line(file).map_err(|why| (Step::Ticket, why))?,
        };
        let line = Line::open(&self.address, self.ca_file.as_deref()).await.map_err(|why| (Step::Connect, why))?;
        at.reach(Step::SignIn);
        let mut visit = Visit { line, remote: self, token: held };
        if let Ticket::AppRole { role_id, mount, .. } = &self.ticket {
            visit.sign_in(role_id, mount).await.map_err(|why| (Step::SignIn, why))?;
        }
        Ok(visit)
    }
}

impl Visit<'_> {
    async fn ask(&mut self, method: Method, path: &str, body: Option<Zeroizing<Vec<u8>>>) -> Result<Answer, Why> {
        let namespace = self.remote.namespace.as_deref();
        self.line.ask(Ask { method, path, namespace, token: Some(&self.token), body }).await
    }

    /// Shows role id and secret id, and keeps the token in the secret id's place.
    async fn sign_in(&mut self, role_id: &str, mount: &str) -> Result<(), Why> {
        let parts: [&[u8]; 5] = [b"{\"role_id\":\"", role_id.as_bytes(), b"\",\"secret_id\":\"", &self.token, b"\"}"];
        let mut body = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| body.extend_from_slice(part));
        let path = format!("/v1/auth/{mount}/login");
        let ask = Ask { method: Method::POST, path: &path, namespace: self.remote.namespace.as_deref(), token: None, body: Some(body) };
        let answer = self.line.ask(ask).await?;
        if answer.status == 400 {
            return Err(Why::WrongTicket);
        }
        expect_ok(&answer)?;
        self.token = text(&answer, &["auth", "client_token"])?;
        Ok(())
    }

    async fn read(&mut self, reference: &Reference, what: Fetched) -> Result<Zeroizing<Vec<u8>>, Why> {
        let (mount, place) = (&self.remote.mount, &reference.path);
        let path = if self.remote.kv == 1 { format!("/v1/{mount}/{place}") } else { format!("/v1/{mount}/data/{place}") };
        let answer = self.ask(Method::GET, &path, None).await?;
        expect_ok(&answer)?;
        let field = match (&reference.field, what) {
            (Some(field), _) => field.as_str(),
            (None, Fetched::Key) => "private_key",
            (None, _) => "password",
        };
        if self.remote.kv == 1 { text(&answer, &["data", field]) } else { text(&answer, &["data", "data", field]) }
    }

    async fn sign(&mut self, role: &Reference, public_key: &str, login: &Login) -> Result<Zeroizing<Vec<u8>>, Why> {
        if login.as_str().contains(',') {
            // The vault would read it as a list of accounts.
            return Err(Why::Unfit("the account has a comma: no certificate is asked for"));
        }
        let request =
            serde_json::json!({ "public_key": public_key, "valid_principals": login.as_str(), "cert_type": "user", "ttl": CERTIFICATE });
        let path = format!("/v1/{}/sign/{}", self.remote.ssh_mount, role.path);
        let answer = self.ask(Method::POST, &path, Some(Zeroizing::new(request.to_string().into_bytes()))).await?;
        expect_ok(&answer)?;
        text(&answer, &["data", "signed_key"])
    }

    /// Revokes the token that was made for this use. It ends by itself, too, so a vault that does not do it delays nobody's work.
    async fn leave(mut self) {
        if matches!(self.remote.ticket, Ticket::AppRole { .. }) {
            let _ = self.ask(Method::POST, "/v1/auth/token/revoke-self", None).await;
        }
    }
}

fn expect_ok(answer: &Answer) -> Result<(), Why> {
    Err(match answer.status {
        200 => return Ok(()),
        status @ 300..=399 => Why::Redirect(status),
        403 => Why::Denied,
        404 => Why::NotFound,
        429 => Why::Throttled,
        503 => Why::Sealed,
        status => Why::Status(status),
    })
}

fn text(answer: &Answer, path: &[&str]) -> Result<Zeroizing<Vec<u8>>, Why> {
    let found = json::text(&answer.body, path).map_err(|fault| match fault {
        json::Fault::NotJson => Why::NotJson,
        json::Fault::Missing => Why::MissingField,
        json::Fault::NotText => Why::NotText,
    })?;
    if found.is_empty() { Err(Why::Empty) } else { Ok(found) }
}
