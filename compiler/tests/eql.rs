//! What EQL means, case by case, and what its errors say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use peewit_compiler::eql::{self, Query, Stage};
use peewit_compiler::expr::{Expr, Pattern, Test, Token};
use peewit_core::field::Field;

/// A pattern in which `*` is a run.
fn pattern(text: &str, fold: bool) -> Test {
    let token = |byte| match byte {
        b'*' => Token::Run,
        byte => Token::Byte(byte),
    };
    Test::Pattern(Pattern::new(text.bytes().map(token), fold))
}

fn exact(text: &str) -> Test {
    Test::Pattern(Pattern::exact(text))
}

fn name(test: Test) -> Expr {
    Expr::Is(Field::ProcessName, test)
}

fn a(text: &str) -> Expr {
    name(exact(text))
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

fn count(low: i64, high: i64) -> Expr {
    Expr::Is(Field::ProcessArgsCount, Test::Range(low, high))
}

fn exists(field: Field) -> Expr {
    Expr::Is(field, Test::Pattern(Pattern::exists()))
}

/// What holds never.
fn nothing() -> Expr {
    Expr::Is(Field::ProcessPid, Test::Range(1, 0))
}

#[track_caller]
fn means(condition: &str, expected: Expr) {
    let query = format!("any where {condition}");
    assert_eq!(eql::parse(&query), Ok(Query::Event(expected)), "{query}");
}

#[test]
fn precedence_is_or_and_not_and_parentheses() {
    means(
        r#"process.name == "a" or process.name == "b" and not process.name == "c""#,
        Expr::Or(vec![a("a"), Expr::And(vec![a("b"), not(a("c"))])]),
    );
    means(
        r#"(process.name == "a" or process.name == "b") and process.name == "c""#,
        Expr::And(vec![Expr::Or(vec![a("a"), a("b")]), a("c")]),
    );
    means(
        r#"not (process.name == "a" or not process.name == "b")"#,
        Expr::And(vec![not(a("a")), a("b")]),
    );
    means(r#"not not process.name == "a""#, a("a"));
}

#[test]
fn comments_and_line_breaks_are_space() {
    means(
        "process.name == \"a\" // or\n or/* not */process.name == \"//b\"",
        Expr::Or(vec![a("a"), a("//b")]),
    );
}

#[test]
fn comparisons_are_whole_and_sensitive() {
    means(r#"process.name == "a*?\\""#, a("a*?\\"));
    means(r#"process.name != "a""#, not(a("a")));
    means(r#"process.name == """a\"b""""#, a(r#"a\"b"#));
    means(r#"process.name == "q\"t\tn\n""#, a("q\"t\tn\n"));
    means(
        r#"process.name in ("a", "b")"#,
        Expr::Or(vec![a("a"), a("b")]),
    );
    means(
        r#"process.name not in ("a", "b")"#,
        not(Expr::Or(vec![a("a"), a("b")])),
    );
    means(r#"process.name in~ ("Ab")"#, name(pattern("ab", true)));
    means("user.id == 0", Expr::Is(Field::UserId, exact("0")));
}

#[test]
fn patterns() {
    means(
        r#"process.name : ("A*", "b")"#,
        Expr::Or(vec![name(pattern("a*", true)), name(pattern("b", true))]),
    );
    means(r#"process.name:"*\\x*""#, name(pattern(r"*\x*", true)));
    means(r#"process.name like "A*""#, name(pattern("A*", false)));
    means(r#"process.name like~ "A*""#, name(pattern("a*", true)));
    // One character, however many bytes it has.
    means(
        r#"process.name like "a?""#,
        name(Test::Regex(r"(?s-u)\x61[^\x80-\xBF][\x80-\xBF]*".into())),
    );
    means(
        r#"process.name regex """\d+""""#,
        name(Test::Regex("(?s-u)(?:(?:[0-9])+)".into())),
    );
    means(
        r#"process.name regex~ ("a", "b.*")"#,
        Expr::Or(vec![
            name(Test::Regex("(?s-u)(?:[aA])".into())),
            name(Test::Regex(r"(?s-u)(?:[bB][\x00-\xFF]*)".into())),
        ]),
    );
}

#[test]
fn numbers_booleans_and_null() {
    means("process.args_count == 2", count(2, 2));
    means("process.args_count != 2", not(count(2, 2)));
    means("process.args_count >= \"5\"", count(5, i64::MAX));
    means("process.args_count < 5", count(i64::MIN, 4));
    means("process.args_count > -1", count(0, i64::MAX));
    means(
        "process.args_count in (1, 2)",
        Expr::Or(vec![count(1, 1), count(2, 2)]),
    );
    let interactive = Expr::Is(Field::ProcessInteractive, Test::Range(1, 1));
    means("process.interactive == true", interactive.clone());
    means("process.interactive", interactive);
    means("process.name != null", exists(Field::ProcessName));
    means("process.name == null", not(exists(Field::ProcessName)));
    means("not process.args_count == null", count(i64::MIN, i64::MAX));
}

/// What a function gives for a missing field is neither true nor false.
#[test]
fn functions() {
    let long = Expr::Is(Field::ProcessCommandLine, Test::Length(51, i64::MAX));
    let there = exists(Field::ProcessCommandLine);
    means("length(process.command_line) > 50", long.clone());
    means(
        r#"not (length(process.command_line) > 50 or process.name == "a")"#,
        Expr::And(vec![Expr::And(vec![there, not(long)]), not(a("a"))]),
    );
    means(
        "startsWith(process.name, process.command_line)",
        name(Test::BeginsWith(Field::ProcessCommandLine)),
    );
    means(
        r#"startsWith~(process.name, "A*")"#,
        name(Test::Pattern(Pattern::new(
            [Token::Byte(b'a'), Token::Byte(b'*'), Token::Run],
            true,
        ))),
    );
    means(
        r#"stringContains(process.name, "a")"#,
        name(pattern("*a*", false)),
    );
    means(r#"endsWith(process.name, "a")"#, name(pattern("*a", false)));
}

/// A field that may be missing and that no event has is missing.
#[test]
fn optional_fields() {
    means(r#"?process.name == "a""#, a("a"));
    means(r#"?process.nmae == "a""#, nothing());
    means(r#"?process.nmae != "a""#, not(nothing()));
    means("?process.nmae == null", not(nothing()));
    means("?process.nmae != null", nothing());
    means(r#"not ?process.nmae like ("a", "b")"#, not(nothing()));
    means(r#"?process.nmae not in ("a")"#, not(nothing()));
    means("not length(?process.nmae) > 3", nothing());
}

#[test]
fn a_category_is_a_clause() {
    let expected = Expr::And(vec![
        Expr::Is(Field::EventCategory, exact("process")),
        a("a"),
    ]);
    assert_eq!(
        eql::parse("process where process.name == \"a\""),
        Ok(Query::Event(expected))
    );
}

#[test]
fn sequences() {
    let query = r#"
        sequence by host.id with maxspan=1m
          [any where process.name == "a"] by process.entity_id
          [any where process.name == "b"] by process.parent.entity_id with runs=2"#;
    let stage = |text, key| Stage {
        expr: a(text),
        keys: vec![Field::HostId, key],
    };
    assert_eq!(
        eql::parse(query),
        Ok(Query::Sequence {
            stages: vec![
                stage("a", Field::ProcessEntityId),
                stage("b", Field::ParentEntityId),
                stage("b", Field::ParentEntityId),
            ],
            span_ms: Some(60_000),
        })
    );
    let query = r#"sequence [any where process.name == "a"] [any where process.name == "b"]"#;
    let stage = |text| Stage {
        expr: a(text),
        keys: vec![],
    };
    assert_eq!(
        eql::parse(query),
        Ok(Query::Sequence {
            stages: vec![stage("a"), stage("b")],
            span_ms: None,
        })
    );
}

#[track_caller]
fn error(query: &str, message: &str, at: usize) {
    let error = eql::parse(query).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.span.start),
        (message, at),
        "{query}"
    );
}

#[test]
fn errors_point_at_their_cause() {
    error(
        "any where process.nmae == \"a\"",
        "no such process field: process.nmae",
        10,
    );
    error(
        "file where process.name == \"a\"",
        "no events of the category `file`: `process` and `any` are there",
        0,
    );
    error(
        "any where process.name > 3",
        "process.name is text: it has no range",
        23,
    );
    error(
        "any where process.args_count == \"two\"",
        "a whole number is needed here",
        32,
    );
    error(
        "any where process.args_count like \"2*\"",
        "process.args_count is a number: it is like nothing",
        34,
    );
    error(
        "any where process.name == process.executable",
        "two fields can only be compared by startsWith(one, other)",
        26,
    );
    error(
        "any where \"a\" == process.name",
        "a field or a function stands on the left, a value on the right",
        10,
    );
    error(
        "any where cidrMatch(process.name, \"10.0.0.0/8\")",
        "the function `cidrMatch` is not supported",
        10,
    );
    error(
        r#"any where process.name regex "a&b""#,
        r"`&` in a regular expression is not supported; `\&` is the character",
        29,
    );
    error(
        r#"any where process.name == "\q""#,
        r"no such escape in a string: \q",
        26,
    );
    error(
        "any where process.name = \"a\"",
        "unexpected `=`: expected `and`, `or` or the end of the query or an operator",
        23,
    );
    error(
        "any where process.name == \"a\" | head 5",
        "pipes are not supported",
        30,
    );
    error(
        "sequence [any where process.name == \"a\"]",
        "a sequence has two stages or more",
        0,
    );
    error(
        "sequence [any where process.name == \"a\"] [any where process.name == \"b\"] by process.pid",
        "the first stage has 0 keys, this one 1",
        41,
    );
    error(
        "sequence [any where process.name == \"a\"] [any where process.name == \"b\"] until [any where process.name == \"c\"]",
        "`until` is not supported",
        73,
    );
    let deep = format!(
        "any where {}process.name == \"a\"{}",
        "(".repeat(101),
        ")".repeat(101)
    );
    error(&deep, "parentheses nested deeper than 100", 110);
    for unfinished in [
        "",
        "any where",
        "any where process.name ==",
        "any where process.name == \"a",
        "any where (process.name == \"a\"",
        "any where process.name in ()",
        "any where process.name == \"a\" and",
        "any where process.name == 'a'",
        "any where process.name",
    ] {
        assert!(eql::parse(unfinished).is_err(), "{unfinished}");
    }
}
