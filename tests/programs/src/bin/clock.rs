//! `clock SECONDS` sets the wall clock to so many seconds since 1970, as somebody does by hand: it is not trusted then.
//! `clock trusted` has the kernel call it synchronised, as a time daemon does.

#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int};

use peewit_test_programs::{abort, number};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    if argc != 2 {
        return 2;
    }
    // SAFETY: argv has two strings.
    let word = unsafe { CStr::from_ptr(*argv.add(1)) };
    let failed = if word == c"trusted" {
        // SAFETY: zeros are a value of numbers.
        let mut timex: libc::timex = unsafe { core::mem::zeroed() };
        // Without an error that is small the kernel calls it unsynchronised again within a second.
        timex.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
        // SAFETY: `timex` is what it says it is.
        unsafe { libc::adjtimex(&mut timex) }
    } else {
        let time = libc::timespec {
            // SAFETY: a string.
            tv_sec: unsafe { number(word.as_ptr()) } as _,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a time.
        unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &time) }
    };
    c_int::from(failed < 0)
}
