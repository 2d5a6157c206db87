//! The sensor's program: everything is in the library.

#![no_std]
#![no_main]

peewit::entry!(peewit::cli::main);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    peewit::sys::exit(101)
}
