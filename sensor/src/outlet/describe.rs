//! What an alert says.

use peewit_core::alert::{
    ANCESTORS, Alert, Ancestor, Flags, MatchedArg, Parent as AlertParent, Path, Record, STAGES,
    Stage as Earlier,
};
use peewit_core::engine::{Engine, Evaluation};
use peewit_core::event::{Block, base_name};
use peewit_core::lineage::Parent as Kin;
use peewit_core::pack::{self, RuleIndex};

use super::{Beside, Table};
use crate::judge::length;
use crate::subject::{Parent, Subject};
use crate::sys::{boot_ms, real_ms};

/// What makes an alert of a rule that holds.
pub(super) struct Found<'f, 'a> {
    pub sequence: u64,
    pub terms: &'f [&'a [u8]],
    pub stages: heapless::Vec<Earlier, STAGES>,
    pub flags: Flags,
}

/// The alert.
#[inline(never)]
pub(super) fn describe<'a>(
    rule: &pack::Rule<'a>,
    subject: &'a Subject<'_>,
    lineage: &'a Table,
    beside: &Beside<'a>,
    found: Found<'_, 'a>,
) -> Record<'a> {
    let mut flags = beside.flags | found.flags;
    let lost = matches!(subject.parent, Parent::Lost);
    if lost {
        flags |= Flags::LOST_PARENT;
    }
    let executable = match lineage.parent(subject.pid) {
        Kin::Known(parent) => parent.path.map(Path::new),
        Kin::None | Kin::Lost => None,
    };
    let mut alert = Alert {
        sequence: found.sequence,
        rule: rule.id,
        severity: rule.severity,
        risk_score: rule.risk_score,
        terms: heapless::Vec::new(),
        action: subject.action,
        matched_arg: beside.matched,
        time_ms: real_ms(),
        boot_ms: boot_ms(),
        pid: subject.pid,
        tid: beside.tid,
        uid: subject.status().map(|status| status.effective_user),
        executable: subject.executable.map(Path::new),
        args: subject.args.unwrap_or(&[]),
        args_len: beside.args_len,
        cwd: subject.directory(),
        parent: AlertParent {
            pid: subject.parent_pid,
            executable,
        },
        ancestors: heapless::Vec::new(),
        flags,
        stages: found.stages,
    };
    // As many of both as there is room for.
    for term in found.terms {
        let _ = alert.terms.push(term);
    }
    for process in lineage.ancestors(subject.pid).skip(1).take(ANCESTORS) {
        let _ = alert.ancestors.push(Ancestor {
            pid: process.pid,
            name: process.path.map_or(b"", base_name),
        });
    }
    Record::Alert(alert)
}

/// The first argument by which a rule matched. Of arguments that were cut, the last one does not count.
#[inline(never)]
pub fn matched_arg<'a>(
    engine: &Engine<'_>,
    evaluation: &mut Evaluation,
    rule: RuleIndex,
    args: &'a [u8],
    cut: bool,
) -> Option<MatchedArg<'a>> {
    let whole = match args.iter().rposition(|&byte| byte == 0) {
        Some(end) if cut => args.get(..=end)?,
        None if cut => return None,
        _ => args,
    };
    let held = engine.pack().rule(rule)?;
    let (index, bytes) = engine.matched_arg(evaluation, &held, Block::new(whole))?;
    Some(MatchedArg {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        bytes,
    })
}

/// Length of arguments as alerts carry it.
pub fn args_len(args: Option<&[u8]>) -> u32 {
    length(args.unwrap_or(&[]))
}
