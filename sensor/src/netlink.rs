//! The process connector's messages and filters.
//!
//! A message is a `struct nlmsghdr` (16 bytes), a `struct cn_msg` (20) and a `struct proc_event`:
//! `what` at 36, `cpu` at 40, `timestamp_ns` at 44, then the event's own fields at 52. The timestamp is not aligned, so
//! everything is read at its offset (linux/connector.h, linux/cn_proc.h).

use crate::source::Notice;
use crate::sys::Instruction;

/// Answer to LISTEN and IGNORE.
const NONE: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;

/// Where `what` stands.
const WHAT: u32 = 36;
/// Where `cpu` stands.
const CPU: u32 = 40;
/// Where the event's own fields begin.
const DATA: u32 = 52;

/// Reads a message. `None` if it is none of those, or not whole.
pub fn parse(message: &[u8]) -> Option<Notice> {
    let number = |offset: u32| {
        let bytes = message.get(offset as usize..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    Some(match number(WHAT)? {
        NONE => Notice::Answer { to: number(28)? },
        FORK => {
            let (tid, child) = (number(DATA + 8)?, number(DATA + 12)?);
            Notice::Fork {
                parent: number(DATA + 4)?,
                child,
                thread: tid != child,
            }
        }
        EXEC => Notice::Exec {
            tid: number(DATA)?,
            pid: number(DATA + 4)?,
        },
        EXIT => Notice::Exit {
            tid: number(DATA)?,
            pid: number(DATA + 4)?,
            status: number(DATA + 8),
        },
        _ => return None,
    })
}

/// What to ask of the process connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send events.
    Listen = 1,
    /// Send none for our sake.
    Ignore = 2,
}

/// Length of a [`request`].
pub const REQUEST_LEN: usize = 16 + 20 + 4;

/// A message that asks for something, with a number to know its answer by. It has the oldest form,
/// of 4 bytes, which every kernel knows.
pub fn request(request: Request, number: u32) -> [u8; REQUEST_LEN] {
    const DONE: u16 = 3;
    let mut bytes = [0; REQUEST_LEN];
    let mut put = |offset: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(offset..offset + value.len()) {
            place.copy_from_slice(value);
        }
    };
    put(0, &(REQUEST_LEN as u32).to_ne_bytes());
    put(4, &DONE.to_ne_bytes());
    // struct cn_msg: idx CN_IDX_PROC, val CN_VAL_PROC, seq, ack, then the length of what follows
    put(16, &1u32.to_ne_bytes());
    put(20, &1u32.to_ne_bytes());
    put(24, &number.to_ne_bytes());
    put(32, &4u16.to_ne_bytes());
    put(36, &(request as u32).to_ne_bytes());
    bytes
}

/// Most CPUs that [`leave_out`] can leave out.
pub const MAX_LEFT_OUT: usize = 128;

/// A socket filter.
pub type Filter = heapless::Vec<Instruction, { 5 + 2 * MAX_LEFT_OUT }>;

/// Load a word, big-endian, from the message.
const LOAD: u16 = 0x20;
/// Compare with a constant.
const EQUAL: u16 = 0x15;
/// Compare with X.
const EQUAL_X: u16 = 0x1d;
/// Put the word into X.
const TO_X: u16 = 0x07;
/// End with a verdict: how many bytes to keep.
const RETURN: u16 = 0x06;
const ACCEPT: Instruction = step(RETURN, u32::MAX);
const DROP: Instruction = step(RETURN, 0);

const fn step(code: u16, value: u32) -> Instruction {
    Instruction {
        code,
        then: 0,
        otherwise: 0,
        value,
    }
}

/// Compares what was loaded with a number as the kernel wrote it, in its own byte order.
const fn equal(value: u32, then: u8, otherwise: u8) -> Instruction {
    Instruction {
        code: EQUAL,
        then,
        otherwise,
        value: value.to_be(),
    }
}

/// Lets through the execs of one CPU; with `forks` its forks too, whose wake-up is what lets a thread without
/// real-time priority be early.
pub const fn exec_on(cpu: u32, forks: bool) -> [Instruction; 7] {
    [
        step(LOAD, WHAT),
        equal(EXEC, 1, 0),
        equal(if forks { FORK } else { EXEC }, 0, 2),
        step(LOAD, CPU),
        equal(cpu, 1, 0),
        DROP,
        ACCEPT,
    ]
}

/// Lets through the execs of all CPUs, but those [left out](leave_out).
pub fn exec_elsewhere() -> Filter {
    let mut filter = Filter::new();
    // There is room.
    let _ = filter.extend_from_slice(&[
        step(LOAD, WHAT),
        equal(EXEC, 1, 0),
        DROP,
        step(LOAD, CPU),
        ACCEPT,
    ]);
    filter
}

/// Leaves out the execs of a CPU, if there is room for it.
pub fn leave_out(filter: &mut Filter, cpu: u32) {
    if filter.capacity() - filter.len() >= 2
        && let Some(last) = filter.last_mut()
    {
        *last = equal(cpu, 0, 1);
        // There is room.
        let _ = filter.extend_from_slice(&[DROP, ACCEPT]);
    }
}

/// Lets through what changes who is whose child: new processes (no threads), ends of processes, and answers.
pub static LINEAGE: [Instruction; 15] = [
    step(LOAD, WHAT),
    equal(FORK, 3, 0),
    equal(EXIT, 6, 0),
    equal(NONE, 9, 0),
    DROP,
    // FORK: child_pid == child_tgid
    step(LOAD, DATA + 8),
    step(TO_X, 0),
    step(LOAD, DATA + 12),
    Instruction {
        code: EQUAL_X,
        then: 4,
        otherwise: 5,
        value: 0,
    },
    // EXIT: process_pid == process_tgid
    step(LOAD, DATA),
    step(TO_X, 0),
    step(LOAD, DATA + 4),
    Instruction {
        code: EQUAL_X,
        then: 0,
        otherwise: 1,
        value: 0,
    },
    ACCEPT,
    DROP,
];

/// Lets only answers through.
pub static ANSWERS: [Instruction; 4] = [step(LOAD, WHAT), equal(NONE, 1, 0), DROP, ACCEPT];

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as a kernel sends it: what, cpu, and up to four words of the event's own.
    fn message(what: u32, cpu: u32, data: &[u32]) -> std::vec::Vec<u8> {
        let mut bytes = std::vec![0; 76];
        bytes[28..32].copy_from_slice(&8u32.to_ne_bytes());
        bytes[36..40].copy_from_slice(&what.to_ne_bytes());
        bytes[40..44].copy_from_slice(&cpu.to_ne_bytes());
        for (at, word) in data.iter().enumerate() {
            bytes[52 + 4 * at..56 + 4 * at].copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// What a kernel does with a filter.
    fn passes(filter: &[Instruction], message: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0, 0, 0);
        loop {
            let instruction = filter[at];
            at += 1;
            let jump = |holds: bool| {
                usize::from(if holds {
                    instruction.then
                } else {
                    instruction.otherwise
                })
            };
            match instruction.code {
                LOAD => {
                    let offset = instruction.value as usize;
                    a = u32::from_be_bytes(message[offset..offset + 4].try_into().unwrap());
                }
                TO_X => x = a,
                EQUAL => at += jump(a == instruction.value),
                EQUAL_X => at += jump(a == x),
                RETURN => return instruction.value != 0,
                other => panic!("code {other:#x}"),
            }
        }
    }

    #[test]
    fn messages_are_read() {
        assert_eq!(
            parse(&message(EXEC, 1, &[8, 7])),
            Some(Notice::Exec { tid: 8, pid: 7 })
        );
        assert_eq!(
            parse(&message(FORK, 1, &[4, 3, 9, 9])),
            Some(Notice::Fork {
                parent: 3,
                child: 9,
                thread: false
            })
        );
        assert_eq!(
            parse(&message(FORK, 1, &[4, 3, 10, 9])),
            Some(Notice::Fork {
                parent: 3,
                child: 9,
                thread: true
            })
        );
        assert_eq!(
            parse(&message(EXIT, 1, &[5, 5, 0x100])),
            Some(Notice::Exit {
                tid: 5,
                pid: 5,
                status: Some(0x100)
            })
        );
        assert_eq!(
            parse(&message(NONE, 1, &[])),
            Some(Notice::Answer { to: 8 })
        );
        assert_eq!(parse(&message(4, 1, &[5, 5])), None);
        for length in 0..60 {
            assert_eq!(parse(&message(EXEC, 1, &[8, 7])[..length]), None);
        }
    }

    #[test]
    fn a_cpu_gets_its_own_execs() {
        for (forks, fork_passes) in [(false, false), (true, true)] {
            let filter = exec_on(3, forks);
            assert!(passes(&filter, &message(EXEC, 3, &[7, 7])));
            assert!(!passes(&filter, &message(EXEC, 2, &[7, 7])));
            assert_eq!(
                passes(&filter, &message(FORK, 3, &[1, 1, 7, 7])),
                fork_passes
            );
            assert!(!passes(&filter, &message(FORK, 2, &[1, 1, 7, 7])));
            assert!(!passes(&filter, &message(EXIT, 3, &[7, 7])));
            assert!(!passes(&filter, &message(NONE, 3, &[])));
        }
    }

    #[test]
    fn execs_of_all_other_cpus() {
        let all_but = |cpus: &[u32]| {
            let mut filter = exec_elsewhere();
            cpus.iter().for_each(|cpu| leave_out(&mut filter, *cpu));
            filter
        };
        let filter = all_but(&[0, 2]);
        for (cpu, wanted) in [(0, false), (1, true), (2, false), (3, true), (64, true)] {
            assert_eq!(passes(&filter, &message(EXEC, cpu, &[7, 7])), wanted);
            assert!(!passes(&filter, &message(FORK, cpu, &[1, 1, 7, 7])));
        }
        let filter = all_but(&(0..1000).collect::<std::vec::Vec<_>>());
        assert!(!passes(
            &filter,
            &message(EXEC, MAX_LEFT_OUT as u32 - 1, &[7, 7])
        ));
        assert!(passes(
            &filter,
            &message(EXEC, MAX_LEFT_OUT as u32, &[7, 7])
        ));
    }

    #[test]
    fn processes_but_no_threads() {
        let filter = LINEAGE;
        for (message, wanted) in [
            (message(FORK, 1, &[1, 1, 7, 7]), true),
            (message(FORK, 1, &[1, 1, 8, 7]), false),
            (message(EXIT, 1, &[7, 7]), true),
            (message(EXIT, 1, &[8, 7]), false),
            (message(EXEC, 1, &[7, 7]), false),
            (message(NONE, 1, &[]), true),
            (message(4, 1, &[7, 7]), false),
        ] {
            assert_eq!(passes(&filter, &message), wanted, "{message:?}");
            assert_eq!(passes(&ANSWERS, &message), message[36..40] == [0; 4]);
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_request_is_what_the_kernel_expects() {
        let mut expected = std::vec![40, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([
            1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0,
        ]);
        assert_eq!(request(Request::Listen, 7).as_slice(), expected);
    }
}
