//! Spends a lease: signs in once, wipes what it was given, and says how it came out. Besides `target/sudo.rs` the only
//! place outside the vault where a secret is exposed.

use std::sync::Arc;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse as Interactive};
use russh::keys::{Algorithm, HashAlg};
use russh::{MethodKind, MethodSet};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::announced::Announced;
use super::connection::Connection;
use super::dial::Dialed;
use super::error::{CERTIFICATE, Error};
use super::interactive::{MOST_PROMPTS, MOST_ROUNDS, Prompt, ask, asks_for_password};
use crate::secret::Secret;
use crate::vault::{Lease, Means, Signer};

impl Dialed {
    /// Signs in with the lease, once. What the host asks besides goes to `prompts`; a closed `prompts` means that
    /// nobody can be asked. However it ends – also if this future is dropped – nothing of the secret stays.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NoMethod`], [`Error::PromptUnanswered`], [`Error::TimedOut`], [`Error::Lost`].
    pub async fn login(mut self, lease: Lease, prompts: &mpsc::Sender<Prompt>) -> Result<Connection, Error> {
        let login = lease.login().as_str().to_owned();
        let method = match lease.into_means() {
            Means::Key(signer) => self.with_key(&login, signer, prompts).await?,
            Means::Password(secret) => self.with_password(&login, secret, prompts).await?,
            Means::Either(first, second) => match self.with_password(&login, first, prompts).await {
                Err(Error::Refused { .. }) => self.with_password(&login, second, prompts).await?,
                other => other?,
            },
        };
        let key = self.key().clone();
        let handle = Arc::new(self.handle);
        let over = CancellationToken::new();
        let (weak, limit) = (Arc::downgrade(&handle), self.config.login_timeout);
        let announced = Some(Announced { keys: self.announced, handle: weak, limit, over: over.clone() });
        let (host, algorithms, jump, opens) = (self.host, self.algorithms, self.jump, Some(self.opens));
        Ok(Connection { handle, key, method, announced, host, algorithms, jump, opens, over })
    }

    async fn with_key(&mut self, login: &str, mut signer: Signer, prompts: &mpsc::Sender<Prompt>) -> Result<&'static str, Error> {
        let key = signer.public_key().clone();
        // SHA-256 and not SHA-512: every server that takes RSA with SHA-2 takes it, dropbear takes no other, and nothing
        // has to be asked first (russh waits a second for servers that do not announce what they take).
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha256);
        let method = if signer.certificate().is_some() { CERTIFICATE } else { "publickey" };
        let limit = self.config.login_timeout;
        let handle = &mut self.handle;
        let attempt = async move {
            match signer.certificate().cloned() {
                Some(certificate) => handle.authenticate_certificate_with(login, certificate, hash, &mut signer).await,
                None => handle.authenticate_publickey_with(login, key, hash, &mut signer).await,
            }
        };
        let answer =
            timeout(limit, attempt).await.map_err(|_| Error::TimedOut { address: self.address.clone(), step: "sign-in", limit })??;
        match answer {
            AuthResult::Success => Ok(method),
            AuthResult::Failure { remaining_methods, partial_success: true }
                if remaining_methods.contains(&MethodKind::KeyboardInteractive) =>
            {
                self.interactive(login, None, prompts).await.map(|()| "publickey,keyboard-interactive")
            }
            AuthResult::Failure { remaining_methods, partial_success: true } => {
                Err(Error::NoMethod { have: "private key alone", offered: names(&remaining_methods) })
            }
            AuthResult::Failure { .. } if self.handle.is_closed() => Err(Error::Lost("during the sign-in".to_owned())),
            AuthResult::Failure { .. } => Err(Error::Refused { method, login: login.to_owned() }),
        }
    }

    async fn with_password(&mut self, login: &str, secret: Secret, prompts: &mpsc::Sender<Prompt>) -> Result<&'static str, Error> {
        let limit = self.config.login_timeout;
        let late = |address: &crate::model::Address| Error::TimedOut { address: address.clone(), step: "sign-in", limit };
        // Asks what the host offers (RFC 4252 §5.2), so that the secret is offered once, by the method that fits.
        let offered = match timeout(limit, self.handle.authenticate_none(login)).await.map_err(|_| late(&self.address))? {
            Ok(AuthResult::Success) => return Ok("none"),
            Ok(AuthResult::Failure { remaining_methods, .. }) => remaining_methods,
            Err(e) => return Err(Error::Lost(e.to_string())),
        };
        if offered.contains(&MethodKind::Password) {
            let password = spell(&secret)?;
            drop(secret);
            let answer = timeout(limit, self.handle.authenticate_password(login, password)).await.map_err(|_| late(&self.address))?;
            return match answer {
                Ok(AuthResult::Success) => Ok("password"),
                Ok(AuthResult::Failure { remaining_methods, partial_success: true })
                    if remaining_methods.contains(&MethodKind::KeyboardInteractive) =>
                {
                    self.interactive(login, None, prompts).await.map(|()| "password,keyboard-interactive")
                }
                Ok(_) if self.handle.is_closed() => Err(Error::Lost("during the sign-in".to_owned())),
                Ok(AuthResult::Failure { .. }) => Err(Error::Refused { method: "password", login: login.to_owned() }),
                Err(e) => Err(Error::Lost(e.to_string())),
            };
        }
        if offered.contains(&MethodKind::KeyboardInteractive) {
            return self.interactive(login, Some(secret), prompts).await.map(|()| "keyboard-interactive");
        }
        if offered.is_empty() && self.handle.is_closed() {
            return Err(Error::Lost("during the sign-in".to_owned()));
        }
        Err(Error::NoMethod { have: "password", offered: names(&offered) })
    }

    /// Keyboard-interactive: `secret` answers the one question for the password, the person answers everything else.
    async fn interactive(&mut self, login: &str, mut secret: Option<Secret>, prompts: &mpsc::Sender<Prompt>) -> Result<(), Error> {
        let limit = self.config.login_timeout;
        let late = Error::TimedOut { address: self.address.clone(), step: "sign-in", limit };
        let lost = |e: russh::Error| Error::Lost(e.to_string());
        let had_secret = secret.is_some();
        let start = self.handle.authenticate_keyboard_interactive_start(login, None);
        let Ok(answer) = timeout(limit, start).await else { return Err(late) };
        let mut answer = answer.map_err(lost)?;
        for _ in 0..MOST_ROUNDS {
            let (name, instructions, asked) = match answer {
                Interactive::Success => return Ok(()),
                Interactive::Failure { .. } if had_secret && secret.is_some() => {
                    return Err(Error::NoMethod { have: "password", offered: "no question for one".to_owned() });
                }
                Interactive::Failure { .. } => return Err(Error::Refused { method: "keyboard-interactive", login: login.to_owned() }),
                Interactive::InfoRequest { name, instructions, prompts } => (name, instructions, prompts),
            };
            let asked: Vec<(String, bool)> = asked.into_iter().map(|p| (p.prompt, p.echo)).collect();
            let mut answers = Vec::with_capacity(asked.len().min(MOST_PROMPTS));
            let own = if asks_for_password(&asked) { secret.take() } else { None };
            if let Some(secret) = own {
                answers.push(spell(&secret)?);
            } else {
                if asked.len() > MOST_PROMPTS {
                    return Err(Error::PromptUnanswered(format!("{} questions at once", asked.len())));
                }
                let intro = [name.as_str(), instructions.as_str()].join(" ");
                for (text, echo) in &asked {
                    let Some(typed) = ask(prompts, &intro, text, *echo, self.config.prompt_timeout).await.filter(|typed| !typed.is_empty())
                    else {
                        return Err(Error::PromptUnanswered(crate::model::printable(text.trim(), 80)));
                    };
                    answers.push(spell(&typed)?);
                }
            }
            let respond = self.handle.authenticate_keyboard_interactive_respond(answers);
            answer = timeout(limit, respond)
                .await
                .map_err(|_| Error::TimedOut { address: self.address.clone(), step: "sign-in", limit })?
                .map_err(lost)?;
        }
        Err(Error::Refused { method: "keyboard-interactive", login: login.to_owned() })
    }
}

/// The one copy that russh needs: it goes into the packet and is overwritten there (patches/russh, "wipe").
fn spell(secret: &Secret) -> Result<String, Error> {
    String::from_utf8(secret.expose().to_vec()).map_err(|e| {
        drop(zeroize::Zeroizing::new(e.into_bytes()));
        Error::NoMethod { have: "password that is no UTF-8", offered: "text only".to_owned() }
    })
}

fn names(methods: &MethodSet) -> String {
    let all: Vec<String> = methods.iter().map(|m| <&str>::from(m).to_owned()).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}
