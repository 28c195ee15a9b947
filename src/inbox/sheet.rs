//! A proposal as rows for a screen: everything that would happen first and to its last byte, then what is said about it. It
//! leaves nothing out and judges nothing.

use base64ct::{Base64, Encoding};

use crate::control::ProposalView;
use crate::model::Stage;
use crate::render::{self, Line, Mark, Shown};
use crate::screen::folded;

/// From this size on a word has to be typed, in bytes.
const LARGE: usize = 4096;
/// How wide names of facts are.
const LABEL: usize = 11;
/// How much of another step is shown, in columns.
const STEP: usize = 200;

/// How something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Dim,
    Escape,
    Care,
    Good,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<(String, Ink)>);

impl Row {
    pub(super) fn of(text: impl Into<String>, ink: Ink) -> Self {
        Self(vec![(text.into(), ink)])
    }
}

/// Another step of the same plan, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) step: u32,
    pub(super) state: String,
    pub(super) command: String,
}

/// What the person wrote instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    /// The digest of what would run then, once the desk has told it.
    pub(super) digest: Option<String>,
}

/// The rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) rows: Vec<Row>,
    /// So many of them say what would happen.
    pub(super) bearing: usize,
    /// Whether one key is too easy an answer.
    pub(super) care: bool,
}

/// The bytes of a command.
pub(super) fn command_of(p: &ProposalView) -> Vec<u8> {
    Base64::decode_vec(&p.command_base64).unwrap_or_else(|_| p.command.clone().into_bytes())
}

/// Where a proposal stands, in a few words.
pub(super) fn state(p: &ProposalView) -> String {
    match (p.state, p.exit_status, &p.exit_signal) {
        (Stage::Pending, _, _) => "waits".to_owned(),
        (Stage::Executed, _, Some(signal)) => format!("ended by SIG{signal}"),
        (Stage::Executed, Some(status), _) => format!("ran, exit {status}"),
        (stage, _, _) => stage.to_string(),
    }
}

/// A proposal on rows of `width` columns.
pub(super) fn sheet(p: &ProposalView, edited: Option<&Edited>, steps: &[Step], width: usize) -> Sheet {
    let width = width.max(8);
    let command = edited.map_or_else(|| command_of(p), |e| e.text.clone().into_bytes());
    let stdin = p.stdin_base64.as_deref().and_then(|s| Base64::decode_vec(s).ok()).unwrap_or_default();
    let (shown, shown_stdin) = (render::show(&command), render::show(&stdin));
    let env: Vec<(String, Shown)> = p.env.iter().map(|(n, v)| (render::clean(n, 1000), render::show(v.as_bytes()))).collect();
    let size = command.len() + stdin.len() + p.env.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
    let care = shown.needs_care() || shown_stdin.needs_care() || env.iter().any(|(_, v)| v.needs_care()) || size > LARGE;

    let mut out = Paper { rows: Vec::new(), width };
    for (of, shown) in std::iter::once((String::new(), &shown))
        .chain(std::iter::once(("standard input: ".to_owned(), &shown_stdin)))
        .chain(env.iter().map(|(n, v)| (format!("{n}: "), v)))
    {
        for warning in &shown.warnings {
            out.text("! ", &format!("care: {of}{}", warning.sentence()), Ink::Care);
        }
    }
    let host = p.login.as_ref().map_or_else(|| p.host.to_string(), |login| format!("{} as {login}", p.host));
    out.fact("host", &host, Ink::Bold);
    out.fact("agent", &format!("{} (of {})", p.agent, p.user), Ink::Plain);
    out.fact("connection", &p.session.to_string(), Ink::Plain);
    out.fact("runs for", &format!("at most {} s, without a terminal", p.timeout_s), Ink::Plain);
    match edited {
        None => out.fact("sha256", &p.digest, Ink::Plain),
        Some(Edited { digest: Some(digest), .. }) => out.fact("sha256", digest, Ink::Plain),
        Some(Edited { digest: None, .. }) => out.fact("sha256", "is asked for", Ink::Dim),
    }
    if p.needs_signature && p.state == Stage::Pending {
        out.fact("needs", "your signature over it", Ink::Bold);
    }
    if let Some(plan) = p.plan {
        out.fact("plan", &format!("step {} of {} of {plan}", p.step, p.steps), Ink::Bold);
        out.steps(p, steps);
    }
    out.blank();
    let whose = if edited.is_some() { "your command instead" } else { "command" };
    out.heading(&format!("{whose}, {} bytes", shown.bytes));
    out.bytes(&shown);
    if p.stdin_bytes > 0 {
        out.heading(&format!("standard input, {} bytes", p.stdin_bytes));
        if stdin.len() == p.stdin_bytes { out.bytes(&shown_stdin) } else { out.text("", "is asked for", Ink::Dim) }
    }
    if !env.is_empty() {
        out.heading(&format!("variables, {}", env.len()));
        for ((name, value), (_, raw)) in env.iter().zip(&p.env) {
            out.text("", &format!("{name}, {} bytes:", raw.len()), Ink::Plain);
            out.bytes(value);
        }
    }
    out.rule("end of what would run");
    let bearing = out.rows.len();
    about(&mut out, p, edited, &command);
    Sheet { rows: out.rows, bearing, care }
}

/// What is said about it, and how it went.
fn about(out: &mut Paper, p: &ProposalView, edited: Option<&Edited>, command: &[u8]) {
    let asked = p.proposed_command_base64.as_deref().and_then(|c| Base64::decode_vec(c).ok());
    let asked = if edited.is_some() { Some(command_of(p)) } else { asked };
    if let Some(asked) = asked {
        out.heading(&format!("the agent had proposed, {} bytes", asked.len()));
        out.bytes(&render::show(&asked));
    }
    if p.state != Stage::Pending {
        let why = p.why.as_deref().map(|w| format!(": {}", render::clean(w, 1000))).unwrap_or_default();
        let by = p.decided_by.as_ref().map(|by| format!(" (decided by {by})")).unwrap_or_default();
        out.fact("state", &format!("{}{by}{why}", state(p)), Ink::Bold);
        if p.started_at.is_some() {
            let masked = if p.masked > 0 { format!(", {} secrets masked", p.masked) } else { String::new() };
            out.fact("wrote", &format!("{} and {} bytes{masked}", p.stdout_bytes, p.stderr_bytes), Ink::Plain);
        }
    }
    if let Some(output) = &p.output {
        for (name, text) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            if !text.is_empty() {
                out.heading(name);
                for line in render::output(text.as_bytes()).lines() {
                    out.text("", line, Ink::Plain);
                }
            }
        }
        if output.left_out > 0 {
            out.text("", &format!("{} bytes of output are not shown", output.left_out), Ink::Dim);
        }
    }
    let points = render::explain::explain(command).points;
    if !points.is_empty() {
        out.heading("what a parser says of it (it decides nothing)");
        for point in points {
            out.text("- ", &point.text, Ink::Plain);
        }
    }
    if let Some(claim) = &p.reason {
        out.claim(&render::show(claim.as_bytes()));
    }
}

/// Rows as they are written.
struct Paper {
    rows: Vec<Row>,
    width: usize,
}

impl Paper {
    fn blank(&mut self) {
        self.rows.push(Row::default());
    }

    fn heading(&mut self, text: &str) {
        for part in folded(text, self.width) {
            self.rows.push(Row::of(part, Ink::Bold));
        }
    }

    /// Text behind a mark, folded; what goes on stands under its beginning.
    fn text(&mut self, mark: &str, text: &str, ink: Ink) {
        let indent = mark.chars().count();
        for (i, part) in folded(text, self.width.saturating_sub(indent)).into_iter().enumerate() {
            let mark = if i == 0 { mark.to_owned() } else { " ".repeat(indent) };
            self.rows.push(Row(vec![(mark, ink), (part, ink)]));
        }
    }

    fn fact(&mut self, name: &str, value: &str, ink: Ink) {
        for (i, part) in folded(value, self.width.saturating_sub(LABEL)).into_iter().enumerate() {
            let name = format!("{:LABEL$}", if i == 0 { name } else { "" });
            self.rows.push(Row(vec![(name, Ink::Dim), (part, ink)]));
        }
    }

    /// Every byte, on rows that begin with a bar.
    fn bytes(&mut self, shown: &Shown) {
        for line in shown.wrapped(self.width.saturating_sub(2)) {
            let mut row = vec![("│ ".to_owned(), Ink::Dim)];
            row.extend(inked(line));
            self.rows.push(Row(row));
        }
    }

    fn rule(&mut self, text: &str) {
        let text = render::clean(text, self.width.saturating_sub(6));
        let rest = self.width.saturating_sub(text.chars().count() + 4);
        self.rows.push(Row::of(format!("── {text} {}", "─".repeat(rest)), Ink::Dim));
    }

    fn steps(&mut self, p: &ProposalView, steps: &[Step]) {
        for step in 1..=p.steps {
            let (mark, text) = if step == p.step {
                ("> ".to_owned(), "this one".to_owned())
            } else {
                let known = steps.iter().find(|s| s.step == step);
                let text =
                    known.map_or_else(|| "is not at hand".to_owned(), |s| format!("{}: {}", s.state, render::clean(&s.command, STEP)));
                ("  ".to_owned(), text)
            };
            self.text(&" ".repeat(LABEL), &format!("{mark}{step} {text}"), Ink::Plain);
        }
    }

    fn claim(&mut self, claim: &Shown) {
        let inner = self.width.saturating_sub(4);
        let title = render::clean("the agent claims; nobody has checked it", inner.saturating_sub(4));
        self.rows.push(Row::of(format!("┌─ {title} {}┐", "─".repeat(inner.saturating_sub(title.chars().count() + 1))), Ink::Dim));
        for line in claim.wrapped(inner) {
            let rest = inner.saturating_sub(line.columns());
            let mut row = vec![("│ ".to_owned(), Ink::Dim)];
            row.extend(inked(line));
            row.push((format!("{} │", " ".repeat(rest)), Ink::Dim));
            self.rows.push(Row(row));
        }
        self.rows.push(Row::of(format!("└{}┘", "─".repeat(inner + 2)), Ink::Dim));
    }
}

pub(super) fn inked(line: Line) -> impl Iterator<Item = (String, Ink)> {
    line.pieces.into_iter().map(|piece| {
        let ink = match piece.mark {
            Mark::Plain => Ink::Plain,
            Mark::Escape => Ink::Escape,
            Mark::Space | Mark::Wrap => Ink::Dim,
            Mark::Care => Ink::Care,
        };
        (piece.text, ink)
    })
}
