//! Who started whom: a bounded table of processes, by fork, exec and exit.
//!
//! A process's predicates as a *parent* are evaluated once, when it execs, and kept here as
//! atom ids beside its path, so an event's parent costs one look-up. Paths and ids live in
//! a table of images that processes share, for a fork runs what its parent runs.
//!
//! When the table is full a process is forgotten: first the one that exited longest ago,
//! then the least recently used one that has no children. A process whose parent is
//! forgotten after its exit goes on knowing the parent's pid and image. What cannot be
//! known any more is [`Parent::Lost`] and counted: an answer may be missing, never wrong.
//!
//! Links between processes are numbers of slots and are cut before a slot is used again,
//! so no generation can wrap and a reused pid is a new process.

mod images;
mod processes;
#[cfg(test)]
mod tests;
mod types;

use crate::packed::Packed;
use images::{ImageId, Images};
use processes::{Kin, Processes, Slot};
pub use types::{Counters, Image, MAX_ARGS, MAX_FACTS, MAX_RULES, Parent, Process, UnknownParent};

/// How many processes one image may push out of the table to be kept itself.
const MAX_EVICTIONS: usize = 16;

/// The table: room for `PROCESSES - 1` processes and `IMAGES - 1` images whose paths and
/// arguments take at most `BYTES`. All zero when empty, so a static one needs no space in
/// the binary.
pub struct Lineage<const PROCESSES: usize, const IMAGES: usize, const BYTES: usize> {
    processes: Processes<PROCESSES>,
    images: Images<IMAGES, BYTES>,
    counters: Counters,
}

static_assertions::const_assert!(size_of::<Lineage<1024, 256, 16384>>() <= 56 * 1024);

impl<const PROCESSES: usize, const IMAGES: usize, const BYTES: usize> Default
    for Lineage<PROCESSES, IMAGES, BYTES>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const PROCESSES: usize, const IMAGES: usize, const BYTES: usize>
    Lineage<PROCESSES, IMAGES, BYTES>
{
    /// An empty table.
    pub const fn new() -> Self {
        Self {
            processes: Processes::new(),
            images: Images::new(),
            counters: Counters {
                evicted_exited: 0,
                evicted_live: 0,
                parents_lost: 0,
                images_lost: 0,
                facts_lost: 0,
                rules_lost: 0,
            },
        }
    }

    /// Gives the index of pids a secret, so that whoever picks pids by forking cannot pick
    /// them to stand in one chain. Only an empty table takes it; without one it works too.
    pub fn set_secret(&mut self, secret: u32) {
        self.processes.set_secret(secret);
    }

    /// Process `tgid` runs `image` from now on. One that was not known has no parent yet
    /// ([`Parent::Lost`]); see [`Lineage::adopt`]. An exec may come after the process's exit.
    pub fn exec(&mut self, tgid: u32, image: &Image<'_>) {
        if tgid == 0 {
            return;
        }
        match self.processes.find(tgid) {
            0 => self.enter(tgid, 0, Kin::Lost, image),
            slot => self.run(slot, image),
        };
    }

    /// `parent` forked `child`, which runs the same image. An entry that has the child's pid
    /// is a process whose end was missed: the pid's new owner takes its place. (Pid 0 and a
    /// process that is its own child are ignored.)
    ///
    /// # Errors
    ///
    /// [`UnknownParent`] if `parent` is not in the table; nothing was changed.
    pub fn fork(&mut self, parent: u32, child: u32) -> Result<(), UnknownParent> {
        if child == 0 || parent == child {
            return Ok(());
        }
        let from = self.processes.find(parent);
        if from == 0 {
            return Err(UnknownParent);
        }
        self.vacate(child);
        self.processes.touch(from);
        let slot = self.room(from);
        if slot != 0 {
            let image = self.processes.at(from).image;
            self.images.retain(image);
            self.processes.place(slot, child, parent, image);
            self.processes.link(slot, from);
        }
        Ok(())
    }

    /// Process `tgid` is gone. It is kept for its children, and is the first to be forgotten.
    pub fn exit(&mut self, tgid: u32) {
        let slot = self.processes.find(tgid);
        if slot != 0 {
            self.processes.retire(slot);
        }
    }

    /// `/proc` has a process `tgid` that runs `image`. It takes the place of whatever had that
    /// pid, whose children keep what they know. Its parent is [`Parent::None`] for a `ppid` of
    /// 0, else [`Parent::Lost`] until [`Lineage::adopt`] links it: in a second pass over
    /// `/proc`, when all are seeded.
    pub fn seed(&mut self, tgid: u32, ppid: u32, image: &Image<'_>) {
        if tgid == 0 {
            return;
        }
        self.vacate(tgid);
        let kin = if ppid == 0 { Kin::None } else { Kin::Lost };
        self.enter(tgid, ppid, kin, image);
    }

    /// `/proc` says that `ppid` is the parent of `tgid`. [`Parent::Lost`] if `ppid` is not
    /// known, or is itself a descendant of `tgid` (two readings of `/proc` at two times).
    pub fn adopt(&mut self, tgid: u32, ppid: u32) {
        let slot = self.processes.find(tgid);
        if slot == 0 {
            return;
        }
        self.unlink(slot);
        let parent = self.processes.find(ppid);
        self.processes.at_mut(slot).ppid = ppid;
        if ppid == 0 {
            self.processes.at_mut(slot).kin = Kin::None;
        } else if parent != 0 && !self.processes.descends(parent, slot) {
            self.processes.link(slot, parent);
        }
    }

    /// Facts and rules have another meaning from now on: of what every process runs only the path is still known, and the rest is
    /// lost until its next [`Lineage::exec`].
    pub fn forget_facts(&mut self) {
        self.images.forget_facts();
    }

    /// The process of a pid, if it is known.
    pub fn get(&self, tgid: u32) -> Option<Process<'_>> {
        match self.processes.find(tgid) {
            0 => None,
            slot => Some(self.view(slot)),
        }
    }

    /// The parent of a process.
    pub fn parent(&self, tgid: u32) -> Parent<'_> {
        let entry = self.processes.at(self.processes.find(tgid));
        match entry.kin {
            Kin::Lost => Parent::Lost,
            Kin::None => Parent::None,
            Kin::Linked(slot) => Parent::Known(self.view(slot)),
            Kin::Gone(image) => Parent::Known(self.gone(entry.ppid, image)),
        }
    }

    /// The parent of a process, its parent, and so on as far as they are known. It ends: links
    /// make no circle.
    pub fn ancestors(&self, tgid: u32) -> impl Iterator<Item = Process<'_>> {
        let mut entry = self.processes.at(self.processes.find(tgid));
        core::iter::from_fn(move || match entry.kin {
            Kin::Lost | Kin::None => None,
            Kin::Linked(slot) => {
                entry = self.processes.at(slot);
                Some(self.view(slot))
            }
            Kin::Gone(image) => {
                let parent = self.gone(entry.ppid, image);
                entry.kin = Kin::Lost;
                Some(parent)
            }
        })
    }

    /// How many processes are in the table, exited ones included.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether the table holds no process.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What did not fit so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn view(&self, slot: Slot) -> Process<'_> {
        let entry = self.processes.at(slot);
        let image = self.images.get(entry.image);
        Self::process(entry.pid, entry.ppid, image, entry.exited)
    }

    /// A parent of which only pid and image are left. It exited: only then are these final.
    fn gone(&self, pid: u32, image: ImageId) -> Process<'_> {
        Self::process(pid, 0, self.images.get(image), true)
    }

    fn process(pid: u32, ppid: u32, image: Image<'_>, exited: bool) -> Process<'_> {
        let Image {
            path,
            invoked,
            facts,
            fork_rules,
            exit_rules,
            args,
            args_len,
            lost,
        } = image;
        Process {
            pid,
            ppid,
            path,
            invoked,
            facts,
            fork_rules,
            exit_rules,
            args,
            args_len,
            lost,
            exited,
        }
    }

    /// A new process that no fork told of.
    fn enter(&mut self, pid: u32, ppid: u32, kin: Kin, image: &Image<'_>) {
        // Maybe the process that was forgotten under this pid, maybe its successor: whether
        // what children of the former remember is still true cannot be known.
        let doubtful = self
            .processes
            .forget_gone(pid, |image| self.images.release(image));
        self.counters.parents_lost += doubtful;
        let slot = self.room(0);
        if slot != 0 {
            self.processes.place(slot, pid, ppid, 0);
            self.processes.at_mut(slot).kin = kin;
            self.run(slot, image);
        }
    }

    /// Lets a process run another image, and makes it the most recently used one.
    fn run(&mut self, slot: Slot, image: &Image<'_>) {
        // The old one first: it may be the only one in the way.
        let old = core::mem::take(&mut self.processes.at_mut(slot).image);
        self.images.release(old);
        let image = self.intern(slot, image);
        self.processes.at_mut(slot).image = image;
        self.processes.touch(slot);
    }

    /// The number of an image, 0 if it cannot be kept. It may cost other processes than `keep`
    /// their place.
    fn intern(&mut self, keep: Slot, image: &Image<'_>) -> ImageId {
        let mut image = *image;
        if image.facts.as_bytes().len() > MAX_FACTS {
            image.facts = Packed::EMPTY;
            image.lost = true;
            self.counters.facts_lost += 1;
        }
        let mut rules_lost = false;
        for rules in [&mut image.fork_rules, &mut image.exit_rules] {
            if rules.as_bytes().len() > MAX_RULES {
                *rules = Packed::EMPTY;
                rules_lost = true;
            }
        }
        image.lost |= rules_lost;
        self.counters.rules_lost += u64::from(rules_lost);
        if image.fork_rules.is_empty() && image.exit_rules.is_empty() {
            image.args = &[];
            image.args_len = 0;
        }
        image.args = image.args.get(..MAX_ARGS).unwrap_or(image.args);
        if image == Image::LOST {
            return 0;
        }
        if Images::<IMAGES, BYTES>::may_fit(&image) {
            for _ in 0..MAX_EVICTIONS {
                if let Some(id) = self.images.intern(&image) {
                    return id;
                }
                match self.processes.victim(keep) {
                    0 => break,
                    victim => self.evict(victim),
                }
            }
            if let Some(id) = self.images.intern(&image) {
                return id;
            }
        }
        self.counters.images_lost += 1;
        0
    }

    /// Makes a pid free for a new process. An earlier one stays as an exited one if it has
    /// children.
    fn vacate(&mut self, pid: u32) {
        let slot = self.processes.find(pid);
        if slot == 0 {
            return;
        }
        if self.processes.at(slot).children == 0 {
            self.remove(slot);
        } else {
            self.processes.retire(slot);
            self.processes.unindex(slot);
        }
    }

    /// A free slot, and if need be another process than `keep` is forgotten for it.
    fn room(&mut self, keep: Slot) -> Slot {
        if !self.processes.has_room() {
            let victim = match self.processes.victim(keep) {
                0 => self.processes.oldest(keep),
                victim => victim,
            };
            self.evict(victim);
        }
        self.processes.take()
    }

    fn evict(&mut self, slot: Slot) {
        if slot == 0 {
            return;
        }
        if self.processes.at(slot).exited {
            self.counters.evicted_exited += 1;
        } else {
            self.counters.evicted_live += 1;
        }
        self.remove(slot);
    }

    /// Takes a process out. Its children remember its image if that is final.
    fn remove(&mut self, slot: Slot) {
        let entry = self.processes.at(slot);
        let kin = if entry.exited {
            Kin::Gone(entry.image)
        } else {
            Kin::Lost
        };
        let orphans = self.processes.orphan(slot, kin);
        if entry.exited {
            for _ in 0..orphans {
                self.images.retain(entry.image);
            }
        } else {
            self.counters.parents_lost += u64::from(orphans);
        }
        self.unlink(slot);
        self.images.release(entry.image);
        self.processes.free(slot);
    }

    /// Takes a process's parent away.
    fn unlink(&mut self, slot: Slot) {
        if let Kin::Gone(image) = self.processes.unlink(slot) {
            self.images.release(image);
        }
    }
}
