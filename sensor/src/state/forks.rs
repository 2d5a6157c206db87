//! What a fork changes.

use peewit_core::alert::{Action, Flags};
use peewit_core::lineage::Image;
use peewit_core::pack::Kinds;

use super::{Sensor, State};
use crate::outlet::{args_len, of_fork};
use crate::subject::{Late, Parent, Subject};

impl State {
    /// Enters a new process, and raises the alerts for rules that hold for a fork of its parent.
    pub(super) fn forked(&mut self, sensor: &Sensor, parent: u32, child: u32) {
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
        if process.fork_rules.is_empty() && !process.lost {
            return;
        }
        if process.lost {
            if sensor.engine.kinds().meets(Kinds::FORK) {
                self.forked_unknown(sensor, parent, child);
            }
            return;
        }
        let mut buffer = [0; 256];
        let mut subject = Subject {
            action: Action::Fork,
            pid: child,
            parent_pid: parent,
            executable: process.path,
            args: Some(process.args),
            parent: Parent::Named(process.path),
            host_id: sensor.host_id,
            late: Late::new(&sensor.proc, &mut buffer),
        };
        subject.late.read_directory(child);
        subject.late.read_ids(child);
        let mut raised = 0;
        for &rule in process.fork_rules {
            raised += self.outlet.matched(
                &sensor.engine,
                rule,
                &mut subject,
                &self.lineage,
                &of_fork(child, process.args_len, Flags::NONE),
            );
        }
        self.raised(sensor, raised);
    }

    /// A fork of a process of which the table could not keep everything: the child is still what its parent is.
    fn forked_unknown(&mut self, sensor: &Sensor, parent: u32, child: u32) {
        let Some(describer) = &mut self.describer else {
            return;
        };
        let mut directory = [0; 256];
        let (args, executable) = sensor
            .proc
            .look(child, &mut describer.arguments, describer.path);
        let mut raised = 0;
        if let Ok(executable) = executable {
            let args = args.ok().map(|()| describer.arguments.block());
            let mut subject = Subject {
                action: Action::Fork,
                pid: child,
                parent_pid: parent,
                executable: Some(executable.path),
                args,
                parent: Parent::Itself,
                host_id: sensor.host_id,
                late: Late::new(&sensor.proc, &mut directory),
            };
            describer.judge.fork(&sensor.engine, &mut subject);
            subject.late.read_directory(child);
            subject.late.read_ids(child);
            let length = args_len(args);
            for rule in describer.judge.rules() {
                let beside = of_fork(child, length, Flags::NONE);
                raised +=
                    self.outlet
                        .matched(&sensor.engine, rule, &mut subject, &self.lineage, &beside);
            }
        }
        describer.arguments.release();
        self.raised(sensor, raised);
    }
}
