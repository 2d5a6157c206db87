//! Processes that were there before the sensor, or whose fork was missed.

use peewit_core::alert::Action;
use peewit_core::lineage::{Image, Parent as Kin};

use super::{Sensor, State};
use crate::invoked::Invoked;
use crate::rules::RULES;
use crate::subject::Subject;
use crate::sys::Errno;

impl State {
    /// Enters a process from `/proc`, in the place of whatever had its id.
    pub(super) fn seed(&mut self, sensor: &Sensor, pid: u32) {
        self.describe(sensor, pid, false);
    }

    /// Enters what `/proc` says that a process is: a new process, or one that is known and has become another program.
    pub(super) fn describe(&mut self, sensor: &Sensor, pid: u32, known: bool) {
        let (Some(describer), Some(rules)) = (&mut self.describer, RULES.hold()) else {
            return;
        };
        let (args, executable) =
            sensor
                .proc
                .look(pid, &mut describer.arguments, describer.path, &mut || ());
        let parent = sensor.proc.status(pid).map_or(0, |status| status.parent);
        match executable {
            Ok(executable) => {
                let mut buffer = [0; 256];
                let of = (pid, parent);
                let mut subject = Subject::new(Action::Exec, of, sensor, &mut buffer);
                subject.executable = Some(executable.path);
                subject.args = args.ok().map(|()| describer.arguments.block());
                subject.invoked = Invoked::Unread {
                    room: describer.invoked,
                    stands: false,
                };
                describer.judge.begin();
                let keep = rules.keeps_invoked();
                describer.judge.remember(rules.engine(), &mut subject, keep);
                let image = describer.judge.image(&subject, keep);
                if known {
                    self.lineage.exec(pid, &image);
                } else {
                    self.lineage.seed(pid, parent, &image);
                }
            }
            // A kernel thread has no program; neither has who has ended but was not waited for: whatever it was is lost.
            Err(Errno::NOT_FOUND) if parent == 2 || pid == 2 => self.lineage.seed(
                pid,
                parent,
                &Image {
                    lost: false,
                    ..Image::LOST
                },
            ),
            Err(_) if known => {}
            Err(_) => self.lineage.seed(pid, parent, &Image::LOST),
        }
        describer.arguments.release();
    }

    /// Enters a process that was there before the sensor, unless it is known already.
    pub fn seed_new(&mut self, sensor: &Sensor, pid: u32) {
        if self.lineage.get(pid).is_none() {
            self.seed(sensor, pid);
        }
    }

    /// Enters a process of which a fork, an exec or an end may have been lost, if `/proc` knows it otherwise; or of which it is not
    /// known yet what holds by other rules.
    pub fn refresh(&mut self, sensor: &Sensor, pid: u32) {
        let Some(known) = self.lineage.get(pid) else {
            return self.seed(sensor, pid);
        };
        let (ppid, path) = (known.ppid, known.path);
        let unlearned = self.relearning && known.lost;
        let orphaned = match self.lineage.parent(pid) {
            Kin::Known(parent) => parent.exited,
            Kin::None | Kin::Lost => true,
        };
        // Whose parent has ended got another one. Else another parent means another process.
        if !orphaned
            && sensor
                .proc
                .status(pid)
                .is_ok_and(|status| status.parent != ppid && status.parent != 0)
        {
            return self.seed(sensor, pid);
        }
        let same = match &mut self.describer {
            Some(describer) => match sensor.proc.executable(pid, describer.path) {
                Ok(executable) => !unlearned && path == Some(executable.path),
                Err(_) => true,
            },
            None => true,
        };
        if !same {
            self.describe(sensor, pid, true);
        }
    }

    /// Asks `/proc` for the parent of a process, of whose forks and ends nobody tells.
    pub fn ask_parent(&mut self, sensor: &Sensor, pid: u32) {
        let Ok(status) = sensor.proc.status(pid) else {
            return;
        };
        // What the table knows may be of an earlier process with that id.
        if self
            .lineage
            .get(pid)
            .is_some_and(|known| known.ppid != status.parent)
        {
            self.lineage.seed(pid, status.parent, &Image::LOST);
        } else if self.lineage.get(pid).is_none() {
            self.lineage.exec(pid, &Image::LOST);
        }
        if status.parent != 0 {
            self.refresh(sensor, status.parent);
        }
        self.lineage.adopt(pid, status.parent);
    }

    /// Links a process that was entered from `/proc` with its parent.
    pub fn adopt(&mut self, sensor: &Sensor, pid: u32) {
        if let Kin::Lost = self.lineage.parent(pid)
            && let Ok(status) = sensor.proc.status(pid)
        {
            self.lineage.adopt(pid, status.parent);
        }
    }

    /// Enters a process of which no fork was seen, and its parent.
    #[cold]
    pub(super) fn find_parent(&mut self, sensor: &Sensor, pid: u32) {
        if self.lineage.get(pid).is_none() {
            self.lineage.exec(pid, &Image::LOST);
        }
        if let Ok(status) = sensor.proc.status(pid) {
            if status.parent != 0 {
                self.seed_new(sensor, status.parent);
            }
            self.lineage.adopt(pid, status.parent);
        }
    }
}
