//! An alert on the wire.

use heapless::Vec;

use super::fields::{Fields, Out};
use super::rule;
use crate::alert::{
    ARGS_LIMIT, Action, Alert, Ancestor, Flags, MatchedArg, PATH_LIMIT, Parent, Path, Severity,
    Stage, TERMS, TEXT_LIMIT,
};
use crate::event::Block;

pub(super) fn put(out: &mut Out<'_>, alert: &Alert<'_>) {
    let args = out.cut(alert.args, ARGS_LIMIT);
    let args_missing = alert.args_len.saturating_sub(length(args));
    let executable = alert.executable.map(|path| out.cut_path(&path));
    let parent_name = alert.parent.executable.map(|path| path.name);

    out.number(alert.sequence);
    rule::put_id(out, &alert.rule);
    out.byte(alert.severity as u8);
    out.byte(alert.risk_score);
    out.byte(alert.terms.len() as u8);
    for &term in &alert.terms {
        // Nearly every new term is the base name of the parent's program.
        let value = (parent_name != Some(term)).then(|| out.cut(term, PATH_LIMIT));
        out.optional_bytes(value);
    }
    out.byte(alert.action as u8);
    out.byte(alert.matched_arg.is_some().into());
    if let Some(arg) = alert.matched_arg {
        out.number(arg.index.into());
        // Not repeated if it is in `args`.
        let elsewhere = argument(args, arg.index) != Some(arg.bytes);
        let bytes = elsewhere.then(|| out.cut(arg.bytes, PATH_LIMIT));
        out.optional_bytes(bytes);
    }
    out.number(alert.time_ms);
    out.number(alert.boot_ms);
    out.number(alert.pid.into());
    out.optional_number((alert.tid != alert.pid).then_some(alert.tid));
    out.optional_number(alert.uid);
    out.byte(executable.is_some().into());
    if let Some(path) = executable {
        out.bytes(path.directory);
        out.bytes(path.name);
    }
    out.bytes(args);
    out.number(args_missing.into());
    let cwd = alert.cwd.map(|cwd| out.cut(cwd, PATH_LIMIT));
    out.optional_bytes(cwd);
    let mut before = alert.pid;
    out.i32(relative(alert.parent.pid, &mut before));
    out.byte(alert.parent.executable.is_some().into());
    if let Some(path) = alert.parent.executable {
        let path = out.cut_path(&path);
        // Not repeated if it is that of `executable`.
        let own = executable.is_some_and(|own| own.directory == path.directory);
        out.optional_bytes((!own).then_some(path.directory));
        out.bytes(path.name);
    }
    out.byte(alert.ancestors.len() as u8);
    for ancestor in &alert.ancestors {
        out.i32(relative(ancestor.pid, &mut before));
        let name = out.cut(ancestor.name, TEXT_LIMIT);
        out.bytes(name);
    }
    let mut flags = alert.flags;
    if out.cut || args_missing > 0 {
        flags |= Flags::TRUNCATED;
    }
    out.number(flags.bits().into());
    // Nothing stands behind them yet, so where there are none the record ends here.
    if !alert.stages.is_empty() {
        out.byte(alert.stages.len() as u8);
        let mut before = alert.pid;
        for stage in &alert.stages {
            out.i32(relative(stage.pid, &mut before));
            out.number(alert.boot_ms.wrapping_sub(stage.boot_ms));
        }
    }
}

/// A pid relative to that of the process before, modulo 2^32.
fn relative(pid: u32, before: &mut u32) -> i32 {
    pid.wrapping_sub(core::mem::replace(before, pid))
        .cast_signed()
}

/// Field by field into its place: together they are more than registers hold.
#[inline(never)]
pub(super) fn take<'a>(fields: &mut Fields<'a>) -> Alert<'a> {
    let mut alert = Alert {
        sequence: fields.u64(),
        rule: rule::take_id(fields),
        severity: fields.variant(&Severity::ALL),
        risk_score: fields.byte(),
        terms: Vec::new(),
        action: Action::Exec,
        matched_arg: None,
        time_ms: 0,
        boot_ms: 0,
        pid: 0,
        tid: 0,
        uid: None,
        executable: None,
        args: &[],
        args_len: 0,
        cwd: None,
        parent: Parent {
            pid: 0,
            executable: None,
        },
        ancestors: Vec::new(),
        flags: Flags::NONE,
        stages: Vec::new(),
    };
    // Those that are the parent's name are filled in when that is known.
    let mut named: Vec<Option<&[u8]>, TERMS> = Vec::new();
    for _ in 0..fields.byte() {
        fields.failed |= named.push(fields.optional_bytes()).is_err();
    }
    alert.action = fields.variant(&[Action::Exec, Action::Fork, Action::End]);
    let matched = fields
        .some()
        .then(|| (fields.u32(), fields.optional_bytes()));
    alert.time_ms = fields.u64();
    alert.boot_ms = fields.u64();
    alert.pid = fields.u32();
    alert.tid = fields.optional_u32().unwrap_or(alert.pid);
    alert.uid = fields.optional_u32();
    if fields.some() {
        alert.executable = Some(Path {
            directory: fields.bytes(),
            name: fields.bytes(),
        });
    }
    alert.args = fields.bytes();
    alert.args_len = length(alert.args).saturating_add(fields.u32());
    alert.cwd = fields.optional_bytes();
    let mut before = alert.pid.wrapping_add_signed(fields.i32());
    alert.parent.pid = before;
    if fields.some() {
        let directory = fields.optional_bytes();
        let own = alert.executable.map(|own| own.directory);
        alert.parent.executable = Some(Path {
            directory: fields.required(directory.or(own)),
            name: fields.bytes(),
        });
    }
    for _ in 0..fields.byte() {
        before = before.wrapping_add_signed(fields.i32());
        let ancestor = Ancestor {
            pid: before,
            name: fields.bytes(),
        };
        fields.failed |= alert.ancestors.push(ancestor).is_err();
    }
    alert.flags = Flags::from_bits(fields.u32());
    before = alert.pid;
    // Earlier versions did not write them.
    let count = if fields.is_empty() { 0 } else { fields.byte() };
    for _ in 0..count {
        before = before.wrapping_add_signed(fields.i32());
        let stage = Stage {
            pid: before,
            boot_ms: alert.boot_ms.wrapping_sub(fields.u64()),
        };
        fields.failed |= alert.stages.push(stage).is_err();
    }
    let parent_name = alert.parent.executable.map(|path| path.name);
    for term in named {
        // As many as there is room for.
        let _ = alert.terms.push(fields.required(term.or(parent_name)));
    }
    if let Some((index, bytes)) = matched {
        let bytes = bytes.or_else(|| argument(alert.args, index));
        alert.matched_arg = Some(MatchedArg {
            index,
            bytes: fields.required(bytes),
        });
    }
    alert
}

/// An argument by its place in argv.
fn argument(args: &[u8], index: u32) -> Option<&[u8]> {
    Block::new(args).nth(usize::try_from(index).ok()?)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
