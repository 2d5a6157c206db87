//! `nop` ends at its first instructions: nothing lives shorter. It is also the `implant`.

#![no_std]
#![no_main]

use peewit_test_programs::abort;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start: mov eax, 231",
    "xor edi, edi",
    "syscall"
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start: mov x8, 94", "mov x0, 0", "svc 0");

#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".globl _start",
    "_start: mov r7, #248",
    "mov r0, #0",
    "svc 0"
);
