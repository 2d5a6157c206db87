//! Alerts and events as lines of ECS JSON, and alerts as lines of text.
//!
//! The same writer serves the device and the workstation. A document is one line without
//! spaces between its parts and without a line feed at its end; its keys are dotted, not nested.
//! A field that is not known is left out. Bytes that are not UTF-8 become U+FFFD, one for
//! each sequence that begins like a character and does not end as one; text shows them
//! exactly. Characters that a terminal would obey are escaped in both.
//!
//! Keys are those of the Elastic Common Schema 8 and, below `kibana.alert`, of Kibana's
//! detection engine; ours are below `peewit`.

mod health;
mod held_back;
mod json;
mod sink;
mod text;
mod time;

use core::fmt::{Result, Write};

use crate::alert::{Action, Alert, Flags, Header, Parent, Path, ProcessEvent, RuleInfo};
use crate::event::{Block, unterminated};
pub use health::{write_health, write_health_text};
pub use held_back::{write_held_back, write_held_back_text};
use json::Object;
pub use text::write_text;

/// The recorded events that a replayed alert comes from.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Its `event.id`.
    pub event_id: &'a str,
    /// For a sequence, those of all its events in order.
    pub sequence: &'a [&'a [u8]],
}

/// Writes an alert. `header` is that of its stream, `rule` its rule where that is known.
///
/// # Errors
///
/// Those of `out`.
pub fn write_alert(
    out: &mut dyn Write,
    header: Option<&Header<'_>>,
    alert: &Alert<'_>,
    recorded: Option<&Recorded<'_>>,
    rule: Option<&RuleInfo<'_>>,
) -> Result {
    let mut line = Object::begin(out);
    what(&mut line, "alert", alert.action, alert.time_ms);
    if let Some(recorded) = recorded {
        line.text("event.id", recorded.event_id);
    }
    line.number("event.severity", alert.severity.score().into());
    whose(&mut line, header);
    line.rule("rule.id", &alert.rule);
    if let Some(rule) = rule {
        about(&mut line, rule);
    }
    line.text("kibana.alert.severity", alert.severity.name());
    line.number("kibana.alert.risk_score", alert.risk_score.into());
    strings(&mut line, "kibana.alert.new_terms", &alert.terms);
    who(
        &mut line,
        &Process {
            pid: alert.pid,
            tid: alert.tid,
            uid: alert.uid,
            executable: alert.executable,
            args: alert.args,
            args_len: alert.args_len,
            cwd: alert.cwd,
            parent: alert.parent,
        },
    );
    line.objects("peewit.ancestors", &alert.ancestors, |object, ancestor| {
        object.number("pid", ancestor.pid.into());
        let name = Some(ancestor.name).filter(|name| !name.is_empty());
        object.optional_string("name", name);
    });
    line.objects("peewit.stages", &alert.stages, |object, stage| {
        let ago = alert.boot_ms.saturating_sub(stage.boot_ms);
        object.time("@timestamp", alert.time_ms.saturating_sub(ago));
        object.number("pid", stage.pid.into());
    });
    if let Some(recorded) = recorded {
        strings(&mut line, "peewit.sequence", recorded.sequence);
    }
    line.known_number("peewit.alert.sequence", alert.sequence);
    line.known_number("peewit.alert.boot_ms", alert.boot_ms);
    if let Some(arg) = alert.matched_arg {
        line.string("peewit.alert.matched_arg", arg.bytes);
        line.number("peewit.alert.matched_arg_index", arg.index.into());
    }
    for (mark, name) in &Flags::NAMES {
        if alert.flags.contains(*mark) {
            line.mark("peewit.alert.", name);
        }
    }
    line.end()
}

/// A list of strings, if there are any.
fn strings(line: &mut Object<'_>, key: &str, strings: &[&[u8]]) {
    if strings.is_empty() {
        return;
    }
    line.list(key);
    for string in strings {
        line.item(string);
    }
    line.end_list();
}

/// What is known of an alert's rule.
fn about(line: &mut Object<'_>, rule: &RuleInfo<'_>) {
    line.text("rule.name", rule.name);
    line.items("rule.author", rule.author, b',', |_| true);
    line.items("rule.reference", rule.references, b' ', |_| true);
    line.items("tags", rule.tags, b',', |_| true);
    line.items("threat.tactic.id", rule.attack, b' ', is_tactic);
    line.items("threat.technique.id", rule.attack, b' ', |id| {
        !is_tactic(id) && !is_subtechnique(id)
    });
    line.items(
        "threat.technique.subtechnique.id",
        rule.attack,
        b' ',
        is_subtechnique,
    );
}

/// Whether an ATT&CK id is a tactic's.
fn is_tactic(id: &[u8]) -> bool {
    id.starts_with(b"TA")
}

/// Whether it is a subtechnique's.
fn is_subtechnique(id: &[u8]) -> bool {
    id.contains(&b'.')
}

/// Writes a captured event, such that `peewitctl replay` can read it.
///
/// `peewit.event.truncated` says that the arguments were cut (the last one is then perhaps
/// a part, and `process.args_count` is missing), `peewit.event.incomplete` that something
/// could not be read.
///
/// # Errors
///
/// Those of `out`.
pub fn write_event(out: &mut dyn Write, event: &ProcessEvent<'_>) -> Result {
    let mut line = Object::begin(out);
    what(&mut line, "event", event.action, event.time_ms);
    let process = Process {
        pid: event.pid,
        tid: event.tid,
        uid: event.uid,
        executable: event.executable.map(Path::new),
        args: event.args,
        args_len: event.args_len,
        cwd: event.cwd,
        parent: Parent {
            pid: event.ppid,
            executable: event.parent_executable.map(Path::new),
        },
    };
    who(&mut line, &process);
    if process.cut() {
        line.mark("peewit.event.", "truncated");
    }
    if !event.complete {
        line.mark("peewit.event.", "incomplete");
    }
    line.end()
}

/// Whose stream it is, if that is known.
#[inline(never)]
fn whose(line: &mut Object<'_>, header: Option<&Header<'_>>) {
    if let Some(header) = header {
        line.text("host.id", header.host_id);
        line.text("host.name", header.host_name);
        line.text("host.boot.id", header.boot_id);
        line.text("agent.type", "peewit");
        line.text("agent.version", header.sensor_version);
    }
}

/// What alerts and events say of the process.
struct Process<'a> {
    pid: u32,
    tid: u32,
    uid: Option<u32>,
    executable: Option<Path<'a>>,
    args: &'a [u8],
    args_len: u32,
    cwd: Option<&'a [u8]>,
    parent: Parent<'a>,
}

impl Process<'_> {
    fn cut(&self) -> bool {
        usize::try_from(self.args_len).is_ok_and(|length| length > self.args.len())
    }
}

#[inline(never)]
fn what(line: &mut Object<'_>, kind: &str, action: Action, time_ms: u64) {
    line.time("@timestamp", time_ms);
    line.text("event.kind", kind);
    line.only("event.category", "process");
    line.only("event.type", action.event_type());
    line.text("event.action", action.name());
    line.text("host.os.type", "linux");
}

#[inline(never)]
fn who(line: &mut Object<'_>, process: &Process<'_>) {
    line.known_number("process.pid", process.pid.into());
    line.known_number("process.thread.id", process.tid.into());
    line.program("process.", process.executable.as_ref());
    if !process.args.is_empty() {
        line.list("process.args");
        let mut count = 0;
        for arg in Block::new(process.args) {
            line.item(arg);
            count += 1;
        }
        line.end_list();
        if !process.cut() {
            line.number("process.args_count", count);
        }
        // A NUL is written as the space that joins.
        line.string("process.command_line", unterminated(process.args));
    }
    line.optional_string("process.working_directory", process.cwd);
    if let Some(uid) = process.uid {
        line.number_text("user.id", uid.into());
    }
    line.known_number("process.parent.pid", process.parent.pid.into());
    line.program("process.parent.", process.parent.executable.as_ref());
}

#[cfg(test)]
mod tests;
