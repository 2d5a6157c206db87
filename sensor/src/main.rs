//! The sensor's program: everything is in the library.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    peewit::sys::exit(101)
}

/// Called by the C library.
///
/// # Safety
/// Only it calls this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: handed on as they came.
    let arguments = unsafe { peewit::sys::arguments(argc, argv) };
    c_int::from(peewit::cli::main(arguments))
}
