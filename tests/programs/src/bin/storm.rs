//! `storm COUNT PROGRAM [PER_SECOND] [--parallel N] [--rate PER_SECOND]` starts PROGRAM so many times, each time with its
//! own number, from 0, as the only argument.
//!
//! N processes share the numbers; each starts its programs one after the other. Without a rate they start as
//! many as they can, with one they start together PER_SECOND of them, by the clock.

#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int};
use core::ptr::null;

use peewit_test_programs::{abort, number, start};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// What is to be done.
struct Storm {
    count: u32,
    program: *const c_char,
    rate: u32,
    parallel: u32,
}

impl Storm {
    /// From the command line; `None` if that says something else.
    ///
    /// # Safety
    /// `argv` has `argc` strings.
    unsafe fn from_arguments(argc: usize, argv: *const *const c_char) -> Option<Self> {
        if argc < 3 {
            return None;
        }
        // SAFETY: there are at least three strings.
        let (count, program) = unsafe { (number(*argv.add(1)), *argv.add(2)) };
        let (mut rate, mut parallel) = (0, 1);
        let mut at = 3;
        while at < argc {
            // SAFETY: `at` is below `argc`.
            let word = unsafe { *argv.add(at) };
            // SAFETY: the words are strings.
            let option = unsafe { CStr::from_ptr(word) };
            if at == 3 && !option.to_bytes().starts_with(b"-") {
                // SAFETY: as above.
                rate = unsafe { number(word) };
                at += 1;
                continue;
            }
            if at + 1 >= argc {
                return None;
            }
            // SAFETY: there is one more.
            let value = unsafe { number(*argv.add(at + 1)) };
            match option.to_bytes() {
                b"--parallel" => parallel = value.clamp(1, 256),
                b"--rate" => rate = value,
                _ => return None,
            }
            at += 2;
        }
        Some(Self {
            count,
            program,
            rate,
            parallel,
        })
    }

    /// Starts every `parallel`th program, from `first`. Gives the exit status.
    fn run(&self, first: u32, began: u64) -> c_int {
        let mut turn = first;
        while turn < self.count {
            if self.rate > 0 {
                sleep_until(began + u64::from(turn) * 1_000_000_000 / u64::from(self.rate));
            }
            let mut text = [0u8; 12];
            let at = decimal(&mut text, turn);
            // SAFETY: a list of two strings and a null pointer.
            let status =
                unsafe { start([self.program, text[at..].as_ptr().cast(), null()].as_ptr()) };
            if status != 0 {
                return 1;
            }
            turn += self.parallel;
        }
        0
    }
}

/// Writes a number in front of the last byte, which stays 0, and gives where it begins.
fn decimal(text: &mut [u8; 12], number: u32) -> usize {
    let (mut at, mut rest) = (text.len() - 1, number);
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return at;
        }
    }
}

/// Nanoseconds on the clock that never jumps.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is where the result belongs.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    // Since the machine's start: neither is negative, nor more than 32 bits hold.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until then; not at all if it has passed.
fn sleep_until(then: u64) {
    let wait = then.saturating_sub(now());
    if wait > 0 {
        // SAFETY: sleeps. Everything starts within seconds: the number fits.
        unsafe { libc::usleep((wait / 1000).min(999_999) as u32) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: argv has argc strings.
    let Some(storm) = (unsafe { Storm::from_arguments(argc.unsigned_abs() as usize, argv) }) else {
        return 2;
    };
    let began = now();
    if storm.parallel == 1 {
        return storm.run(0, began);
    }
    for first in 0..storm.parallel {
        // SAFETY: there is one thread, so the child may do whatever this process may.
        match unsafe { libc::fork() } {
            // SAFETY: ends the child.
            0 => unsafe { libc::_exit(storm.run(first, began)) },
            // Those that were started go on to their end.
            ..0 => return 1,
            _ => {}
        }
    }
    let mut failed = 0;
    for _ in 0..storm.parallel {
        let mut status = 0;
        // SAFETY: `status` is where the result belongs.
        unsafe { while libc::waitpid(-1, &mut status, 0) < 0 {} }
        failed |= c_int::from(status != 0);
    }
    failed
}
