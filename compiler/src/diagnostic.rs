//! Errors that show where in a rule file they are.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// An error at a place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What is wrong.
    pub message: String,
    /// Which bytes.
    pub span: Range<usize>,
}

impl Located {
    /// An error at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
        }
    }
}

/// An error in a file: knows the text, so that it can show the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub path: PathBuf,
    /// Its text; empty if it could not be read.
    pub text: String,
    /// What is wrong, and where.
    pub error: Located,
}

impl Diagnostic {
    /// Line and column of the error, from 1; the column counts characters.
    pub fn position(&self) -> (usize, usize) {
        let start = self.text.floor_char_boundary(self.error.span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// `file:line:column: message`, on one line.
    pub fn line(&self) -> String {
        let (line, column) = self.position();
        let path = self.path.display();
        let message = self.error.message.replace('\n', " ");
        if self.text.is_empty() {
            format!("{path}: {message}")
        } else {
            format!("{path}:{line}:{column}: {message}")
        }
    }
}

impl fmt::Display for Diagnostic {
    /// With the line of the file and a caret under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return write!(f, "error: {}", self.line());
        }
        let start = self.text.floor_char_boundary(self.error.span.start);
        let end = self
            .text
            .ceil_char_boundary(self.error.span.end.clamp(start, self.text.len()));
        let path = self.path.display().to_string();
        let snippet = Snippet::source(&self.text)
            .path(path)
            .annotation(AnnotationKind::Primary.span(start..end));
        let report = [Level::ERROR
            .primary_title(&self.error.message)
            .element(snippet)];
        f.write_str(&Renderer::plain().render(&report))
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_file_line_column_and_a_caret() {
        let diagnostic = Diagnostic {
            path: "rules/a.toml".into(),
            text: "[rule]\nquery = \"prozess.name:x\"\n".into(),
            error: Located::new(16..28, "no such field: prozess.name"),
        };
        assert_eq!(
            diagnostic.line(),
            "rules/a.toml:2:10: no such field: prozess.name"
        );
        expect_test::expect![[r#"
            error: no such field: prozess.name
             --> rules/a.toml:2:10
              |
            2 | query = "prozess.name:x"
              |          ^^^^^^^^^^^^"#]]
        .assert_eq(&diagnostic.to_string());
    }
}
