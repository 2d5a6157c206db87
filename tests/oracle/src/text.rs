//! A cursor over the characters of a rule, for the hand-written parsers.

/// What is wrong with a rule, and where (in characters).
pub type Error = String;

/// The rest of a text.
pub struct Cursor<'a> {
    text: &'a str,
    /// Bytes read.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// At the begin of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What is left.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character, not taken.
    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character.
    pub fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes this text if it comes next.
    pub fn eat(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    /// Takes this text or fails.
    pub fn expect(&mut self, what: &str) -> Result<(), Error> {
        if self.eat(what) {
            Ok(())
        } else {
            Err(self.error(&format!("{what} expected")))
        }
    }

    /// Takes characters as long as `of` says so.
    pub fn take_while(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|next| !of(next)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Skips white space.
    pub fn blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// An error here.
    pub fn error(&self, what: &str) -> Error {
        let near: String = self.rest().chars().take(30).collect();
        format!("{what} at {} near {near:?}", self.at)
    }
}
