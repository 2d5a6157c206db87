//! The images that processes run: each kept once, counted, in a bounded store.
//!
//! Bytes (paths, facts, rules, arguments) lie in one arena in the order of their arrival. New ones go
//! to its end; when the end is reached, those still in use move together. Number 0 is nil:
//! the image of which nothing is known.

use super::Image;
use crate::packed::Packed;
use core::hash::Hasher;

/// How much of the arena may lie unused, beside as much as is in use, before it is compacted.
const SPARE: usize = 4096;

/// Number of an image; 0 is the lost one.
pub(super) type ImageId = u16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) hash: u32,
    pub(super) args_len: u32,
    /// References; 0 if the record is free.
    pub(super) references: u16,
    /// Where its bytes start.
    pub(super) offset: u16,
    pub(super) path_len: u16,
    /// How many bytes each of the others takes, in this order. None: it was not invoked by an empty path.
    pub(super) invoked_len: u16,
    pub(super) facts_len: u8,
    pub(super) fork_rules_len: u8,
    pub(super) exit_rules_len: u8,
    pub(super) args_kept: u16,
    /// The next record of the same bucket, or of the free ones.
    pub(super) chain: ImageId,
    /// Neighbours in the arena.
    pub(super) before: ImageId,
    pub(super) after: ImageId,
    /// [`HAS_PATH`] and [`LOST`].
    pub(super) flags: u8,
}

pub(super) const HAS_PATH: u8 = 1;
pub(super) const LOST: u8 = 2;

static_assertions::const_assert!(size_of::<Record>() == 28);

impl Record {
    const NIL: Self = Self {
        hash: 0,
        args_len: 0,
        references: 0,
        offset: 0,
        path_len: 0,
        invoked_len: 0,
        facts_len: 0,
        fork_rules_len: 0,
        exit_rules_len: 0,
        args_kept: 0,
        chain: 0,
        before: 0,
        after: 0,
        flags: 0,
    };

    pub(super) fn size(&self) -> u16 {
        let rules = u16::from(self.fork_rules_len) + u16::from(self.exit_rules_len);
        self.path_len + self.invoked_len + u16::from(self.facts_len) + rules + self.args_kept
    }
}

/// Room for `N - 1` images with `BYTES` bytes of what they are.
pub(super) struct Images<const N: usize, const BYTES: usize> {
    pub(super) records: [Record; N],
    /// The first record of each bucket.
    pub(super) buckets: [ImageId; N],
    pub(super) bytes: [u8; BYTES],
    /// Where the arena's free end starts.
    pub(super) end: u16,
    /// How many bytes before that are in use.
    pub(super) in_use: u16,
    /// The images with the lowest and the highest bytes.
    pub(super) lowest: ImageId,
    pub(super) highest: ImageId,
    pub(super) free: ImageId,
    /// How many records were ever used.
    pub(super) used: ImageId,
}

impl<const N: usize, const BYTES: usize> Images<N, BYTES> {
    pub(super) const fn new() -> Self {
        const { assert!(N >= 2 && N <= 0x8000, "numbers are 16 bits") };
        const { assert!(BYTES <= 0xffff, "offsets are 16 bits") };
        Self {
            records: [Record::NIL; N],
            buckets: [0; N],
            bytes: [0; BYTES],
            end: 0,
            in_use: 0,
            lowest: 0,
            highest: 0,
            free: 0,
            used: 0,
        }
    }

    /// Whether an image fits into an empty store. Facts and fork rules are within bounds.
    pub(super) fn may_fit(image: &Image<'_>) -> bool {
        parts(image)
            .into_iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.len()))
            <= BYTES
    }

    /// The image of a number.
    pub(super) fn get(&self, id: ImageId) -> Image<'_> {
        match self.records.get(usize::from(id)) {
            Some(record) if record.references != 0 => self.image(record),
            _ => Image::LOST,
        }
    }

    pub(super) fn image<'a>(&'a self, record: &'a Record) -> Image<'a> {
        let mut at = usize::from(record.offset);
        let mut part = |length: u16| {
            let start = at;
            at += usize::from(length);
            self.bytes.get(start..at).unwrap_or_default()
        };
        let path = part(record.path_len);
        let invoked = part(record.invoked_len);
        Image {
            path: (record.flags & HAS_PATH != 0).then_some(path),
            invoked: Some(invoked).filter(|invoked| !invoked.is_empty()),
            facts: Packed::new(part(record.facts_len.into())),
            fork_rules: Packed::new(part(record.fork_rules_len.into())),
            exit_rules: Packed::new(part(record.exit_rules_len.into())),
            args: part(record.args_kept),
            args_len: record.args_len,
            lost: record.flags & LOST != 0,
        }
    }

    /// One more reference to an image.
    pub(super) fn retain(&mut self, id: ImageId) {
        if id != 0 {
            self.at_mut(id).references += 1;
        }
    }

    /// One reference less; without any the image is gone.
    pub(super) fn release(&mut self, id: ImageId) {
        if id == 0 {
            return;
        }
        let record = self.at_mut(id);
        record.references -= 1;
        if record.references == 0 {
            self.remove(id);
        }
    }

    /// Of all images only the paths are left, if there are any; the rest of those is lost. Some may be alike then.
    pub(super) fn forget_facts(&mut self) {
        let mut freed = 0;
        for record in &mut self.records {
            if record.references != 0 {
                freed += record.size() - record.path_len - record.invoked_len;
                (record.facts_len, record.args_kept, record.args_len) = (0, 0, 0);
                (record.fork_rules_len, record.exit_rules_len) = (0, 0);
                // What has no program, a kernel thread, is nothing by other rules either.
                if record.flags & HAS_PATH != 0 {
                    record.flags |= LOST;
                }
            }
        }
        self.in_use -= freed;
        let last = self.at(self.highest);
        self.end = last.offset + last.size();
    }

    /// The number of an image, with one more reference. `None` if there is no room for it.
    pub(super) fn intern(&mut self, image: &Image<'_>) -> Option<ImageId> {
        let hash = hash(image);
        let mut id = self.buckets.get(Self::bucket(hash)).copied().unwrap_or(0);
        while id != 0 {
            let record = self.at(id);
            // The hash only finds candidates: whether it is the same the bytes say.
            if record.hash == hash && self.image(record) == *image {
                self.retain(id);
                return Some(id);
            }
            id = record.chain;
        }
        self.add(hash, image)
    }

    fn add(&mut self, hash: u32, image: &Image<'_>) -> Option<ImageId> {
        let [path, invoked, facts, fork_rules, exit_rules, args] = parts(image).map(<[u8]>::len);
        let flag = |set, flag| if set { flag } else { 0 };
        let mut record = Record {
            hash,
            args_len: image.args_len,
            references: 1,
            path_len: u16::try_from(path).ok()?,
            invoked_len: u16::try_from(invoked).ok()?,
            facts_len: u8::try_from(facts).ok()?,
            fork_rules_len: u8::try_from(fork_rules).ok()?,
            exit_rules_len: u8::try_from(exit_rules).ok()?,
            args_kept: u16::try_from(args).ok()?,
            flags: flag(image.path.is_some(), HAS_PATH) | flag(image.lost, LOST),
            ..Record::NIL
        };
        let size = path + invoked + facts + fork_rules + exit_rules + args;
        if BYTES - usize::from(self.in_use) < size {
            return None;
        }
        let id = self.take()?;

        // Before it reaches the end: memory that is never written to takes up none.
        if BYTES.min(2 * usize::from(self.in_use) + SPARE) < usize::from(self.end) + size {
            self.compact();
        }
        record.offset = self.end;
        let mut at = usize::from(self.end);
        for part in parts(image) {
            let start = at;
            at += part.len();
            self.bytes.get_mut(start..at)?.copy_from_slice(part);
        }
        self.end += record.size();
        self.in_use += record.size();

        record.before = self.highest;
        self.at_mut(record.before).after = id;
        self.highest = id;
        if self.lowest == 0 {
            self.lowest = id;
        }
        if let Some(head) = self.buckets.get_mut(Self::bucket(hash)) {
            record.chain = core::mem::replace(head, id);
        }
        *self.at_mut(id) = record;
        Some(id)
    }

    fn remove(&mut self, id: ImageId) {
        let Record {
            hash,
            chain,
            before,
            after,
            ..
        } = *self.at(id);
        if let Some(head) = self.buckets.get_mut(Self::bucket(hash)) {
            let mut link = *head;
            if link == id {
                *head = chain;
            } else {
                while link != 0 && self.at(link).chain != id {
                    link = self.at(link).chain;
                }
                self.at_mut(link).chain = chain;
            }
        }
        self.in_use -= self.at(id).size();
        self.at_mut(before).after = after;
        self.at_mut(after).before = before;
        if self.lowest == id {
            self.lowest = after;
        }
        if self.highest == id {
            self.highest = before;
            let last = self.at(before);
            self.end = if before == 0 {
                0
            } else {
                last.offset + last.size()
            };
        }
        let free = self.free;
        *self.at_mut(id) = Record {
            chain: free,
            ..Record::NIL
        };
        self.free = id;
    }

    /// Moves the bytes in use together, so that all free ones are at the end.
    fn compact(&mut self) {
        let mut to = 0;
        let mut id = self.lowest;
        while id != 0 {
            let record = self.at_mut(id);
            let (from, size, after) = (record.offset, record.size(), record.after);
            record.offset = to;
            let start = usize::from(from);
            let end = start + usize::from(size);
            // Always so; said here, it leaves no panic in the code.
            if end <= BYTES && usize::from(to) <= BYTES - (end - start) {
                self.bytes.copy_within(start..end, usize::from(to));
            }
            to += size;
            id = after;
        }
        self.end = to;
    }

    fn take(&mut self) -> Option<ImageId> {
        if self.free != 0 {
            let id = self.free;
            self.free = self.at(id).chain;
            return Some(id);
        }
        if usize::from(self.used) + 1 >= N {
            return None;
        }
        self.used += 1;
        Some(self.used)
    }

    /// Less than N, as a hash is less than 2^32.
    pub(super) fn bucket(hash: u32) -> usize {
        ((u64::from(hash) * N as u64) >> 32) as usize
    }

    fn at(&self, id: ImageId) -> &Record {
        let index = usize::from(id);
        &self.records[if index < N { index } else { 0 }]
    }

    fn at_mut(&mut self, id: ImageId) -> &mut Record {
        let index = usize::from(id);
        &mut self.records[if index < N { index } else { 0 }]
    }
}

/// What of an image lies in the arena, in this order.
fn parts<'a>(image: &Image<'a>) -> [&'a [u8]; 6] {
    [
        image.path.unwrap_or_default(),
        image.invoked.unwrap_or_default(),
        image.facts.as_bytes(),
        image.fork_rules.as_bytes(),
        image.exit_rules.as_bytes(),
        image.args,
    ]
}

/// Where to look for an image. FNV is enough: whoever makes images that collide gets chains
/// as long as the table, and no other image's number.
fn hash(image: &Image<'_>) -> u32 {
    let mut hasher = fnv::FnvHasher::default();
    for part in parts(image) {
        hasher.write(part);
    }
    let hash = hasher.finish();
    // The high half of FNV mixes more of the input than the low one does.
    (hash >> 32) as u32 ^ hash as u32
}
