//! What the kernel hands over to a new process: command line, environment, and facts about the machine.

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// No arguments, no variables, no facts.
static NOTHING: [usize; 4] = [0; 4];

/// Words on the first stack: how many arguments, a pointer to each, 0, a pointer to each variable of the environment, 0, and pairs of a
/// fact's number and its value, up to number 0. Not zero at first: so it lies where memory is in use anyway.
static STACK: AtomicPtr<usize> = AtomicPtr::new((&raw const NOTHING).cast_mut().cast());

/// The program's arguments, without its own name.
#[derive(Clone, Debug)]
pub struct Args {
    /// The place of the next one on the stack.
    next: usize,
}

/// The program's arguments.
///
/// # Safety
/// `stack` is what the kernel has left on the stack of a new process. It stays there as long as the process does.
pub unsafe fn arguments(stack: *mut usize) -> Args {
    STACK.store(stack, Ordering::Relaxed);
    Args { next: 2 }
}

/// The word at a place that is there: each list ends with 0.
fn word(place: usize) -> usize {
    // SAFETY: whoever set it vouches for it, and callers go no further than the 0 at the end.
    unsafe { *STACK.load(Ordering::Relaxed).add(place) }
}

/// The string at a place, before the end of its list.
fn string(place: usize) -> Option<&'static CStr> {
    let start = ptr::with_exposed_provenance::<c_char>(word(place));
    // SAFETY: the kernel leaves pointers to NUL-terminated strings, which stay.
    (!start.is_null()).then(|| unsafe { CStr::from_ptr(start) })
}

impl Iterator for Args {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // Without even a name for itself a process has no arguments.
        let next = (self.next <= word(0)).then(|| string(self.next))??;
        self.next += 1;
        Some(next)
    }
}

/// A variable of the environment that is not empty.
pub(super) fn variable(name: &[u8]) -> Option<&'static CStr> {
    let mut place = word(0) + 2;
    while let Some(said) = string(place) {
        let bytes = said.to_bytes_with_nul();
        if let Some(b'=') = bytes.get(name.len())
            && bytes.starts_with(name)
        {
            let value = CStr::from_bytes_until_nul(bytes.get(name.len() + 1..)?).ok();
            return value.filter(|value| !value.is_empty());
        }
        place += 1;
    }
    None
}

/// A fact about the machine: its number is one of libc's `AT_*`.
pub(super) fn fact(number: usize) -> Option<usize> {
    let mut place = word(0) + 2;
    while word(place) != 0 {
        place += 1;
    }
    place += 1;
    while word(place) != 0 {
        if word(place) == number {
            return Some(word(place + 1));
        }
        place += 2;
    }
    None
}

/// Makes the program's beginning of a function that takes [`Args`] and gives the exit status. For the program, not the library:
/// a test harness begins by itself. The linker is told its name; the C library's own beginning, which prepares what we have no use for,
/// is left out.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// Called by the kernel alone: hands on where the stack was.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn peewit_start() -> ! {
            #[cfg(target_arch = "x86_64")]
            ::core::arch::naked_asm!(
                "xor ebp, ebp",
                "mov rdi, rsp",
                "and rsp, -16",
                "call {begin}",
                begin = sym begin,
            );
            #[cfg(target_arch = "aarch64")]
            ::core::arch::naked_asm!(
                "mov x29, xzr",
                "mov x0, sp",
                "bl {begin}",
                begin = sym begin,
            );
            #[cfg(target_arch = "arm")]
            ::core::arch::naked_asm!(
                "mov r0, sp",
                "bic r1, r0, #7",
                "mov sp, r1",
                "bl {begin}",
                begin = sym begin,
            );
        }

        extern "C" fn begin(stack: *mut usize) -> ! {
            // SAFETY: handed on as it came.
            $crate::sys::exit($main(unsafe { $crate::sys::arguments(stack) }))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// All in one: there is one stack.
    #[test]
    fn what_the_kernel_left_is_read() {
        assert_eq!(variable(b"A"), None);
        assert_eq!(fact(6), None);
        let at = |string: &'static CStr| string.as_ptr().expose_provenance();
        let stack = [
            3,
            at(c"peewit"),
            at(c"run"),
            at(c"--demo"),
            0,
            at(c"AB=1"),
            at(c"A="),
            at(c"B=x=y"),
            0,
            16,
            7,
            6,
            4096,
            0,
            0,
        ];
        // SAFETY: laid out as the kernel does it, and never freed.
        let args = unsafe { arguments(Vec::leak(stack.to_vec()).as_mut_ptr()) };
        assert_eq!(args.collect::<Vec<_>>(), [c"run", c"--demo"]);
        assert_eq!(variable(b"AB"), Some(c"1"));
        assert_eq!(variable(b"A"), None);
        assert_eq!(variable(b"B"), Some(c"x=y"));
        assert_eq!(variable(b"C"), None);
        assert_eq!(fact(6), Some(4096));
        assert_eq!(fact(16), Some(7));
        assert_eq!(fact(7), None);
        for nothing in [[0, 0, 0, 0, 0], [1, at(c"peewit"), 0, 0, 0]] {
            // SAFETY: as above.
            let mut args = unsafe { arguments(Vec::leak(nothing.to_vec()).as_mut_ptr()) };
            assert_eq!(args.next(), None);
        }
        STACK.store((&raw const NOTHING).cast_mut().cast(), Ordering::Relaxed);
    }
}
