//! `dropper PROGRAM ARGUMENT...` starts PROGRAM with PROGRAM's base name and the arguments.
//!
//! `dropper -s PROGRAM` hands it the bare word `id` without holding it itself.

#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int};
use core::ptr::null;

use peewit_test_programs::{abort, start};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    if argc < 2 {
        return 2;
    }
    // SAFETY: argv has argc strings and a null pointer behind them.
    unsafe {
        let first = *argv.add(1);
        if argc == 3 && CStr::from_ptr(first) == c"-s" {
            return start([*argv.add(2), c"id".as_ptr(), null()].as_ptr());
        }
        start(argv.add(1))
    }
}
