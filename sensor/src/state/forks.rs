//! What a fork changes.

use peewit_core::alert::{Action, Flags, ProcessEvent};
use peewit_core::engine::Engine;
use peewit_core::lineage::Image;
use peewit_core::pack::Kinds;

use super::{Sensor, State};
use crate::exceptions;
use crate::invoked::Invoked;
use crate::judge::Rules;
use crate::outlet::{Beside, args_len, matched_arg};
use crate::subject::{Parent, Subject};
use crate::sys::real_ms;

impl State {
    /// Enters a new process, and raises the alerts for rules that hold for a fork of its parent.
    pub(super) fn forked(&mut self, sensor: &Sensor, engine: &Engine<'_>, parent: u32, child: u32) {
        self.counters.forks += 1;
        if self.lineage.fork(parent, child).is_err() {
            self.seed(sensor, parent);
            if self.lineage.fork(parent, child).is_err() {
                self.lineage.exec(parent, &Image::LOST);
                let _ = self.lineage.fork(parent, child);
            }
        }
        let Some(process) = self.lineage.get(child) else {
            return;
        };
        let unknown = process.lost && engine.kinds().meets(Kinds::FORK);
        if unknown || !process.fork_rules.is_empty() || self.outlet.wants_events() {
            self.fork_event(sensor, engine, parent, child, unknown);
        }
    }

    /// Judges a fork, and hands it on to whoever wants to see all events. The child is still what its parent is: what rules for
    /// forks need was kept in the table. `/proc` is asked only where that could not be done, and for the arguments of an event
    /// that no such rule is about.
    fn fork_event(
        &mut self,
        sensor: &Sensor,
        engine: &Engine<'_>,
        parent: u32,
        child: u32,
        unknown: bool,
    ) {
        let (Some(process), Some(describer)) = (self.lineage.get(child), &mut self.describer)
        else {
            return;
        };
        let mut directory = [0; 256];
        let mut subject = Subject::new(Action::Fork, (child, parent), sensor, &mut directory);
        subject.executable = process.path;
        subject.args = Some(process.args);
        subject.invoked = Invoked::kept(process.invoked);
        subject.parent = Parent::Itself;
        let mut length = process.args_len;
        let mut complete = true;
        if unknown || process.fork_rules.is_empty() {
            // The child may be another program by now, unless nothing better is known of it.
            let (args, executable) = sensor.proc.look(
                if unknown { child } else { parent },
                &mut describer.arguments,
                describer.path,
                &mut || (),
            );
            let executable = executable.ok().map(|executable| executable.path);
            if unknown {
                subject.executable = executable;
                subject.invoked = Invoked::Unread {
                    room: describer.invoked,
                    stands: false,
                };
            }
            subject.args = args.ok().map(|()| describer.arguments.block());
            length = args_len(subject.args);
            complete = executable.is_some() && subject.executable == executable;
            complete &= subject.args.is_some();
        }
        let mut rules = Rules::NONE;
        if unknown && subject.executable.is_some() {
            rules = describer.judge.find(engine, &mut subject, Kinds::FORK);
        }
        for rule in process.fork_rules.iter() {
            rules.insert(rule);
        }
        if !rules.is_empty() {
            subject.read_all();
            exceptions::read(self.outlet.exceptions.fields, &mut subject);
        }
        let args = subject.args.unwrap_or(&[]);
        let cut = length as usize > args.len();
        let mut raised = 0;
        while let Some(rule) = rules.pop_last() {
            let beside = Beside {
                tid: child,
                args_len: length,
                flags: Flags::NONE,
                matched: matched_arg(engine, describer.judge.evaluation(), rule, args, cut),
            };
            raised += self
                .outlet
                .matched(engine, rule, &subject, &self.lineage, &beside);
        }
        if self.outlet.wants_events() {
            self.outlet.event(&ProcessEvent {
                action: Action::Fork,
                time_ms: real_ms(),
                pid: child,
                tid: child,
                ppid: parent,
                executable: subject.executable,
                args,
                args_len: length,
                cwd: None,
                uid: None,
                parent_executable: process.path,
                complete,
            });
        }
        describer.arguments.release();
        self.raised(sensor, raised);
    }
}
