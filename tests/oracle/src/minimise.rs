//! A disagreement made small: parts of the rule and of the event are left out as long as it stays one.

use crate::eql;
use crate::event::Event;
use crate::rule::{Body, Rule};
use crate::tree::Tree;

/// The smallest pair that is found for which `disagree` still holds.
pub fn minimise(
    rule: &Rule,
    event: &Event,
    disagree: &dyn Fn(&Rule, &Event) -> bool,
) -> (Rule, Event) {
    let (mut rule, mut event) = (rule.clone(), event.clone());
    loop {
        let smaller = smaller_rules(&rule)
            .into_iter()
            .find(|rule| disagree(rule, &event));
        if let Some(smaller) = smaller {
            rule = smaller;
            continue;
        }
        let smaller = smaller_events(&event)
            .into_iter()
            .find(|event| disagree(&rule, event));
        match smaller {
            Some(smaller) => event = smaller,
            None => return (rule, event),
        }
    }
}

fn smaller_rules(rule: &Rule) -> Vec<Rule> {
    let with = |body| Rule {
        id: rule.id.clone(),
        body,
    };
    match &rule.body {
        Body::Kql(query, terms) => {
            let mut queries = smaller_trees(query);
            let mut whole = query.clone();
            for number in 0..whole.size() {
                let Some(Tree::Leaf(crate::kql::Clause::Is(field, values))) =
                    whole.node(number).cloned()
                else {
                    continue;
                };
                for values in smaller_trees(&values) {
                    let mut smaller = query.clone();
                    if let Some(node) = smaller.node(number) {
                        *node = Tree::Leaf(crate::kql::Clause::Is(field.clone(), values));
                        queries.push(smaller);
                    }
                }
            }
            queries
                .into_iter()
                .map(|query| with(Body::Kql(query, terms.clone())))
                .collect()
        }
        Body::Eql(eql::Query::Single(condition)) => {
            let mut conditions = smaller_trees(condition);
            let mut whole = condition.clone();
            for number in 0..whole.size() {
                let Some(Tree::Leaf(test)) = whole.node(number).cloned() else {
                    continue;
                };
                for at in 0..test.values.len() {
                    let mut test = test.clone();
                    test.values.remove(at);
                    let mut smaller = condition.clone();
                    if let (false, Some(node)) = (test.values.is_empty(), smaller.node(number)) {
                        *node = Tree::Leaf(test);
                        conditions.push(smaller);
                    }
                }
            }
            let body = |condition| with(Body::Eql(eql::Query::Single(condition)));
            conditions.into_iter().map(body).collect()
        }
        Body::Eql(eql::Query::Sequence { .. }) => Vec::new(),
        Body::Sigma(detection) => {
            let mut smaller = Vec::new();
            for condition in smaller_trees(&detection.condition) {
                let mut detection = detection.clone();
                detection.condition = condition;
                smaller.push(detection);
            }
            for (number, (_, maps)) in detection.selections.iter().enumerate() {
                let mut without = detection.clone();
                without.selections.remove(number);
                smaller.push(without);
                for (map_number, map) in maps.iter().enumerate() {
                    let mut without = detection.clone();
                    without.selections[number].1.remove(map_number);
                    smaller.push(without);
                    for (item_number, item) in map.iter().enumerate() {
                        let mut without = detection.clone();
                        without.selections[number].1[map_number].remove(item_number);
                        smaller.push(without);
                        for value in 0..item.values.len() {
                            let mut without = detection.clone();
                            without.selections[number].1[map_number][item_number]
                                .values
                                .remove(value);
                            smaller.push(without);
                        }
                    }
                }
            }
            let full = |detection: &crate::sigma::Detection| {
                let filled = |map: &Vec<crate::sigma::Item>| {
                    !map.is_empty() && map.iter().all(|item| !item.values.is_empty())
                };
                let filled = |maps: &Vec<Vec<_>>| !maps.is_empty() && maps.iter().all(filled);
                !detection.selections.is_empty()
                    && detection.selections.iter().all(|(_, maps)| filled(maps))
            };
            smaller.retain(full);
            smaller
                .into_iter()
                .map(|detection| with(Body::Sigma(detection)))
                .collect()
        }
    }
}

/// The tree with one node replaced by one of its parts, or with a part left out.
fn smaller_trees<L: Clone>(tree: &Tree<L>) -> Vec<Tree<L>> {
    let mut smaller = Vec::new();
    for number in 0..tree.size() {
        let replace = |by: Tree<L>| {
            let mut copy = tree.clone();
            if let Some(node) = copy.node(number) {
                *node = by;
            }
            copy
        };
        match tree.clone().node(number) {
            Some(Tree::And(parts) | Tree::Or(parts)) => {
                smaller.extend(parts.iter().cloned().map(replace));
                if parts.len() > 2 {
                    for at in 0..parts.len() {
                        let mut copy = tree.clone();
                        if let Some(Tree::And(parts) | Tree::Or(parts)) = copy.node(number) {
                            parts.remove(at);
                            smaller.push(copy);
                        }
                    }
                }
            }
            Some(Tree::Not(part)) => smaller.push(replace((**part).clone())),
            _ => {}
        }
    }
    smaller
}

fn smaller_events(event: &Event) -> Vec<Event> {
    let mut smaller = Vec::new();
    for (name, values) in &event.fields {
        if name == "event.id" || name == "@timestamp" {
            continue;
        }
        let with = |values: Vec<_>| {
            let mut copy = event.clone();
            if values.is_empty() {
                copy.fields.remove(name);
            } else {
                copy.fields.insert(name.clone(), values);
            }
            copy
        };
        for at in 0..values.len() {
            let mut fewer = values.clone();
            fewer.remove(at);
            smaller.push(with(fewer));
            let Some(text) = values[at].as_str() else {
                continue;
            };
            let characters: Vec<char> = text.chars().collect();
            let half = characters.len() / 2;
            for (from, to) in [
                (0, half),
                (half, characters.len()),
                (1, characters.len()),
                (0, characters.len().saturating_sub(1)),
            ] {
                if to.saturating_sub(from) < characters.len() && from <= to {
                    let mut shorter = values.clone();
                    shorter[at] = characters[from..to].iter().collect::<String>().into();
                    smaller.push(with(shorter));
                }
            }
        }
    }
    smaller
}
