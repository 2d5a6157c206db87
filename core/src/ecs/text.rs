//! An alert as one line for a terminal.

use core::fmt::{Result, Write};

use super::digits::{decimal, hex};
use super::time::write_time;
use crate::alert::{Alert, Flags, Path, RuleId, RuleInfo};
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
    write_time(out, alert.time_ms)?;
    out.write_char(' ')?;
    out.write_str(alert.severity.name())?;
    out.write_char(' ')?;
    match (rule.map(|rule| rule.name), alert.rule) {
        (Some(text), _) | (None, RuleId::Text(text)) => escaped(out, text.as_bytes())?,
        (None, uuid) => uuid.write(out)?,
    }
    out.write_str(": ")?;
    if let Some(parent) = alert.parent.executable {
        word(out, &[parent.name])?;
        out.write_str(" -> ")?;
    }
    command(out, alert)?;
    out.write_str(" (")?;
    out.write_str(alert.action.name())?;
    if let Some(path) = alert.executable {
        out.write_str(" of ")?;
        word(out, &[path.directory, path.name])?;
    }
    out.write_str(", pid ")?;
    decimal(out, alert.pid.into(), 1)?;
    if let Some(uid) = alert.uid {
        out.write_str(", uid ")?;
        decimal(out, uid.into(), 1)?;
    }
    if let Some(cwd) = alert.cwd {
        out.write_str(", in ")?;
        word(out, &[cwd])?;
    }
    out.write_str("; by ")?;
    match alert.parent.executable {
        Some(Path { directory, name }) => word(out, &[directory, name])?,
        None => out.write_str("unknown")?,
    }
    out.write_char(' ')?;
    decimal(out, alert.parent.pid.into(), 1)?;
    for ancestor in &alert.ancestors {
        out.write_str(" < ")?;
        match ancestor.name {
            b"" => out.write_str("unknown")?,
            name => word(out, &[name])?,
        }
        out.write_char(' ')?;
        decimal(out, ancestor.pid.into(), 1)?;
    }
    for (number, term) in alert.terms.iter().enumerate() {
        out.write_str(if number == 0 { "; new: " } else { ", " })?;
        word(out, &[term])?;
    }
    if let Some(arg) = alert.matched_arg {
        out.write_str("; matched: ")?;
        word(out, &[arg.bytes])?;
    }
    for (number, stage) in alert.stages.iter().enumerate() {
        out.write_str(if number == 0 { "; after pid " } else { ", " })?;
        decimal(out, stage.pid.into(), 1)?;
    }
    let mut separator = "; ";
    for (mark, name) in &Flags::NAMES {
        if alert.flags.contains(*mark) {
            out.write_str(separator)?;
            out.write_str(name)?;
            separator = ", ";
        }
    }
    out.write_char(')')?;
    match rule {
        Some(rule) if !rule.author.is_empty() => {
            out.write_str(" (author ")?;
            escaped(out, rule.author.as_bytes())?;
            out.write_char(')')
        }
        _ => Ok(()),
    }
}

/// The arguments, or the program's name if they are not known.
fn command(out: &mut dyn Write, alert: &Alert<'_>) -> Result {
    if alert.args.is_empty() {
        return match alert.executable {
            Some(path) => word(out, &[path.name]),
            None => out.write_str("unknown"),
        };
    }
    for (number, arg) in Block::new(alert.args).enumerate() {
        if number > 0 {
            out.write_char(' ')?;
        }
        word(out, &[arg])?;
    }
    match usize::try_from(alert.args_len) {
        Ok(length) if length <= alert.args.len() => Ok(()),
        _ => out.write_str(" ..."),
    }
}

/// One word, in quotes unless it is plain.
fn word(out: &mut dyn Write, pieces: &[&[u8]]) -> Result {
    let plain = pieces.iter().any(|piece| !piece.is_empty())
        && pieces.iter().all(|piece| piece.iter().all(is_plain));
    if !plain {
        out.write_char('"')?;
    }
    for piece in pieces {
        escaped(out, piece)?;
    }
    if !plain {
        out.write_char('"')?;
    }
    Ok(())
}

fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+=:@%~".contains(byte)
}

fn escaped(out: &mut dyn Write, bytes: &[u8]) -> Result {
    for chunk in bytes.utf8_chunks() {
        escaped_text(out, chunk.valid())?;
        for byte in chunk.invalid() {
            out.write_str("\\x")?;
            hex(out, (*byte).into(), 2)?;
        }
    }
    Ok(())
}

fn escaped_text(out: &mut dyn Write, text: &str) -> Result {
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            '\0' => out.write_char(' ')?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            c if is_treacherous(c) => {
                out.write_str("\\u{")?;
                hex(out, u32::from(c), 1)?;
                out.write_char('}')?;
            }
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

/// Control characters, and the format characters of Unicode that are not seen but change
/// how or in which order others are.
pub(super) fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = String::new();
        word(&mut out, &[bytes]).unwrap();
        out
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
