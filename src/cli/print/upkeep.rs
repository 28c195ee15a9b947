//! Credentials that are tried, installed and rotated, for people.

use super::table::{facts, table};
use super::{Rendered, Style, line};
use crate::control::{InstalledView, OpenRotationView, RotatingHostView, RotationView, TestedView};

pub(super) fn tested(v: &TestedView, style: &Style) -> Rendered {
    let rows = v.steps.iter().map(|s| {
        let how = s.error.clone().unwrap_or_else(|| "ok".to_owned());
        vec![s.name.replace('_', " "), format!("{} ms", s.ms), how]
    });
    let stdout = table(&["STEP", "TOOK", "RESULT"], rows.collect(), style);
    let mut stderr = match (&v.failed_step, &v.method) {
        (None, Some(method)) => line(&format!("{} signs in to {} as {} ({method})", v.credential, v.host, v.username)),
        (None, None) => String::new(),
        (Some(step), _) => line(&format!("{} does not sign in to {}: it fails at `{}`", v.credential, v.host, step.replace('_', " "))),
    };
    if let Some(hint) = &v.hint {
        stderr.push_str(&line(&format!("hint: {}", style.calling.pastable(hint))));
    }
    Rendered { stdout, stderr }
}

pub(super) fn installed(v: &InstalledView, style: &Style) -> Rendered {
    let verified = match (v.verified, &v.error) {
        (Some(true), _) => "yes, by a sign-in".to_owned(),
        (_, Some(why)) => format!("no: {why}"),
        (_, None) => "not tried".to_owned(),
    };
    let state = match (v.installed, v.already) {
        (false, _) => "not done",
        (true, true) => "was there already",
        (true, false) => "done",
    };
    let rows = vec![
        ("host", v.host.to_string()),
        ("account", v.username.to_string()),
        ("signed in with", v.using.to_string()),
        ("line", v.line.clone()),
        ("command", v.command.clone()),
        ("installed", state.to_owned()),
        ("verified", verified),
    ];
    let mut stdout = facts(rows, style);
    if let Some(script) = &v.script {
        stdout.push_str("\n# the script, on its standard input; NONCE is another word each time\n");
        stdout.extend(script.lines().map(line));
    }
    Rendered { stdout, stderr: String::new() }
}

pub(super) fn rotation(v: &RotationView, style: &Style) -> Rendered {
    let mut stdout = String::new();
    for (number, what) in v.plan.iter().enumerate() {
        stdout.push_str(&line(&format!("{}. {what}", number + 1)));
    }
    if !v.plan.is_empty() {
        stdout.push('\n');
    }
    stdout.push_str(&hosts(&v.hosts, style));
    Rendered { stdout, stderr: String::new() }
}

fn hosts(list: &[RotatingHostView], style: &Style) -> String {
    let rows = list.iter().map(|h| vec![h.host.to_string(), h.step.to_string(), h.failure.clone().unwrap_or_else(|| "-".to_owned())]);
    table(&["HOST", "STEP", "FAILED"], rows.collect(), style)
}

/// A rotation that stands open, on a few lines.
pub(super) fn open(v: Option<&OpenRotationView>) -> String {
    let Some(v) = v else { return String::new() };
    let mut lines = vec![format!("open, {}", v.stage)];
    lines.extend(v.hosts.iter().map(|h| match &h.failure {
        Some(why) => format!("{}: {}, failed: {why}", h.host, h.step),
        None => format!("{}: {}", h.host, h.step),
    }));
    lines.join("\n")
}
