//! Threads that wait for nothing: pinned, real-time, with memory of their own.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use super::{Errno, Mapping};

/// A thread's id in the kernel. Belongs to the thread that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId {
    number: u32,
    realtime: bool,
    /// Not to be handed to another thread.
    not_send: core::marker::PhantomData<*const ()>,
}

impl ThreadId {
    /// For [`pin_thread`], from other threads.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The same, known to have real-time priority and a CPU of its own.
    pub const fn with_realtime(self) -> Self {
        Self {
            realtime: true,
            ..self
        }
    }

    /// Whether it is known to have real-time priority.
    pub const fn is_realtime(self) -> bool {
        self.realtime
    }
}

/// The calling thread's id.
pub fn thread_id() -> ThreadId {
    // SAFETY: no memory is involved, and it cannot fail. A thread id fits into 30 bits.
    let number = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
    ThreadId {
        number,
        realtime: false,
        not_send: core::marker::PhantomData,
    }
}

/// What a thread begins with.
#[derive(Debug)]
pub struct Start {
    /// The number given to [`start`].
    pub argument: usize,
    /// Its own memory, locked like its stack.
    pub buffer: &'static mut [u8],
}

/// What [`enter`] finds at the beginning of a thread's memory.
struct Entry {
    run: fn(Start),
    argument: usize,
    buffer: *mut u8,
    buffer_len: usize,
}

/// The kernel's page size: the guard and the lock must be whole pages.
pub(super) fn page_size() -> usize {
    // SAFETY: no memory is involved. `sysconf` gives the same, and knows 2 KiB of other things.
    usize::try_from(unsafe { libc::getauxval(libc::AT_PAGESZ) })
        .ok()
        .filter(|size| size.is_power_of_two())
        .unwrap_or(4096)
}

/// How a thread's memory is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// All of it is there from the beginning: real-time threads must not wait for a page.
    Locked,
    /// What is touched.
    OnDemand,
}

/// Starts a thread with a stack of `stack` bytes and a buffer of `buffer` bytes, below them a guard page.
///
/// The thread lives as long as the process.
///
/// # Errors
/// Those of mmap(2) and clone(2). Memory that cannot be locked is no error.
pub fn start(
    run: fn(Start),
    argument: usize,
    stack: usize,
    buffer: usize,
    memory: Memory,
) -> Result<(), Errno> {
    let page = page_size();
    let round = |length: usize| (length + page - 1) & !(page - 1);
    let (guard, stack) = (page, round(stack.max(libc::PTHREAD_STACK_MIN)));
    let whole = guard + stack + round(buffer.max(1));
    let mapping = Mapping::new(whole)?;
    mapping.guard(guard)?;
    if memory == Memory::Locked {
        let _ = mapping.lock(guard, whole - guard);
    }
    let bottom = mapping.start();
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: the memory is mapped, ours, and stays (the mapping is leaked once the thread runs). The entry
    // lies where the buffer will be, a page at least and aligned; the new thread takes it out first thing.
    let error = unsafe {
        let entry = bottom.add(guard + stack).cast::<Entry>();
        entry.write(Entry {
            run,
            argument,
            buffer: bottom.add(guard + stack),
            buffer_len: buffer,
        });
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstack(attributes.as_mut_ptr(), bottom.add(guard).cast(), stack);
        libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_create(
            thread.as_mut_ptr(),
            attributes.as_ptr(),
            enter,
            entry.cast(),
        )
    };
    if error != 0 {
        return Err(Errno(error));
    }
    core::mem::forget(mapping);
    Ok(())
}

extern "C" fn enter(entry: *mut c_void) -> *mut c_void {
    let place = entry.cast::<Entry>();
    // SAFETY: written by `start` for this thread alone. The buffer is zero as if it had never been there.
    let entry = unsafe {
        let entry = place.read();
        place.cast::<u8>().write_bytes(0, size_of::<Entry>());
        entry
    };
    // SAFETY: mapped, zero, for this thread alone, never given back.
    let buffer = unsafe { core::slice::from_raw_parts_mut(entry.buffer, entry.buffer_len) };
    (entry.run)(Start {
        argument: entry.argument,
        buffer,
    });
    ptr::null_mut()
}

/// Priority of the capture threads. Above every ordinary program and the usual real-time one, below the interrupt
/// threads of a PREEMPT_RT kernel (50).
pub const PRIORITY: c_int = 40;

/// Makes the calling thread SCHED_FIFO with [`PRIORITY`]; what it starts is not.
///
/// # Errors
/// [`Errno::NOT_PERMITTED`] without CAP_SYS_NICE, or where the control group has no real-time share.
pub fn realtime() -> Result<(), Errno> {
    schedule(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, PRIORITY)
}

/// Makes the calling thread an ordinary one.
///
/// # Errors
/// Those of sched_setscheduler(2).
pub fn reset_scheduling() -> Result<(), Errno> {
    schedule(libc::SCHED_OTHER, 0)
}

/// musl's own function always fails: it holds that the kernel's is about threads, not processes.
fn schedule(policy: c_int, priority: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel's `struct sched_param` is one int, which it only reads.
    Errno::check(unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority)
    })
    .map(drop)
}

/// The kernel's first `struct sched_attr`.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// How long an ordinary thread wants to run at a time: the least that the kernel takes.
const SLICE_NS: u64 = 100_000;

/// Gives the calling thread the best of the ordinary priorities, nice -20, and a short slice: since Linux 6.6 whoever runs goes
/// on to the end of its own slice, whatever the other's priority; since 6.12 not if the other asks for less.
///
/// # Errors
/// [`Errno::NOT_PERMITTED`] without CAP_SYS_NICE.
pub fn favour() -> Result<(), Errno> {
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice: -20,
        priority: 0,
        runtime_ns: SLICE_NS,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: the kernel reads as many bytes as `size` says. 0 is the calling thread.
    Errno::check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })
        .map(drop)
}

/// Highest number of CPUs, as in the kernel's own `cpu_set_t` of the C libraries.
pub const MAX_CPUS: usize = 1024;

const WORDS: usize = MAX_CPUS / usize::BITS as usize;

/// A set of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSet([usize; WORDS]);

impl CpuSet {
    /// None.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Those that the calling thread may run on.
    ///
    /// # Errors
    /// Those of sched_getaffinity(2): more CPUs than [`MAX_CPUS`].
    pub fn allowed() -> Result<Self, Errno> {
        let mut set = Self::EMPTY;
        // SAFETY: the kernel writes at most so many bytes there.
        Errno::check(unsafe {
            libc::syscall(
                libc::SYS_sched_getaffinity,
                0,
                size_of_val(&set.0),
                set.0.as_mut_ptr(),
            )
        })?;
        Ok(set)
    }

    /// Puts a CPU in, if its number is not too high.
    pub fn insert(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / usize::BITS as usize) {
            *word |= 1 << (cpu % usize::BITS as usize);
        }
    }

    /// Takes a CPU out.
    pub fn remove(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / usize::BITS as usize) {
            *word &= !(1 << (cpu % usize::BITS as usize));
        }
    }

    /// Whether a CPU is in it.
    pub fn contains(&self, cpu: usize) -> bool {
        self.0
            .get(cpu / usize::BITS as usize)
            .is_some_and(|word| word >> (cpu % usize::BITS as usize) & 1 == 1)
    }

    /// Their numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + Clone {
        (0..MAX_CPUS).filter(|&cpu| self.contains(cpu))
    }
}

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// [`Errno::INVALID`] if it is offline or the cpuset forbids it.
pub fn pin(cpu: usize) -> Result<(), Errno> {
    let mut set = CpuSet::EMPTY;
    set.insert(cpu);
    allow(&set)
}

/// Keeps the thread with this number on one CPU: a thread whose CPU was taken away is let go by the kernel, and does not
/// come back with it.
///
/// # Errors
/// As for [`pin`].
pub fn pin_thread(thread: u32, cpu: usize) -> Result<(), Errno> {
    let mut set = CpuSet::EMPTY;
    set.insert(cpu);
    affinity(thread, &set)
}

/// Lets the calling thread run on these CPUs.
///
/// # Errors
/// As for [`pin`].
pub fn allow(set: &CpuSet) -> Result<(), Errno> {
    affinity(0, set)
}

fn affinity(thread: u32, set: &CpuSet) -> Result<(), Errno> {
    // SAFETY: the kernel reads at most so many bytes there.
    Errno::check(unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            thread,
            size_of_val(&set.0),
            set.0.as_ptr(),
        )
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_thread_gets_its_argument_and_its_buffer() {
        static SUM: AtomicUsize = AtomicUsize::new(0);
        start(
            |start| {
                start.buffer.fill(1);
                SUM.store(
                    start.argument
                        + start
                            .buffer
                            .iter()
                            .map(|&byte| usize::from(byte))
                            .sum::<usize>(),
                    Ordering::SeqCst,
                );
            },
            7,
            64 << 10,
            8192,
            Memory::Locked,
        )
        .unwrap();
        for _ in 0..1000 {
            if SUM.load(Ordering::SeqCst) != 0 {
                break;
            }
            super::super::sleep_ms(1);
        }
        assert_eq!(SUM.load(Ordering::SeqCst), 8199);
    }

    #[test]
    fn a_favoured_thread_goes_first() {
        std::thread::spawn(|| {
            match favour() {
                Ok(()) => {
                    // SAFETY: no memory is involved.
                    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS as _, 0) };
                    assert_eq!(nice, -20);
                }
                Err(error) => assert_eq!(error, Errno::NOT_PERMITTED),
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn sets_of_cpus() {
        let mut set = CpuSet::EMPTY;
        for cpu in [0, 63, 64, 1023, 1024] {
            set.insert(cpu);
        }
        assert!(set.iter().eq([0, 63, 64, 1023]));
        set.remove(63);
        set.remove(1024);
        assert!(set.iter().eq([0, 64, 1023]));
        assert!(CpuSet::allowed().unwrap().iter().count() > 0);
        std::thread::spawn(|| {
            let first = CpuSet::allowed().unwrap().iter().next().unwrap();
            pin(first).unwrap();
            assert!(CpuSet::allowed().unwrap().iter().eq([first]));
            assert_eq!(pin(1023), Err(Errno::INVALID));
        })
        .join()
        .unwrap();
    }
}
