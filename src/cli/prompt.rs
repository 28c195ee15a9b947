//! Asks for what must not be an argument: without echo on a terminal, else from standard input to its end, unbuffered.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::fail::{Exit, Failure};
use super::grammar::{Source, Wanted};
use crate::control::Secrets;
use crate::secret::{MAX_SECRET, Secret};

/// The longest text that is read from a file or standard input.
const MAX_TEXT: u64 = 4 * 1024 * 1024;
const CTRL_C: u8 = 3;

/// Whether somebody sits at standard input.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Reads a text that is no secret: public keys, a list of commands.
pub(super) fn text(source: &Source) -> Result<String, Failure> {
    let (name, read) = match source {
        Source::Inline(text) => return Ok(text.clone()),
        Source::Stdin => ("standard input".to_owned(), stdin().and_then(read_text)),
        Source::File(path) => (path.display().to_string(), File::open(path).and_then(read_text)),
    };
    read.map_err(|e| unreadable(&name, &e))
}

/// As [`text`]; what is no UTF-8 is marked where it stands, so that only its line is lost.
pub(super) fn text_of_any_encoding(source: &Source) -> Result<String, Failure> {
    let (name, read) = match source {
        Source::Inline(text) => return Ok(text.clone()),
        Source::Stdin => ("standard input".to_owned(), stdin().and_then(read_bytes)),
        Source::File(path) => (path.display().to_string(), File::open(path).and_then(read_bytes)),
    };
    read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| unreadable(&name, &e))
}

/// The secret that a call needs.
pub(super) fn secrets(wanted: &Wanted) -> Result<Secrets, Failure> {
    let material = match wanted {
        Wanted::Nothing | Wanted::CodeOverSsh => None,
        Wanted::Code if is_terminal() => Some(hidden("one-time code: ")?),
        Wanted::Code => Some(from_stdin("one-time code")?.without_final_newline()),
        Wanted::Password(name) if is_terminal() => Some(twice(&format!("password of {name}"))?),
        Wanted::SudoPassword(name) if is_terminal() => Some(twice(&format!("sudo password of {name}"))?),
        Wanted::NewPassphrase if is_terminal() => Some(twice("passphrase")?),
        Wanted::Unlock if is_terminal() => Some(hidden("passphrase or recovery code: ")?),
        Wanted::NewPassphrase | Wanted::Unlock => Some(from_stdin("passphrase")?.without_final_newline()),
        Wanted::Password(_) | Wanted::SudoPassword(_) => Some(from_stdin("password")?.without_final_newline()),
        Wanted::Key(Source::File(path)) => Some(key_file(path)?),
        Wanted::Key(_) => Some(from_stdin("private key")?),
    };
    Ok(Secrets { material, passphrase: None })
}

/// The secrets once more, now with the passphrase of the key. Only a key from a file can be read twice.
pub(super) fn with_passphrase(wanted: &Wanted) -> Result<Secrets, Failure> {
    let Wanted::Key(Source::File(path)) = wanted else {
        return Err(Failure::new(
            Exit::Failed,
            "the key has a passphrase, and standard input is spent on the key itself",
            "name the key's file, and give the passphrase on a terminal or on standard input: --key FILE",
        ));
    };
    let passphrase = if is_terminal() {
        hidden(&format!("passphrase of {}: ", path.display()))?
    } else {
        let piped = from_stdin("passphrase")?.without_final_newline();
        if piped.is_empty() {
            return Err(Failure::new(
                Exit::Failed,
                format!("the key {} has a passphrase, and none came on standard input", path.display()),
                "run the command on a terminal, or pipe the passphrase in",
            ));
        }
        piped
    };
    Ok(Secrets { material: Some(key_file(path)?), passphrase: Some(passphrase) })
}

/// Asks a question on the terminal; anything but a clear yes is a no.
pub(super) fn yes(question: &str) -> bool {
    super::err(&format!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

/// A passphrase: hidden on a terminal – twice, if it is a new one –, else the next line of standard input.
pub(super) fn passphrase(what: &str, new: bool) -> Result<Secret, Failure> {
    match (is_terminal(), new) {
        (true, true) => twice(&format!("new {what}")),
        (true, false) => hidden(&format!("{what}: ")),
        (false, _) => line().map_err(|e| unreadable("standard input", &e)).and_then(|line| {
            let hint = "pipe it in, or run the command on a terminal";
            if line.is_empty() { Err(Failure::new(Exit::Failed, format!("no {what} came on standard input"), hint)) } else { Ok(line) }
        }),
    }
}

/// The next line, byte by byte: what stands after it is for the next question, and stays where it is.
fn line() -> io::Result<Secret> {
    let mut from = stdin()?;
    let mut held = Zeroizing::new(Vec::with_capacity(MAX_SECRET));
    let mut byte = Zeroizing::new(vec![0u8; 1]);
    loop {
        match from.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte.first() == Some(&b'\n') => break,
            Ok(_) if held.len() == MAX_SECRET => return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 64 KiB")),
            Ok(_) => held.extend_from_slice(&byte),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let mut exact = Vec::with_capacity(held.len());
    exact.extend_from_slice(&held);
    Ok(Secret::new(exact).first_line())
}

fn twice(what: &str) -> Result<Secret, Failure> {
    let first = ask(&format!("{what}: "))?;
    let again = ask(&format!("{what}, again: "))?;
    if *first != *again {
        return Err(Failure::new(Exit::Failed, "the two are not the same; nothing was stored", "try again"));
    }
    Ok(secret_of(first))
}

pub(super) fn hidden(prompt: &str) -> Result<Secret, Failure> {
    ask(prompt).map(secret_of)
}

pub(super) fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let typed = Quiet::start().and_then(|quiet| {
        let config = rpassword::ConfigBuilder::new().input_reader(quiet.keyboard()?).output_discard().build();
        (&quiet.terminal).write_all(prompt.as_bytes())?;
        let typed = rpassword::read_password_with_config(config).map(Zeroizing::new);
        (&quiet.terminal).write_all(b"\n")?;
        typed
    });
    typed.map_err(|e| match e.kind() {
        io::ErrorKind::Interrupted => {
            // The terminal is as it was. Now the process ends as any other does of Ctrl-C.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
            Failure::new(Exit::Failed, "interrupted", "run the command again")
        }
        _ => unreadable("the terminal", &e),
    })
}

/// The terminal while a secret is typed. Nothing is shown from before the question stands there, so that whoever types (or pastes)
/// fast is not shown either; and it is as it was on every way out that is the program's own (a kill from elsewhere is not).
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn start() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        // Ctrl-C comes as a character, so that the terminal is given back first.
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }

    fn keyboard(&self) -> io::Result<Keyboard> {
        self.terminal.try_clone().map(Keyboard)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What is typed, character by character; Ctrl-C is an error.
struct Keyboard(File);

impl Read for Keyboard {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = loop {
            match self.0.read(into) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if n > 0 && into.first() == Some(&CTRL_C) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(n) }
    }
}

/// Takes the text's own buffer: nothing is copied.
fn secret_of(mut text: Zeroizing<String>) -> Secret {
    Secret::new(std::mem::take(&mut *text).into_bytes())
}

pub(super) fn key_file(path: &Path) -> Result<Secret, Failure> {
    File::open(path).and_then(Secret::read_to_end).map_err(|e| unreadable(&path.display().to_string(), &e))
}

fn from_stdin(what: &str) -> Result<Secret, Failure> {
    if is_terminal() {
        super::err(&format!("paste the {what}, then press Enter and Ctrl-D\n"));
    }
    stdin().and_then(Secret::read_to_end).map_err(|e| unreadable("standard input", &e))
}

/// Standard input without the standard library's buffer, which would keep a copy.
fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn read_text(from: File) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_TEXT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT { Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 256 KiB")) } else { Ok(text) }
}

fn read_bytes(from: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT { Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 4 MiB")) } else { Ok(bytes) }
}

fn unreadable(name: &str, e: &io::Error) -> Failure {
    let hint = match e.kind() {
        io::ErrorKind::NotFound => "name a file that exists, or - for standard input",
        io::ErrorKind::PermissionDenied => "you may not read it: look at its mode and owner",
        _ => "look at what is in it",
    };
    Failure::new(Exit::Failed, format!("{name} cannot be read: {e}"), hint)
}
