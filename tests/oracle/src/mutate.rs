//! New rules from published ones: operators, values, wildcards, case, `not`, clauses and fields are changed.
//! What is left out is what no one has defined: see [`undefined`].

mod regex;

use crate::eql::{self, Literal, Operand, Operator, Test};
use crate::event::{is_bool, is_number, is_text};
use crate::kql::{self, Clause};
use crate::lucene;
use crate::rng::Rng;
use crate::rule::{Body, Rule};
use crate::sigma::{self, Item, Pick};
use crate::tree::Tree;
use crate::wild::Piece;

/// Text fields that clauses are moved between.
const FIELDS: &[&str] = &[
    "event.action",
    "event.type",
    "host.id",
    "process.args",
    "process.command_line",
    "process.executable",
    "process.name",
    "process.parent.args",
    "process.parent.command_line",
    "process.parent.executable",
    "process.parent.name",
    "process.working_directory",
    "user.id",
];

/// Sigma's text fields.
const SIGMA_FIELDS: &[&str] = &[
    "Image",
    "CommandLine",
    "ParentImage",
    "ParentCommandLine",
    "CurrentDirectory",
];

/// A changed rule with this id. Its text has been read back: it says the same.
pub fn rule(rules: &[Rule], id: String, rng: &mut Rng) -> Rule {
    loop {
        let mut rule = rng.pick(rules).clone();
        rule.id.clone_from(&id);
        if !rng.one_in(8) {
            for _ in 0..=rng.below(4) {
                let other = rng.pick(rules).clone();
                change(&mut rule.body, &other.body, rng);
            }
        }
        let (name, text) = rule.print();
        match Rule::parse(name.as_ref(), &text) {
            Ok(read) if read == rule => {}
            // A rule that its text does not say is one that cannot be said.
            _ => continue,
        }
        if !undefined(&rule) {
            return rule;
        }
    }
}

/// Whether the meaning of a rule is nowhere defined: a letter range under a regular expression that ignores
/// case, a function below the `not` of several clauses, an empty text in Sigma.
pub fn undefined(rule: &Rule) -> bool {
    match &rule.body {
        Body::Kql(..) => false,
        Body::Eql(eql::Query::Single(condition)) => undefined_eql(condition),
        Body::Eql(eql::Query::Sequence { stages, .. }) => {
            stages.iter().any(|stage| undefined_eql(&stage.condition))
        }
        Body::Sigma(detection) => {
            let maps = detection.selections.iter().flat_map(|(_, maps)| maps);
            let mut items = maps.clone().flatten();
            let twice = |map: &Vec<Item>| {
                let same = |a: &Item, b: &Item| a.field == b.field && a.modifiers == b.modifiers;
                (1..map.len()).any(|at| map[..at].iter().any(|item| same(item, &map[at])))
            };
            let mut maps = maps;
            items.any(|item| item.values.iter().any(String::is_empty)) || maps.any(twice)
        }
    }
}

fn undefined_eql(condition: &eql::Condition) -> bool {
    let letters = |test: &Test| {
        let texts = test.values.iter().filter_map(|value| match value {
            Literal::Text(text) => lucene::parse(text).ok(),
            _ => None,
        });
        test.operator == Operator::RegexFold
            && texts.into_iter().any(|regex| regex.has_letter_range())
    };
    let function = |test: &Test| !matches!(test.of, Operand::Field(..));
    fn below_not(condition: &eql::Condition, function: &dyn Fn(&Test) -> bool) -> bool {
        match condition {
            Tree::And(parts) | Tree::Or(parts) => {
                parts.iter().any(|part| below_not(part, function))
            }
            Tree::Not(part) => {
                !matches!(**part, Tree::Leaf(_))
                    && part.leaves().iter().any(|(test, _)| function(test))
            }
            Tree::Leaf(_) => false,
        }
    }
    condition.leaves().iter().any(|(test, _)| letters(test)) || below_not(condition, &function)
}

fn change(body: &mut Body, other: &Body, rng: &mut Rng) {
    match (body, other) {
        (Body::Kql(query, _), other) => {
            let other = match other {
                Body::Kql(other, _) => Some(other),
                _ => None,
            };
            tree(query, other, rng, &mut change_clause);
        }
        (Body::Eql(eql::Query::Single(condition)), other) => {
            let other = match other {
                Body::Eql(eql::Query::Single(other)) => Some(other),
                _ => None,
            };
            tree(condition, other, rng, &mut change_test);
        }
        (Body::Eql(eql::Query::Sequence { maxspan, stages }), _) => {
            if rng.one_in(4) {
                *maxspan = Some([1000, 2000, 5000, 60_000][rng.below(4)]);
            }
            let stage = rng.below(stages.len());
            tree(&mut stages[stage].condition, None, rng, &mut change_test);
        }
        (Body::Sigma(detection), other) => {
            if rng.one_in(4) {
                let names: Vec<String> = detection
                    .selections
                    .iter()
                    .map(|(name, _)| name.clone())
                    .collect();
                tree(&mut detection.condition, None, rng, &mut |pick, rng| {
                    *pick = match rng.below(4) {
                        0 => Pick::Of(None, "*".to_owned()),
                        1 => Pick::Of(Some(1 + rng.below(2)), "*".to_owned()),
                        2 => Pick::Of(Some(1), "sel*".to_owned()),
                        _ => Pick::Selection(rng.pick(&names).clone()),
                    };
                });
                return;
            }
            let selection = rng.below(detection.selections.len());
            let maps = &mut detection.selections[selection].1;
            if let (Body::Sigma(other), true) = (other, rng.one_in(6)) {
                let more = rng.pick(&other.selections).1.clone();
                maps.extend(more);
                return;
            }
            let map = rng.below(maps.len());
            let map = &mut maps[map];
            let item = rng.below(map.len());
            match rng.below(5) {
                0 if map.len() > 1 => drop(map.remove(item)),
                _ => change_item(&mut map[item], rng),
            }
        }
    }
}

type Change<'a, L> = &'a mut dyn FnMut(&mut L, &mut Rng);

/// Changes one node.
fn tree<L: Clone>(tree: &mut Tree<L>, other: Option<&Tree<L>>, rng: &mut Rng, leaf: Change<L>) {
    let number = rng.below(tree.size());
    let Some(node) = tree.node(number) else {
        return;
    };
    match rng.below(8) {
        0 => {
            *node = match node.clone() {
                Tree::Not(inner) => *inner,
                other => Tree::Not(Box::new(other)),
            };
        }
        1 => {
            *node = match node.clone() {
                Tree::And(parts) => Tree::Or(parts),
                Tree::Or(parts) => Tree::And(parts),
                other => other,
            };
        }
        2 => {
            if let Tree::And(parts) | Tree::Or(parts) = node {
                let at = rng.below(parts.len());
                parts.remove(at);
                if parts.len() == 1 {
                    *node = parts[0].clone();
                }
            }
        }
        3 => {
            if let Some(other) = other {
                let mut other = other.clone();
                let number = rng.below(other.size());
                let Some(graft) = other.node(number).cloned() else {
                    return;
                };
                match node {
                    Tree::And(parts) | Tree::Or(parts) => parts.push(graft),
                    single => {
                        let parts = vec![single.clone(), graft];
                        *single = if rng.one_in(2) {
                            Tree::And(parts)
                        } else {
                            Tree::Or(parts)
                        };
                    }
                }
            }
        }
        _ => {
            let mut leaves = Vec::new();
            collect(node, &mut leaves);
            let at = rng.below(leaves.len());
            if let Some(one) = leaves.into_iter().nth(at) {
                leaf(one, rng);
            }
        }
    }
}

fn collect<'a, L>(tree: &'a mut Tree<L>, leaves: &mut Vec<&'a mut L>) {
    match tree {
        Tree::And(parts) | Tree::Or(parts) => {
            parts.iter_mut().for_each(|part| collect(part, leaves))
        }
        Tree::Not(part) => collect(part, leaves),
        Tree::Leaf(leaf) => leaves.push(leaf),
    }
}

fn change_clause(clause: &mut Clause, rng: &mut Rng) {
    match clause {
        Clause::Range(_, operator, limit) => {
            *operator = (*rng.pick(&["<", "<=", ">", ">="])).to_owned();
            *limit = rng.below(6) as f64;
        }
        Clause::Is(field, values) if is_text(field) => {
            if rng.one_in(5) {
                *field = (*rng.pick(FIELDS)).to_owned();
            } else {
                tree(values, None, rng, &mut |pattern, rng| {
                    let before = pattern.clone();
                    change_pieces(pattern, rng);
                    if !kql::can_print(pattern) {
                        *pattern = before;
                    }
                });
            }
        }
        Clause::Is(field, values) if is_number(field) => {
            *values = Tree::Leaf(crate::wild::literal(&rng.below(6).to_string()));
        }
        Clause::Is(..) => {}
    }
}

fn change_pieces(pattern: &mut Vec<Piece>, rng: &mut Rng) {
    let at = rng.below(pattern.len() + 1);
    match rng.below(6) {
        0 => pattern.insert(at, Piece::Any),
        1 => pattern.retain(|piece| *piece != Piece::Any),
        2 if at < pattern.len() => drop(pattern.remove(at)),
        3 => pattern.insert(at, Piece::Char(character(rng))),
        4 => pattern.truncate(at),
        _ => {
            if let Some(Piece::Char(own)) = pattern.get_mut(at) {
                *own = flip(*own);
            }
        }
    }
}

/// A character that some language gives a meaning, or an ordinary one.
pub fn character(rng: &mut Rng) -> char {
    const CHARACTERS: &str = "abzAZ019/-._ *?\\\"'()[]{}:<>,;=$%&#@|+^~!é漢😀\t\n";
    let characters: Vec<char> = CHARACTERS.chars().collect();
    *rng.pick(&characters)
}

/// The other case of an ASCII letter.
pub fn flip(own: char) -> char {
    if own.is_ascii_lowercase() {
        own.to_ascii_uppercase()
    } else {
        own.to_ascii_lowercase()
    }
}

fn change_text(text: &mut String, rng: &mut Rng) {
    let mut own: Vec<char> = text.chars().collect();
    let at = rng.below(own.len() + 1);
    match rng.below(7) {
        0 => own.insert(at, '*'),
        1 => own.insert(at, '?'),
        2 => own.insert(at, character(rng)),
        3 if at < own.len() => drop(own.remove(at)),
        4 => own.truncate(at),
        5 => own.retain(|next| *next != '*'),
        _ => {
            if let Some(next) = own.get_mut(at) {
                *next = flip(*next);
            }
        }
    }
    *text = own.into_iter().collect();
}

fn change_test(test: &mut Test, rng: &mut Rng) {
    let Operand::Field(field, optional) = &mut test.of else {
        if let Some(Literal::Number(limit)) = test.values.first_mut() {
            *limit = rng.below(80).to_string();
        }
        return;
    };
    if is_number(field) {
        test.operator = *rng.pick(&[
            Operator::Equal,
            Operator::Unequal,
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
        ]);
        test.values = vec![Literal::Number(rng.below(6).to_string())];
        return;
    }
    if is_bool(field) || !matches!(test.values.first(), Some(Literal::Text(_))) {
        return;
    }
    match rng.below(6) {
        0 => *field = (*rng.pick(FIELDS)).to_owned(),
        1 => *optional = !*optional,
        2 => change_operator(test, rng),
        3 if test.values.len() > 1 => {
            let at = rng.below(test.values.len());
            test.values.remove(at);
        }
        _ => {
            let at = rng.below(test.values.len());
            let regex = matches!(test.operator, Operator::Regex | Operator::RegexFold);
            if let Literal::Text(text) = &mut test.values[at] {
                if regex {
                    regex::change_text(text, rng);
                } else {
                    change_text(text, rng);
                }
            }
        }
    }
}

fn change_operator(test: &mut Test, rng: &mut Rng) {
    if matches!(test.operator, Operator::Regex | Operator::RegexFold) {
        test.operator = *rng.pick(&[Operator::Regex, Operator::RegexFold]);
        return;
    }
    let listed = [
        Operator::In,
        Operator::InFold,
        Operator::NotIn,
        Operator::NotInFold,
        Operator::Colon,
        Operator::Like,
        Operator::LikeFold,
    ];
    test.operator = match rng.below(9) {
        0 if test.values.len() == 1 => Operator::Equal,
        1 if test.values.len() == 1 => Operator::Unequal,
        2 => Operator::RegexFold,
        _ => *rng.pick(&listed),
    };
    if test.operator == Operator::RegexFold {
        test.operator = *rng.pick(&[Operator::Regex, Operator::RegexFold]);
        // Globs become expressions that mean the same, to be changed later.
        for value in &mut test.values {
            if let Literal::Text(text) = value {
                *text = regex::of_glob(text);
            }
        }
    }
}

fn change_item(item: &mut Item, rng: &mut Rng) {
    if !SIGMA_FIELDS.contains(&item.field.as_str()) {
        return;
    }
    let at = rng.below(item.values.len());
    if item.modifiers.iter().any(|modifier| modifier == "re") {
        // Only what both kinds of expression mean alike is changed.
        match rng.below(3) {
            0 => item.field = (*rng.pick(SIGMA_FIELDS)).to_owned(),
            _ => regex::change_text(&mut item.values[at], rng),
        }
        return;
    }
    match rng.below(6) {
        0 => item.field = (*rng.pick(SIGMA_FIELDS)).to_owned(),
        1 => {
            let kind = *rng.pick(&["contains", "startswith", "endswith"]);
            item.modifiers = vec![kind.to_owned()];
            if item.values.len() > 1 && rng.one_in(3) {
                item.modifiers.push("all".to_owned());
            }
        }
        2 if item.values.len() == 1 => item.modifiers.clear(),
        3 if item.values.len() > 1 => drop(item.values.remove(at)),
        _ => {
            change_text(&mut item.values[at], rng);
            if rng.one_in(6) {
                item.values[at].push('\\');
            }
        }
    }
    if item.values.len() == 1 {
        item.modifiers.retain(|modifier| modifier != "all");
    }
}

/// The ECS fields that a rule looks at, for a Sigma item.
pub fn sigma_field(item: &Item) -> &'static str {
    sigma::ecs(&item.field).unwrap_or("process.command_line")
}
