//! Events of one CPU in a ring that the kernel fills (perf_event_open(2)).

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use super::call::call;
use super::memory::MMAP;
use super::{Errno, Fd};

/// What a ring tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Each time that a tracepoint is passed: who does.
    Tracepoint(u64),
    /// New and ended threads.
    Tasks,
}

/// A record, as far as it is looked at: kind, then the numbers behind the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerfRecord {
    /// `PERF_RECORD_*`
    pub kind: u32,
    /// What follows; 0 where the record is shorter.
    pub words: [u32; 6],
    /// Its length in the ring.
    length: u64,
}

impl PerfRecord {
    /// A number of 64 bits that begins with this word.
    pub fn long(&self, word: usize) -> u64 {
        let mut bytes = [0; 8];
        for (place, word) in bytes
            .chunks_exact_mut(4)
            .zip(self.words.get(word..).unwrap_or(&[]))
        {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        u64::from_ne_bytes(bytes)
    }
}

/// A ring. One thread at a time takes from it.
#[derive(Debug)]
pub struct PerfRing {
    fd: Fd,
    /// The kernel's page about the ring, and the ring behind it.
    start: *mut u8,
    /// Length of that page.
    page: usize,
    /// Length of the ring, a power of two.
    size: usize,
}

// SAFETY: the memory is the kernel's and stays as long as the value; positions are atomics, records are copied out
// byte by byte, and whatever is in them is checked.
unsafe impl Send for PerfRing {}
// SAFETY: as above. Two threads that take at once may see a record twice, no worse.
unsafe impl Sync for PerfRing {}

/// `struct perf_event_attr` as of Linux 4.1.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
}

const TYPE_SOFTWARE: u32 = 1;
const TYPE_TRACEPOINT: u32 = 2;
const COUNT_DUMMY: u64 = 9;
const SAMPLE_TID: u64 = 2;
const SAMPLE_TIME: u64 = 4;
const TASK: u64 = 1 << 13;
const USE_CLOCKID: u64 = 1 << 25;
const FD_CLOEXEC: u32 = 8;

/// Where the kernel's page has the position that it writes at, and ours.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

impl PerfRing {
    /// Opens a ring of so many pages, a power of two, for a CPU. It wakes for each record.
    ///
    /// # Errors
    /// Those of perf_event_open(2) and mmap(2).
    pub fn open(tells: Tells, cpu: usize, pages: usize) -> Result<Self, Errno> {
        let (kind, config, flags) = match tells {
            Tells::Tracepoint(id) => (TYPE_TRACEPOINT, id, 0),
            Tells::Tasks => (TYPE_SOFTWARE, COUNT_DUMMY, TASK),
        };
        let attributes = Attributes {
            kind,
            size: size_of::<Attributes>() as u32,
            config,
            sample_period: 1,
            sample_type: SAMPLE_TID | SAMPLE_TIME,
            flags: flags | USE_CLOCKID,
            wakeup_events: 1,
            clockid: libc::CLOCK_MONOTONIC,
            ..Attributes::default()
        };
        let cpu = c_int::try_from(cpu).map_err(|_| Errno::INVALID)?;
        // SAFETY: the kernel reads so many bytes of the attributes.
        let fd = unsafe {
            call!(
                libc::SYS_perf_event_open,
                &raw const attributes,
                -1,
                cpu,
                -1,
                FD_CLOEXEC,
            )
        }?;
        let fd = Fd::own(fd);
        let page = super::thread::page_size();
        let size = page * pages;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: new memory at a place of the kernel's choice.
        let start = unsafe {
            call!(
                MMAP,
                0,
                page + size,
                protection,
                libc::MAP_SHARED,
                fd.raw(),
                0,
            )
        }?;
        Ok(Self {
            fd,
            start: ptr::with_exposed_provenance_mut(start),
            page,
            size,
        })
    }

    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the kernel's page, aligned, and there as long as this value.
        unsafe { &*self.start.add(offset).cast::<AtomicU64>() }
    }

    /// How far the kernel has written.
    pub fn head(&self) -> u64 {
        self.position(HEAD).load(Ordering::Acquire)
    }

    /// The next record up to `head`, which stays there.
    pub fn peek(&self, head: u64) -> Option<PerfRecord> {
        let tail = self.position(TAIL).load(Ordering::Relaxed);
        if head.wrapping_sub(tail) < 8 {
            return None;
        }
        let word = |offset: u64| {
            // Records begin at multiples of 8, so that no word is split by the ring's end.
            let place = (tail.wrapping_add(offset) as usize) & (self.size - 1);
            // SAFETY: within the ring, aligned; the kernel has done with it and waits for our position.
            unsafe {
                self.start
                    .add(self.page + place)
                    .cast::<u32>()
                    .read_volatile()
            }
        };
        // struct perf_event_header: type 4, misc 2, size 2
        let mut record = PerfRecord {
            kind: word(0),
            ..PerfRecord::default()
        };
        let mut size = [0; 2];
        size.copy_from_slice(&word(4).to_ne_bytes()[2..]);
        record.length = u64::from(u16::from_ne_bytes(size)).max(8);
        for (place, offset) in record.words.iter_mut().zip((8..record.length).step_by(4)) {
            *place = word(offset);
        }
        Some(record)
    }

    /// Takes a record away that [`PerfRing::peek`] gave.
    pub fn advance(&self, record: &PerfRecord) {
        let tail = self.position(TAIL);
        let next = tail.load(Ordering::Relaxed).wrapping_add(record.length);
        tail.store(next, Ordering::Release);
    }

    /// The file, to wait for it.
    pub const fn fd(&self) -> &Fd {
        &self.fd
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        // SAFETY: the range is ours and nobody can refer to it any more.
        let _ = unsafe { call!(libc::SYS_munmap, self.start, self.page + self.size) };
    }
}

/// Many files as one to wait for (epoll(7)).
#[derive(Debug)]
pub struct Many(Fd);

impl Many {
    /// None yet.
    ///
    /// # Errors
    /// Those of epoll_create1(2).
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_epoll_create1, libc::EPOLL_CLOEXEC) }.map(|fd| Self(Fd::own(fd)))
    }

    /// Waits for one more. Each time that there is something new it is readable, until [`Many::seen`].
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn add(&self, fd: &Fd) -> Result<(), Errno> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET) as u32,
            u64: 0,
        };
        // SAFETY: the kernel reads the event.
        unsafe {
            call!(
                libc::SYS_epoll_ctl,
                self.0.raw(),
                libc::EPOLL_CTL_ADD,
                fd.raw(),
                &raw mut event
            )
        }
        .map(drop)
    }

    /// Takes note that there is something new.
    pub fn seen(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
        loop {
            // SAFETY: the kernel writes so many events at most.
            let count = unsafe {
                call!(
                    libc::SYS_epoll_pwait,
                    self.0.raw(),
                    events.as_mut_ptr(),
                    events.len(),
                    0,
                    0,
                    0
                )
            };
            if !count.is_ok_and(|count| count == events.len()) {
                return;
            }
        }
    }

    /// The file.
    pub const fn fd(&self) -> &Fd {
        &self.0
    }
}
