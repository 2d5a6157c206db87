//! `stranger PROGRAM` starts PROGRAM with the arguments `id` and `t=NANOSECONDS`: the time on CLOCK_MONOTONIC at
//! which it called for it. It does not hold the word itself before, so that only the exec is reported.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};
use core::ptr::null;

use peewit_test_programs::abort;

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
    let program = unsafe { *argv.add(1) };
    // Not vfork: the clock is to be read in the child, right before the call.
    // SAFETY: there is one thread, so the child may do whatever this process may.
    match unsafe { libc::fork() } {
        0 => run(program),
        ..0 => 1,
        _ => {
            let mut status = 0;
            // SAFETY: `status` is where the result belongs.
            unsafe { while libc::waitpid(-1, &mut status, 0) < 0 {} }
            status
        }
    }
}

fn run(program: *const c_char) -> ! {
    let mut stamp = *b"t=00000000000000000000\0";
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let word = c"id".as_ptr();
    let environment = [null::<c_char>()];
    // SAFETY: `time` is where the result belongs.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    // Since the machine's start: neither is negative.
    let mut rest = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    for digit in stamp[2..22].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let arguments = [program, word, stamp.as_ptr().cast(), null()];
    // SAFETY: lists of strings that end with a null pointer; it comes back only if that failed.
    unsafe {
        libc::execve(program, arguments.as_ptr(), environment.as_ptr());
        libc::_exit(127)
    }
}
