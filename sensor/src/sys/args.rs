//! The command line that the kernel handed over.

use core::ffi::{CStr, c_char, c_int};

/// The program's arguments, without its own name.
#[derive(Clone, Debug)]
pub struct Args {
    rest: &'static [*const c_char],
}

/// The arguments that `main` was called with.
///
/// # Safety
/// `argc` and `argv` are those that the C library gave to `main`: so many pointers to
/// NUL-terminated strings, which stay there as long as the process does.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Args {
    let count = usize::try_from(argc).unwrap_or(0);
    if argv.is_null() || count < 2 {
        return Args { rest: &[] };
    }
    // SAFETY: the caller vouches for `argc` pointers.
    let all = unsafe { core::slice::from_raw_parts(argv, count) };
    Args { rest: &all[1..] }
}

impl Iterator for Args {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if first.is_null() {
            return None;
        }
        // SAFETY: `arguments` was told that each is a NUL-terminated string that stays.
        Some(unsafe { CStr::from_ptr(first) })
    }
}

/// Makes the C library's `main` of a function that takes [`Args`] and gives the exit status. For the
/// program, not the library: a test harness has a `main` of its own.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// Called by the C library, and by nobody else.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: ::core::ffi::c_int,
            argv: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: handed on as they came.
            ::core::ffi::c_int::from($main(unsafe { $crate::sys::arguments(argc, argv) }))
        }
    };
}
