//! `silence` asks the process connector to send nothing more, without ever having asked for events. Kernels before 6.6
//! count listeners for all programs together, and then stop sending to any.

#![no_std]
#![no_main]

use peewit_test_programs::abort;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// struct nlmsghdr, struct cn_msg and PROC_CN_MCAST_IGNORE, by words.
static MESSAGE: [u32; 10] = [40, 3, 0, 0, 1, 1, 0, 0, 4, 2];

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    const NETLINK_CONNECTOR: i32 = 11;
    // SAFETY: opens a socket and sends bytes that stay.
    let sent = unsafe {
        let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM, NETLINK_CONNECTOR);
        libc::send(socket, MESSAGE.as_ptr().cast(), size_of_val(&MESSAGE), 0)
    };
    i32::from(sent < 0)
}
