//! What the end of a process changes.

use peewit_core::alert::{Action, Flags};
use peewit_core::engine::Engine;
use peewit_core::lineage::Parent as Kin;
use peewit_core::pack::Kinds;

use super::{Sensor, State};
use crate::exceptions;
use crate::invoked::Invoked;
use crate::outlet::Beside;
use crate::subject::{Parent, Subject};

impl State {
    /// Takes note of an end, and raises the alerts for rules that hold for it.
    pub(super) fn ended(
        &mut self,
        sensor: &Sensor,
        engine: &Engine<'_>,
        pid: u32,
        status: Option<u32>,
    ) {
        let concerned = self.lineage.get(pid).is_some_and(|process| {
            let unknown = process.lost && engine.kinds().meets(Kinds::EXIT);
            unknown || !process.exit_rules.is_empty()
        });
        if concerned {
            self.end_event(sensor, engine, pid, status);
        }
        self.lineage.exit(pid);
    }

    /// Judges an end by what is known of the process: it is gone, or about to be.
    #[cold]
    fn end_event(&mut self, sensor: &Sensor, engine: &Engine<'_>, pid: u32, status: Option<u32>) {
        let (Some(process), Some(describer)) = (self.lineage.get(pid), &mut self.describer) else {
            return;
        };
        let mut buffer = [0; 256];
        let whole = process.args_len as usize == process.args.len();
        let of = (pid, process.ppid);
        let mut subject = Subject::new(Action::End, of, sensor, &mut buffer);
        subject.executable = process.path;
        subject.args = Some(process.args).filter(|_| whole && !process.exit_rules.is_empty());
        subject.invoked = Invoked::kept(process.invoked);
        subject.exit_code = status.map(exit_code);
        subject.parent = match self.lineage.parent(pid) {
            Kin::Known(parent) if !parent.lost => Parent::Facts(parent.facts),
            Kin::None => Parent::None,
            Kin::Known(_) | Kin::Lost => Parent::Lost,
        };
        let mut rules = describer.judge.find(engine, &mut subject, Kinds::EXIT);
        // What is kept with the parent is no value: its path is.
        subject.parent = match self.lineage.parent(pid) {
            Kin::Known(parent) if !parent.lost => Parent::named(&parent),
            _ => subject.parent,
        };
        if !rules.is_empty() {
            exceptions::read(self.outlet.exceptions.fields, &mut subject);
        }
        let mut raised = 0;
        while let Some(rule) = rules.pop_last() {
            if let Some(rule) = engine.pack().rule(rule) {
                subject.read_keys(rule.keys.iter());
            }
            let beside = Beside {
                tid: pid,
                args_len: process.args_len,
                flags: Flags::NONE,
                matched: None,
            };
            raised += self
                .outlet
                .matched(engine, rule, &subject, &self.lineage, &beside);
        }
        self.raised(sensor, raised);
    }
}

/// The code of a status as wait(2) has it; as shells do, 128 and its number for a signal.
fn exit_code(status: u32) -> u8 {
    match (status & 0x7F) as u8 {
        0 => (status >> 8) as u8,
        signal => 128 | signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_shells() {
        for (status, code) in [(0, 0), (0x100, 1), (0xFF00, 255), (9, 137), (0x8B, 139)] {
            assert_eq!(exit_code(status), code, "{status:#x}");
        }
    }
}
