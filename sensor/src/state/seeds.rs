//! Processes that were there before the sensor, or whose fork was missed.

use peewit_core::alert::Action;
use peewit_core::lineage::{Image, Parent as Kin};

use super::{Sensor, State};
use crate::late::Late;
use crate::subject::{Parent, Subject};
use crate::sys::Errno;

impl State {
    /// Enters a process from `/proc`, in the place of whatever had its id.
    pub(super) fn seed(&mut self, sensor: &Sensor, pid: u32) {
        let Some(describer) = &mut self.describer else {
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
                let mut subject = Subject {
                    action: Action::Exec,
                    pid,
                    parent_pid: parent,
                    executable: Some(executable.path),
                    args: args.ok().map(|()| describer.arguments.block()),
                    parent: Parent::Lost,
                    host_id: sensor.host_id,
                    late: Late::new(&sensor.proc, &mut buffer),
                };
                describer.judge.begin();
                describer.judge.remember(sensor.engine, &mut subject);
                self.lineage
                    .seed(pid, parent, &describer.judge.image(&subject));
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
