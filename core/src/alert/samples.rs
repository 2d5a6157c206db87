//! Records that tests of several modules use.

use super::*;

/// The header of the documented stream.
pub(crate) fn header() -> Header<'static> {
    Header {
        version: STREAM_VERSION,
        host_id: "4c4c4544003957108052b4c04f384833",
        host_name: "gateway",
        boot_id: "f8a6f4e2-58c7-4d0b-9a55-6f8d0f9d5c11",
        sensor_version: "0.1.0",
        pack_build: 1,
        pack_crc: 0xcbf4_3926,
        time_ms: 1_767_225_600_000,
    }
}

/// What `peewit run --demo` provokes.
pub(crate) fn demo() -> Alert<'static> {
    let ancestor = |pid, name| Ancestor { pid, name };
    Alert {
        sequence: 1,
        rule: RuleId::new("e9001ee6-2d00-4d2f-849e-b8b1fb05234c"),
        severity: Severity::Low,
        risk_score: 21,
        terms: [&b"dropper"[..]].into_iter().collect(),
        action: Action::Exec,
        matched_arg: Some(MatchedArg {
            index: 2,
            bytes: b"id",
        }),
        time_ms: 1_767_225_601_234,
        boot_ms: 86_401_234,
        pid: 123_458,
        tid: 123_458,
        uid: Some(0),
        executable: Some(Path::new(b"/tmp/peewit-123456/implant")),
        args: b"implant\0demo-role\0id\0",
        args_len: 21,
        cwd: Some(b"/home/user/peewit"),
        parent: Parent {
            pid: 123_457,
            executable: Some(Path::new(b"/tmp/peewit-123456/dropper")),
        },
        ancestors: [
            ancestor(123_456, &b"peewit"[..]),
            ancestor(98_765, b"bash"),
            ancestor(98_764, b"sshd"),
            ancestor(98_700, b"sshd"),
            ancestor(1, b"systemd"),
        ]
        .into_iter()
        .collect(),
        flags: Flags::LEARNING,
        stages: Vec::new(),
    }
}

/// The least that an alert can say.
pub(crate) fn least() -> Alert<'static> {
    Alert {
        sequence: 0,
        rule: RuleId::Text(""),
        severity: Severity::Low,
        risk_score: 0,
        terms: Vec::new(),
        action: Action::Fork,
        matched_arg: None,
        time_ms: 0,
        boot_ms: 0,
        pid: 0,
        tid: 0,
        uid: None,
        executable: None,
        args: b"",
        args_len: 0,
        cwd: None,
        parent: Parent {
            pid: 0,
            executable: None,
        },
        ancestors: Vec::new(),
        flags: Flags::NONE,
        stages: Vec::new(),
    }
}

/// The rule of the documented alert.
pub(crate) fn rule() -> RuleInfo<'static> {
    RuleInfo {
        id: RuleId::new("e9001ee6-2d00-4d2f-849e-b8b1fb05234c"),
        severity: Severity::Low,
        name: "Commands by an Unknown Program",
        author: "A. Writer, B. Editor",
        attack: "TA0002 T1059 T1059.004",
        tags: "OS: Linux, Data Source: peewit",
        references: "https://example.org/a https://example.org/b",
    }
}

/// The last event of a sequence of three.
pub(crate) fn last_stage() -> Alert<'static> {
    let stage = |pid, boot_ms| Stage { pid, boot_ms };
    Alert {
        boot_ms: 86_401_234,
        pid: 123_458,
        tid: 123_458,
        stages: [stage(123_440, 86_400_000), stage(123_450, 86_401_000)]
            .into_iter()
            .collect(),
        ..least()
    }
}

/// Ten minutes of a flood, of two rules and some more.
pub(crate) fn held_back() -> HeldBack<'static> {
    let of = |rule, count, example| HeldBackRule {
        rule,
        count,
        example,
    };
    HeldBack {
        time_ms: 1_767_225_900_000,
        boot_ms: 86_700_000,
        lasted_ms: 298_500,
        count: 99_900,
        rules: [
            of(
                RuleId::new("e9001ee6-2d00-4d2f-849e-b8b1fb05234c"),
                99_000,
                &b"dropper"[..],
            ),
            of(RuleId::Text("mine"), 890, b""),
        ]
        .into_iter()
        .collect(),
    }
}

/// A record of a loss, each figure another.
pub(crate) fn health() -> Health {
    Health {
        time_ms: 1_767_229_200_000,
        boot_ms: 90_000_000,
        reason: Reason::Loss,
        source: Source::Perf,
        limits: Limits::from_bits(65),
        counts: core::array::from_fn(|place| place as u64 + 7),
    }
}
