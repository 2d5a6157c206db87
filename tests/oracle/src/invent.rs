//! Events that are near to rules: made to satisfy one, then changed a little.

use serde_json::Value;

use crate::eql::{self, Argument, Literal, Operand, Operator, Test};
use crate::event::{Event, is_bool, is_number, timestamp};
use crate::kql::Clause;
use crate::lucene;
use crate::mutate::{character, flip, sigma_field};
use crate::rng::Rng;
use crate::rule::{Body, Rule};
use crate::sigma::{self, Detection, Pick};
use crate::tree::Tree;
use crate::wild::{self, Piece};

/// Fields that may have several values.
const SEVERAL: &[&str] = &[
    "event.action",
    "event.category",
    "event.type",
    "process.args",
    "process.env_vars",
    "process.parent.args",
    "process.thread.capabilities.effective",
    "process.thread.capabilities.permitted",
    "user.id",
];

/// A value that a field is to have.
type Wish = (String, Value);

/// An event with this number, at this time in milliseconds.
pub fn event(rules: &[Rule], number: usize, time: i64, rng: &mut Rng) -> Event {
    let mut event = Event::default();
    for (field, value) in [
        ("event.category", "process"),
        ("event.type", "start"),
        ("event.action", "exec"),
        ("host.os.type", "linux"),
        ("host.id", "h-1"),
        ("process.executable", "/usr/bin/tool"),
        ("process.name", "tool"),
        ("process.command_line", "tool -v"),
        ("process.working_directory", "/"),
        ("process.parent.executable", "/usr/bin/bash"),
        ("process.parent.name", "bash"),
        ("process.parent.command_line", "bash"),
        ("user.name", "dev"),
        ("user.id", "1000"),
    ] {
        event.fields.insert(field.to_owned(), vec![value.into()]);
    }
    // The keys of sequences: few, so that events meet.
    for field in [
        "process.entity_id",
        "process.parent.entity_id",
        "process.entry_leader.entity_id",
    ] {
        let value = *rng.pick(&["e-1", "e-1", "e-2"]);
        event.fields.insert(field.to_owned(), vec![value.into()]);
    }
    let rule = rng.pick(rules);
    let wishes = match &rule.body {
        Body::Kql(query, _) => wishes(query, rng, &mut of_clause),
        Body::Eql(eql::Query::Single(condition)) => wishes(condition, rng, &mut of_test),
        Body::Eql(eql::Query::Sequence { stages, .. }) => {
            wishes(&rng.pick(stages).condition.clone(), rng, &mut of_test)
        }
        Body::Sigma(detection) => of_detection(detection, rng),
    };
    let mut set = Vec::new();
    for (field, value) in wishes {
        let before = event.fields.entry(field.clone()).or_default();
        if !set.contains(&field) {
            before.clear();
            set.push(field.clone());
        }
        if SEVERAL.contains(&field.as_str()) {
            before.push(value);
        } else if let (Some(Value::String(old)), Value::String(new)) = (before.first_mut(), &value)
        {
            // One value for several clauses: one after the other.
            let between = *rng.pick(&["", " "]);
            *old = format!("{old}{between}{new}");
        } else {
            *before = vec![value];
        }
    }
    for _ in 0..rng.below(4) {
        perturb(&mut event, rng);
    }
    finish(&mut event, number, time);
    event
}

/// What every event has, and what the languages tell apart in ways that are not to be tested here.
fn finish(event: &mut Event, number: usize, time: i64) {
    event.fields.retain(|_, values| !values.is_empty());
    // `root` is a name of uid 0: an event says both or neither.
    let has = |field: &str, value: &str| event.texts(field).iter().any(|own| own == value);
    if has("user.name", "root") != has("user.id", "0") {
        event
            .fields
            .insert("user.name".to_owned(), vec!["root".into()]);
        event.fields.insert("user.id".to_owned(), vec!["0".into()]);
    }
    event
        .fields
        .insert("event.id".to_owned(), vec![format!("{number:08}").into()]);
    event
        .fields
        .insert("@timestamp".to_owned(), vec![timestamp(time).into()]);
}

/// Values that together are likely to satisfy a condition.
fn wishes<L>(
    tree: &Tree<L>,
    rng: &mut Rng,
    leaf: &mut dyn FnMut(&L, &mut Rng) -> Vec<Wish>,
) -> Vec<Wish> {
    match tree {
        Tree::And(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(wishes(part, rng, leaf));
            }
            all
        }
        Tree::Or(parts) => wishes(rng.pick(parts), rng, leaf),
        // Sometimes what should not be.
        Tree::Not(part) if rng.one_in(6) => wishes(part, rng, leaf),
        Tree::Not(_) => Vec::new(),
        Tree::Leaf(test) => leaf(test, rng),
    }
}

fn value(field: &str, text: String) -> Value {
    if is_number(field) || field == "process.logon_id" {
        return text.parse::<i64>().map_or(Value::from(1), Value::from);
    }
    if is_bool(field) {
        return Value::from(text == "true");
    }
    Value::from(text)
}

/// A text that a pattern matches.
fn sample(pattern: &[Piece], fold: bool, rng: &mut Rng) -> String {
    let mut text = String::new();
    for piece in pattern {
        match piece {
            Piece::Char(own) if fold && rng.one_in(6) => text.push(flip(*own)),
            Piece::Char(own) => text.push(*own),
            Piece::One => text.push(character(rng)),
            Piece::Any => {
                text += *rng.pick(&["", "", "x", "/", " -c ", "é😀", "\n", "*", "sh", "a/b"])
            }
        }
    }
    text
}

fn of_clause(clause: &Clause, rng: &mut Rng) -> Vec<Wish> {
    match clause {
        Clause::Is(field, values) => {
            let field = field.clone();
            wishes(values, rng, &mut |pattern, rng| {
                vec![(field.clone(), value(&field, sample(pattern, false, rng)))]
            })
        }
        Clause::Range(field, _, limit) => vec![(field.clone(), near(*limit, rng))],
    }
}

fn near(limit: f64, rng: &mut Rng) -> Value {
    Value::from((limit as i64 + rng.signed_below(3) - 1).max(0))
}

fn of_test(test: &Test, rng: &mut Rng) -> Vec<Wish> {
    match &test.of {
        Operand::Length(field) => match test.values.first() {
            Some(Literal::Number(limit)) => {
                let length = limit.parse::<usize>().unwrap_or(1) + rng.below(3);
                vec![(field.clone(), "y".repeat(length.saturating_sub(1)).into())]
            }
            _ => Vec::new(),
        },
        Operand::StartsWith(whole, start, _) => {
            let text = match start {
                Argument::Text(text) => text.clone(),
                Argument::Field(_) => "/opt/x".to_owned(),
            };
            let mut wished = Vec::new();
            for (argument, text) in [(whole, format!("{text} y")), (start, text)] {
                if let Argument::Field(field) = argument {
                    wished.push((field.clone(), text.into()));
                }
            }
            wished
        }
        Operand::Field(field, _) => {
            let text = match rng.pick(&test.values) {
                Literal::Null => return Vec::new(),
                Literal::Bool(own) => own.to_string(),
                Literal::Number(own) => {
                    return vec![(field.clone(), near(own.parse().unwrap_or(0.0), rng))];
                }
                Literal::Text(own) => match test.operator {
                    Operator::Unequal | Operator::NotIn | Operator::NotInFold if !rng.one_in(4) => {
                        return Vec::new();
                    }
                    Operator::Like => sample(&wild::glob(own, true), false, rng),
                    Operator::Colon | Operator::LikeFold => {
                        sample(&wild::glob(own, true), true, rng)
                    }
                    Operator::InFold => sample(&wild::literal(own), true, rng),
                    Operator::Regex | Operator::RegexFold => {
                        lucene::parse(own).map_or(String::new(), |regex| regex.sample(rng))
                    }
                    _ => own.clone(),
                },
            };
            vec![(field.clone(), value(field, text))]
        }
    }
}

fn of_detection(detection: &Detection, rng: &mut Rng) -> Vec<Wish> {
    let mut names = wishes(&detection.condition, rng, &mut |pick, rng| {
        let wanted = |name: String| (name, Value::Null);
        match pick {
            Pick::Selection(name) => vec![wanted(name.clone())],
            Pick::Of(count, pattern) => {
                let pattern = wild::glob(pattern, false);
                let all = detection.selections.iter().map(|(name, _)| name.clone());
                let mut named: Vec<String> = all
                    .filter(|name| wild::matches(&pattern, name, false))
                    .collect();
                while count.is_some_and(|count| named.len() > count) {
                    named.remove(rng.below(named.len()));
                }
                named.into_iter().map(wanted).collect()
            }
        }
    });
    names.dedup();
    let mut wished = Vec::new();
    for (name, maps) in &detection.selections {
        if !names.iter().any(|(wanted, _)| wanted == name) {
            continue;
        }
        for item in rng.pick(maps) {
            let has = |modifier: &str| item.modifiers.iter().any(|own| own == modifier);
            let values = if has("all") {
                item.values.clone()
            } else {
                vec![rng.pick(&item.values).clone()]
            };
            // What begins or ends a value is put there.
            let order = if has("startswith") {
                0
            } else if has("endswith") {
                2
            } else {
                1
            };
            for text in values {
                let text = if has("re") {
                    let bare = text.replace("(?:", "(");
                    lucene::parse(&bare).map_or(String::new(), |regex| regex.sample(rng))
                } else {
                    sample(&sigma::pattern(item, &text), true, rng)
                };
                wished.push((order, sigma_field(item).to_owned(), text));
            }
        }
    }
    wished.sort_by_key(|(order, ..)| *order);
    let wish = |(_, field, text): (usize, String, String)| {
        let value = value(&field, text);
        (field, value)
    };
    wished.into_iter().map(wish).collect()
}

/// A small change.
fn perturb(event: &mut Event, rng: &mut Rng) {
    let names: Vec<String> = event.fields.keys().cloned().collect();
    let name = rng.pick(&names).clone();
    let other = rng.pick(&names).clone();
    let text = |name: &str| name != "process.logon_id" && !is_number(name) && !is_bool(name);
    if rng.one_in(8) {
        event.fields.remove(&name);
        return;
    }
    if !text(&name) {
        event
            .fields
            .insert(name.clone(), vec![value(&name, rng.below(6).to_string())]);
        return;
    }
    let from_other = event
        .fields
        .get(&other)
        .and_then(|values| values.first().cloned());
    let values = event.fields.entry(name.clone()).or_default();
    if SEVERAL.contains(&name.as_str()) && rng.one_in(3) {
        match (rng.below(3), values.first().cloned()) {
            (0, Some(first)) => values.push(first),
            (1, _) => values.insert(0, "zz".into()),
            _ => values.extend(from_other.filter(|_| text(&other))),
        }
        return;
    }
    let at = rng.below(values.len());
    let Some(Value::String(old)) = values.get_mut(at) else {
        return;
    };
    let mut own: Vec<char> = old.chars().collect();
    let place = rng.below(own.len() + 1);
    match rng.below(10) {
        0 => own.insert(place, character(rng)),
        1 if place < own.len() => drop(own.remove(place)),
        2 => own.truncate(place),
        3 => own.clear(),
        4 => own.push(character(rng)),
        5 => own.insert(0, character(rng)),
        6 => own.iter_mut().for_each(|next| *next = flip(*next)),
        7 if rng.one_in(3) => {
            // About as long as a keyword may be, counted in UTF-16 units.
            let filler = *rng.pick(&['x', 'é', '😀', '/']);
            let wanted = 1022 + rng.below(6);
            let mut units: usize = own.iter().map(|next| next.len_utf16()).sum();
            while units < wanted {
                own.insert(place, filler);
                units += filler.len_utf16();
            }
        }
        8 if text(&other) => {
            if let Some(Value::String(text)) = from_other {
                own = text.chars().collect();
            }
        }
        _ => {
            if let Some(next) = own.get_mut(place) {
                *next = flip(*next);
            }
        }
    }
    *old = own.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql;

    #[test]
    fn events_satisfy_the_rule_that_they_are_made_for_more_often_than_not() {
        let query = r#"event.category:process and (process.args:(-a or "b") or process.name:x*) and not user.id:7"#;
        let query = kql::parse(query).expect("a query");
        let rule = Rule {
            id: "x".to_owned(),
            body: Body::Kql(query, None),
        };
        let rules = [rule];
        let mut rng = Rng::new(7);
        let events: Vec<Event> = (0..400)
            .map(|number| event(&rules, number, 0, &mut rng))
            .collect();
        let held = events.iter().filter(|event| rules[0].holds(event)).count();
        assert!((200..360).contains(&held), "{held}");
        let again: Vec<Event> = {
            let mut rng = Rng::new(7);
            (0..400)
                .map(|number| event(&rules, number, 0, &mut rng))
                .collect()
        };
        assert!(events == again);
    }
}
