//! A short run of the comparison with `peewitctl`; a long one is done by hand.

use peewit_oracle::differential::{Plan, run};
use peewit_oracle::product::Product;
use peewit_oracle::rule;
use peewit_tests::{ctl, data};

#[test]
fn verdicts_and_alerts_are_those_of_a_naive_evaluator() {
    let (Some(path), Some(corpora)) = (ctl(), data("PEEWIT_CORPORA")) else {
        return;
    };
    let mut published = Vec::new();
    for folder in ["elastic", "sigma"] {
        published.extend(rule::load(&corpora.join(folder)).expect("all rules can be read"));
    }
    let plan = Plan {
        seed: 6,
        pairs: 200_000,
        rules: 60,
        events: 600,
        disagreements: 1,
    };
    let report = run(&Product { path }, &published, plan, &mut |_| {}).expect("it runs");
    assert!(
        report.disagreements.is_empty(),
        "{}",
        report.disagreements.join("\n")
    );
    assert!(report.pairs >= 200_000);
    // Neither may all rules be refused nor all events miss.
    let refused: usize = report.refused.values().sum();
    assert!(refused * 20 < report.rules, "{:?}", report.refused);
    assert!(report.hits * 500 > report.pairs, "{}", report.hits);
}
