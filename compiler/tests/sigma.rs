//! What Sigma rules mean, case by case, and what their errors say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use peewit_compiler::diagnostic::{Diagnostic, Located};
use peewit_compiler::expr::{Expr, Node, Pattern, Test, Token};
use peewit_compiler::rule::{Kind, Rule};
use peewit_compiler::sigma;
use peewit_compiler::sigma::mapping::Mapping;
use peewit_compiler::source::Sources;
use peewit_core::alert::Severity;
use peewit_core::field::Field;
use peewit_core::pack::Kinds;

const HEAD: &str = "\
title: A title
id: 6cbf1f9e-5f3c-4f1d-9a0e-5d6d6e0b7a11
author: One, Two
level: high
tags: [attack.t1059.004, attack.defense-impairment, attack.command_and_control, attack.g0032, cve.2024-1, attack.ta0002]
references: [https://one.example/, https://two.example/]
logsource: {product: linux, category: process_creation}
";

fn rule(detection: &str) -> Result<Rule, Located> {
    let text = format!("{HEAD}detection:\n{detection}");
    let mut rules = sigma::parse(&text, &Mapping::default());
    assert_eq!(rules.len(), 1);
    rules.remove(0)
}

#[track_caller]
fn means(detection: &str, expected: Expr) {
    let rule = rule(detection).unwrap();
    assert_eq!(rule.kinds, Kinds(Kinds::ANY.0 | Kinds::EXEC.0));
    assert_eq!(
        rule.queries[0].condition,
        Node::new(&expected),
        "{detection}"
    );
}

/// One selection alone.
#[track_caller]
fn selects(selection: &str, expected: Expr) {
    means(&format!("  a: {selection}\n  condition: a\n"), expected);
}

fn glob(text: &str, fold: bool) -> Test {
    let token = |byte| match byte {
        b'*' => Token::Run,
        byte => Token::Byte(byte),
    };
    Test::Pattern(Pattern::new(text.bytes().map(token), fold))
}

fn image(text: &str) -> Expr {
    Expr::Is(Field::ProcessExecutable, glob(text, true))
}

fn line(text: &str) -> Expr {
    Expr::Is(Field::ProcessCommandLine, glob(text, true))
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

#[test]
fn a_rule_carries_what_readers_want_to_know() {
    let rule = rule("  a: {Image: /x}\n  condition: a\n").unwrap();
    assert_eq!(rule.id, "6cbf1f9e-5f3c-4f1d-9a0e-5d6d6e0b7a11");
    assert_eq!(rule.name, "A title");
    assert_eq!(rule.author, "One, Two");
    assert_eq!(rule.attack, "T1059.004 TA0112 TA0011 TA0002");
    assert_eq!(rule.tags.len(), 6);
    assert_eq!(
        rule.references,
        ["https://one.example/", "https://two.example/"]
    );
    assert_eq!((rule.severity, rule.risk_score), (Severity::High, 73));
    assert_eq!(rule.kind, Kind::Query);
}

#[test]
fn values_and_modifiers() {
    selects("{Image: /BIN/sh}", image("/bin/sh"));
    selects("{Image|endswith: /sh}", image("*/sh"));
    selects("{Image|startswith: /tmp/}", image("/tmp/*"));
    selects(
        "{CommandLine|contains: '/etc/*.conf'}",
        line("*/etc/*.conf*"),
    );
    selects(
        "{Image|cased: /Sh}",
        Expr::Is(Field::ProcessExecutable, glob("/Sh", false)),
    );
    selects(
        "{Image: [/a, /b]}",
        Expr::Or(vec![image("/a"), image("/b")]),
    );
    selects(
        "{CommandLine|contains|all: [x, y]}",
        Expr::And(vec![line("*x*"), line("*y*")]),
    );
    selects(
        "{Image: /a, CommandLine: b}",
        Expr::And(vec![image("/a"), line("b")]),
    );
    selects(
        "[{Image: /a}, {CommandLine: b, Image: /c}]",
        Expr::Or(vec![image("/a"), Expr::And(vec![line("b"), image("/c")])]),
    );
    selects(
        "{LogonId: 0}",
        Expr::Is(Field::ProcessLogonId, glob("0", true)),
    );
    selects(
        "{User: root}",
        Expr::Is(Field::UserName, glob("root", true)),
    );
    selects("{Image: ''}", image(""));
    let exists = Expr::Is(Field::ProcessExecutable, Test::Pattern(Pattern::exists()));
    selects("{Image: null}", not(exists.clone()));
    selects("{Image|exists: false}", not(exists.clone()));
    selects("{Image|exists: true}", exists);
    let pid = |low, high| Expr::Is(Field::ProcessPid, Test::Range(low, high));
    selects("{ProcessId: 4}", pid(4, 4));
    selects("{ProcessId|gte: 4}", pid(4, i64::MAX));
    selects("{ProcessId|lt: 4}", pid(i64::MIN, 3));
}

#[test]
fn wildcards_and_their_escapes() {
    let bytes = |tokens: &[Token]| {
        Expr::Is(
            Field::ProcessExecutable,
            Test::Pattern(Pattern::new(tokens.iter().copied(), true)),
        )
    };
    let (a, b, slash) = (Token::Byte(b'a'), Token::Byte(b'b'), Token::Byte(b'\\'));
    selects(r"{Image: 'a*b'}", bytes(&[a, Token::Run, b]));
    selects(r"{Image: 'a\*b'}", bytes(&[a, Token::Byte(b'*'), b]));
    selects(r"{Image: 'a\?b'}", bytes(&[a, Token::Byte(b'?'), b]));
    selects(r"{Image: 'a\\b'}", bytes(&[a, slash, b]));
    selects(r"{Image: 'a\b'}", bytes(&[a, slash, b]));
    selects(r"{Image: 'a\\*'}", bytes(&[a, slash, Token::Run]));
    selects(r"{Image: 'a\\\*'}", bytes(&[a, slash, Token::Byte(b'*')]));
    selects(r"{Image: 'a\'}", bytes(&[a, slash]));
    selects(
        "{Image: 'a?'}",
        Expr::Is(
            Field::ProcessExecutable,
            Test::Regex(r"(?s-u)[aA][^\x80-\xBF][\x80-\xBF]*".into()),
        ),
    );
}

#[test]
fn regular_expressions_may_stand_anywhere() {
    let regex = |text: &str| Expr::Is(Field::ProcessCommandLine, Test::Regex(text.into()));
    selects(
        r"{CommandLine|re: '^\d+x'}",
        regex(r"(?s-u).*(?:\A(?:[\x30-\x39])+(?:\x78)).*"),
    );
    selects(
        "{CommandLine|re|i: a.b}",
        regex(r"(?s-u).*(?:[aA][\x00-\x09\x0B-\x7F\xC0-\xFF][\x80-\xBF]*[bB]).*"),
    );
}

#[test]
fn conditions() {
    let detection = |condition: &str| {
        format!(
            "  a_1: {{Image: /1}}\n  a_2: {{Image: /2}}\n  b.c: {{Image: /3}}\n  _d: {{Image: /4}}\n  condition: {condition}\n"
        )
    };
    let [one, two, three] = ["/1", "/2", "/3"].map(image);
    let and = |exprs: &[&Expr]| Expr::And(exprs.iter().map(|&expr| expr.clone()).collect());
    let or = |exprs: &[&Expr]| Expr::Or(exprs.iter().map(|&expr| expr.clone()).collect());
    for (condition, expected) in [
        (
            "a_1 or a_2 and not b.c",
            or(&[&one, &and(&[&two, &not(three.clone())])]),
        ),
        ("(a_1 OR a_2) AND b.c", and(&[&or(&[&one, &two]), &three])),
        ("not not a_1", one.clone()),
        ("1 of a_*", or(&[&one, &two])),
        ("any of a*", or(&[&one, &two])),
        ("all of a_*", and(&[&one, &two])),
        ("1 of them", or(&[&one, &two, &three])),
        ("1 of *", or(&[&one, &two, &three, &image("/4")])),
        ("all of *c", three.clone()),
        (
            "2 of them",
            or(&[
                &and(&[&one, &two]),
                &and(&[&one, &three]),
                &and(&[&two, &three]),
            ]),
        ),
        (
            "not 1 of a_* and b.c",
            and(&[&not(or(&[&one, &two])), &three]),
        ),
        ("[a_1, b.c]", or(&[&one, &three])),
    ] {
        means(&detection(condition), expected);
    }
}

#[track_caller]
fn refused(detection: &str, message: &str) {
    assert_eq!(rule(detection).unwrap_err().message, message, "{detection}");
}

#[test]
fn what_cannot_be_decided_is_refused_with_the_reason() {
    let selection = |selection: &str| format!("  a: {selection}\n  condition: a\n");
    for (bad, message) in [
        (
            "{Image|windash: /a}",
            "the modifier `windash` is not supported",
        ),
        (
            "{Image|base64offset|contains: /a}",
            "the modifier `base64offset` is not supported",
        ),
        (
            "{DestinationIp|cidr: 10.0.0.0/8}",
            "the field DestinationIp has no counterpart in process events",
        ),
        ("{Image|i: a}", "the modifier `i` belongs behind `re`"),
        (
            "{Image|re|contains: a}",
            "these modifiers do not fit together",
        ),
        (
            "{Image|re: '(?=a)'}",
            "in a regular expression: look-around, including look-ahead and look-behind, is not supported",
        ),
        (
            "{Image|gt: 3}",
            "process.executable is text: it has no range",
        ),
        ("{ProcessId: x}", "process.pid takes whole numbers"),
        (
            "{ProcessId|contains: 3}",
            "process.pid is a number: it has no parts",
        ),
        ("{Image: [[a]]}", "a value is text or a number"),
        ("{Image: []}", "a list without values"),
        ("{}", "an empty selection"),
        (
            "[word]",
            "a keyword without a field: it is looked for in a log's text, which events do not have",
        ),
        (
            "{'|all': [x]}",
            "a keyword without a field: it is looked for in a log's text, which events do not have",
        ),
    ] {
        refused(&selection(bad), message);
    }
    let condition = |condition: &str| format!("  a: {{Image: /1}}\n  condition: {condition}\n");
    for (bad, message) in [
        ("b", "no selection `b`"),
        ("1 of b*", "no selection `b*`"),
        ("2 of them", "2 of 1 selections never hold"),
        ("0 of them", "`0 of` holds always: write `not 1 of`"),
        (
            "some of them",
            "unexpected `some` before `of`: expected a number, `all` or `any`",
        ),
        (
            "a | count() > 3",
            "aggregations after `|` are not supported",
        ),
        (
            "a a",
            "unexpected `a`: expected `and`, `or` or the end of the condition",
        ),
        ("(a", "expected `)`"),
        (
            "a and",
            "unexpected end of the condition: expected a selection",
        ),
        ("and a", "unexpected `and`: expected a selection"),
    ] {
        refused(&condition(bad), message);
    }
    let deep = format!("{}a{}", "(".repeat(101), ")".repeat(101));
    refused(&condition(&deep), "parentheses nested deeper than 100");
    refused("  a: {Image: /1}\n", "the detection has no condition");
}

#[test]
fn only_process_creation_on_linux_is_taken() {
    for (logsource, message) in [
        (
            "{product: windows, category: process_creation}",
            "logsource windows/process_creation: only linux/process_creation is there",
        ),
        (
            "{product: linux, service: auditd}",
            "logsource linux/auditd: only linux/process_creation is there",
        ),
    ] {
        let text = format!("{HEAD}detection:\n  a: {{Image: /1}}\n  condition: a\n")
            .replace("{product: linux, category: process_creation}", logsource);
        let rules = sigma::parse(&text, &Mapping::default());
        assert_eq!(rules[0].clone().unwrap_err().message, message);
    }
    let text = "title: t\ncorrelation:\n  type: event_count\n";
    let rules = sigma::parse(text, &Mapping::default());
    assert_eq!(
        rules[0].clone().unwrap_err().message,
        "correlations are not supported"
    );
}

#[test]
fn errors_show_the_line_and_a_caret() {
    let text = format!("{HEAD}detection:\n  a: {{Image: /1}}\n  condition: a and not b\n");
    let error = sigma::parse(&text, &Mapping::default())
        .remove(0)
        .unwrap_err();
    let shown = Diagnostic {
        path: "rule.yml".into(),
        text,
        error,
    };
    expect_test::expect![[r#"
        error: no selection `b`
          --> rule.yml:10:24
           |
        10 |   condition: a and not b
           |                        ^"#]]
    .assert_eq(&shown.to_string());
}

/// Both forms in one folder, several rules in one file, one line for each that is not taken.
#[test]
fn folders_of_mixed_forms() {
    let folder = std::env::temp_dir().join(format!("peewit-sigma-{}", std::process::id()));
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let good = format!("{HEAD}detection:\n  a: {{Image: /1}}\n  condition: a\n");
    let other = good.replace("6cbf1f9e", "00000000");
    let bad = good.replace("condition: a", "condition: b");
    fs::write(
        folder.join("many.yml"),
        format!("{good}---\n{other}---\n{good}---\n{bad}"),
    )
    .unwrap();
    fs::write(
        folder.join("deeper/one.toml"),
        "[rule]\nrule_id = \"r\"\nname = \"n\"\nrisk_score = 21\nseverity = \"low\"\ntype = \"eql\"\nlanguage = \"eql\"\nquery = 'any where process.name == \"a\"'\n",
    )
    .unwrap();
    fs::write(folder.join("broken.yaml"), "title: [").unwrap();
    fs::write(folder.join("notes.txt"), "no rule").unwrap();
    let sources = Sources::read(&[&folder], &Mapping::default());
    let ids: Vec<&str> = sources
        .rules
        .iter()
        .map(|(_, rule)| rule.id.as_str())
        .collect();
    let lines: Vec<String> = sources
        .refused
        .iter()
        .map(|refused| {
            refused
                .diagnostic
                .line()
                .replace(folder.to_str().unwrap(), "")
        })
        .collect();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        ids,
        [
            "00000000-5f3c-4f1d-9a0e-5d6d6e0b7a11",
            "6cbf1f9e-5f3c-4f1d-9a0e-5d6d6e0b7a11",
            "r"
        ]
    );
    expect_test::expect![[r#"
        /broken.yaml:1:9: while parsing a node, did not find expected node content
        /many.yml:2:5: the id 6cbf1f9e-5f3c-4f1d-9a0e-5d6d6e0b7a11 is that of a rule in /many.yml too
        /many.yml:43:14: no selection `b`"#]].assert_eq(&lines.join("\n"));
}
