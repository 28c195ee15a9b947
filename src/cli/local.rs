//! A verb at the local door, from words to exit status: read what it names, ask for its secret, call, print.

use std::io::IsTerminal;

use super::client::Client;
use super::fail::{Exit, Failure};
use super::grammar::{Call, Follow, Globals, Source, Verb, Wanted};
use super::print::{self, Style};
use super::{place, prompt, sign, unlock};
use crate::control::{Command, Data, Piece, Problem, Reply, Secrets};
use crate::fault::Kind;
use crate::model::{Name, ProposalId};

/// Makes the call and prints what comes back.
pub(super) fn call(globals: &Globals, style: &Style, verb: Verb) -> Result<Exit, Failure> {
    let client = Client::new(&place::home(globals.home.as_deref())?, globals.workspace.clone());
    let verb = super::import::at_home(verb);
    let texts = texts(&verb)?;
    let Some(Call { command, secret, follow }) = verb.call(texts)? else { return Ok(Exit::Done) };
    let mut command = command.fitted(style.json, style.color, style.width);
    if let Follow::Sign(id) = &follow {
        command = signed(&client, style, command, *id)?;
    }
    if follow == Follow::Watch {
        client.reachable()?;
        return super::watch::inbox(client, style.color);
    }
    if let Follow::Sure(stakes) = &follow
        && prompt::is_terminal()
        && let Some(question) = print::question(&send(&client, style, stakes, Secrets::none())??)
        && !prompt::yes(&question)
    {
        return Err(print::unsure());
    }
    if let Follow::Save(file) = &follow {
        return super::save::save(&client, style, &command, file.as_deref());
    }
    if let Follow::Ask(question) = &follow
        && prompt::is_terminal()
    {
        client.reachable()?;
        if !prompt::yes(question) {
            return Err(Failure::new(Exit::Failed, "nothing was done", "keyward vault rotate --help says what it means"));
        }
        if let Command::VaultRotate { sure, .. } = &mut command {
            *sure = true;
        }
    }
    if secret != Wanted::Nothing {
        client.reachable()?;
    }
    let again = (follow == Follow::Import).then(|| command.clone());
    if let Some((command, secrets)) = unlock::by_agent(&follow, |asked| send(&client, style, asked, Secrets::none()))? {
        return Ok(show(&send(&client, style, &command, secrets)??, style));
    }
    let answer = match send(&client, style, &command, prompt::secrets(&secret)?)? {
        Err(Problem { kind: Kind::PassphraseNeeded, .. }) if matches!(secret, Wanted::Key(_)) => {
            send(&client, style, &command, prompt::with_passphrase(&secret)?)?
        }
        answer => answer,
    };
    let reply = answer?;
    match follow {
        Follow::Print
        | Follow::Sign(_)
        | Follow::Sure(_)
        | Follow::Watch
        | Follow::Save(_)
        | Follow::Ask(_)
        | Follow::Unlock
        | Follow::AgentSlot(_) => Ok(show(&reply, style)),
        Follow::Import => import(&client, style, again, &reply),
        Follow::Confirm(host) => confirm(&client, style, host, &reply),
        Follow::Agree => agree(&client, style, command, &reply),
        Follow::Enrol if style.json || !prompt::is_terminal() => Ok(show(&reply, style)),
        Follow::Enrol => {
            show(&Reply::of(reply.data), style);
            let Call { command, secret, .. } = super::grammar::confirmation();
            Ok(show(&send(&client, style, &command, prompt::secrets(&secret)?)??, style))
        }
    }
}

/// The approval with a signature of the person's ssh agent over what would run.
fn signed(client: &Client, style: &Style, command: Command, id: ProposalId) -> Result<Command, Failure> {
    let Command::ProposalApprove { what, digest, edit, again, .. } = command else { return Ok(command) };
    let asked = Command::ProposalCanonical { id, edit: edit.clone() };
    let Data::Canonical(canonical) = send(client, style, &asked, Secrets::none())??.data else {
        return Err(Failure::new(Exit::Bug, "the daemon gave nothing to sign", "are program and daemon of one version? keyward status"));
    };
    let fits = edit.is_some() || canonical.text.contains(&digest.0.to_string());
    if !fits {
        return Err(Failure::new(
            Exit::Failed,
            "the digest is not the proposal's: nothing was signed",
            format!("keyward proposal show {id}"),
        ));
    }
    let signature = Some(sign::with_agent(&canonical)?);
    Ok(Command::ProposalApprove { what, digest, edit, again, signature })
}

fn send(client: &Client, style: &Style, command: &Command, secrets: Secrets) -> Result<Result<Reply, Problem>, Failure> {
    let mut gauge = print::Gauge::new(std::io::stderr().is_terminal());
    let answer = client.call(command, secrets, &mut |piece| match piece {
        Piece::Lines(text) => super::out(print::piece(&text, style).as_bytes()),
        Piece::Report(text) => {
            super::err(&gauge.clear());
            super::out(text.as_bytes());
        }
        Piece::Progress(now) if !style.quiet => super::err(&gauge.feed(&now)),
        Piece::Step(text) if !style.quiet => super::err(&print::step(&text)),
        Piece::Progress(_) | Piece::Step(_) | Piece::Bytes(_) => {}
    });
    super::err(&gauge.clear());
    answer
}

fn show(reply: &Reply, style: &Style) -> Exit {
    let rendered = print::render(reply, style);
    super::out(rendered.stdout.as_bytes());
    super::err(&rendered.stderr);
    print::exit_of(reply)
}

/// Reads the texts that a verb names. Standard input can be read once.
fn texts(verb: &Verb) -> Result<Vec<String>, Failure> {
    let sources = verb.sources();
    if sources.iter().filter(|s| ***s == Source::Stdin).count() > 1 {
        return Err(Failure::new(Exit::Usage, "standard input can be read only once", "give `-` once; its text may have several lines"));
    }
    let read = if matches!(verb, Verb::Import(_)) { prompt::text_of_any_encoding } else { prompt::text };
    sources.into_iter().map(read).collect()
}

/// `import known-hosts`: the plan is shown, and done if somebody at a terminal says so.
fn import(client: &Client, style: &Style, command: Option<Command>, reply: &Reply) -> Result<Exit, Failure> {
    show(reply, style);
    match (print::imports::agreement_on(reply, style), command.and_then(|c| print::imports::agreed(c, reply))) {
        (print::imports::Agreement::Ask(question), Some(command)) if prompt::is_terminal() => {
            if !prompt::yes(&question) {
                return Err(print::imports::unasked("nothing was changed"));
            }
            let reply = send(client, style, &command, Secrets::none())??;
            // The plan was the data; what was done about it is not printed a second time.
            super::err(&print::render(&reply, style).stderr);
            Ok(Exit::Done)
        }
        (print::imports::Agreement::Ask(_), _) => Err(print::imports::unasked("nothing was changed: nobody is there to be asked")),
        (print::imports::Agreement::Settled, _) => Ok(Exit::Done),
    }
}

/// `credential rotate`: the plan is shown, and done if somebody at a terminal says so.
fn agree(client: &Client, style: &Style, command: Command, plan: &Reply) -> Result<Exit, Failure> {
    show(plan, style);
    if !prompt::is_terminal() {
        return Err(print::not_agreed(&command));
    }
    if !prompt::yes("do it?") {
        return Err(print::not_wanted(&command));
    }
    Ok(show(&send(client, style, &command.agreed(), Secrets::none())??, style))
}

/// `host trust`: the keys are shown, and pinned if somebody at a terminal says so.
fn confirm(client: &Client, style: &Style, host: Name, reply: &Reply) -> Result<Exit, Failure> {
    let Data::Probed(probed) = &reply.data else { return Ok(show(reply, style)) };
    show(reply, style);
    match print::verdict_on(probed) {
        print::Trust::Settled => Ok(Exit::Done),
        print::Trust::Ask(question) if prompt::is_terminal() => {
            if !prompt::yes(&question) {
                return Err(Failure::new(Exit::Failed, "nothing was pinned", format!("keyward host trust {host}")));
            }
            let fingerprints = probed.keys.iter().map(|k| k.fingerprint.clone()).collect();
            let reply = send(client, style, &Command::HostTrust { name: host, fingerprints }, Secrets::none())??;
            // The keys were the data; what was done about them is not printed a second time.
            super::err(&print::render(&reply, style).stderr);
            Ok(Exit::Done)
        }
        print::Trust::Ask(_) => Err(print::unconfirmed(probed)),
    }
}
