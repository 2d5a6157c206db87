//! The process connector as a source.

use super::Notice;
use crate::netlink::{ANSWERS, Request, parse, request};
use crate::problem::Problem;
use crate::sys::{Connector, Errno, Fd, Instruction, Message, wait_readable};

/// How long the kernel may take to answer: at once, as a rule; longer on a device that starts everything at the same time.
const ANSWER_MS: u32 = 2000;

/// A socket of the process connector, with its filter.
pub struct Connection {
    socket: Connector,
}

impl Connection {
    /// Opens a socket with a buffer of so many bytes.
    ///
    /// # Errors
    /// What is wrong with the connector.
    pub fn open(filter: &[Instruction], buffer: i32) -> Result<Self, Problem> {
        let socket = Connector::open(filter, buffer).map_err(Problem::of)?;
        Ok(Self { socket })
    }

    pub(super) fn next(&self, message: &mut Message) -> Result<Option<Notice>, Errno> {
        self.socket.receive(message).map(parse)
    }

    pub(super) fn look_after(&self) -> bool {
        self.socket.peek() == Err(Errno::OVERRUN)
    }

    pub(super) fn drain(&self, take: &mut dyn FnMut(Notice) -> bool) -> bool {
        // One after the other: there are rarely more than two, and a call that takes several would cost more than two of these.
        let mut message: Message = [0; 96];
        let mut lost = false;
        loop {
            match self.socket.take(&mut message) {
                Ok(message) if parse(message).is_some_and(&mut *take) => return lost,
                Ok(_) => {}
                // Until it is empty everything is dropped: go on at once.
                Err(Errno::OVERRUN) => lost = true,
                Err(_) => return lost,
            }
        }
    }

    pub(super) fn drops(&self) -> u64 {
        self.socket.drops().into()
    }

    pub(super) fn fd(&self) -> &Fd {
        self.socket.fd()
    }

    pub(super) fn listen(&self) -> Result<(), Errno> {
        self.socket.send(&request(Request::Listen, 1))
    }

    pub(super) fn ignore(&self) {
        // Otherwise the kernel would go on making events for nobody.
        let _ = self.socket.send(&request(Request::Ignore, 2));
    }

    /// Replaces the filter.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn filter(&self, filter: &[Instruction]) -> Result<(), Errno> {
        self.socket.filter(filter)
    }

    /// Whether its buffer is smaller than wanted.
    pub fn is_small(&self, wanted: i32) -> bool {
        self.socket.buffer() < wanted
    }
}

/// What keeps the connector from answering.
pub(super) fn problem() -> Option<Problem> {
    let asked = Connection::open(&ANSWERS, 1 << 16).and_then(|connection| {
        connection.listen().map_err(Problem::of)?;
        let answered = wait_readable(connection.fd(), ANSWER_MS);
        connection.ignore();
        Ok(answered)
    });
    match asked {
        Ok(true) => None,
        Ok(false) => Some(Problem::NoAnswer),
        Err(problem) => Some(problem),
    }
}
