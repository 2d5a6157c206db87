//! Random records, streams and payloads.

use proptest::prelude::*;

use super::*;
use crate::alert::{
    ANCESTORS, Action, Alert, Ancestor, Flags, MatchedArg, Parent, Path, RuleId, STAGES, Severity,
    Stage, TERMS,
};

type OwnedPath = Option<(Vec<u8>, Vec<u8>)>;

fn bytes(limit: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(any::<u8>(), 0..=limit),
    ]
}

fn path() -> impl Strategy<Value = OwnedPath> {
    prop::option::of((
        prop_oneof![Just(b"/tmp/x/".to_vec()), bytes(PATH_LIMIT)],
        prop_oneof![Just(b"dropper".to_vec()), bytes(PATH_LIMIT)],
    ))
}

fn borrowed(path: &OwnedPath) -> Option<Path<'_>> {
    path.as_ref()
        .map(|(directory, name)| Path { directory, name })
}

proptest! {
    #[test]
    fn round_trip(
        (sequence, time_ms, boot_ms, uid) in any::<(u64, u64, u64, Option<u32>)>(),
        (pid, tid, ppid, bits) in any::<(u32, u32, u32, u32)>(),
        same_thread in any::<bool>(),
        rule in prop_oneof![
            "[a-z0-9-]{0,64}",
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        ],
        (risk_score, fork) in any::<(u8, bool)>(),
        terms in prop::collection::vec(
            prop_oneof![Just(b"dropper".to_vec()), bytes(PATH_LIMIT)], 0..=TERMS),
        args in prop::collection::vec(prop_oneof![3 => Just(b'a'), 1 => Just(0)], 0..=ARGS_LIMIT),
        missing in prop_oneof![Just(0), any::<u32>()],
        arg in prop::option::of((0..9u32, prop_oneof!["a{0,3}", "[^a]{0,60}"])),
        executable in path(),
        parent_executable in path(),
        cwd in prop::option::of(bytes(PATH_LIMIT)),
        ancestors in prop::collection::vec((any::<u32>(), bytes(TEXT_LIMIT)), 0..=ANCESTORS),
        stages in prop::collection::vec(any::<(u32, u64)>(), 0..=STAGES),
    ) {
        let args_len = (args.len() as u32).saturating_add(missing);
        let truncated = args_len > args.len() as u32;
        let alert = Alert {
            sequence,
            rule: RuleId::new(&rule),
            severity: [Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
                [usize::from(risk_score) % 4],
            risk_score,
            terms: terms.iter().map(Vec::as_slice).collect(),
            action: if fork { Action::Fork } else { Action::Exec },
            matched_arg: arg.as_ref().map(|(index, bytes)| MatchedArg {
                index: *index,
                bytes: bytes.as_bytes(),
            }),
            time_ms,
            boot_ms,
            pid,
            tid: if same_thread { pid } else { tid },
            uid,
            executable: borrowed(&executable),
            args: &args,
            args_len,
            cwd: cwd.as_deref(),
            parent: Parent { pid: ppid, executable: borrowed(&parent_executable) },
            ancestors: ancestors.iter().map(|(pid, name)| Ancestor { pid: *pid, name }).collect(),
            flags: Flags::from_bits(bits | u32::from(truncated)),
            stages: stages.iter().map(|&(pid, boot_ms)| Stage { pid, boot_ms }).collect(),
        };
        check_round_trip(&Record::Alert(alert.clone()), &Record::Alert(alert));
    }

    #[test]
    fn any_bytes_are_read(
        stream in prop::collection::vec(prop_oneof![4 => any::<u8>(), 1 => 0..3u8], 0..400),
        piece in 1..50usize,
    ) {
        let items = read(&stream, piece);
        prop_assert_eq!(&items, &read(&stream, 400));
        let frames = stream.split(|&byte| byte == 0).filter(|frame| !frame.is_empty());
        prop_assert_eq!(items.len(), frames.count());
    }

    /// Behind a right checksum too, where no corruption is expected.
    #[test]
    fn any_payload_is_read(
        kind in 0..3u8,
        payload in prop::collection::vec(prop_oneof![any::<u8>(), 0..3u8], 0..200),
    ) {
        let stream = framed(&[&[kind], &payload[..]].concat());
        let items = read(&stream, stream.len());
        prop_assert_eq!(items.len(), 1);
        prop_assert!(!items[0].starts_with("Corrupt"));
    }
}
