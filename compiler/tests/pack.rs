//! Packs as bytes: the golden one of the document, damaged ones, hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use peewit_compiler::expr::{Expr, Node, Pattern, Test, Token};
use peewit_compiler::rule::{Kind, Query, Rule};
use peewit_compiler::{assemble, elastic};
use peewit_core::alert::{RuleId, RuleInfo, Severity};
use peewit_core::engine::{Engine, Evaluation, Limits};
use peewit_core::event::{Event, Values};
use peewit_core::field::{Field, FieldSet, Type};
use peewit_core::pack::{CHECKSUM_AT, Error, Kinds, MAX_TEXTS, Pack, Purpose, checksum};
use peewit_core::packed::Packer;
use proptest::prelude::*;

/// The rule of `docs/pack-format.md`.
const GOLDEN_RULE: &str = r#"
[rule]
rule_id = "00000000-0000-4000-8000-000000000001"
name = "Example"
author = ["peewit"]
type = "new_terms"
language = "kuery"
risk_score = 21
severity = "low"
query = "process.executable:(/tmp/* or /home/*/.*) and process.args:id and not process.name:(id or sh)"

[rule.new_terms]
value = ["process.parent.name"]

[[rule.new_terms.history_window_start]]
value = "now-5d"
"#;

/// Every kind of pattern, a number and a rule without triggers.
const VARIED: [&str; 4] = [
    "process.executable:(/tmp/* or */curl or *ansible* or /home/*/.*) and process.args_count >= 3 and process.command_line:*-x*",
    "not process.name:(a* or *b*c) and process.parent.name:(x or *y)",
    "process.args:(*foo*bar and *baz*) or process.command_line:(*qux* or quux)",
    "process.pid:1 or user.id:0",
];

fn varied() -> Vec<u8> {
    let rule = |(number, query): (usize, &&str)| {
        let text = format!(
            "[rule]\nrule_id = \"r{number}\"\nname = \"n\"\ntype = \"query\"\nrisk_score = 1\nseverity = \"low\"\nquery = '{query}'"
        );
        elastic::parse(&text).unwrap()
    };
    let mut rules: Vec<Rule> = VARIED.iter().enumerate().map(rule).collect();
    rules.push(sequence());
    rules.push(Rule {
        id: "r7".into(),
        kinds: Kinds(u8::MAX),
        kind: Kind::Threshold {
            count: 5,
            distinct: Some((Field::ProcessName, 3)),
        },
        queries: sequence().queries[..1].to_vec(),
        ..sequence()
    });
    assemble(&rules, 1).unwrap()
}

/// A sequence of three stages, with each test that no automaton shares with others.
fn sequence() -> Rule {
    let stage = |field, test| Query {
        condition: Node::new(&Expr::Is(field, test)),
        keys: vec![Field::HostId, Field::ProcessEntityId],
    };
    Rule {
        id: "r6".into(),
        name: "A sequence".into(),
        author: "one, two".into(),
        attack: "T1059".into(),
        tags: vec!["Domain: Endpoint".into(), "OS: Linux".into()],
        references: vec![
            "https://example.org/a".into(),
            "https://example.org/b".into(),
        ],
        severity: Severity::High,
        risk_score: 73,
        kinds: Kinds(u8::MAX),
        kind: Kind::Sequence {
            span_ms: Some(5_000_000_000),
        },
        queries: vec![
            stage(
                Field::ProcessArgs,
                Test::Regex(r"(?s-u).*\.foo\.[a-z]{1,3}".into()),
            ),
            stage(Field::ProcessName, Test::Length(2, 300)),
            stage(
                Field::ProcessCommandLine,
                Test::BeginsWith(Field::ProcessName),
            ),
        ],
        lookback_s: 540,
        interval_s: 300,
    }
}

#[test]
fn purposes_and_texts_are_there_again() {
    let bytes = varied();
    let pack = Pack::parse(&bytes).unwrap();
    let rules: Vec<_> = pack.rules().collect();
    assert_eq!(rules.len(), VARIED.len() + 4);
    for (number, rule) in (0..).zip(&rules[VARIED.len()..VARIED.len() + 3]) {
        let purpose = Purpose::Stage {
            number,
            of: 3,
            span_ms: 5_000_000_000,
        };
        assert_eq!((rule.id, rule.purpose), (RuleId::Text("r6"), purpose));
        let mut room = [0; MAX_TEXTS];
        let info = RuleInfo {
            id: RuleId::Text("r6"),
            severity: Severity::High,
            name: "A sequence",
            author: "one, two",
            attack: "T1059",
            tags: "Domain: Endpoint, OS: Linux",
            references: "https://example.org/a https://example.org/b",
        };
        assert_eq!(pack.info(rule, &mut room), info);
        let keys: Vec<Field> = rule.keys.iter().collect();
        assert_eq!(keys, [Field::HostId, Field::ProcessEntityId]);
    }
    let threshold = Purpose::Threshold {
        count: 5,
        distinct: Some((Field::ProcessName, 3)),
    };
    assert_eq!(rules[VARIED.len() + 3].purpose, threshold);
    assert_eq!(rules[0].purpose, Purpose::Query);
}

#[test]
fn texts_come_back_whatever_is_in_them() {
    let rule = |number: usize| Rule {
        id: format!("rule {number}"),
        name: format!("\u{e4}\0\u{1}\u{10}\u{7f} aaaaaaa \u{1f426} {number}"),
        references: (0..60)
            .map(|place| format!("https://example.org/a/long/path/{number}/{place}"))
            .collect(),
        ..sequence()
    };
    let rules: Vec<Rule> = (0..40).map(rule).collect();
    let bytes = assemble(&rules, 1).unwrap();
    // As text they were 80,000.
    assert!(bytes.len() < 24_000, "{}", bytes.len());
    let pack = Pack::parse(&bytes).unwrap();
    let mut room = [0; MAX_TEXTS];
    for found in pack.rules() {
        let rule = &rules[usize::from(found.index) / 3];
        let info = pack.info(&found, &mut room);
        assert_eq!(
            (info.name, info.tags),
            (&*rule.name, "Domain: Endpoint, OS: Linux")
        );
        // Those for which there is no room are left out, whole.
        let kept = info.references.split(' ').count();
        assert!((40..60).contains(&kept), "{kept}");
        assert_eq!(info.references, rule.references[..kept].join(" "));
    }
    // Without room there are none.
    let first = pack.rule(0).unwrap();
    assert_eq!(pack.info(&first, &mut [0; 100]).name, "");
}

/// Each a rule that would not be bounded, or that no device could keep.
#[test]
fn tests_that_cannot_be_kept_or_bounded_are_refused() {
    for (field, test, reason) in [
        (
            Field::ProcessArgs,
            Test::Regex("(?s-u).*a.{90}b".into()),
            "`(?s-u).*a.{90}b`: determinization exceeded size limit of 2097152",
        ),
        (
            Field::ProcessCommandLine,
            Test::BeginsWith(Field::ProcessArgs),
            "a comparison with a field of several values or a number, of process.command_line",
        ),
        (
            Field::ParentCommandLine,
            Test::BeginsWith(Field::ProcessName),
            "two fields compared, one of a parent: process.parent.command_line",
        ),
        (
            Field::ProcessPid,
            Test::Length(1, 2),
            "a length or regular expression over the number process.pid",
        ),
    ] {
        let mut rule = sequence();
        rule.queries[0].condition = Node::new(&Expr::Is(field, test));
        let error = assemble(&[rule], 1).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the rules do not fit into one pack: {reason}")
        );
    }
}

/// What would guard the expression is tested alone too, when the rule asks for it.
#[test]
fn a_guard_is_no_test_of_its_own() {
    let is = |field, test| Expr::Is(field, test);
    let holds_sh = Pattern::new(
        [Token::Run, Token::Byte(b's'), Token::Byte(b'h'), Token::Run],
        false,
    );
    let mut rule = sequence();
    rule.queries[0].condition = Node::new(&Expr::And(vec![
        is(Field::ProcessName, Test::Pattern(Pattern::exact("php"))),
        is(Field::ProcessCommandLine, Test::Pattern(holds_sh)),
        is(
            Field::ProcessCommandLine,
            Test::Regex("(?s-u).*[a-z][0-9]*sh.*".into()),
        ),
    ]));
    assert!(assemble(&[rule], 1).is_ok());
}

/// The argument that an alert names is the first that makes a condition on arguments hold, however that is tested: by an automaton,
/// alone since it is broad, or as a regular expression.
#[test]
fn the_matched_argument_is_found_however_it_is_tested() {
    let found = |query: &str, args: &[&'static str]| {
        let text = format!(
            "[rule]\nrule_id = \"r\"\nname = \"n\"\ntype = \"eql\"\nlanguage = \"eql\"\nrisk_score = 1\nseverity = \"low\"\nquery = '{query}'"
        );
        let bytes = assemble(&[elastic::parse(&text).unwrap()], 1).unwrap();
        let pack = Pack::parse(&bytes).unwrap();
        let engine = Engine::new(pack, Limits::Device);
        let rule = pack.rules().next().unwrap();
        let args = args.iter().map(|arg| arg.as_bytes());
        engine
            .matched_arg(&mut Evaluation::new(), &rule, args)
            .map(|(index, _)| index)
    };
    let args = ["env", "a", "b=c", "/tmp/x", "id"];
    for (condition, index) in [
        ("process.args : \"/tmp/*\"", Some(3)),
        ("process.args : \"*=*\"", Some(2)),
        ("process.args regex \"[b-c]+=.\"", Some(2)),
        ("process.args : \"*?=\"", None),
        ("not process.args : \"*=*\"", None),
    ] {
        let query = format!("process where process.name == \"env\" and {condition}");
        assert_eq!(found(&query, &args), index, "{condition}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// Set `UPDATE_GOLDEN` to print the bytes for the document after a change of the format.
#[test]
fn the_documents_example_is_what_the_compiler_writes() {
    let document = include_str!("../../docs/pack-format.md");
    assert!(
        document.contains(GOLDEN_RULE.trim()),
        "the document shows another rule"
    );
    let bytes = assemble(&[elastic::parse(GOLDEN_RULE).unwrap()], 1).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for line in bytes.chunks(16) {
            println!(
                "{}",
                line.iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
    }
    let golden = document
        .split("```hex\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(bytes, hex(golden));
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused() {
    let pack = varied();
    assert!(Pack::parse(&pack).is_ok());
    for len in 0..pack.len() {
        assert!(Pack::parse(&pack[..len]).is_err(), "cut to {len} bytes");
    }
    let mut damaged = pack.clone();
    for at in 0..pack.len() {
        for change in 1..=255u8 {
            damaged[at] = pack[at] ^ change;
            assert!(
                Pack::parse(&damaged).is_err(),
                "byte {at} changed to {}",
                damaged[at]
            );
        }
        damaged[at] = pack[at];
    }
    damaged.push(0);
    assert_eq!(Pack::parse(&damaged).unwrap_err(), Error::Length);
}

#[test]
fn errors_say_what_is_wrong() {
    let pack = varied();
    assert_eq!(Pack::parse(b"\x7fELF").unwrap_err(), Error::Magic);
    let mut later = pack.clone();
    later[4] = 5;
    assert_eq!(Pack::parse(&later).unwrap_err(), Error::Version(5));
    let mut damaged = pack;
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(Pack::parse(&damaged).unwrap_err(), Error::Checksum);
}

/// An event with the same values in every field.
struct Everywhere<'v>(&'v [&'v [u8]]);

impl Event for Everywhere<'_> {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        if field.ty() == Type::Number {
            Values::Number(3)
        } else {
            Values::Many(self.0)
        }
    }
}

/// Evaluates whatever passes as a pack.
fn exercise(bytes: &[u8]) {
    let Ok(pack) = Pack::parse(bytes) else { return };
    let engine = Engine::new(pack, Limits::Device);
    let values: [&[u8]; 4] = [
        b"/tmp/x",
        b"/home/a/.foo.bar.baz",
        b"xansiblexcurl/curl",
        b"",
    ];
    let mut event = Everywhere(&values);
    let mut evaluation = Evaluation::new();
    engine.evaluate(&mut evaluation, &mut event, Kinds::ANY, |_| {});
    let mut facts = Packer::<64>::new();
    let _ = engine.facts(
        &mut evaluation,
        &mut event,
        FieldSet::of(Field::ALL),
        &mut facts,
    );
    for rule in pack.rules() {
        engine.terms(&rule, &event, 16, |_| {});
        pack.info(&rule, &mut [0; MAX_TEXTS]);
        let _ = engine.matched_arg(&mut evaluation, &rule, values.iter().copied());
    }
}

/// Where the first pack has the executable's atoms the second has those of the name.
#[test]
fn nothing_is_left_of_what_another_pack_found() {
    let mut evaluation = Evaluation::new();
    for query in [
        "process.executable:a",
        "process.args:a and not process.name:b",
    ] {
        let text = format!(
            "[rule]\nrule_id = \"r\"\nname = \"n\"\ntype = \"query\"\nrisk_score = 1\nseverity = \"low\"\nquery = '{query}'"
        );
        let bytes = assemble(&[elastic::parse(&text).unwrap()], 0).unwrap();
        let engine = Engine::new(Pack::parse(&bytes).unwrap(), Limits::Device);
        let mut found = Vec::new();
        evaluation.clear();
        let mut event = Everywhere(&[b"a"]);
        engine.evaluate(&mut evaluation, &mut event, Kinds::ANY, |rule| {
            found.push(rule);
        });
        assert_eq!(found, [0], "{query}");
    }
}

fn seal(bytes: &mut [u8]) {
    let checksum = checksum(bytes).to_le_bytes();
    bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum);
}

/// A checksum keeps accidents out, not people: with it made right again, every change of every byte
/// is refused or harmless.
#[test]
fn sealed_changes_never_panic() {
    let pack = varied();
    for at in (0..pack.len()).filter(|at| !(CHECKSUM_AT..CHECKSUM_AT + 4).contains(at)) {
        for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
            let mut changed = pack.clone();
            changed[at] ^= change;
            seal(&mut changed);
            exercise(&changed);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_sealed_changes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut pack = varied();
        for (index, value) in changes {
            let at = index.index(pack.len());
            pack[at] = value;
        }
        seal(&mut pack);
        exercise(&pack);
    }
}
