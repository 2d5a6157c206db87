//! `storm COUNT PROGRAM [PER_SECOND]` starts PROGRAM so many times, one after the other, each time
//! with its own number as the only argument.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};
use core::ptr::null;

use peewit_test_programs::{abort, number, start};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    if argc < 3 {
        return 2;
    }
    // SAFETY: argv has argc strings.
    let (count, program, rate) = unsafe {
        (
            number(*argv.add(1)),
            *argv.add(2),
            if argc > 3 { number(*argv.add(3)) } else { 0 },
        )
    };
    for turn in 0..count {
        let mut text = [0u8; 12];
        let mut at = text.len() - 1;
        let mut rest = turn;
        loop {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        // SAFETY: a list of two strings and a null pointer.
        let status = unsafe { start([program, text[at..].as_ptr().cast(), null()].as_ptr()) };
        if status != 0 {
            return 1;
        }
        if let Some(pause) = 1_000_000u32.checked_div(rate) {
            // SAFETY: sleeps.
            unsafe { libc::usleep(pause) };
        }
    }
    0
}
