//! What the query language means, case by case, and what its errors say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use peewit_compiler::diagnostic::Diagnostic;
use peewit_compiler::expr::{Expr, Pattern, Test, Token};
use peewit_compiler::{elastic, kql};
use peewit_core::field::Field;

fn pattern(text: &str) -> Test {
    let tokens = text.bytes().map(|byte| {
        if byte == b'*' {
            Token::Run
        } else {
            Token::Byte(byte)
        }
    });
    Test::Pattern(Pattern::new(tokens, false))
}

fn name(text: &str) -> Expr {
    Expr::Is(Field::ProcessName, pattern(text))
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

#[track_caller]
fn means(query: &str, expected: Expr) {
    assert_eq!(kql::parse(query), Ok(expected), "{query}");
}

#[test]
fn precedence_is_or_and_not_and_parentheses() {
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let flat = "process.name:a or process.name:b and not process.name:c";
    means(
        flat,
        Expr::Or(vec![a.clone(), Expr::And(vec![b.clone(), not(c.clone())])]),
    );
    let grouped = "(process.name:a or process.name:b) and process.name:c";
    means(
        grouped,
        Expr::And(vec![Expr::Or(vec![a.clone(), b.clone()]), c.clone()]),
    );
    means(
        "process.name:(a or b AND Not c)",
        Expr::Or(vec![a, Expr::And(vec![b, not(c)])]),
    );
}

#[test]
fn values_quoted_bare_and_escaped() {
    means("process.name : a*b", name("a*b"));
    means("process.name:\"a?b\"", name("a?b"));
    let star = Expr::Is(Field::ProcessName, Test::Pattern(Pattern::exact("a*b")));
    means("process.name:\"a*b\"", star.clone());
    means(r"process.name:a\*b", star);
    means(r#"process.name:\"a"#, name("\"a"));
    means(r"process.name:a\ \or\ b", name("a or b"));
    means(r"process.name:caf\u00e9", name("café"));
    means(r#"process.name:"a\"b\\c\d""#, name(r#"a"b\c\d"#));
    means(
        "process.name:(true or 0755 or 1e3)",
        Expr::Or(vec![name("true"), name("0755"), name("1e3")]),
    );
    means(
        "process.name:*",
        Expr::Is(Field::ProcessName, Test::Pattern(Pattern::exists())),
    );
}

/// As upstream: a forgotten `or` makes one value of two words and what lies between them.
#[test]
fn a_bare_value_runs_on_to_the_next_keyword() {
    means(
        "process.name:(*a/b\n  */c or d)",
        Expr::Or(vec![name("*a/b\n  */c"), name("d")]),
    );
    means(
        "process.name:order and process.name:x",
        Expr::And(vec![name("order"), name("x")]),
    );
}

#[test]
fn numbers_and_ranges() {
    let count = |low, high| Expr::Is(Field::ProcessArgsCount, Test::Range(low, high));
    means("process.args_count:2", count(2, 2));
    means("process.args_count:\"2\"", count(2, 2));
    means("process.args_count >= 5", count(5, i64::MAX));
    means("process.args_count<5", count(i64::MIN, 4));
    means("process.args_count > 5", count(6, i64::MAX));
    means("process.args_count:*", count(i64::MIN, i64::MAX));
    means(
        "process.interactive:true",
        Expr::Is(Field::ProcessInteractive, Test::Range(1, 1)),
    );
}

#[track_caller]
fn error(query: &str, message: &str, at: usize) {
    let error = kql::parse(query).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.span.start),
        (message, at),
        "{query}"
    );
}

#[test]
fn errors_point_at_their_cause() {
    error("process.nmae:a", "no such process field: process.nmae", 0);
    error(
        "process.name:a and prozess.args:b",
        "no such process field: prozess.args",
        19,
    );
    error(
        "process.args_count:two",
        "process.args_count takes whole numbers, not `two`",
        19,
    );
    error(
        "process.name > 2",
        "process.name is text: it has no range",
        0,
    );
    error("dropper", "a value without a field: write `field:value`", 0);
    error(
        "process.parent:{ name:a }",
        "nested fields: process events have none",
        0,
    );
    error("", "unexpected the end of the query: expected a clause", 0);
    let deep = format!("{}process.name:a{}", "(".repeat(101), ")".repeat(101));
    error(&deep, "parentheses nested deeper than 100", 100);
    for unfinished in [
        "process.name:",
        "process.name:(a or b",
        "process.name:a and ",
        "process.name:\"a",
        "(process.name:a",
        "not",
    ] {
        assert!(kql::parse(unfinished).is_err(), "{unfinished}");
    }
}

fn shown(text: &str) -> String {
    let error = elastic::parse(text).unwrap_err();
    Diagnostic {
        path: "rule.toml".into(),
        text: text.to_owned(),
        error,
    }
    .to_string()
}

const HEAD: &str = "[rule]\nrule_id = \"r\"\nname = \"n\"\nrisk_score = 21\nseverity = \"low\"\n";

#[test]
fn a_rule_files_errors_show_the_line_and_a_caret() {
    let text = format!(
        "{HEAD}type = \"query\"\nquery = '''\nhost.os.type:linux and\n  process.nmae:(a or b)\n'''\n"
    );
    expect_test::expect![[r#"
        error: no such process field: process.nmae
         --> rule.toml:9:3
          |
        9 |   process.nmae:(a or b)
          |   ^^^^^^^^^^^^"#]]
    .assert_eq(&shown(&text));
    expect_test::expect![[r#"
        error: a value without a field: write `field:value`
         --> rule.toml:7:10
          |
        7 | query = "a"
          |          ^"#]]
    .assert_eq(&shown(&format!("{HEAD}type = \"esql\"\nquery = \"a\"\n")));
}

#[test]
fn malformed_rule_files_are_refused_with_the_reason() {
    let query = "query = 'process.name:a'\n";
    let terms = "[rule.new_terms]\nvalue = [\"process.nmae\"]\n[[rule.new_terms.history_window_start]]\nvalue = \"now-5d\"\n";
    for (rest, expected) in [
        (
            format!(
                "type = \"query\"\n{query}[rule.new_terms]\nvalue = []\nhistory_window_start = []\n"
            ),
            "[rule.new_terms] belongs to",
        ),
        (
            format!("type = \"new_terms\"\n{query}"),
            "needs [rule.new_terms]",
        ),
        (
            format!("type = \"new_terms\"\n{query}{terms}"),
            "no such process field: process.nmae",
        ),
        (
            format!(
                "type = \"new_terms\"\n{query}{}",
                terms.replace("nmae", "name").replace("now-5d", "5 days")
            ),
            "like now-5d",
        ),
        (
            format!("type = \"query\"\nfrom = \"now-9x\"\n{query}"),
            "like now-5d",
        ),
        (
            format!("type = \"query\"\ninterval = \"0m\"\n{query}"),
            "like 5m",
        ),
        (
            format!("type = \"query\"\nlanguage = \"lucene\"\n{query}"),
            "language \"lucene\" is not supported",
        ),
        ("type = \"query\"\n".to_owned(), "the rule has no query"),
        (
            format!("type = \"query\"\n{query}query = 'twice'\n"),
            "duplicate key",
        ),
    ] {
        let shown = shown(&format!("{HEAD}{rest}"));
        assert!(shown.contains(expected), "{rest}\n{shown}");
        assert!(shown.contains("rule.toml:"), "{shown}");
    }
    assert!(shown(&HEAD.replace("low", "lowest")).contains("missing field `type`"));
    let strange = format!("{}type = \"query\"\n{query}", HEAD.replace("low", "lowest"));
    assert!(shown(&strange).contains("severity is low, medium, high or critical"));
    let strange = format!("{}type = \"query\"\n{query}", HEAD.replace("21", "101"));
    assert!(shown(&strange).contains("risk_score is a whole number from 0 to 100"));
}
