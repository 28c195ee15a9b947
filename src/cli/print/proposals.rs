//! Agents and proposals for people: every byte of a command visible, and what the agent says of it named a claim.

use base64ct::{Base64, Encoding};

use super::Style;
use super::list::{at, bytes, or_dash};
use super::table::{facts, table};
use crate::control::{AgentView, AllowanceView, PlanView, ProposalView};
use crate::model::Stage;
use crate::render;

/// How much of a command a list shows, in characters.
const IN_A_LIST: usize = 60;

pub(super) fn agents(list: &[AgentView], style: &Style) -> String {
    let rows = list.iter().map(|a| {
        let signs_in = a.fingerprint.clone().unwrap_or_else(|| "token".to_owned());
        let limits = format!("{} waiting, {}/min, {}", a.limits.pending, a.limits.per_minute, bytes(a.limits.output));
        let signature = if a.require_signature { "required" } else { "-" }.to_owned();
        vec![a.name.to_string(), a.owner.to_string(), signs_in, limits, signature, at(a.created_at)]
    });
    table(&["NAME", "FOR", "SIGNS IN WITH", "LIMITS", "SIGNATURE", "ADDED"], rows.collect(), style)
}

/// Where a proposal stands, in a few words.
pub(super) fn state(p: &ProposalView) -> String {
    match (p.state, p.exit_status, &p.exit_signal) {
        (Stage::Executed, _, Some(signal)) => format!("executed (SIG{signal})"),
        (Stage::Executed, Some(status), _) => format!("executed ({status})"),
        (stage, _, _) => stage.to_string(),
    }
}

fn command_of(p: &ProposalView) -> Vec<u8> {
    Base64::decode_vec(&p.command_base64).unwrap_or_else(|_| p.command.clone().into_bytes())
}

pub(super) fn proposals(list: &[ProposalView], style: &Style) -> String {
    let rows = list.iter().map(|p| {
        let step = if p.steps > 1 { format!(" [{}/{}]", p.step, p.steps) } else { String::new() };
        let command = render::clean(&String::from_utf8_lossy(&command_of(p)), IN_A_LIST);
        vec![p.id.to_string(), state(p), p.agent.to_string(), p.host.to_string(), at(p.created_at), format!("{command}{step}")]
    });
    table(&["ID", "STATE", "AGENT", "HOST", "PROPOSED", "COMMAND"], rows.collect(), style)
}

pub(super) fn allowances(list: &[AllowanceView], style: &Style) -> String {
    let rows = list.iter().map(|a| {
        let command = render::clean(&a.command, IN_A_LIST);
        vec![a.id.to_string(), a.agent.to_string(), a.host.to_string(), a.left.to_string(), at(a.until), command]
    });
    table(&["ID", "AGENT", "HOST", "LEFT", "UNTIL", "COMMAND"], rows.collect(), style)
}

/// One proposal, whole.
pub(super) fn proposal(p: &ProposalView, style: &Style) -> String {
    let command = command_of(p);
    let shown = render::show(&command);
    let decided = p.decided_by.as_ref().map(|who| {
        let how = match (p.means.as_deref(), &p.signed_by) {
            (Some(means), Some(key)) => format!(" ({means} {key})"),
            (Some(means), None) => format!(" ({means})"),
            _ => String::new(),
        };
        format!("{who}{how}{}", p.decided_at.map(|t| format!(", {}", at(t))).unwrap_or_default())
    });
    let stdin = p.stdin_base64.as_deref().and_then(|s| Base64::decode_vec(s).ok()).unwrap_or_default();
    let plan = p.plan.map(|plan| format!("step {} of {} of {plan}; the whole of it: proposal show {plan}", p.step, p.steps));
    let mut out = facts(
        vec![
            ("id", p.id.to_string()),
            ("state", state(p)),
            ("why", p.why.as_deref().map(|w| render::clean(w, 1000)).unwrap_or_default()),
            ("agent", format!("{} (of {})", p.agent, p.user)),
            ("host", p.login.as_ref().map_or_else(|| p.host.to_string(), |login| format!("{} as {login}", p.host))),
            ("session", p.session.to_string()),
            ("plan", plan.unwrap_or_default()),
            ("proposed", at(p.created_at)),
            ("expires", if p.state == Stage::Pending { at(p.expires_at) } else { String::new() }),
            ("runs for", format!("at most {} s", p.timeout_s)),
            ("decided", decided.unwrap_or_default()),
            ("needs", if p.needs_signature { "your signature over it: --sign".to_owned() } else { String::new() }),
            ("started", p.started_at.map(at).unwrap_or_default()),
            ("ended", p.ended_at.map(at).unwrap_or_default()),
            ("signal", p.exit_signal.clone().unwrap_or_default()),
            ("exit status", p.exit_status.map(|s| s.to_string()).unwrap_or_default()),
            ("wrote", wrote(p)),
            ("sha256", p.digest.clone()),
        ],
        style,
    );
    out.push_str(&format!("\ncommand, {} bytes:\n{}", shown.bytes, indented(&shown.plain())));
    if let Some(was) = p.proposed_command_base64.as_deref().and_then(|c| Base64::decode_vec(c).ok()) {
        out.push_str(&format!("\nthe agent had proposed, {} bytes:\n{}", was.len(), indented(&render::show(&was).plain())));
    }
    if p.stdin_bytes > 0 {
        let text = if stdin.is_empty() { String::new() } else { indented(&render::show(&stdin).plain()) };
        out.push_str(&format!("\nstandard input, {} bytes:\n{text}", p.stdin_bytes));
    }
    let mut warnings = shown.warnings.clone();
    warnings.extend(render::show(&stdin).warnings);
    for (name, value) in &p.env {
        let shown = render::show(value.as_bytes());
        out.push_str(&format!("\nvariable {}, {} bytes:\n{}", render::clean(name, 64), shown.bytes, indented(&shown.plain())));
        warnings.extend(shown.warnings);
    }
    for warning in &warnings {
        out.push_str(&format!("\ncare: {}", warning.sentence()));
    }
    let points = render::explain::explain(&command).points;
    if !points.is_empty() {
        out.push_str("\nwhat a parser says of it (it decides nothing):\n");
        for point in points {
            out.push_str(&format!("  - {}\n", point.text));
        }
    }
    if let Some(claim) = &p.reason {
        out.push_str(&format!("\nthe agent claims:\n{}", indented(&render::clean(claim, 1000))));
    }
    if let Some(output) = &p.output {
        for (name, text) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            if !text.is_empty() {
                out.push_str(&format!("\n{name}:\n{}", indented(&render::output(text.as_bytes()))));
            }
        }
        if output.left_out > 0 {
            out.push_str(&format!("\n{} bytes of output are not shown\n", output.left_out));
        }
    }
    out
}

fn wrote(p: &ProposalView) -> String {
    if p.ended_at.is_none() || p.started_at.is_none() {
        return String::new();
    }
    let masked = if p.masked > 0 { format!(", {} secrets masked", p.masked) } else { String::new() };
    format!("{} on standard output, {} on standard error{masked}", bytes(p.stdout_bytes), bytes(p.stderr_bytes))
}

fn indented(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(&format!("  | {line}\n"));
    }
    out
}

/// A plan: every step whole, and at the end the digest by which all of them are approved.
pub(super) fn plan(plan: &PlanView, style: &Style) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        out.push_str(&format!("── step {} of {} of {}\n{}\n", step.step, step.steps, plan.id, proposal(step, style)));
    }
    if let Some(digest) = &plan.digest {
        out.push_str(&format!("── end of the plan, {} steps\nsha256 of the plan  {digest}\n", plan.steps.len()));
    }
    out
}

/// The token of an agent, alone on its line; nothing else is data.
pub(super) fn token(agent: &AgentView) -> String {
    agent.token.as_ref().map(|t| format!("{t}\n")).unwrap_or_default()
}

/// An agent's facts.
pub(super) fn agent(a: &AgentView, style: &Style) -> String {
    facts(vec![("name", a.name.to_string()), ("for", a.owner.to_string()), ("key", or_dash(a.fingerprint.as_ref()))], style)
}
