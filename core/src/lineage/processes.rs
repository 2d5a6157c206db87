//! The processes themselves: slots, an index by pid, two lists by age, links to parents.
//!
//! Slot 0 is nil. Nothing is ever in it, so a write to it through an absent neighbour does
//! no harm and lists need no special cases.

use super::images::ImageId;

/// Number of an entry; 0 is none.
pub(super) type Slot = u16;

/// What a process knows of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kin {
    /// Nothing.
    Lost,
    /// There is none.
    None,
    /// The entry it stands in. Such links make no circle.
    Linked(Slot),
    /// Its image, after it exited and its entry was given away. Counted as a reference.
    Gone(ImageId),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) ppid: u32,
    /// What it runs; 0 if that is lost. Counted as a reference.
    pub(super) image: ImageId,
    pub(super) kin: Kin,
    /// How many entries are linked to this one.
    pub(super) children: u16,
    /// The next entry of the same bucket, or of the free ones.
    pub(super) chain: Slot,
    pub(super) older: Slot,
    pub(super) newer: Slot,
    pub(super) exited: bool,
}

static_assertions::const_assert!(size_of::<Entry>() == 24);

impl Entry {
    const NIL: Self = Self {
        pid: 0,
        ppid: 0,
        image: 0,
        kin: Kin::Lost,
        children: 0,
        chain: 0,
        older: 0,
        newer: 0,
        exited: false,
    };
}

/// Both ends of a list through `older` and `newer`.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) oldest: Slot,
    pub(super) newest: Slot,
}

impl List {
    const EMPTY: Self = Self {
        oldest: 0,
        newest: 0,
    };
}

/// Room for `N - 1` processes.
pub(super) struct Processes<const N: usize> {
    pub(super) entries: [Entry; N],
    /// The first entry of each bucket.
    pub(super) buckets: [Slot; N],
    /// By last use.
    pub(super) live: List,
    /// By exit.
    pub(super) exited: List,
    pub(super) free: Slot,
    /// How many slots were ever used.
    pub(super) used: Slot,
    pub(super) len: u16,
    /// How many entries are [`Kin::Gone`].
    pub(super) gone: u16,
    secret: u32,
}

impl<const N: usize> Processes<N> {
    pub(super) const fn new() -> Self {
        const {
            assert!(
                N >= 3 && N <= 0x8000,
                "a parent and a child at least; numbers are 16 bits"
            )
        };
        Self {
            entries: [Entry::NIL; N],
            buckets: [0; N],
            live: List::EMPTY,
            exited: List::EMPTY,
            free: 0,
            used: 0,
            len: 0,
            gone: 0,
            secret: 0,
        }
    }

    pub(super) fn set_secret(&mut self, secret: u32) {
        if self.len == 0 {
            self.secret = secret;
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn at(&self, slot: Slot) -> Entry {
        self.entries
            .get(usize::from(slot))
            .copied()
            .unwrap_or(Entry::NIL)
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        let index = usize::from(slot);
        &mut self.entries[if index < N { index } else { 0 }]
    }

    /// Multiplying by an odd number nobody outside knows spreads any set of pids evenly; the
    /// top bits count.
    pub(super) fn bucket(&self, pid: u32) -> usize {
        let multiplier = 0x9e37_79b9 ^ (self.secret << 1);
        let hash = u64::from(pid.wrapping_mul(multiplier));
        // Less than N, as hash is less than 2^32.
        ((hash * N as u64) >> 32) as usize
    }

    /// The process that has a pid now; 0 if it is not known.
    pub(super) fn find(&self, pid: u32) -> Slot {
        let mut slot = self.buckets.get(self.bucket(pid)).copied().unwrap_or(0);
        while slot != 0 {
            let entry = self.at(slot);
            if entry.pid == pid {
                return slot;
            }
            slot = entry.chain;
        }
        0
    }

    pub(super) fn has_room(&self) -> bool {
        self.free != 0 || usize::from(self.used) < N - 1
    }

    /// A free slot; 0 if there is none.
    pub(super) fn take(&mut self) -> Slot {
        if !self.has_room() {
            return 0;
        }
        if self.free == 0 {
            self.used += 1;
            return self.used;
        }
        let slot = self.free;
        self.free = self.at(slot).chain;
        slot
    }

    /// Puts a live process without a parent into a slot from [`Processes::take`].
    pub(super) fn place(&mut self, slot: Slot, pid: u32, ppid: u32, image: ImageId) {
        let bucket = self.bucket(pid);
        let mut entry = Entry {
            pid,
            ppid,
            image,
            ..Entry::NIL
        };
        if let Some(head) = self.buckets.get_mut(bucket) {
            entry.chain = core::mem::replace(head, slot);
        }
        *self.at_mut(slot) = entry;
        self.push(slot);
        self.len += 1;
    }

    /// Gives back the slot of a process that has neither parent nor children.
    pub(super) fn free(&mut self, slot: Slot) {
        self.unindex(slot);
        self.pull(slot);
        let free = self.free;
        *self.at_mut(slot) = Entry {
            chain: free,
            ..Entry::NIL
        };
        self.free = slot;
        self.len -= 1;
    }

    /// Its pid no longer finds it.
    pub(super) fn unindex(&mut self, slot: Slot) {
        let Entry { pid, chain, .. } = self.at(slot);
        let bucket = self.bucket(pid);
        let Some(head) = self.buckets.get_mut(bucket) else {
            return;
        };
        if *head == slot {
            *head = chain;
            return;
        }
        let mut before = *head;
        while before != 0 {
            let next = self.at(before).chain;
            if next == slot {
                self.at_mut(before).chain = chain;
                return;
            }
            before = next;
        }
    }

    /// It is used: the last live one to be forgotten.
    pub(super) fn touch(&mut self, slot: Slot) {
        if !self.at(slot).exited {
            self.pull(slot);
            self.push(slot);
        }
    }

    /// It exited.
    pub(super) fn retire(&mut self, slot: Slot) {
        if !self.at(slot).exited {
            self.pull(slot);
            self.at_mut(slot).exited = true;
            self.push(slot);
        }
    }

    /// The process to forget first: the one that exited longest ago, else the least recently
    /// used one without children. Never `keep`. 0 if there is none.
    pub(super) fn victim(&self, keep: Slot) -> Slot {
        match self.first(self.exited, |slot, _| slot != keep) {
            0 => self.first(self.live, |slot, entry| slot != keep && entry.children == 0),
            slot => slot,
        }
    }

    /// The least recently used live process but `keep`. For a table that is one line of
    /// descent down to `keep`: then there is no other victim.
    pub(super) fn oldest(&self, keep: Slot) -> Slot {
        self.first(self.live, |slot, _| slot != keep)
    }

    fn first(&self, list: List, fits: impl Fn(Slot, &Entry) -> bool) -> Slot {
        let mut slot = list.oldest;
        while slot != 0 {
            let entry = self.at(slot);
            if fits(slot, &entry) {
                return slot;
            }
            slot = entry.newer;
        }
        0
    }

    /// Makes `parent` the parent of `slot`, which has none.
    pub(super) fn link(&mut self, slot: Slot, parent: Slot) {
        self.at_mut(slot).kin = Kin::Linked(parent);
        self.at_mut(parent).children += 1;
    }

    /// Takes away the parent of `slot` and says what it was. The reference of a
    /// [`Kin::Gone`] is the caller's now.
    pub(super) fn unlink(&mut self, slot: Slot) -> Kin {
        let kin = core::mem::replace(&mut self.at_mut(slot).kin, Kin::Lost);
        match kin {
            Kin::Linked(parent) => self.at_mut(parent).children -= 1,
            Kin::Gone(_) => self.gone -= 1,
            Kin::Lost | Kin::None => {}
        }
        kin
    }

    /// Gives the children of `slot` another `kin` than the link to it; says how many they were.
    /// The caller counts the references of a [`Kin::Gone`].
    pub(super) fn orphan(&mut self, slot: Slot, kin: Kin) -> u16 {
        let children = core::mem::take(&mut self.at_mut(slot).children);
        let mut left = children;
        for entry in &mut self.entries {
            if left == 0 {
                break;
            }
            if entry.kin == Kin::Linked(slot) {
                entry.kin = kin;
                left -= 1;
            }
        }
        if let Kin::Gone(_) = kin {
            self.gone += children;
        }
        children
    }

    /// Whoever remembers a forgotten parent of this pid is no longer sure of it. Hands their
    /// references to `release`, and says how many they were.
    pub(super) fn forget_gone(&mut self, pid: u32, mut release: impl FnMut(ImageId)) -> u64 {
        let before = self.gone;
        if before != 0 {
            for entry in &mut self.entries {
                if let Kin::Gone(image) = entry.kin
                    && entry.ppid == pid
                {
                    entry.kin = Kin::Lost;
                    self.gone -= 1;
                    release(image);
                }
            }
        }
        u64::from(before - self.gone)
    }

    /// Whether `ancestor` is `slot` or above it.
    pub(super) fn descends(&self, slot: Slot, ancestor: Slot) -> bool {
        let mut slot = slot;
        loop {
            if slot == ancestor {
                return true;
            }
            match self.at(slot).kin {
                Kin::Linked(parent) => slot = parent,
                _ => return false,
            }
        }
    }

    fn list(&mut self, exited: bool) -> &mut List {
        if exited {
            &mut self.exited
        } else {
            &mut self.live
        }
    }

    /// Appends an entry to the list it belongs to.
    fn push(&mut self, slot: Slot) {
        let list = self.list(self.at(slot).exited);
        let older = core::mem::replace(&mut list.newest, slot);
        if older == 0 {
            list.oldest = slot;
        }
        self.at_mut(older).newer = slot;
        let entry = self.at_mut(slot);
        entry.older = older;
        entry.newer = 0;
    }

    /// Takes an entry out of the list it is in.
    fn pull(&mut self, slot: Slot) {
        let Entry {
            older,
            newer,
            exited,
            ..
        } = self.at(slot);
        let list = self.list(exited);
        if list.oldest == slot {
            list.oldest = newer;
        }
        if list.newest == slot {
            list.newest = older;
        }
        self.at_mut(older).newer = newer;
        self.at_mut(newer).older = older;
    }
}
