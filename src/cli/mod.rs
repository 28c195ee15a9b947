//! The command line: grammar, prompts, printing and exit statuses; used by the program and by the ssh console alike.
//! Decides nothing about rights: it sends what was written and prints what comes back.

mod bridge;
pub mod client;
pub mod fail;
pub mod grammar;
mod import;
mod local;
pub mod place;
pub mod print;
mod prompt;
mod save;
mod sign;
mod unit;
mod unlock;
mod unseal;
mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::fault::Calling;
pub use fail::{Exit, Failure};
use grammar::{Cli, Globals, ImportVerb, LogFormat, StoppedArgs, VaultVerb, Verb};
use print::Style;

/// What `serve` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The broker's home; it may not exist yet.
    pub home: PathBuf,
    /// The configuration, if one was named.
    pub config: Option<PathBuf>,
    /// Where to listen, if that was said: it overrides the configuration.
    pub listen: Option<String>,
    /// Go on with a database that is older than what is known of it.
    pub accept_rollback: bool,
    /// Log more.
    pub verbose: bool,
    /// Log less.
    pub quiet: bool,
    /// Log as JSON.
    pub log_json: bool,
}

/// What is done while the daemon is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// `vault accept-rollback`.
    AcceptRollback,
    /// `restore`.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Accept at once that it is older than what is known.
        accept_rollback: bool,
    },
}

/// A task for a home whose daemon is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedTask {
    /// The broker's home.
    pub home: PathBuf,
    /// The configuration, if one was named.
    pub config: Option<PathBuf>,
    /// What is to be done.
    pub what: Stopped,
}

/// Asks whoever sits there; what is asked is shown also where `--yes` has answered.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> bool;

/// Asks for a passphrase: what it is of, and whether it is a new one.
pub type AskSecret<'a> = &'a mut dyn FnMut(&str, bool) -> Result<crate::secret::Secret, Failure>;

/// What a verb about the root key was told, and how it asks and answers.
pub struct RootKeyWork<'a> {
    /// The broker's home.
    pub home: PathBuf,
    /// The verb.
    pub verb: grammar::root::RootKeyVerb,
    /// Asks for a passphrase.
    pub ask: AskSecret<'a>,
    /// Standard output, unbuffered, and whether it is a terminal.
    pub out: (std::fs::File, bool),
}

/// Runs the program. `serve` runs the daemon until it ends; `stopped` does what is done without one, and says what it did; so does
/// `root_key` with what is to be done about the root key.
pub fn run(
    args: impl Iterator<Item = OsString>,
    serve: impl FnOnce(ServeOptions) -> Result<(), Failure>,
    stopped: impl FnOnce(StoppedTask, Ask<'_>, AskSecret<'_>) -> Result<Vec<String>, Failure>,
    root_key: impl FnOnce(RootKeyWork<'_>) -> Result<String, Failure>,
) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => return usage(&e, &args),
    };
    let style = style_of(&cli);
    let done = match cli.verb {
        Verb::Serve(words) => place::home(cli.globals.home.as_deref()).and_then(|home| {
            serve(ServeOptions {
                home,
                config: words.config,
                listen: words.listen,
                accept_rollback: words.accept_rollback,
                verbose: cli.globals.verbose,
                quiet: cli.globals.quiet,
                log_json: words.log_format == LogFormat::Json,
            })
            .map(|()| Exit::Done)
        }),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyward", &mut script);
            out(&script);
            Ok(Exit::Done)
        }
        Verb::Import(ImportVerb::SshConfig(words)) => import::ssh_config(&cli.globals, &style, &words),
        Verb::Vault(VaultVerb::AcceptRollback(words)) => still(&cli.globals, &style, &words, Stopped::AcceptRollback, stopped),
        Verb::Restore(words) => {
            let what = Stopped::Restore { file: words.file, accept_rollback: words.accept_rollback };
            still(&cli.globals, &style, &words.stopped, what, stopped)
        }
        Verb::Unseal => unseal::run(&cli.globals, &style),
        Verb::RootKey(verb) => about_root_key(&cli.globals, verb, root_key).map(|said| {
            err(&style.calling.pastable(&said));
            Exit::Done
        }),
        Verb::SystemdUnit(words) => unit::print(&cli.globals, &words),
        Verb::Mcp(words) => bridge::run(&cli.globals, words),
        verb => local::call(&cli.globals, &style, verb),
    };
    let exit = done.unwrap_or_else(|failure| {
        err(&failure.render(style.error_color, &style.calling));
        failure.exit
    });
    ExitCode::from(exit.status())
}

/// Does something while the daemon is stopped.
fn still(
    globals: &Globals,
    style: &Style,
    words: &StoppedArgs,
    what: Stopped,
    stopped: impl FnOnce(StoppedTask, Ask<'_>, AskSecret<'_>) -> Result<Vec<String>, Failure>,
) -> Result<Exit, Failure> {
    let task = StoppedTask { home: place::home(globals.home.as_deref())?, config: words.config.clone(), what };
    let mut ask = |question: &str| {
        let mut lines: Vec<&str> = question.lines().collect();
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            err(&print::step(line));
        }
        if words.yes {
            return true;
        }
        prompt::is_terminal() && prompt::yes(&crate::model::printable(last, 2000))
    };
    for line in stopped(task, &mut ask, &mut prompt::passphrase)? {
        err(&print::step(&style.calling.pastable(&line)));
    }
    Ok(Exit::Done)
}

fn about_root_key(
    globals: &grammar::Globals,
    verb: grammar::root::RootKeyVerb,
    work: impl FnOnce(RootKeyWork<'_>) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let home = place::home(globals.home.as_deref())?;
    let stdout = std::io::stdout();
    // Not the standard library's buffer, which would keep a copy.
    let own = stdout.as_fd().try_clone_to_owned();
    let own = own.map_err(|e| Failure::new(Exit::Failed, format!("standard output cannot be used: {e}"), "send it elsewhere: > FILE"))?;
    work(RootKeyWork { home, verb, ask: &mut prompt::passphrase, out: (own.into(), stdout.is_terminal()) })
}

fn style_of(cli: &Cli) -> Style {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let wants = |is_terminal: bool| match cli.globals.color {
        grammar::Color::Always => true,
        grammar::Color::Never => false,
        grammar::Color::Auto => is_terminal && place::colours_are_welcome(),
    };
    let width = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok().map(|s| s.ws_col)).flatten().filter(|w| *w > 0);
    Style {
        json: cli.globals.json,
        quiet: cli.globals.quiet,
        verbose: cli.globals.verbose,
        color: wants(stdout.is_terminal()),
        error_color: wants(stderr.is_terminal()),
        width,
        calling: calling(cli.globals.home.as_deref()).within(cli.globals.workspace.as_str()),
    }
}

/// How hints name the program: with the home, if one was named.
fn calling(home: Option<&Path>) -> Calling {
    home.map_or(Calling::Local, |home| Calling::At(home.to_path_buf()))
}

/// Help and version are data; everything else that the grammar has to say is an error.
fn usage(e: &clap::Error, args: &[OsString]) -> ExitCode {
    if !e.use_stderr() {
        out(e.render().to_string().as_bytes());
        return ExitCode::from(Exit::Done.status());
    }
    let words: Vec<String> = args.iter().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    // The grammar did not get far enough to say which home was named.
    let at = words.iter().position(|w| w == "--home").and_then(|at| words.get(at + 1));
    let home = at.map(Path::new).or_else(|| words.iter().find_map(|w| w.strip_prefix("--home=")).map(Path::new));
    err(&fail::usage(e, &words, &calling(home)));
    ExitCode::from(Exit::Usage.status())
}

/// Writes data. A reader that left (`| head`) is no error.
pub(crate) fn out(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// Writes what is not data.
pub(crate) fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
