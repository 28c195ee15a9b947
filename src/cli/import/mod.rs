//! `import ssh-config`: reads the person's own files, shows what would become of them, and then asks the daemon for it, one
//! ordinary verb after the other. Decides nothing about rights, and never overwrites.

mod apply;
mod files;
mod pins;
mod plan;

use std::io::IsTerminal;
use std::path::PathBuf;

use super::client::Client;
use super::fail::{Exit, Failure};
use super::grammar::{Globals, SshConfigWords, Verb};
use super::print::{self, Style};
use super::{place, prompt};
use crate::control::{Command, Data, Problem, Reply, ScopeWord, Secrets};
use crate::model::printable;
pub(in crate::cli) use plan::{Plan, State};

/// The most lines of troubles that are told.
const TOLD: usize = 20;

/// The verb, with the person's own file where none was named.
pub(super) fn at_home(verb: Verb) -> Verb {
    match verb {
        Verb::Import(mut words) => {
            words.at_home(home);
            Verb::Import(words)
        }
        verb => verb,
    }
}

fn home() -> Option<PathBuf> {
    place::var("HOME").map(PathBuf::from)
}

/// A call to the daemon.
fn ask(client: &Client, command: &Command, secrets: Secrets) -> Result<Result<Reply, Problem>, Failure> {
    client.call(command, secrets, &mut |_| {})
}

/// The data of a call that changes nothing.
fn look(client: &Client, command: &Command) -> Result<Data, Failure> {
    Ok(ask(client, command, Secrets::none())??.data)
}

/// Runs the verb.
pub(super) fn ssh_config(globals: &Globals, style: &Style, words: &SshConfigWords) -> Result<Exit, Failure> {
    let client = Client::new(&place::home(globals.home.as_deref())?, globals.workspace.clone());
    let Some(home) = home() else {
        return Err(Failure::new(Exit::Failed, "nothing says where your own home is: HOME is not set", "set HOME"));
    };
    client.reachable()?;
    let scope: ScopeWord = words.scope.into();
    let around = files::surroundings(&home);
    let config = files::config(words.file.as_deref(), &home)?;
    let there = plan::There::of(&client)?;
    let mut plan = plan::Plan::of(&config, &around, &there, scope);
    let troubles = config.troubles.iter().map(|t| format!("{}:{}: {}", t.file, t.line, t.what)).collect::<Vec<_>>();
    let doing = words.yes || (!words.dry_run && !style.json && prompt::is_terminal() && std::io::stderr().is_terminal());
    if !(style.json && doing) {
        super::out(print::imports::plan(&plan, style).as_bytes());
    }
    tell(style, &troubles);
    if plan.is_empty() {
        if !style.quiet {
            super::err("there is nothing to bring over\n");
        }
        if style.json && doing {
            super::out(print::imports::plan(&plan, style).as_bytes());
        }
        return Ok(Exit::Done);
    }
    if words.dry_run || (style.json && !words.yes) {
        return Ok(Exit::Done);
    }
    if !doing {
        return Err(print::imports::unasked("nothing was changed: nobody is there to be asked"));
    }
    if !words.yes && !prompt::yes(&plan.question()) {
        return Err(print::imports::unasked("nothing was changed"));
    }
    let outcome = apply::run(&client, &mut plan, scope, style);
    if style.json {
        super::out(print::imports::plan(&plan, style).as_bytes());
    }
    outcome
}

fn tell(style: &Style, troubles: &[String]) {
    if style.quiet {
        return;
    }
    for trouble in troubles.iter().take(TOLD) {
        super::err(&format!("note: {}\n", printable(trouble, 500)));
    }
    if troubles.len() > TOLD {
        super::err(&format!("note: {} more lines are not understood\n", troubles.len() - TOLD));
    }
}
