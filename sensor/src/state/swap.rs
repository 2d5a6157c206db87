//! Other rules while it runs.

use peewit_core::lineage::Parent as Kin;

use super::{Sensor, State};
use crate::rules::RULES;
use crate::sys::Book;

impl State {
    /// Replaces the rules. What happened up to now was judged by the old ones, what comes is by the new ones; what a
    /// capture thread is judging at this moment it begins anew. Nothing is done, and `false` given, if the rules before the old ones
    /// are still in use.
    ///
    /// Pending sequences and what counted towards thresholds is forgotten: the new rules have other numbers.
    pub fn replace_rules(&mut self, sensor: &Sensor, book: Book) -> bool {
        self.drain(sensor, None);
        // It names rules.
        if let Some(rules) = RULES.hold() {
            self.outlet.tell_held_back(&rules.engine().pack());
        }
        if !RULES.replace(book) {
            return false;
        }
        self.lineage.forget_facts();
        self.relearning = true;
        self.outlet.forget_rules();
        true
    }

    /// Finds out what holds of a process' parent by other rules, which is asked for now.
    #[cold]
    pub(super) fn learn_parent(&mut self, sensor: &Sensor, pid: u32) {
        if let Kin::Known(parent) = self.lineage.parent(pid)
            && parent.lost
            && !parent.exited
        {
            let parent = parent.pid;
            self.refresh(sensor, parent);
        }
    }

    /// All processes were looked at.
    pub const fn learned(&mut self) {
        self.relearning = false;
    }
}
