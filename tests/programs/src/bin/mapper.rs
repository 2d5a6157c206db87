//! `mapper table NAME SECTORS TARGET ARGUMENTS` makes a device of the device mapper, or gives one that is there another table, at
//! once: what is under way is not waited for. `mapper message NAME TEXT` sends its target a message.

#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int};
use core::mem::{offset_of, size_of};

use peewit_test_programs::{abort, number};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// A request: `struct dm_ioctl` of linux/dm-ioctl.h, and the body behind it.
#[repr(C)]
struct Request {
    version: [u32; 3],
    size: u32,
    start: u32,
    targets: u32,
    open: i32,
    flags: u32,
    event: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    unused: [u8; 7],
    /// Of a table `struct dm_target_spec` and its arguments, of a message `struct dm_target_msg` and its text.
    body: [u8; 296],
}

const HEAD: usize = offset_of!(Request, body);
const CREATE: u32 = 3;
const RESUME: u32 = 6;
const LOAD: u32 = 9;
const MESSAGE: u32 = 14;

/// The file system is not asked to finish what it has.
const SKIP_LOCKFS: u32 = 1 << 10;

impl Request {
    fn new(name: &CStr) -> Self {
        // SAFETY: zeros are a value of numbers and of arrays of them.
        let mut request: Self = unsafe { core::mem::zeroed() };
        request.version = [4, 0, 0];
        request.size = size_of::<Self>() as u32;
        request.start = HEAD as u32;
        request.flags = SKIP_LOCKFS;
        copy(&mut request.name, name);
        request
    }

    /// Asks for it. Gives 0, or 1 if it was refused.
    fn send(mut self, control: c_int, what: u32) -> c_int {
        let read_and_write = 3 << 30;
        let code: u32 = read_and_write | (HEAD as u32) << 16 | 0xFD << 8 | what;
        // SAFETY: the request says how long it is.
        let done = unsafe { libc::ioctl(control, code.cast_signed(), &raw mut self) };
        c_int::from(done < 0)
    }
}

/// Copies what fits, with a zero behind it.
fn copy(to: &mut [u8], from: &CStr) {
    let last = to.len() - 1;
    for (to, from) in to[..last].iter_mut().zip(from.to_bytes()) {
        *to = *from;
    }
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: argv has argc strings; no more of them are asked for.
    let word = |place: usize| unsafe { CStr::from_ptr(*argv.add(place)) };
    // SAFETY: a string.
    let control = unsafe { libc::open(c"/dev/mapper/control".as_ptr(), libc::O_RDWR) };
    match argc {
        4 if word(1) == c"message" => {
            let mut request = Request::new(word(2));
            // Behind the number of a sector.
            copy(&mut request.body[8..], word(3));
            request.send(control, MESSAGE)
        }
        6 if word(1) == c"table" => {
            // Refused if it is there: then only its table is to change.
            Request::new(word(2)).send(control, CREATE);
            let mut request = Request::new(word(2));
            request.targets = 1;
            // SAFETY: a string.
            let sectors = u64::from(unsafe { number(word(3).as_ptr()) });
            request.body[8..16].copy_from_slice(&sectors.to_ne_bytes());
            copy(&mut request.body[24..40], word(4));
            copy(&mut request.body[40..], word(5));
            request.send(control, LOAD) | Request::new(word(2)).send(control, RESUME)
        }
        _ => 2,
    }
}
