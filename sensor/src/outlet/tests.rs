use super::*;
use peewit_core::alert::{Action, Alert, Parent as AlertParent, Path, RuleId, Severity};
use peewit_core::engine::Evaluation;

#[test]
fn an_argument_that_was_cut_is_not_what_matched() {
    let book = crate::rules::built_in().unwrap();
    let engine = book.engine();
    let mut evaluation = Evaluation::new();
    let new_terms = |rule: &pack::Rule<'_>| matches!(rule.purpose, Purpose::NewTerms { .. });
    let seed = engine.pack().rules().find(new_terms).unwrap().index;
    let mut of = |args, cut| {
        matched_arg(engine, &mut evaluation, seed, args, cut).map(|arg| (arg.index, arg.bytes))
    };
    for (args, cut, expected) in [
        (&b"x\0id\0"[..], false, Some((1, &b"id"[..]))),
        (b"x\0id\0", true, Some((1, b"id"))),
        (b"x\0id", false, Some((1, b"id"))),
        (b"x\0id", true, None),
        (b"id", true, None),
        (b"x\0identity\0", false, None),
        (b"", false, None),
    ] {
        assert_eq!(of(args, cut), expected, "{args:?} {cut}");
    }
}

/// Of stages that hold for an exec the first is kept, and a later one as soon as something waits for it.
#[test]
fn a_stage_that_nothing_waits_for_is_left_out() {
    use peewit_core::engine::{Engine, Limits};
    use std::boxed::Box;

    const RULE: &str = r#"[rule]
rule_id = "r"
name = "n"
type = "eql"
language = "eql"
risk_score = 1
severity = "low"
query = '''sequence by process.entity_id with maxspan=1m
[process where process.name == "a"] [process where process.name == "b"]'''"#;
    let rule = peewit_compiler::elastic::parse(RULE).unwrap();
    let bytes = peewit_compiler::assemble(&[rule], 0).unwrap();
    let engine = Engine::new(Pack::parse(&bytes).unwrap(), Limits::Device);
    let stage = |index| Stage::of(&engine.pack().rule(index).unwrap()).unwrap();
    let mut outlet = Box::new(Outlet::new());
    let left_out = |outlet: &Outlet| {
        let mut kept = Rules::NONE;
        kept.insert(0);
        kept.insert(1);
        let left_out = outlet.leave_out(&engine.pack(), &mut kept);
        [0, 1].map(|rule| (kept.contains(rule), left_out.contains(rule)))
    };
    assert_eq!(left_out(&outlet), [(true, false), (false, true)]);
    let event = Earlier::default();
    outlet.sequences.advance(&stage(0), 7, boot_ms(), event);
    assert_eq!(left_out(&outlet), [(true, false), (true, false)]);
    // Whoever had that key: it is taken, and nothing waits any more.
    assert!(
        outlet
            .sequences
            .advance(&stage(1), 7, boot_ms(), event)
            .is_some()
    );
    assert_eq!(left_out(&outlet), [(true, false), (false, true)]);
}

/// A flood of new terms, and then one of alerts: each is sent or counted as held back, and what was learned before stays known.
#[test]
fn a_flood_is_held_back_and_counted_exactly() {
    use crate::late::Late;
    use crate::proc::Proc;
    use crate::ring::Ring;
    use core::sync::atomic::AtomicU8;
    use peewit_core::frame::{Frames, Item};
    use std::boxed::Box;

    static BYTES: [AtomicU8; 16 << 10] = [const { AtomicU8::new(0) }; 16 << 10];
    static RING: Ring = Ring::new(&BYTES);
    let (alerts, mut writer) = RING.ends();
    let book = crate::rules::built_in().unwrap();
    let engine = book.engine();
    let new_terms = |rule: &pack::Rule<'_>| matches!(rule.purpose, Purpose::NewTerms { .. });
    let seed = engine.pack().rules().find(new_terms).unwrap().index;
    let (proc, lineage) = (Proc::open().unwrap(), Box::new(Table::new()));
    let mut outlet = Box::new(Outlet::new());
    outlet.open(0, alerts, None);
    outlet.rate.limit((100, 1));
    let raise = |outlet: &mut Outlet, parent: &str| {
        let subject = Subject {
            action: Action::Exec,
            pid: 7,
            parent_pid: 4,
            executable: Some(b"/tmp/x/implant"),
            args: Some(b"implant\0id\0"),
            invoked: crate::invoked::Invoked::Lost,
            parent: crate::subject::Parent::Named {
                path: Some(parent.as_bytes()),
                invoked: None,
            },
            exit_code: None,
            host_id: "h",
            late: Late::new(&proc, &mut []),
        };
        let beside = Beside {
            tid: 7,
            args_len: 11,
            flags: Flags::NONE,
            matched: None,
        };
        u64::from(outlet.matched(engine, seed, &subject, &lineage, &beside))
    };
    let (mut buffer, mut scratch) = ([0; MAX_FRAME], [0; MAX_FRAME]);
    let (mut sent, mut told) = (0, 0);
    let mut drain = |sent: &mut u64, told: &mut u64| {
        while let Some(record) = writer.pop(&mut buffer) {
            let mut rest = record;
            match Frames::new(&mut scratch).next(&mut rest) {
                Some(Item::Record {
                    record: Record::Alert(alert),
                    ..
                }) => {
                    *sent += 1;
                    assert_eq!(alert.sequence, *sent);
                }
                Some(Item::Record {
                    record: Record::HeldBack(held),
                    ..
                }) => {
                    *told += held.count;
                    assert_eq!(held.rules.len(), 1);
                    assert_eq!(held.rules[0].count, held.count);
                    assert!(held.rules[0].example.starts_with(b"t"));
                }
                _ => {}
            }
        }
    };
    assert_eq!(raise(&mut outlet, "/usr/bin/veteran"), 1);
    assert_eq!(raise(&mut outlet, "/usr/bin/veteran"), 0);
    let mut raised = 1;
    for number in 0..100_000 {
        raised += raise(&mut outlet, &std::format!("/tmp/t{number}"));
        drain(&mut sent, &mut told);
    }
    // The same ones again: those that were held back are new still.
    let start = std::time::Instant::now();
    for number in 0..100_000u32 {
        raised += raise(&mut outlet, &std::format!("/tmp/t{}", 1000 + number % 5000));
        drain(&mut sent, &mut told);
        // Ten thousand a second, or what the machine can do.
        let due = std::time::Duration::from_micros(u64::from(number) * 100 / 4);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
    }
    assert_eq!(raise(&mut outlet, "/usr/bin/veteran"), 0);
    outlet.tell_held_back(&engine.pack());
    drain(&mut sent, &mut told);
    assert_eq!(sent, raised);
    assert_eq!(outlet.alerts_lost, 0);
    assert_eq!(told, outlet.rate.total);
    let seconds = start.elapsed().as_secs() + 60;
    assert!(raised >= 200 && raised < 100 * seconds, "{raised}");
    // Terms that were sent in the second round had been known as far as the table holds them.
    let known = 200_001 - sent - told;
    assert!(known < 100_000, "{known}");
}

/// An alert with this number.
pub(crate) fn alert(sequence: u64) -> Alert<'static> {
    Alert {
        sequence,
        rule: RuleId::new("00112233-4455-6677-8899-aabbccddeeff"),
        severity: Severity::Low,
        risk_score: 21,
        terms: [&b"dropper"[..]].into_iter().collect(),
        action: Action::Exec,
        matched_arg: None,
        time_ms: 1,
        boot_ms: 2,
        pid: 3,
        tid: 3,
        uid: Some(0),
        executable: Some(Path::new(b"/tmp/x/implant")),
        args: b"implant\0id\0",
        args_len: 11,
        cwd: Some(b"/"),
        parent: AlertParent {
            pid: 2,
            executable: Some(Path::new(b"/tmp/x/dropper")),
        },
        ancestors: heapless::Vec::new(),
        flags: Flags::NONE,
        stages: heapless::Vec::new(),
    }
}
