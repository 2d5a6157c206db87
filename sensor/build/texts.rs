//! Makes of `texts.txt` what `src/texts.rs` includes: all texts one behind the other, squeezed, and where each ends.
//!
//! In front of each text stands a line with its name, `= name`; the line feed at its end is not part of it.

use std::path::Path;
use std::{fs, io};

use super::squeeze::squeeze;

/// Writes `texts.rs` and the texts to the folder `out`.
pub fn write(source: &Path, out: &Path) -> io::Result<()> {
    let source = fs::read_to_string(source)?;
    let (mut texts, mut names, mut ends) = (String::new(), String::new(), String::new());
    for section in source.split("\n= ") {
        let (name, text) = section
            .trim_start_matches("= ")
            .split_once('\n')
            .unwrap_or((section, ""));
        texts.push_str(text.trim_end_matches('\n'));
        names.push_str(&format!("    /// `{name}`\n    {},\n", camel_case(name)));
        ends.push_str(&format!(" {},", texts.len()));
    }
    let code = format!(
        "/// The texts.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
         pub enum Text {{\n{names}}}\n\
         /// Where each ends.\n\
         static ENDS: &[u16] = &[{ends}];\n\
         /// How long they are together.\n\
         const LENGTH: usize = {};\n",
        texts.len()
    );
    fs::write(out.join("texts.squeezed"), squeeze(texts.as_bytes()))?;
    fs::write(out.join("texts.rs"), code)
}

/// `two_words` as `TwoWords`.
fn camel_case(name: &str) -> String {
    let mut words = String::new();
    for word in name.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        words.push_str(&first.to_ascii_uppercase());
        words.push_str(rest);
    }
    words
}
