//! Changes of regular expressions.

use crate::lucene::{self, Regex};
use crate::rng::Rng;

/// The expression that means the same as a glob.
pub fn of_glob(glob: &str) -> String {
    let part = |next: char| match next {
        '*' => Regex::Repeat(Box::new(Regex::Dot), 0, None),
        '?' => Regex::Dot,
        own => Regex::Class(false, vec![(own, own)]),
    };
    Regex::Sequence(glob.chars().map(part).collect()).print()
}

/// Changes an expression, if it is one.
pub fn change_text(text: &mut String, rng: &mut Rng) {
    if let Ok(mut regex) = lucene::parse(text) {
        change(&mut regex, rng);
        *text = regex.print();
    }
}

fn change(regex: &mut Regex, rng: &mut Rng) {
    match regex {
        Regex::Alternatives(parts) | Regex::Sequence(parts) if !parts.is_empty() => {
            let at = rng.below(parts.len());
            match rng.below(6) {
                0 if parts.len() > 1 => drop(parts.remove(at)),
                1 => {
                    let part = parts[at].clone();
                    parts.insert(at, part);
                }
                2 if !matches!(parts[at], Regex::Repeat(..)) => {
                    let part = Box::new(parts[at].clone());
                    let (least, most) =
                        *rng.pick(&[(0, Some(1)), (0, None), (1, None), (2, Some(3))]);
                    parts[at] = Regex::Repeat(part, least, most);
                }
                _ => change(&mut parts[at], rng),
            }
        }
        Regex::Alternatives(_) | Regex::Sequence(_) => {}
        Regex::Repeat(part, least, most) => match rng.below(3) {
            0 => *least = rng.below(3).min(most.unwrap_or(3)),
            1 => *most = rng.one_in(2).then(|| *least + 1 + rng.below(3)),
            _ => change(part, rng),
        },
        Regex::Class(negated, _) => match rng.below(3) {
            0 => *negated = !*negated,
            1 => *regex = Regex::Dot,
            _ => {
                let own = *rng.pick(&['a', 'Z', '0', '/', '-', '.', ' ', 'é']);
                *regex = Regex::Class(false, vec![(own, own)]);
            }
        },
        Regex::Dot => *regex = Regex::Class(true, vec![('/', '/')]),
    }
}
