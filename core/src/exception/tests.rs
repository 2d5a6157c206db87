use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// An event that has these values.
struct Fields(Vec<(Field, Vec<Vec<u8>>)>);

impl Event for Fields {
    fn values(&mut self, field: Field) -> Values<'_> {
        self.term(field)
    }

    fn term(&self, field: Field) -> Values<'_> {
        let found = self.0.iter().find(|(of, _)| *of == field);
        match found.map(|(_, values)| values.as_slice()) {
            None => Values::Missing,
            Some([value]) => Values::One(value),
            // NUL does not occur in those of the tests: one block of all.
            Some(values) => Values::Block(values.concat().leak()),
        }
    }
}

fn event(fields: &[(Field, &[&[u8]])]) -> Fields {
    let of = |values: &[&[u8]]| match values {
        [value] => vec![value.to_vec()],
        values => values
            .iter()
            .map(|value| [value, &b"\0"[..]].concat())
            .collect(),
    };
    Fields(
        fields
            .iter()
            .map(|(field, values)| (*field, of(values)))
            .collect(),
    )
}

fn checked(text: &str) -> Result<Summary, Mistake> {
    check(text.as_bytes(), &mut |pattern| {
        glob::matches(pattern, b"seed", Reading::default())
    })
}

#[test]
fn what_holds() {
    let implant = event(&[
        (Field::ProcessName, &[b"implant"]),
        (Field::ProcessArgs, &[b"implant", b"id", b"--path=C:\\x y"]),
        (Field::ParentExecutable, &[b"/opt/Vendor/bin/up date"]),
    ]);
    for (line, expected) in [
        (r#"process.name : "implant""#, true),
        ("process.name : implant", true),
        ("process.name : Implant", false),
        ("process.name : impl*", true),
        (r#"process.name : "impl*""#, false),
        ("process.name : impl", false),
        ("process.name:*", true),
        ("process.working_directory : *", false),
        ("process.args : id", true),
        ("process.args : id and process.args : implant", true),
        ("process.args : id AND process.args : nothing", false),
        (r#"process.args : "--path=C:\\x y""#, true),
        (r"process.args : --path=C\:\\x y", true),
        (r#"process.args : "--path=C:\x y""#, true),
        ("process.parent.executable : /opt/Vendor/bin/up date", true),
        (
            "process.parent.executable : /opt/Vendor/bin/up date and process.args : id",
            true,
        ),
        (
            "process.parent.executable : /opt/*/up* and rule.id : seed",
            true,
        ),
        ("rule.id : seed", true),
        (r#"rule.id : "other" and process.args : id"#, false),
        ("# process.args : id", false),
        ("", false),
    ] {
        assert!(checked(line).is_ok(), "{line}");
        assert_eq!(
            excepts(line.as_bytes(), b"seed", &implant),
            expected,
            "{line}"
        );
        // Among others, and with other line ends.
        let text = format!("\r\n# x\nprocess.name : other\r\n \t{line}\r\n");
        assert_eq!(
            excepts(text.as_bytes(), b"seed", &implant),
            expected,
            "{line}"
        );
    }
}

/// An event of which one field has a value of some kind.
struct One(Values<'static>);

impl Event for One {
    fn values(&mut self, _: Field) -> Values<'_> {
        self.0
    }

    fn term(&self, _: Field) -> Values<'_> {
        self.0
    }
}

#[test]
fn kinds_of_values() {
    let long = vec![b'x'; MAX_VALUE + 1].leak();
    let most = &long[1..];
    for (line, values, expected) in [
        ("process.args_count : 3", Values::Number(3), true),
        ("process.args_count : 4", Values::Number(3), false),
        ("process.args_count : -3", Values::Number(-3), true),
        ("process.args_count : *", Values::Number(3), true),
        ("process.interactive : true", Values::Number(1), true),
        ("process.interactive : false", Values::Number(1), false),
        (
            "process.command_line : a b",
            Values::Joined(b"a\0b\0"),
            true,
        ),
        ("process.args : b", Values::Many(&[b"a", b"b"]), true),
        // What is not known is no reason for silence.
        ("process.name : *", Values::Lost, false),
        ("process.name : unknown", Values::Lost, false),
        (
            "process.name : *",
            Values::Facts(crate::packed::Packed::EMPTY),
            false,
        ),
        ("process.args : *", Values::Block(long), false),
        ("process.args : *", Values::Block(most), true),
        ("process.executable : x*", Values::One(long), false),
        ("process.executable : x*", Values::One(most), true),
    ] {
        assert!(checked(line).is_ok(), "{line}");
        assert_eq!(
            excepts(line.as_bytes(), b"", &One(values)),
            expected,
            "{line}"
        );
    }
}

#[test]
fn mistakes_have_a_place() {
    for (text, line, column, wrong) in [
        ("process.nmae : x", 1, 1, Wrong::Field),
        ("# one\n\n  process.nmae : x", 3, 3, Wrong::Field),
        ("event.outcome : success", 1, 1, Wrong::Absent),
        ("process.name", 1, 13, Wrong::Colon),
        ("process.name = x", 1, 14, Wrong::Colon),
        ("process.name :", 1, 15, Wrong::Value),
        ("process.name : and process.args : x", 1, 16, Wrong::And),
        ("process.name : \"x", 1, 16, Wrong::Quote),
        ("process.name : \"x\\\"", 1, 16, Wrong::Quote),
        ("process.name : (a or b)", 1, 16, Wrong::Special),
        ("process.name : a:b", 1, 17, Wrong::Special),
        ("process.name : a or process.name : b", 1, 18, Wrong::And),
        (
            "process.name : a and not process.name : b",
            1,
            22,
            Wrong::Field,
        ),
        ("process.name : not b", 1, 16, Wrong::And),
        ("process.name : \"a\" process.name : b", 1, 20, Wrong::And),
        ("process.name : a and ", 1, 22, Wrong::Field),
        ("process.args_count : few", 1, 22, Wrong::Number),
        (
            "process.args_count : 9223372036854775808",
            1,
            22,
            Wrong::Number,
        ),
        ("process.name : \"a\u{7}\"", 1, 18, Wrong::NoText),
    ] {
        assert_eq!(
            checked(text),
            Err(Mistake {
                line,
                column,
                wrong
            }),
            "{text:?}"
        );
    }
    let long = |length| format!("process.name : {}", "x".repeat(length));
    assert!(checked(&long(MAX_PATTERN)).is_ok());
    let mistake = |line, column, wrong| {
        Err(Mistake {
            line,
            column,
            wrong,
        })
    };
    assert_eq!(
        checked(&long(MAX_PATTERN + 1)),
        mistake(1, 16, Wrong::TooLong)
    );
    let many = |count| "process.name : x\n".repeat(count);
    assert_eq!(checked(&many(64)).map(|summary| summary.count), Ok(64));
    assert_eq!(checked(&many(65)), mistake(65, 1, Wrong::TooMany));
    assert_eq!(
        checked(&format!("{}\n{}", many(1), "#".repeat(MAX_TEXT))),
        mistake(1, 1, Wrong::TooMany)
    );
}

#[test]
fn doubts_and_fields() {
    for (text, doubt) in [
        ("process.name : *", Some((1, Doubt::Everything))),
        (
            "process.name : a\nprocess.name : * and process.args : *",
            Some((2, Doubt::Everything)),
        ),
        ("process.name : a*", None),
        ("rule.id : seed", None),
        ("rule.id : se*", None),
        (
            "rule.id : other and process.name : a",
            Some((1, Doubt::NoRule)),
        ),
        (
            "process.name : a and process.name : b",
            Some((1, Doubt::Never)),
        ),
        ("process.name : a and process.name : a", None),
        ("process.name : a* and process.name : b", None),
        ("process.args : a and process.args : b", None),
    ] {
        assert_eq!(
            checked(text).map(|summary| summary.doubt),
            Ok(doubt),
            "{text}"
        );
    }
    let summary = checked("process.name : a and user.id : 0\n\nrule.id : seed").unwrap();
    assert_eq!(summary.count, 2);
    assert_eq!(
        summary.fields,
        FieldSet::of(&[Field::ProcessName, Field::UserId])
    );
}

#[derive(Clone, Debug)]
enum Token {
    Any,
    Byte(u8),
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        1 => Just(Token::Any),
        4 => prop::sample::select(&b"ab*\\\" :"[..]).prop_map(Token::Byte),
    ]
}

/// By the definition.
fn matches(tokens: &[Token], text: &[u8]) -> bool {
    match tokens.split_first() {
        None => text.is_empty(),
        Some((Token::Any, rest)) => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        Some((Token::Byte(byte), rest)) => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

/// As somebody would write it: quoted where that is possible and asked for.
fn written(tokens: &[Token], quoted: bool) -> String {
    let quoted =
        (quoted && tokens.iter().all(|token| matches!(token, Token::Byte(_)))) || tokens.is_empty();
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Any => text.push('*'),
            Token::Byte(byte @ (b'"' | b'\\')) => text.extend(['\\', char::from(*byte)]),
            Token::Byte(byte) if quoted => text.push(char::from(*byte)),
            Token::Byte(byte @ (b'*' | b':' | b' ')) => text.extend(['\\', char::from(*byte)]),
            Token::Byte(byte) => text.push(char::from(*byte)),
        }
    }
    if quoted { format!("\"{text}\"") } else { text }
}

const FIELDS: [Field; 3] = [Field::ProcessName, Field::ProcessArgs, Field::ParentName];

type Term = (usize, Vec<Token>, bool);

fn term() -> impl Strategy<Value = Term> {
    (
        0..FIELDS.len(),
        prop::collection::vec(token(), 0..5),
        any::<bool>(),
    )
}

proptest! {
    #[test]
    fn agrees_with_the_definition(
        exceptions in prop::collection::vec(prop::collection::vec(term(), 1..4), 0..4),
        values in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(prop::sample::select(&b"ab*\\\" :"[..]), 0..4), 1..4), 3..=3),
    ) {
        let text: Vec<_> = exceptions.iter().map(|terms| {
            let terms = terms.iter().map(|(field, tokens, quoted)| {
                format!("{} : {}", FIELDS[*field].name(), written(tokens, *quoted))
            });
            terms.collect::<Vec<_>>().join(" and ")
        }).collect();
        let text = text.join("\n");
        let holds = |(field, tokens, _): &Term| values[*field].iter().any(|value| matches(tokens, value));
        let expected = exceptions.iter().any(|terms| terms.iter().all(holds));
        let of: Vec<Vec<&[u8]>> = values.iter().map(|values| values.iter().map(Vec::as_slice).collect()).collect();
        let fields: Vec<_> = FIELDS.into_iter().zip(of.iter().map(Vec::as_slice)).collect();
        prop_assert!(check(text.as_bytes(), &mut |_| true).is_ok(), "{}", text);
        prop_assert_eq!(excepts(text.as_bytes(), b"", &event(&fields)), expected, "{}", text);
    }

    #[test]
    fn never_panics(text: Vec<u8>, words in prop::collection::vec(prop::sample::select(
        &["process.name", "rule.id", ":", " ", "and", "or", "\"", "\\", "*", "x", "\n", "#", "process.args_count", "1"][..]), 0..30)) {
        for text in [text, words.concat().into_bytes()] {
            let checked = check(&text, &mut |_| false);
            let _ = excepts(&text, b"x", &One(Values::One(b"x")));
            if let Err(mistake) = checked {
                let line = text.split(|&byte| byte == b'\n').nth(mistake.line as usize - 1).unwrap();
                prop_assert!(mistake.column as usize <= line.len() + 1);
            }
        }
    }
}
