//! System calls, asked of the kernel itself.
//!
//! The C library's functions leave an error in `errno`, of which each thread must have its own, and so its threads are to be the library's
//! too: 8 KiB in all, where the kernel gives the error with the result.

use core::arch::asm;
use core::ffi::{c_int, c_long};
use core::mem::MaybeUninit;

use super::Errno;

/// What fits into a register.
pub(super) trait Word {
    /// As the kernel takes it.
    fn word(self) -> usize;
}

impl Word for usize {
    fn word(self) -> usize {
        self
    }
}

impl Word for u32 {
    fn word(self) -> usize {
        self as usize
    }
}

impl Word for c_int {
    fn word(self) -> usize {
        (self as isize).cast_unsigned()
    }
}

impl<T> Word for *const T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

impl<T> Word for *mut T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

/// A system call: its number, then its arguments. Gives what the kernel gave. As unsafe as what the kernel is asked for.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::sys::call::ask($number, [$($crate::sys::call::Word::word($argument)),*])
    };
}
pub(super) use call;

/// As [`call`], with words. In line: the arguments are put where they belong, and nowhere before.
///
/// # Safety
/// What the call does to memory must be right.
#[inline(always)]
pub(super) unsafe fn ask<const N: usize>(
    number: c_long,
    arguments: [usize; N],
) -> Result<usize, Errno> {
    const { assert!(N <= 6) }
    // What a call has no use for is left as it is.
    let argument = |at: usize| {
        arguments
            .get(at)
            .map_or(MaybeUninit::uninit(), |&word| MaybeUninit::new(word))
    };
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for what the call does. The kernel changes these registers only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") argument(0),
            in("rsi") argument(1),
            in("rdx") argument(2),
            in("r10") argument(3),
            in("r8") argument(4),
            in("r9") argument(5),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") argument(0) => result,
            in("x1") argument(1),
            in("x2") argument(2),
            in("x3") argument(3),
            in("x4") argument(4),
            in("x5") argument(5),
            options(nostack),
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
            own = out(reg) _,
            number = in(reg) number,
            inlateout("r0") argument(0) => result,
            in("r1") argument(1),
            in("r2") argument(2),
            in("r3") argument(3),
            in("r4") argument(4),
            in("r5") argument(5),
            options(nostack),
        );
    }
    check(result)
}

/// The kernel gives an error as a number just below 0. Addresses may be negative too.
pub(super) fn check(result: isize) -> Result<usize, Errno> {
    match result {
        -4095..0 => Err(Errno::of(-result as c_int)),
        _ => Ok(result.cast_unsigned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_errors() {
        assert_eq!(check(0), Ok(0));
        assert_eq!(check(7), Ok(7));
        assert_eq!(check(-1), Err(Errno::NOT_PERMITTED));
        assert_eq!(check(-4095), Err(Errno::of(4095)));
        assert_eq!(check(-4096), Ok(usize::MAX - 4095));
    }

    #[test]
    fn arguments_reach_the_kernel() {
        let mut bytes = [0u8; 4];
        // SAFETY: so many bytes of the buffer.
        let read = unsafe {
            let file = call!(
                libc::SYS_openat,
                libc::AT_FDCWD,
                c"/proc/self/exe".as_ptr(),
                libc::O_RDONLY,
                0
            )
            .unwrap();
            let read = call!(libc::SYS_pread64, file, bytes.as_mut_ptr(), bytes.len(), 0);
            call!(libc::SYS_close, file).unwrap();
            read
        };
        assert_eq!(read, Ok(4));
        assert_eq!(bytes, *b"\x7fELF");
        // SAFETY: new memory, given back.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let place = call!(libc::SYS_mmap, 0, 4096, protection, flags, -1, 0).unwrap();
            assert_eq!(place % 4096, 0);
            assert_eq!(call!(libc::SYS_munmap, place, 4096), Ok(0));
        }
    }
}
