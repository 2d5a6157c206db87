//! An alert as one line for a terminal.

use core::fmt::{Result, Write};

use super::sink::{Form, Sink};
use super::time::write_time;
use crate::alert::{Alert, Flags, Path, RuleInfo};
use crate::event::Block;

/// Writes an alert as a line of text, without a line feed:
///
/// ```text
/// TIME SEVERITY RULE: PARENT -> ARGS (exec of PROGRAM, pid N, uid N, in DIRECTORY;
/// by PARENT N < NAME N ...; new: TERM; matched: ARG; after pid N, N; MARKS) (author NAMES)
/// ```
///
/// all in one line. Where the rule is known its name stands for its id, and its authors are
/// told.
///
/// Names and arguments are chosen by whoever started the process. So words with anything
/// in them but letters, digits and harmless punctuation are quoted; and control characters,
/// characters that reorder or hide text, and bytes that are not UTF-8 are shown as escapes:
/// they cannot steer a terminal or look like another line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_text(out: &mut dyn Write, alert: &Alert<'_>, rule: Option<&RuleInfo<'_>>) -> Result {
    let mut line = Sink::new(out);
    let out = &mut line;
    write_time(out, alert.time_ms);
    out.text(" ").text(alert.severity.name()).text(" ");
    match rule {
        Some(rule) => out.escaped(rule.name.as_bytes(), Form::Text),
        None => out.rule(&alert.rule, Form::Text),
    }
    .text(": ");
    let parent = alert.parent.executable.as_ref();
    if let Some(parent) = parent {
        word(out, parent.name);
        out.text(" -> ");
    }
    command(out, alert);
    out.text(" (").text(alert.action.name());
    if let Some(path) = &alert.executable {
        out.text(" of ");
        path_word(out, path);
    }
    out.text(", pid ").number(alert.pid.into());
    if let Some(uid) = alert.uid {
        out.text(", uid ").number(uid.into());
    }
    if let Some(cwd) = alert.cwd {
        out.text(", in ");
        word(out, cwd);
    }
    out.text("; by ");
    match parent {
        Some(path) => path_word(out, path),
        None => known_word(out, b""),
    }
    out.text(" ").number(alert.parent.pid.into());
    for ancestor in &alert.ancestors {
        out.text(" < ");
        known_word(out, ancestor.name);
        out.text(" ").number(ancestor.pid.into());
    }
    let mut before = "; new: ";
    for term in &alert.terms {
        out.text(core::mem::replace(&mut before, ", "));
        word(out, term);
    }
    if let Some(arg) = alert.matched_arg {
        out.text("; matched: ");
        word(out, arg.bytes);
    }
    before = "; after pid ";
    for stage in &alert.stages {
        let before = core::mem::replace(&mut before, ", ");
        out.text(before).number(stage.pid.into());
    }
    before = "; ";
    for (mark, name) in &Flags::NAMES {
        if alert.flags.contains(*mark) {
            out.text(core::mem::replace(&mut before, ", ")).text(name);
        }
    }
    out.text(")");
    if let Some(rule) = rule.filter(|rule| !rule.author.is_empty()) {
        let author = rule.author.as_bytes();
        out.text(" (author ").escaped(author, Form::Text).text(")");
    }
    line.end()
}

/// The arguments, or the program's name if they are not known.
fn command(out: &mut Sink<'_>, alert: &Alert<'_>) {
    if alert.args.is_empty() {
        match &alert.executable {
            Some(path) => word(out, path.name),
            None => known_word(out, b""),
        }
        return;
    }
    let mut before = "";
    for arg in Block::new(alert.args) {
        out.text(core::mem::replace(&mut before, " "));
        word(out, arg);
    }
    if usize::try_from(alert.args_len).is_ok_and(|length| length > alert.args.len()) {
        out.text(" ...");
    }
}

/// A word, or what is said if there is none.
#[inline(never)]
fn known_word(out: &mut Sink<'_>, bytes: &[u8]) {
    match bytes {
        b"" => {
            out.text("unknown");
        }
        bytes => word(out, bytes),
    }
}

/// One word, in quotes unless it is plain.
#[inline(never)]
pub(super) fn word(out: &mut Sink<'_>, bytes: &[u8]) {
    let directory = &[];
    let name = bytes;
    path_word(out, &Path { directory, name });
}

/// The same of a path.
#[inline(never)]
fn path_word(out: &mut Sink<'_>, path: &Path<'_>) {
    let mut bytes = path.bytes();
    let quote = match bytes.clone().next() {
        Some(_) if bytes.all(is_plain) => "",
        _ => "\"",
    };
    out.text(quote).path(path, Form::Text).text(quote);
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+=:@%~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::ecs::sink;

    fn written(bytes: &[u8]) -> String {
        sink::tests::written(|out| word(out, bytes))
    }

    #[test]
    fn words() {
        assert_eq!(written(b"/usr/bin/id"), "/usr/bin/id");
        assert_eq!(written(b"a=b:c@d"), "a=b:c@d");
        assert_eq!(written(b""), r#""""#);
        assert_eq!(written(b"a b"), r#""a b""#);
        assert_eq!(written(b"a\0b"), r#""a b""#);
        assert_eq!(written(b"a\"b\\"), r#""a\"b\\""#);
        assert_eq!(written("za\u{17c}".as_bytes()), "\"za\u{17c}\"");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            written(b"\x1b[2J\r\n\t\x7f"),
            r#""\u{1b}[2J\u{d}\n\t\u{7f}""#
        );
        assert_eq!(written(b"\x9b\xff"), r#""\x9b\xff""#);
        assert_eq!(
            written("\u{9b}\u{202e}\u{2066}\u{feff}".as_bytes()),
            r#""\u{9b}\u{202e}\u{2066}\u{feff}""#
        );
        for c in ('\0'..=char::MAX).filter(|c| c.is_control()) {
            let mut buffer = [0; 4];
            assert!(written(c.encode_utf8(&mut buffer).as_bytes()).is_ascii());
        }
    }
}
