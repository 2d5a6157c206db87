//! A socket in the file system, for questions of its owner.

use core::ffi::{CStr, c_int};
use core::mem::size_of_val;

use super::call::call;
use super::{Errno, Fd, remove_file};

/// A socket that waits for questions.
#[derive(Debug)]
pub struct Control(Fd);

impl Control {
    /// Opens it, readable and writable by its owner only. One that nobody serves any more is replaced.
    ///
    /// # Errors
    /// Those of bind(2): [`Errno::IN_USE`] if somebody serves it.
    pub fn open(path: &CStr) -> Result<Self, Errno> {
        match ask(path) {
            Ok(_) => return Err(Errno::IN_USE),
            Err(Errno::REFUSED) => remove_file(path)?,
            Err(_) => {}
        }
        let socket = socket(libc::SOCK_NONBLOCK)?;
        let (address, length) = address(path)?;
        // SAFETY: only the permissions of files made until it is set back depend on it. Nothing else starts meanwhile.
        let mask = unsafe { call!(libc::SYS_umask, 0o177) }?;
        // SAFETY: an address of this length.
        let bound = unsafe { call!(libc::SYS_bind, socket.raw(), &raw const address, length) };
        // SAFETY: as above.
        unsafe { call!(libc::SYS_umask, mask) }?;
        bound?;
        // SAFETY: no memory is involved.
        unsafe { call!(libc::SYS_listen, socket.raw(), 4) }?;
        Ok(Self(socket))
    }

    /// Takes somebody who asks.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if there is nobody.
    pub fn accept(&self) -> Result<Fd, Errno> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let nobody = core::ptr::null_mut::<c_int>();
        // SAFETY: the address is not asked for.
        unsafe { call!(libc::SYS_accept4, self.0.raw(), nobody, nobody, flags) }.map(Fd::own)
    }

    /// The file, to wait for it.
    pub const fn fd(&self) -> &Fd {
        &self.0
    }
}

/// Opens a connection to whoever serves the socket at this path.
///
/// # Errors
/// [`Errno::REFUSED`] if nobody does, [`Errno::NOT_FOUND`] if it is not there.
pub fn ask(path: &CStr) -> Result<Fd, Errno> {
    let socket = socket(0)?;
    let (address, length) = address(path)?;
    // SAFETY: an address of this length.
    unsafe { call!(libc::SYS_connect, socket.raw(), &raw const address, length) }?;
    Ok(socket)
}

fn socket(flags: c_int) -> Result<Fd, Errno> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags;
    // SAFETY: no memory is involved.
    unsafe { call!(libc::SYS_socket, libc::AF_UNIX, kind, 0) }.map(Fd::own)
}

pub(super) fn address(path: &CStr) -> Result<(libc::sockaddr_un, libc::socklen_t), Errno> {
    // SAFETY: all zero is a valid address: unspecified.
    let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.to_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(Errno::TOO_LONG);
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = core::ffi::c_char::from_ne_bytes([*byte]);
    }
    let length = size_of_val(&address) as libc::socklen_t;
    Ok((address, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PathBuffer;

    #[test]
    fn one_serves_and_a_dead_ones_place_is_taken() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(std::format!("peewit-control-{}", std::process::id()));
        let path = PathBuffer::<256>::of(&[file.as_os_str().as_encoded_bytes()]).unwrap();
        let path = path.as_c_str();
        assert_eq!(ask(path), Err(Errno::NOT_FOUND));
        let control = Control::open(path).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(control.accept(), Err(Errno::AGAIN));
        let client = ask(path).unwrap();
        let served = control.accept().unwrap();
        client.write_all(b"status").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(served.read(&mut buffer), Ok(6));
        assert_eq!(Control::open(path).err(), Some(Errno::IN_USE));
        drop(control);
        drop(Control::open(path).unwrap());
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            Control::open(PathBuffer::<256>::of(&[&[b'x'; 120]]).unwrap().as_c_str()).err(),
            Some(Errno::TOO_LONG)
        );
    }
}
