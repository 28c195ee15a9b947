//! The ssh console: the same verbs, for whoever signed in with a stock client. Parses, asks and prints as the local
//! program does; reads no file of the broker's machine, and knows nothing of channels but three streams.

mod streams;
#[cfg(test)]
mod tests;
mod unlock;
mod wants;

use clap::Parser;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::cli::fail::{self, Exit, Failure};
use crate::cli::grammar::{Call, Cli, Color, Follow};
use crate::cli::print::imports::Agreement;
use crate::cli::print::{self, Style, Trust};
use crate::control::{Caller, Command, Data, Desk, Error, Piece, Reply, Secrets, SshConfigView};
use crate::fault::{Calling, Fault, Kind};
use crate::inbox::{self, DeskDoor, Left, Look};

use streams::{Gone, Streams};
pub(super) use unlock::AgentDoor;
use wants::{Unasked, secrets, texts};

/// What the client's side is.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Whether the client asked for a terminal.
    pub terminal: bool,
    /// How wide it is.
    pub width: Option<u16>,
    /// How the client calls the broker, for what is to be done.
    pub calling: Calling,
    /// Whether it wants no colours.
    pub plain: bool,
    /// Whether it can place a cursor.
    pub dumb: bool,
    /// Its columns and rows, now and whenever they change.
    pub size: Option<watch::Receiver<(u16, u16)>>,
    /// The client's ssh agent, if it forwards one.
    pub agent: Option<AgentDoor>,
}

/// Runs the verb in `words`, the bytes of the command as they came; without words shows the hosts that the person may
/// use. Returns the exit status.
pub async fn run<I, O, E>(desk: &Desk, caller: Caller, words: &[u8], stdin: I, stdout: &mut O, stderr: &mut E, screen: Screen) -> u32
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let mut streams = Streams::new(stdin, stdout, stderr, screen.terminal);
    let exit = match converse(desk, caller, words, &mut streams, &screen).await {
        Ok(exit) => exit,
        Err(Stop::Told(failure, color)) => match streams.err(&failure.render(color, &screen.calling)).await {
            Ok(()) => failure.exit,
            Err(Gone) => Exit::Failed,
        },
        Err(Stop::Usage(text)) => match streams.err(&text).await {
            Ok(()) => Exit::Usage,
            Err(Gone) => Exit::Failed,
        },
        Err(Stop::Gone) => Exit::Failed,
    };
    streams.flush().await;
    u32::from(exit.status())
}

/// Why a conversation ended early.
enum Stop {
    Told(Failure, bool),
    Usage(String),
    Gone,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

fn refused(failure: Failure, style: &Style) -> Stop {
    Stop::Told(failure, style.error_color)
}

async fn converse<I, O, E>(
    desk: &Desk,
    mut caller: Caller,
    words: &[u8],
    streams: &mut Streams<'_, I, O, E>,
    screen: &Screen,
) -> Result<Exit, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let words = split(words)?;
    if words.is_empty() {
        let view = desk.reachable_hosts(&caller).await.map_err(|e| Stop::Told(Failure::of(&e), screen.terminal))?;
        streams.out(&greeting(&view)).await?;
        return Ok(Exit::Done);
    }
    let cli = match Cli::try_parse_from(std::iter::once("keyward".to_owned()).chain(words.iter().cloned())) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => return Err(Stop::Usage(fail::usage(&e, &words, &screen.calling))),
        Err(e) => {
            streams.out(&e.render().to_string()).await?;
            return Ok(Exit::Done);
        }
    };
    let style = style_of(&cli, screen);
    caller.workspace = cli.globals.workspace.clone();
    let texts = texts(&cli.verb, streams).await.map_err(|e| e.into_stop(&style))?;
    let Some(Call { command, secret, follow }) = cli.verb.call(texts).map_err(|f| refused(f, &style))? else {
        let hint = "log in to the broker's machine and run it there";
        return Err(refused(Failure::new(Exit::Usage, "this verb is the local program's: it does nothing over ssh", hint), &style));
    };
    if let Follow::Sign(id) = &follow {
        let hint = format!(
            "proposal canonical {id} | ssh-keygen -Y sign -n {} -f KEY > sig; then --signature - < sig",
            crate::approvals::NAMESPACE
        );
        return Err(refused(Failure::new(Exit::Usage, "--sign uses the ssh agent of the machine that the program runs on", hint), &style));
    }
    if let Some(failure) = fail::not_over_ssh(&follow, screen.terminal) {
        return Err(refused(failure, &style));
    }
    if follow == Follow::Watch {
        return watch(desk, caller, streams, screen, &style).await;
    }
    if let Follow::Sure(stakes) = &follow
        && screen.terminal
        && let Some(question) = print::question(&send(desk, &caller, (**stakes).clone(), Secrets::none(), streams, &style, screen).await?)
        && !yes(streams, &question, &style).await?
    {
        return Err(refused(print::unsure(), &style));
    }
    if let Some((command, secrets)) = unlock::by_agent(desk, &caller, &follow, screen).await.map_err(|f| refused(f, &style))? {
        let reply = send(desk, &caller, command, secrets, streams, &style, screen).await?;
        return show(&reply, &style, streams).await;
    }
    let secrets = secrets(&secret, streams).await.map_err(|e| e.into_stop(&style))?;
    let command = command.fitted(style.json, style.color, style.width);
    let again = (follow == Follow::Import).then(|| command.clone());
    let reply = send(desk, &caller, command.clone(), secrets, streams, &style, screen).await?;
    match follow {
        Follow::Agree => agree(desk, &caller, (command, &reply), streams, screen, &style).await,
        Follow::Print | Follow::Sign(_) | Follow::Sure(_) | Follow::Watch | Follow::Ask(_) | Follow::Unlock | Follow::AgentSlot(_) => {
            show(&reply, &style, streams).await
        }
        Follow::Enrol if style.json || !screen.terminal => show(&reply, &style, streams).await,
        Follow::Enrol => {
            show(&Reply::of(reply.data), &style, streams).await?;
            let Call { command, secret, .. } = crate::cli::grammar::confirmation();
            let typed = self::secrets(&secret, streams).await.map_err(|e| e.into_stop(&style))?;
            let reply = send(desk, &caller, command, typed, streams, &style, screen).await?;
            show(&reply, &style, streams).await
        }
        Follow::Import => {
            show(&reply, &style, streams).await?;
            match (print::imports::agreement_on(&reply, &style), again.and_then(|c| print::imports::agreed(c, &reply))) {
                (Agreement::Ask(question), Some(command)) if screen.terminal => {
                    if !yes(streams, &question, &style).await? {
                        return Err(refused(print::imports::unasked("nothing was changed"), &style));
                    }
                    let reply = send(desk, &caller, command, Secrets::none(), streams, &style, screen).await?;
                    streams.err(&print::render(&reply, &style).stderr).await?;
                    Ok(Exit::Done)
                }
                (Agreement::Ask(_), _) => Err(refused(print::imports::unasked("nothing was changed: nobody is there to be asked"), &style)),
                (Agreement::Settled, _) => Ok(Exit::Done),
            }
        }
        Follow::Save(_) => {
            // Standard output is the file.
            streams.err(&print::render(&reply, &style).stderr).await?;
            Ok(Exit::Done)
        }
        Follow::Confirm(name) => {
            show(&reply, &style, streams).await?;
            let Data::Probed(probed) = &reply.data else { return Ok(Exit::Done) };
            match print::verdict_on(probed) {
                Trust::Settled => Ok(Exit::Done),
                Trust::Ask(question) if screen.terminal => {
                    if !yes(streams, &question, &style).await? {
                        return Err(refused(
                            Failure::new(Exit::Failed, "nothing was pinned", format!("keyward host trust {name}")),
                            &style,
                        ));
                    }
                    let fingerprints = probed.keys.iter().map(|k| k.fingerprint.clone()).collect();
                    let reply =
                        send(desk, &caller, Command::HostTrust { name, fingerprints }, Secrets::none(), streams, &style, screen).await?;
                    streams.err(&print::render(&reply, &style).stderr).await?;
                    Ok(Exit::Done)
                }
                Trust::Ask(_) => Err(refused(print::unconfirmed(probed), &style)),
            }
        }
    }
}

/// `credential rotate`: the plan is shown, and done if somebody at a terminal says so.
async fn agree<I, O, E>(
    desk: &Desk,
    caller: &Caller,
    (command, plan): (Command, &Reply),
    streams: &mut Streams<'_, I, O, E>,
    screen: &Screen,
    style: &Style,
) -> Result<Exit, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    show(plan, style, streams).await?;
    if !screen.terminal {
        return Err(refused(print::not_agreed(&command), style));
    }
    if !yes(streams, "do it?", style).await? {
        return Err(refused(print::not_wanted(&command), style));
    }
    let reply = send(desk, caller, command.agreed(), Secrets::none(), streams, style, screen).await?;
    show(&reply, style, streams).await
}

/// Asks a question on the client's terminal; anything but a clear yes is a no.
async fn yes<I, O, E>(streams: &mut Streams<'_, I, O, E>, question: &str, style: &Style) -> Result<bool, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let answer = streams.line(&format!("{question} [y/N] "), true).await.map_err(|e| Unasked::from(e).into_stop(style))?;
    Ok(matches!(answer.as_slice(), b"y" | b"Y" | b"yes" | b"Yes"))
}

/// `proposal watch`: the inbox, on the client's terminal.
async fn watch<I, O, E>(
    desk: &Desk,
    caller: Caller,
    streams: &mut Streams<'_, I, O, E>,
    screen: &Screen,
    style: &Style,
) -> Result<Exit, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let Some(size) = screen.size.clone().filter(|_| screen.terminal && !screen.dumb) else {
        return Err(refused(fail::no_screen("ssh -t -p PORT YOU@BROKER proposal watch"), style));
    };
    let look = Look { color: style.color, signs: false };
    let (stdin, stdout) = streams.raw();
    match inbox::run(DeskDoor::new(desk.clone(), caller), look, desk.clock(), stdin, stdout, size).await {
        Left::Done => Ok(Exit::Done),
        Left::Gone => Err(Stop::Gone),
        Left::Failed => Err(refused(fail::inbox_failed(), style)),
    }
}

/// The words of a command, split as a shell would split them.
fn split(words: &[u8]) -> Result<Vec<String>, Stop> {
    let wrong =
        |why: &str| Stop::Told(Failure::new(Exit::Usage, format!("the command cannot be read: {why}"), "see what there is: --help"), false);
    let text = std::str::from_utf8(words).map_err(|_| wrong("it is no UTF-8"))?;
    shell_words::split(text).map_err(|_| wrong("a quote is not closed"))
}

fn style_of(cli: &Cli, screen: &Screen) -> Style {
    let color = match cli.globals.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => screen.terminal && !screen.plain,
    };
    Style {
        json: cli.globals.json,
        quiet: cli.globals.quiet,
        verbose: cli.globals.verbose,
        color,
        error_color: color,
        width: screen.width,
        calling: screen.calling.clone().within(cli.globals.workspace.as_str()),
    }
}

async fn show<I, O, E>(reply: &Reply, style: &Style, streams: &mut Streams<'_, I, O, E>) -> Result<Exit, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let rendered = print::render(reply, style);
    streams.out(&rendered.stdout).await?;
    streams.err(&rendered.stderr).await?;
    Ok(print::exit_of(reply))
}

/// Calls the desk; pieces of a long answer go out as they come.
async fn send<I, O, E>(
    desk: &Desk,
    caller: &Caller,
    command: Command,
    secrets: Secrets,
    streams: &mut Streams<'_, I, O, E>,
    style: &Style,
    screen: &Screen,
) -> Result<Reply, Stop>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let (out, mut pieces) = tokio::sync::mpsc::channel::<Piece>(4);
    let work = async move { desk.handle(caller.clone(), command, secrets, &out).await };
    let pump = async {
        let mut gauge = print::Gauge::new(screen.terminal && !screen.dumb);
        let mut listens = screen.terminal;
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                // Ctrl-C ends what can be ended; the desk hears it by nobody listening any more.
                ended = streams.interrupted(), if listens => {
                    listens = false;
                    if ended {
                        pieces.close();
                    }
                    continue;
                }
            };
            let Some(piece) = piece else { break };
            let written = match piece {
                Piece::Lines(text) => streams.out(&print::piece(&text, style)).await,
                Piece::Report(text) => match streams.err(&gauge.clear()).await {
                    Ok(()) => streams.out(&text).await,
                    gone => gone,
                },
                Piece::Progress(now) if !style.quiet => streams.err(&gauge.feed(&now)).await,
                Piece::Step(text) if !style.quiet => streams.err(&print::step(&text)).await,
                Piece::Progress(_) | Piece::Step(_) => Ok(()),
                Piece::Bytes(bytes) => streams.bytes(&bytes).await,
            };
            if written.is_err() {
                pieces.close();
                return Err(Stop::Gone);
            }
        }
        let _ = streams.err(&gauge.clear()).await;
        Ok(())
    };
    let (result, pumped): (Result<Reply, Error>, Result<(), Stop>) = tokio::join!(work, pump);
    pumped?;
    result.map_err(|e| {
        let mut failure = Failure::of(&e);
        if e.kind() == Kind::PassphraseNeeded {
            let hint = "on a terminal it is asked for: ssh -t …; or add it at the local door, on the broker's machine: credential add NAME --key FILE";
            failure.hint = Some(hint.to_owned());
        }
        refused(failure, style)
    })
}

/// What somebody sees who asks for nothing.
fn greeting(view: &SshConfigView) -> String {
    if view.hosts.is_empty() {
        return format!("Hello {}. No host is granted to you yet: ask an owner or an admin of this broker.\n", view.user);
    }
    let mut out = format!("Hello {}. You may use:\n", view.user);
    for host in &view.hosts {
        out.push_str(&format!("  {host}\n"));
    }
    let port = if view.port == 22 { String::new() } else { format!(" -p {}", view.port) };
    let first = view.hosts.first().map(ToString::to_string).unwrap_or_default();
    out.push_str(&format!("Connect: ssh{port} {first}@BROKER     Verbs: ssh{port} {}@BROKER --help\n", view.user));
    out
}
