//! Sigma's conditions: what a rule's selections have to do with one another.

use crate::diagnostic::Located;
use crate::expr::Expr;
use crate::syntax::{MAX_DEPTH, join, negate, too_deep};

/// A rule's selections by name, in the order of the rule.
pub(super) type Selections = [(String, Expr)];

/// Parses a condition. Spans of errors are byte offsets within it.
pub(super) fn parse(text: &str, selections: &Selections) -> Result<Expr, Located> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        selections,
    };
    let expr = parser.any_of()?;
    match parser.peek() {
        None => Ok(expr),
        Some("|") => Err(parser.error("aggregations after `|` are not supported")),
        Some(word) => {
            let message =
                format!("unexpected `{word}`: expected `and`, `or` or the end of the condition");
            Err(parser.error(message))
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    selections: &'t Selections,
}

impl<'t> Parser<'t> {
    /// The next word or parenthesis.
    fn peek(&self) -> Option<&'t str> {
        let rest = self.text[self.at..].trim_start();
        let first = rest.chars().next()?;
        let end = if matches!(first, '(' | ')' | '|') {
            first.len_utf8()
        } else {
            rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
                .unwrap_or(rest.len())
        };
        rest.get(..end)
    }

    fn next(&mut self) -> Option<&'t str> {
        let word = self.peek()?;
        self.at = self.text.len() - self.text[self.at..].trim_start().len() + word.len();
        Some(word)
    }

    /// Whether the next word is this keyword; takes it if so.
    fn keyword(&mut self, keyword: &str) -> bool {
        let there = self
            .peek()
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if there {
            self.next();
        }
        there
    }

    /// An error at the next word.
    fn error(&self, message: impl Into<String>) -> Located {
        let start = self.text.len() - self.text[self.at..].trim_start().len();
        Located::new(start..start + self.peek().map_or(0, str::len), message)
    }

    fn any_of(&mut self) -> Result<Expr, Located> {
        let mut alternatives = vec![self.all_of()?];
        while self.keyword("or") {
            alternatives.push(self.all_of()?);
        }
        Ok(join(alternatives, false))
    }

    fn all_of(&mut self) -> Result<Expr, Located> {
        let mut operands = vec![self.operand()?];
        while self.keyword("and") {
            operands.push(self.operand()?);
        }
        Ok(join(operands, true))
    }

    fn operand(&mut self) -> Result<Expr, Located> {
        let mut negations = 0;
        while self.keyword("not") {
            negations += 1;
        }
        let start = self.at;
        let expr = match self.peek() {
            None => return Err(self.error("unexpected end of the condition: expected a selection")),
            Some("(") => {
                self.next();
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(too_deep(self.at - 1));
                }
                let inner = self.any_of()?;
                self.depth -= 1;
                if self.peek() != Some(")") {
                    return Err(self.error("expected `)`"));
                }
                self.next();
                inner
            }
            Some(word) => {
                self.next();
                if self.keyword("of") {
                    self.some_of(word, start)?
                } else {
                    self.at = start;
                    self.selection()?
                }
            }
        };
        Ok(negate(expr, negations))
    }

    fn selection(&mut self) -> Result<Expr, Located> {
        let error = self.error("");
        let name = self.next().unwrap_or_default();
        let found = self.selections.iter().find(|(other, _)| other == name);
        found.map(|(_, expr)| expr.clone()).ok_or_else(|| {
            let message = match name {
                ")" | "|" | "and" | "or" => format!("unexpected `{name}`: expected a selection"),
                _ => format!("no selection `{name}`"),
            };
            Located { message, ..error }
        })
    }

    /// `1 of PATTERN`, `all of them`, after the `of`.
    fn some_of(&mut self, count: &str, start: usize) -> Result<Expr, Located> {
        let error = self.error("");
        let Some(pattern) = self.next() else {
            return Err(self.error("expected names of selections after `of`"));
        };
        let chosen = self.selections.iter().filter(|(name, _)| match pattern {
            "them" => !name.starts_with('_'),
            pattern => fits(name, pattern),
        });
        let chosen: Vec<Expr> = chosen.map(|(_, expr)| expr.clone()).collect();
        if chosen.is_empty() {
            let message = format!("no selection `{pattern}`");
            return Err(Located { message, ..error });
        }
        match count.to_ascii_lowercase().as_str() {
            "all" => Ok(join(chosen, true)),
            "any" => Ok(join(chosen, false)),
            number => match number.parse::<usize>() {
                Ok(number) if (1..=chosen.len()).contains(&number) => at_least(number, &chosen)
                    .ok_or_else(|| {
                        Located::new(start..self.at, "too many combinations of selections")
                    }),
                Ok(0) => Err(Located::new(
                    start..self.at,
                    "`0 of` holds always: write `not 1 of`",
                )),
                Ok(number) => {
                    let message = format!("{number} of {} selections never hold", chosen.len());
                    Err(Located::new(start..self.at, message))
                }
                Err(_) => {
                    let message = format!(
                        "unexpected `{count}` before `of`: expected a number, `all` or `any`"
                    );
                    Err(Located::new(start..self.at, message))
                }
            },
        }
    }
}

/// So many combinations at most.
const MAX_COMBINATIONS: usize = 1000;

/// So many of the conditions hold: one of their combinations does.
fn at_least(count: usize, conditions: &[Expr]) -> Option<Expr> {
    let mut combinations: Vec<(usize, Vec<Expr>)> = vec![(0, Vec::new())];
    for _ in 0..count {
        let mut longer = Vec::new();
        for (next, chosen) in &combinations {
            for (at, condition) in conditions.iter().enumerate().skip(*next) {
                let mut chosen = chosen.clone();
                chosen.push(condition.clone());
                longer.push((at + 1, chosen));
            }
            if longer.len() > MAX_COMBINATIONS {
                return None;
            }
        }
        combinations = longer;
    }
    let all_of = combinations
        .into_iter()
        .map(|(_, chosen)| join(chosen, true));
    Some(join(all_of.collect(), false))
}

/// Whether a name fits a pattern in which `*` is any run of characters.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
