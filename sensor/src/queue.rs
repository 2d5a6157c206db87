//! Captured events on their way through the queue to the writer: in this process' own memory, so in no format that has
//! to last.

use peewit_core::alert::{Action, ProcessEvent};

use crate::proc::PATH_MAX;
use crate::ring::{Full, Producer};

/// Longest copy of an event's arguments.
const ARGS_LIMIT: usize = 32 << 10;

/// Longest record.
pub const MAX_LEN: usize = HEAD + ARGS_LIMIT + 3 * PATH_MAX;

/// Length of what stands before the strings: ten words of 8 bytes.
const HEAD: usize = 10 * 8;

/// Stands for a string or a number that is not there.
const NOTHING: u64 = u64::MAX;

/// Puts an event into the queue.
///
/// # Errors
/// [`Full`].
pub fn put(event: &ProcessEvent<'_>, queue: &mut Producer) -> Result<(), Full> {
    let args = event.args.get(..ARGS_LIMIT).unwrap_or(event.args);
    let length = |string: Option<&[u8]>| string.map_or(NOTHING, |string| string.len() as u64);
    let head = [
        u64::from(event.action == Action::Fork) | u64::from(event.complete) << 1,
        event.time_ms,
        u64::from(event.pid) | u64::from(event.tid) << 32,
        u64::from(event.ppid),
        u64::from(event.args_len),
        event.uid.map_or(NOTHING, u64::from),
        args.len() as u64,
        length(event.executable),
        length(event.cwd),
        length(event.parent_executable),
    ];
    let mut draft = queue.begin();
    for word in head {
        draft.extend(&word.to_ne_bytes())?;
    }
    for string in [
        Some(args),
        event.executable,
        event.cwd,
        event.parent_executable,
    ]
    .into_iter()
    .flatten()
    {
        draft.extend(string)?;
    }
    draft.finish()
}

/// The event of a record.
pub fn get(record: &[u8]) -> Option<ProcessEvent<'_>> {
    let (head, mut strings) = record.split_first_chunk::<HEAD>()?;
    let mut words = [0; HEAD / 8];
    for (word, bytes) in words.iter_mut().zip(head.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let [marks, time_ms, ids, ppid, args_len, uid, lengths @ ..] = words;
    let mut found = [None; 4];
    for (string, length) in found.iter_mut().zip(lengths) {
        if length != NOTHING {
            let length = usize::try_from(length).ok()?;
            let (taken, rest) = strings.split_at_checked(length)?;
            *string = Some(taken);
            strings = rest;
        }
    }
    let [args, executable, cwd, parent_executable] = found;
    Some(ProcessEvent {
        action: if marks & 1 == 1 {
            Action::Fork
        } else {
            Action::Exec
        },
        time_ms,
        pid: ids as u32,
        tid: (ids >> 32) as u32,
        ppid: ppid as u32,
        args_len: args_len as u32,
        uid: u32::try_from(uid).ok(),
        args: args?,
        executable,
        cwd,
        parent_executable,
        complete: marks & 2 == 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Ring;
    use core::sync::atomic::AtomicU8;

    #[test]
    fn events_come_out_as_they_went_in() {
        static BYTES: [AtomicU8; 1 << 17] = [const { AtomicU8::new(0) }; 1 << 17];
        static RING: Ring = Ring::new(&BYTES);
        let (mut producer, mut consumer) = RING.ends();
        let event = ProcessEvent {
            action: Action::Fork,
            time_ms: 1 << 41,
            pid: 4_194_303,
            tid: 7,
            ppid: 3,
            executable: Some(b"/bin/x"),
            args: b"x\0y\0",
            args_len: 4,
            cwd: None,
            uid: Some(u32::MAX),
            parent_executable: Some(b""),
            complete: true,
        };
        let long = [7; ARGS_LIMIT + 1];
        let other = ProcessEvent {
            action: Action::Exec,
            executable: None,
            args: &long,
            args_len: u32::MAX,
            uid: None,
            parent_executable: None,
            complete: false,
            ..event
        };
        let mut buffer = [0; MAX_LEN];
        put(&event, &mut producer).unwrap();
        put(&other, &mut producer).unwrap();
        assert_eq!(get(consumer.pop(&mut buffer).unwrap()), Some(event));
        assert_eq!(
            get(consumer.pop(&mut buffer).unwrap()),
            Some(ProcessEvent {
                args: &long[1..],
                ..other
            })
        );
        put(&event, &mut producer).unwrap();
        let record = consumer.pop(&mut buffer).unwrap();
        for length in 0..record.len() {
            assert_eq!(get(&record[..length]), None);
        }
    }
}
