//! What the test programs share. Each is static, without `std`, and does as little as it can:
//! what they cost is in every figure of a storm.

#![no_std]

use core::ffi::{CStr, c_char, c_int};
use core::ptr::null;

#[link(name = "c")]
unsafe extern "C" {}

/// Ends the process: there is nobody to tell.
pub fn abort() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

/// Starts `argv[0]` with this list of arguments by vfork and exec, and waits for its end.
///
/// # Safety
/// `argv` is a list of strings that ends with a null pointer.
pub unsafe fn start(argv: *const *const c_char) -> c_int {
    let mut pid = 0;
    let mut status = 0;
    // SAFETY: musl's posix_spawn is clone(CLONE_VM | CLONE_VFORK) and exec; the caller vouches for argv, and the
    // environment is empty.
    unsafe {
        let environment = [null::<c_char>()];
        let error = libc::posix_spawn(
            &mut pid,
            *argv,
            null(),
            null(),
            argv.cast(),
            environment.as_ptr().cast(),
        );
        if error != 0 {
            return error;
        }
        while libc::waitpid(pid, &mut status, 0) < 0 {}
    }
    status
}

/// A decimal number of an argument; 0 if it is none.
///
/// # Safety
/// `text` is a string.
pub unsafe fn number(text: *const c_char) -> u32 {
    // SAFETY: as the caller vouches.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    bytes.iter().fold(0u32, |number, &byte| {
        number
            .wrapping_mul(10)
            .wrapping_add(u32::from(byte.wrapping_sub(b'0')))
    })
}
