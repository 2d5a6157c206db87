//! `nop` ends at its first instructions: nothing lives shorter. It is also the `implant`.

#![no_std]
#![no_main]

use peewit_test_programs::abort;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// What the C library would start. Nobody does: see `build.rs`.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    0
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl first_instruction",
    "first_instruction: mov eax, 231",
    "xor edi, edi",
    "syscall"
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl first_instruction",
    "first_instruction: mov x8, 94",
    "mov x0, 0",
    "svc 0"
);

#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    // The kernel begins at an even address in this mode, whatever the rest is compiled to.
    ".arm",
    ".globl first_instruction",
    "first_instruction: mov r7, #248",
    "mov r0, #0",
    "svc 0"
);
