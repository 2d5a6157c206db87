//! A socket of the kernel's process connector.

use core::ffi::c_int;
use core::mem::size_of_val;

use super::call::call;
use super::{Errno, Fd};

/// An instruction of a socket filter (classic BPF), as linux/filter.h lays it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub then: u8,
    /// The same if it does not.
    pub otherwise: u8,
    /// Operand.
    pub value: u32,
}

/// Room for one message: those of the process connector have 76 bytes.
pub type Message = [u8; 96];

/// A socket that takes what the process connector sends and a filter lets through.
#[derive(Debug)]
pub struct Connector {
    fd: Fd,
}

impl Connector {
    /// Opens a socket, with its filter and its buffer (in bytes) before the first message can come.
    ///
    /// # Errors
    /// Those of socket(2), setsockopt(2) and bind(2): [`Errno::NO_PROTOCOL`] without a connector in the kernel,
    /// [`Errno::NOT_PERMITTED`] without CAP_NET_ADMIN on a kernel before 6.6.
    pub fn open(filter: &[Instruction], buffer: c_int) -> Result<Self, Errno> {
        let fd = netlink(libc::NETLINK_CONNECTOR)?;
        let socket = Self { fd };
        socket.filter(filter)?;
        // The first needs CAP_NET_ADMIN; the other is bounded by net.core.rmem_max.
        if socket.set(libc::SO_RCVBUFFORCE, &buffer).is_err() {
            let _ = socket.set(libc::SO_RCVBUF, &buffer);
        }
        join(&socket.fd, libc::CN_IDX_PROC)?;
        Ok(socket)
    }

    /// Replaces the filter. What is queued already stays.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn filter(&self, filter: &[Instruction]) -> Result<(), Errno> {
        let length = u16::try_from(filter.len()).map_err(|_| Errno::INVALID)?;
        let program = libc::sock_fprog {
            len: length,
            filter: filter.as_ptr().cast_mut().cast(),
        };
        self.set(libc::SO_ATTACH_FILTER, &program)
    }

    fn set<T>(&self, option: c_int, value: &T) -> Result<(), Errno> {
        // SAFETY: the kernel reads at most so many bytes there.
        unsafe {
            call!(
                libc::SYS_setsockopt,
                self.fd.raw(),
                libc::SOL_SOCKET,
                option,
                core::ptr::from_ref(value),
                size_of_val(value) as libc::socklen_t,
            )
        }
        .map(drop)
    }

    /// Sends a message to the kernel.
    ///
    /// # Errors
    /// Those of send(2): [`Errno::REFUSED`] from another network namespace.
    pub fn send(&self, message: &[u8]) -> Result<(), Errno> {
        // SAFETY: the kernel reads at most so many bytes there.
        unsafe {
            call!(
                libc::SYS_sendto,
                self.fd.raw(),
                message.as_ptr(),
                message.len(),
                0,
                0,
                0
            )
        }
        .map(drop)
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// [`Errno::OVERRUN`] if messages were lost, [`Errno::AGAIN`] when the timeout is over.
    pub fn receive<'b>(&self, buffer: &'b mut Message) -> Result<&'b [u8], Errno> {
        self.get(buffer, 0)
    }

    /// Takes a message that is there, without waiting.
    ///
    /// # Errors
    /// [`Errno::OVERRUN`] if messages were lost, [`Errno::AGAIN`] if there is none.
    pub fn take<'b>(&self, buffer: &'b mut Message) -> Result<&'b [u8], Errno> {
        self.get(buffer, libc::MSG_DONTWAIT)
    }

    /// Looks whether there is a message, without taking it or waiting. After an overrun the kernel drops messages until somebody
    /// finds the socket empty: who waits in [`Connector::receive`] already may not, and for a timeout there the kernel would set
    /// up a timer for each message.
    ///
    /// # Errors
    /// As for [`Connector::take`].
    pub fn peek(&self) -> Result<(), Errno> {
        self.get(&mut [0; 1], libc::MSG_PEEK | libc::MSG_DONTWAIT)
            .map(drop)
    }

    #[inline(never)]
    fn get<'b>(&self, buffer: &'b mut [u8], flags: c_int) -> Result<&'b [u8], Errno> {
        // SAFETY: the kernel writes at most so many bytes there.
        let length = unsafe {
            call!(
                libc::SYS_recvfrom,
                self.fd.raw(),
                buffer.as_mut_ptr(),
                buffer.len(),
                flags,
                0,
                0
            )
        }?;
        Ok(buffer.get(..length).unwrap_or(&[]))
    }

    /// How many messages the kernel has dropped because the buffer was full.
    pub fn drops(&self) -> u32 {
        let mut info = [0u32; 16];
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes there.
        let result = unsafe {
            call!(
                libc::SYS_getsockopt,
                self.fd.raw(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr(),
                &raw mut length,
            )
        };
        if result.is_ok() {
            info[libc::SK_MEMINFO_DROPS as usize]
        } else {
            0
        }
    }

    /// Bytes of its buffer, as they were asked for.
    pub fn buffer(&self) -> c_int {
        let mut buffer: c_int = 0;
        let mut length = size_of_val(&buffer) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes there.
        let _ = unsafe {
            call!(
                libc::SYS_getsockopt,
                self.fd.raw(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                &raw mut buffer,
                &raw mut length,
            )
        };
        // The kernel doubles it, for its own records of each message.
        buffer / 2
    }

    /// The file, to wait for it beside others.
    pub const fn fd(&self) -> &Fd {
        &self.fd
    }
}

fn netlink(protocol: c_int) -> Result<Fd, Errno> {
    // SAFETY: no memory is involved.
    unsafe {
        call!(
            libc::SYS_socket,
            libc::AF_NETLINK,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            protocol,
        )
    }
    .map(Fd::own)
}

/// Makes a socket one of those that a group's messages go to.
fn join(fd: &Fd, group: u32) -> Result<(), Errno> {
    // SAFETY: all zero is a valid address: unspecified.
    let mut address: libc::sockaddr_nl = unsafe { core::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = group;
    // SAFETY: an address of this length.
    unsafe {
        call!(
            libc::SYS_bind,
            fd.raw(),
            &raw const address,
            size_of_val(&address) as libc::socklen_t,
        )
    }
    .map(drop)
}

/// What becomes readable when a device, a CPU among them, comes or goes.
///
/// # Errors
/// Those of socket(2) and bind(2).
pub fn device_events() -> Result<Fd, Errno> {
    let fd = netlink(libc::NETLINK_KOBJECT_UEVENT)?;
    join(&fd, 1)?;
    Ok(fd)
}
