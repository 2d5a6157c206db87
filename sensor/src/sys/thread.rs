//! Threads that wait for nothing: pinned, real-time, with memory of their own.

#[cfg(not(test))]
use core::arch::asm;
use core::ffi::c_int;
#[cfg(test)]
use core::ptr;

use super::call::call;
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
    let number = unsafe { call!(libc::SYS_gettid) }.unwrap_or(0) as u32;
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
    super::args::fact(libc::AT_PAGESZ as usize)
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
    let (guard, stack) = (page, round(stack));
    let whole = guard + stack + round(buffer.max(1));
    let mapping = Mapping::new(whole)?;
    mapping.guard(guard)?;
    if memory == Memory::Locked {
        let _ = mapping.lock(guard, whole - guard);
    }
    let bottom = mapping.start();
    // SAFETY: the memory is mapped, ours, and stays (the mapping is leaked once the thread runs). The entry
    // lies where the buffer will be, a page at least and aligned; the new thread takes it out first thing.
    unsafe {
        let top = bottom.add(guard + stack);
        let entry = top.cast::<Entry>();
        entry.write(Entry {
            run,
            argument,
            buffer: top,
            buffer_len: buffer,
        });
        begin(entry)?;
    }
    core::mem::forget(mapping);
    Ok(())
}

/// Starts a thread that goes into [`enter`], on the stack that ends where the entry lies. It shares all with this one.
#[cfg(not(test))]
unsafe fn begin(entry: *mut Entry) -> Result<(), Errno> {
    const FLAGS: c_int = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    let result: isize;
    // The new thread finds the registers as they are here, but for its stack and the result, which is 0. Nothing is above it on its
    // stack; that it never comes back here is what `enter` is for.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the stack. This thread's own is not touched.
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, rsi",
            "call {enter}",
            "2:",
            enter = sym enter,
            inlateout("rax") libc::SYS_clone => result,
            in("rdi") FLAGS,
            in("rsi") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x1",
            "bl {enter}",
            "2:",
            enter = sym enter,
            in("x8") libc::SYS_clone,
            inlateout("x0") FLAGS as isize => result,
            in("x1") entry,
            out("x30") _,
        );
    }
    #[cfg(target_arch = "arm")]
    // SAFETY: as above. The number goes into r7, which the compiler keeps for itself.
    unsafe {
        asm!(
            "mov {own}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {own}",
            "cmp r0, #0",
            "bne 2f",
            "mov r0, r1",
            "bl {enter}",
            "2:",
            enter = sym enter,
            own = out(reg) _,
            number = in(reg) libc::SYS_clone,
            inlateout("r0") FLAGS => result,
            in("r1") entry,
            out("lr") _,
        );
    }
    super::call::check(result).map(drop)
}

/// The test harness' threads have memory of their own, which what is tested here uses: those are to be such threads too.
#[cfg(test)]
unsafe fn begin(entry: *mut Entry) -> Result<(), Errno> {
    let entry = entry.expose_provenance();
    // SAFETY: the caller has put it there for this thread.
    std::thread::spawn(move || unsafe { run(ptr::with_exposed_provenance_mut(entry)) });
    Ok(())
}

#[cfg(not(test))]
unsafe extern "C" fn enter(entry: *mut Entry) -> ! {
    // SAFETY: the entry that `start` has written for this thread.
    unsafe { run(entry) };
    loop {
        // SAFETY: ends this thread, whose memory stays.
        let _ = unsafe { call!(libc::SYS_exit, 0) };
    }
}

/// What a new thread does.
unsafe fn run(place: *mut Entry) {
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
    unsafe { call!(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) }.map(drop)
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
    unsafe { call!(libc::SYS_sched_setattr, 0, &raw const attributes, 0) }.map(drop)
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
        unsafe {
            call!(
                libc::SYS_sched_getaffinity,
                0,
                size_of_val(&set.0),
                set.0.as_mut_ptr(),
            )
        }?;
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
    unsafe {
        call!(
            libc::SYS_sched_setaffinity,
            thread,
            size_of_val(&set.0),
            set.0.as_ptr(),
        )
    }
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
