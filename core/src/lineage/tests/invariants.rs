//! What holds between any two calls.

use super::*;
use crate::lineage::images::{HAS_PATH, Images, LOST};
use crate::lineage::processes::{List, Processes};

impl<const P: usize, const I: usize, const B: usize> Lineage<P, I, B> {
    /// Fails where the table contradicts itself.
    pub(super) fn check(&self) {
        let slots = self.processes.check();
        let mut references = vec![0; I];
        for &slot in &slots {
            let entry = self.processes.at(slot);
            references[usize::from(entry.image)] += 1;
            if let Kin::Gone(image) = entry.kin {
                references[usize::from(image)] += 1;
            }
        }
        references[0] = 0;
        let counted: Vec<_> = self
            .images
            .records
            .iter()
            .map(|record| record.references)
            .collect();
        assert_eq!(
            counted, references,
            "references are what refers to an image"
        );
        self.images.check();
    }
}

impl<const N: usize> Processes<N> {
    /// The slots in use.
    fn check(&self) -> Vec<Slot> {
        let mut slots = self.walk(self.live, false);
        slots.extend(self.walk(self.exited, true));
        slots.sort_unstable();
        assert_eq!(slots.len(), self.len());
        let mut free = self.free;
        let mut all = slots.clone();
        while free != 0 {
            all.push(free);
            free = self.at(free).chain;
        }
        all.sort_unstable();
        assert!(
            all.into_iter().eq(1..=self.used),
            "a slot is either in a list or free"
        );

        let mut indexed = 0;
        for (bucket, &head) in self.buckets.iter().enumerate() {
            let mut slot = head;
            while slot != 0 {
                let entry = self.at(slot);
                assert_eq!(self.bucket(entry.pid), bucket);
                assert_eq!(self.find(entry.pid), slot, "a pid is in the index once");
                slot = entry.chain;
                indexed += 1;
            }
        }
        for &slot in &slots {
            let entry = self.at(slot);
            let children = slots
                .iter()
                .filter(|&&child| self.at(child).kin == Kin::Linked(slot));
            assert_eq!(children.count(), usize::from(entry.children));
            match entry.kin {
                Kin::Linked(parent) => {
                    assert_eq!(self.at(parent).pid, entry.ppid);
                    assert!(slots.contains(&parent) && !self.descends(parent, slot));
                }
                Kin::None => assert_eq!(entry.ppid, 0),
                Kin::Gone(_) | Kin::Lost => {}
            }
            if self.find(entry.pid) != slot {
                assert!(entry.exited, "a process without its pid is over");
                indexed += 1;
            }
        }
        assert_eq!(indexed, slots.len());
        let gone = slots
            .iter()
            .filter(|&&slot| matches!(self.at(slot).kin, Kin::Gone(_)));
        assert_eq!(gone.count(), usize::from(self.gone));
        slots
    }

    fn walk(&self, list: List, exited: bool) -> Vec<Slot> {
        let (mut slots, mut slot, mut older) = (vec![], list.oldest, 0);
        while slot != 0 {
            let entry = self.at(slot);
            assert_eq!((entry.older, entry.exited), (older, exited));
            slots.push(slot);
            (older, slot) = (slot, entry.newer);
        }
        assert_eq!(list.newest, older);
        slots
    }
}

impl<const N: usize, const BYTES: usize> Images<N, BYTES> {
    fn check(&self) {
        let (mut id, mut before, mut end, mut in_use, mut count) = (self.lowest, 0, 0, 0, 0);
        while id != 0 {
            let record = &self.records[usize::from(id)];
            assert!(record.references > 0 && record.before == before && record.offset >= end);
            let same = self
                .records
                .iter()
                .filter(|other| other.references > 0 && self.get(id) == self.image(other));
            let forgotten = record.flags == HAS_PATH | LOST;
            assert!(same.count() == 1 || forgotten, "an image is kept once");
            end = record.offset + record.size();
            in_use += record.size();
            (before, id, count) = (id, record.after, count + 1);
        }
        assert_eq!((before, end, in_use), (self.highest, self.end, self.in_use));

        let mut free = self.free;
        let mut unused = 0;
        while free != 0 {
            assert_eq!(self.records[usize::from(free)].references, 0);
            (free, unused) = (self.records[usize::from(free)].chain, unused + 1);
        }
        assert_eq!(count + unused, self.used);

        let mut indexed = 0;
        for (bucket, &head) in self.buckets.iter().enumerate() {
            let mut id = head;
            while id != 0 {
                let record = &self.records[usize::from(id)];
                assert_eq!(Self::bucket(record.hash), bucket);
                (id, indexed) = (record.chain, indexed + 1);
            }
        }
        assert_eq!(indexed, count);
    }
}
