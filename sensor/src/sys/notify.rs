//! Whoever started this process and wants to hear how it is: systemd's protocol, sd_notify(3).

use core::ffi::{CStr, c_int};

use super::args::variable;
use super::call::call;
use super::control::address;
use super::{Errno, Fd, process_id};
use crate::text::number;

/// A supervisor. Without one nothing is said.
#[derive(Debug)]
pub struct Supervisor {
    path: Option<&'static CStr>,
    watchdog_ms: Option<u32>,
}

impl Supervisor {
    /// The one that the environment names, if there is one.
    pub fn find() -> Self {
        let number_of = |name: &[u8]| variable(name).and_then(|value| number(value.to_bytes()));
        // Meant for another process, which started this one.
        let other = number_of(b"WATCHDOG_PID").is_some_and(|pid| pid != process_id().into());
        let limit = number_of(b"WATCHDOG_USEC").filter(|&limit| limit > 0 && !other);
        Self {
            path: variable(b"NOTIFY_SOCKET"),
            watchdog_ms: limit.map(|us| u32::try_from((us / 2000).max(1)).unwrap_or(u32::MAX)),
        }
    }

    /// How often it wants to hear that all goes on: half of the time after which it would act.
    pub const fn watchdog_ms(&self) -> Option<u32> {
        self.watchdog_ms
    }

    /// Tells it something. Never waits; a message that it does not take is lost.
    pub fn tell(&self, message: &[u8]) {
        if let Some(path) = self.path {
            let _ = send(path, message);
        }
    }
}

fn send(path: &CStr, message: &[u8]) -> Result<(), Errno> {
    let (mut address, mut length) = address(path)?;
    // A name that is in no file system begins with NUL in place of the `@`, and ends with the address.
    if path.to_bytes().first() == Some(&b'@') {
        address.sun_path[0] = 0;
        let before = core::mem::offset_of!(libc::sockaddr_un, sun_path);
        length = (before + path.to_bytes().len()) as libc::socklen_t;
    }
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    let socket = unsafe { call!(libc::SYS_socket, libc::AF_UNIX, kind, 0) }.map(Fd::own)?;
    let flags: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads so many bytes of the message, and an address of this length.
    unsafe {
        call!(
            libc::SYS_sendto,
            socket.raw(),
            message.as_ptr(),
            message.len(),
            flags,
            &raw const address,
            length,
        )
    }
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PathBuffer;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn messages_arrive_at_paths_and_at_names() {
        let name = std::format!("peewit-notify-{}", std::process::id());
        let file = std::env::temp_dir().join(&name);
        let at_path = UnixDatagram::bind(&file).unwrap();
        let at_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let path = PathBuffer::<256>::of(&[file.as_os_str().as_encoded_bytes()]).unwrap();
        let abstract_path = PathBuffer::<256>::of(&[b"@", name.as_bytes()]).unwrap();
        for (socket, path) in [(at_path, path), (at_name, abstract_path)] {
            send(path.as_c_str(), b"READY=1").unwrap();
            let mut buffer = [0; 32];
            assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
            assert_eq!(&buffer[..7], b"READY=1");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(send(c"/nowhere/x", b"READY=1"), Err(Errno::NOT_FOUND));
    }
}
