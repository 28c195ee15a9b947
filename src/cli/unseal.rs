//! `keyward unseal`: asks the daemon what it wants, asks the person for it, and hands it over. The local door's alone: over ssh
//! nobody can be known while the vault is sealed.

use super::client::Client;
use super::fail::{Exit, Failure};
use super::grammar::Globals;
use super::print::{self, Style};
use super::{place, prompt};
use crate::control::{Command, Data, Secrets, Wants};

/// Unseals the daemon's vault.
pub(super) fn run(globals: &Globals, style: &Style) -> Result<Exit, Failure> {
    let client = Client::new(&place::home(globals.home.as_deref())?, globals.workspace.clone());
    let view = match client.call(&Command::Status, Secrets::none(), &mut |_| {})??.data {
        Data::Sealed(view) => view,
        Data::Status(status) if status.vault == "sealing" => {
            let message = "the vault is being sealed, and can be unsealed after that";
            return Err(Failure::new(Exit::Failed, message, "wait for `vault: sealed` in: keyward status"));
        }
        _ => {
            if !style.quiet {
                super::err("the vault is unsealed already\n");
            }
            return Ok(Exit::Done);
        }
    };
    let new = view.wants == Wants::NewPassphrase;
    let material = match view.wants {
        Wants::Nothing => None,
        Wants::Passphrase | Wants::NewPassphrase => Some(prompt::passphrase("passphrase of the root key", new)?),
    };
    let reply = client.call(&Command::Unseal { new }, Secrets { material, passphrase: None }, &mut |_| {})??;
    super::err(&print::render(&reply, style).stderr);
    Ok(Exit::Done)
}
