//! An agent that speaks MCP with a client that is not ours, through each of its doors.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use super::agent::allow;
use super::broker::Settings;
use super::process::{Lines, Process, command};
use super::sshd::free_port;
use super::{Agent, PATIENCE, Scene, open_to_all, peer_script, python};

/// The doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// `keyward mcp --token-file` on the broker's machine.
    Stdio,
    /// `ssh AGENT@broker mcp`.
    Ssh,
    /// HTTP on loopback.
    Http,
}

impl Door {
    /// All.
    pub(crate) const ALL: [Self; 3] = [Self::Stdio, Self::Ssh, Self::Http];
}

/// A scene with Alice's agents: one with a key, one with a token.
#[derive(Debug)]
pub(crate) struct McpScene {
    /// The scene.
    pub(crate) scene: Scene,
    /// The agent `helper`, which has a key.
    pub(crate) helper: Agent,
    /// The token of the agent `robot`.
    pub(crate) token: String,
    /// Where HTTP is.
    pub(crate) port: u16,
}

impl McpScene {
    /// The usual one.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// One with further lines of configuration.
    #[track_caller]
    pub(crate) fn with(lines: &str) -> Self {
        let port = free_port();
        let config = format!("[mcp]\nlisten = \"127.0.0.1:{port}\"\n\n{lines}");
        let scene = allow(Scene::with(Settings { config, ..Settings::default() }));
        let helper = Agent::of_alice(&scene);
        let token = scene.broker.json(&["agent", "add", "robot", "--for", "alice"])["token"].as_str().expect("a token").to_owned();
        let this = Self { scene, helper, token, port };
        std::fs::write(this.token_file(), format!("{}\n", this.token)).expect("the token's file");
        open_to_all(&this.token_file(), 0o600);
        this
    }

    /// Where the token is.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.scene.dir().join("robot.token")
    }

    /// Where the tools are over HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// What speaks MCP on standard input and output.
    pub(crate) fn program(&self, door: Door) -> Command {
        match door {
            Door::Ssh => self.helper.client.ssh(&["-l", "helper", "through", "mcp"]),
            Door::Stdio | Door::Http => self.scene.broker.command(&["mcp", "--token-file", &self.token_file().display().to_string()]),
        }
    }

    /// Its words, for whoever starts it.
    pub(crate) fn words(&self, door: Door) -> Vec<String> {
        let program = self.program(door);
        std::iter::once(program.get_program()).chain(program.get_args()).map(|w| w.to_string_lossy().into_owned()).collect()
    }

    /// A client at this door.
    #[track_caller]
    pub(crate) fn client(&self, door: Door) -> Mcp {
        self.client_of(door, "auto")
    }

    /// A client that negotiates like this.
    #[track_caller]
    pub(crate) fn client_of(&self, door: Door, mode: &str) -> Mcp {
        let words = match door {
            Door::Http => vec!["http".to_owned(), self.url(), self.token.clone()],
            Door::Stdio | Door::Ssh => self.words(door),
        };
        let mut client = Mcp::start(mode, &words);
        let ready = client.answer();
        assert_eq!(ready["ready"], true, "{ready:#}");
        client
    }
}

/// A Python client that calls tools as it is told.
#[derive(Debug)]
pub(crate) struct Mcp {
    process: Process,
    stdin: Option<ChildStdin>,
    lines: Lines,
    errors: Receiver<Vec<u8>>,
}

impl Mcp {
    /// Starts it; it may not get in.
    #[track_caller]
    pub(crate) fn start(mode: &str, words: &[String]) -> Self {
        let mut client = command(python());
        client.arg(peer_script("mcp_calls.py")).arg(mode).args(words);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(client);
        let (stdin, lines, errors) = (process.stdin(), process.lines(), process.errors());
        Self { process, stdin, lines, errors }
    }

    /// Tells it to call a tool, and does not wait.
    #[track_caller]
    pub(crate) fn ask(&mut self, tool: &str, arguments: Value) {
        self.say(&json!({ "tool": tool, "arguments": arguments }));
    }

    /// Tells it something.
    #[track_caller]
    pub(crate) fn say(&mut self, value: &Value) {
        let stdin = self.stdin.as_mut().expect("its standard input is open");
        writeln!(stdin, "{value}").and_then(|()| stdin.flush()).expect("it listens");
    }

    /// What it says next.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Value {
        let Some(line) = self.lines.next() else {
            let errors = self.errors.recv_timeout(PATIENCE).unwrap_or_default();
            panic!("the client has ended:\n{}", String::from_utf8_lossy(&errors));
        };
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Calls a tool that must answer; its structured content, which its text repeats.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask(tool, arguments);
        self.good()
    }

    /// The answer of a call that must be good.
    #[track_caller]
    pub(crate) fn good(&mut self) -> Value {
        let answer = self.answer();
        assert_eq!(answer["error"], false, "{answer:#}");
        let text: Value = serde_json::from_str(answer["text"].as_str().expect("text")).expect("the text is JSON");
        assert_eq!(text, answer["content"], "clients that read only text see the same");
        answer["content"].clone()
    }

    /// Calls a tool that must refuse; its sentence and hint.
    #[track_caller]
    pub(crate) fn refuses(&mut self, tool: &str, arguments: Value) -> String {
        self.ask(tool, arguments);
        let answer = self.answer();
        assert_eq!(answer["error"], true, "{answer:#}");
        let text = answer["text"].as_str().expect("text").to_owned();
        assert!(text.starts_with("error: ") && text.contains("\nhint: "), "{text}");
        text
    }

    /// Says no more and waits until it has ended: its status, and what it had to say.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.stdin = None;
        let status = self.process.wait().code();
        let errors = self.errors.recv_timeout(PATIENCE).expect("standard error is closed");
        (status, String::from_utf8_lossy(&errors).into_owned())
    }
}

/// A program that speaks for itself, without a client: lines in, lines out.
#[track_caller]
pub(crate) fn raw(mut program: Command) -> (Process, ChildStdin, Lines, Receiver<Vec<u8>>) {
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(program);
    let stdin = process.stdin().expect("a pipe");
    let (lines, errors) = (process.lines(), process.errors());
    (process, stdin, lines, errors)
}

/// The example in Python, with these words.
pub(crate) fn python_example(words: &[String]) -> Command {
    let mut example = command(python());
    example.arg(super::agent::example("agent_mcp.py")).args(words);
    example
}
