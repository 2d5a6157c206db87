//! Records and frames that are too long, buffers that are too small.

use super::*;
use crate::alert::{
    ANCESTORS, ATTACK_LIMIT, AUTHOR_LIMIT, Alert, Ancestor, Flags, MatchedArg, Parent, Path,
    RuleId, RuleInfo, Severity, Stage, TAGS_LIMIT, TERMS,
};

#[test]
fn a_frame_over_the_limit_is_corrupt() {
    let (frames, records) = small_stream();
    let long = [&[DELIMITER], &[7; MAX_FRAME + 1][..], &[DELIMITER]].concat();
    let stream = [&long[..], &frames[0]].concat();
    assert_eq!(
        read(&stream, 100),
        [
            corrupt(1, MAX_FRAME as u64 + 1),
            shown(MAX_FRAME as u64 + 4, records[0].clone())
        ]
    );
    let mut reader = Frames::new(&mut []);
    assert_eq!(
        reader.next(&mut &frames[0][..]),
        Some(Item::Corrupt {
            offset: 1,
            len: frames[0].len() as u64 - 2,
        })
    );
}

#[test]
fn what_is_too_long_is_cut_and_marked() {
    let long = [&[b'/'; 1], &[b'x'; 299][..], b"/", &[b'y'; 300][..]].concat();
    let text = "\u{17c}".repeat(50);
    let args = [b'a'; 1000];
    let alert = Alert {
        sequence: u64::MAX,
        rule: RuleId::Text(&text),
        terms: [&long[..]; TERMS].into_iter().collect(),
        matched_arg: Some(MatchedArg {
            index: u32::MAX,
            bytes: &long,
        }),
        time_ms: u64::MAX,
        boot_ms: u64::MAX,
        pid: u32::MAX,
        tid: 0x7fff_ffff,
        uid: Some(u32::MAX),
        executable: Some(Path::new(&long)),
        args: &args,
        args_len: u32::MAX,
        cwd: Some(&long),
        parent: Parent {
            pid: 0x7fff_ffff,
            executable: Some(Path {
                directory: &[b'/'; 256],
                name: b"p",
            }),
        },
        ancestors: [Ancestor {
            pid: u32::MAX,
            name: &long,
        }; ANCESTORS]
            .into_iter()
            .collect(),
        flags: Flags::from_bits(0xf000_0000),
        ..demo()
    };
    let wanted = Alert {
        rule: RuleId::Text(&text[..TEXT_LIMIT]),
        terms: [&long[..PATH_LIMIT]; TERMS].into_iter().collect(),
        matched_arg: Some(MatchedArg {
            index: u32::MAX,
            bytes: &long[..PATH_LIMIT],
        }),
        executable: Some(Path {
            directory: b"/",
            name: &[b'y'; PATH_LIMIT],
        }),
        args: &args[..ARGS_LIMIT],
        cwd: Some(&long[..PATH_LIMIT]),
        parent: Parent {
            pid: 0x7fff_ffff,
            executable: Some(Path {
                directory: &[b'/'; PATH_LIMIT],
                name: b"p",
            }),
        },
        ancestors: [Ancestor {
            pid: u32::MAX,
            name: &long[..TEXT_LIMIT],
        }; ANCESTORS]
            .into_iter()
            .collect(),
        flags: Flags::from_bits(0xf000_0001),
        ..alert.clone()
    };
    check_round_trip(&Record::Alert(alert.clone()), &Record::Alert(wanted));
    // With a full directory too, nothing can be longer.
    let full = Alert {
        executable: Some(Path {
            directory: &[b'/'; PATH_LIMIT],
            name: &[b'y'; PATH_LIMIT],
        }),
        parent: Parent {
            pid: 0x7fff_ffff,
            executable: Some(Path {
                directory: &[[b'x'; PATH_LIMIT - 1].as_slice(), b"/"].concat(),
                name: &[b'z'; PATH_LIMIT],
            }),
        },
        ancestors: [
            u32::MAX,
            0x7fff_ffff,
            u32::MAX,
            0x7fff_ffff,
            u32::MAX,
            0x7fff_ffff,
        ]
        .into_iter()
        .map(|pid| Ancestor { pid, name: &long })
        .collect(),
        stages: [
            0x7fff_ffff,
            u32::MAX,
            0x7fff_ffff,
            u32::MAX,
            0x7fff_ffff,
            u32::MAX,
        ]
        .into_iter()
        .map(|pid| Stage { pid, boot_ms: 0 })
        .collect(),
        ..alert
    };
    assert_eq!(frame(&Record::Alert(full)).len(), MAX_FRAME);

    let text = "x".repeat(TEXT_LIMIT + 1);
    let header = Header {
        host_id: &text,
        host_name: &text,
        boot_id: &text,
        sensor_version: &text,
        ..header()
    };
    let cut = &text[..TEXT_LIMIT];
    let wanted = Header {
        host_id: cut,
        host_name: cut,
        boot_id: cut,
        sensor_version: cut,
        ..header
    };
    check_round_trip(&Record::Header(header), &Record::Header(wanted));
}

#[test]
fn what_is_too_long_of_a_rule_is_cut() {
    let text = "x".repeat(REFERENCES_LIMIT + 1);
    let rule = RuleInfo {
        id: RuleId::Text(&text),
        severity: Severity::Critical,
        name: &text,
        author: &text,
        attack: &"x".repeat(ATTACK_LIMIT),
        tags: &"x".repeat(TAGS_LIMIT),
        references: &text[..REFERENCES_LIMIT],
    };
    let wanted = RuleInfo {
        id: RuleId::Text(&text[..TEXT_LIMIT]),
        name: &text[..NAME_LIMIT],
        author: &text[..AUTHOR_LIMIT],
        ..rule
    };
    check_round_trip(&Record::Rule(rule), &Record::Rule(wanted));
    assert_eq!(frame(&Record::Rule(rule)).len(), MAX_RULE_FRAME);
    // Items are whole or not there.
    let items = RuleInfo {
        attack: &"T1059.004 ".repeat(7),
        tags: &"a tag, ".repeat(30),
        references: &text,
        ..rule
    };
    let wanted = RuleInfo {
        attack: "T1059.004 T1059.004 T1059.004 T1059.004 T1059.004 T1059.004",
        tags: &"a tag, ".repeat(18)[..124],
        references: "",
        ..wanted
    };
    check_round_trip(&Record::Rule(items), &Record::Rule(wanted));
}

/// One byte over each limit alone sets the mark; the limit itself does not.
#[test]
fn each_cut_is_marked() {
    let bytes = [b'x'; ARGS_LIMIT + 1];
    let text = "x".repeat(TEXT_LIMIT + 1);
    let path = |directory, name| Some(Path { directory, name });
    for over in [0, 1] {
        let short = &bytes[..PATH_LIMIT + over];
        let args = &bytes[..ARGS_LIMIT + over];
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut alerts = [(); 10].map(|()| least());
        alerts[0].rule = RuleId::Text(&text[..TEXT_LIMIT + over]);
        alerts[1].terms = [short].into_iter().collect();
        alerts[2].matched_arg = Some(MatchedArg {
            index: 0,
            bytes: short,
        });
        alerts[3].executable = path(short, b"");
        alerts[4].executable = path(b"", short);
        (alerts[5].args, alerts[5].args_len) = (args, length(args));
        // A caller that kept only a part.
        (alerts[6].args, alerts[6].args_len) = (b"x", 1 + u32::from(over == 1));
        alerts[7].cwd = Some(short);
        alerts[8].parent.executable = path(b"", short);
        alerts[9].ancestors = [Ancestor {
            pid: 1,
            name: &bytes[..TEXT_LIMIT + over],
        }]
        .into_iter()
        .collect();
        for (number, alert) in alerts.into_iter().enumerate() {
            let stream = frame(&Record::Alert(alert));
            let mut buffer = [0; MAX_FRAME];
            let mut frames = Frames::new(&mut buffer);
            let Some(Item::Record {
                record: Record::Alert(alert),
                ..
            }) = frames.next(&mut &stream[..])
            else {
                panic!("alert {number}");
            };
            let wanted = [Flags::NONE, Flags::TRUNCATED][over];
            assert_eq!(alert.flags, wanted, "alert {number}");
        }
    }
}

#[test]
fn a_small_buffer_is_full() {
    let (frames, records) = small_stream();
    for (bytes, record) in frames.iter().zip(&records) {
        let mut out = [0; MAX_FRAME];
        for length in 0..bytes.len() {
            assert_eq!(encode(record, &mut out[..length]), Err(Full));
        }
        assert_eq!(encode(record, &mut out[..bytes.len()]), Ok(&bytes[..]));
    }
}
