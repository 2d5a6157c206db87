//! What happens when something does not fit.

use super::*;

/// Room for four processes.
type Small = Lineage<5, 16, 256>;

fn is_known<const P: usize, const I: usize, const B: usize>(
    table: &Lineage<P, I, B>,
    pids: [u32; 3],
) -> [bool; 3] {
    pids.map(|pid| table.get(pid).is_some())
}

#[test]
fn the_one_that_exited_first_is_forgotten_first() {
    let mut table = Small::new();
    table.exec(1, &image("/init"));
    for child in [10, 11, 12] {
        table.fork(1, child).unwrap();
    }
    table.exit(11);
    table.exit(10);
    table.fork(1, 13).unwrap();
    assert_eq!(is_known(&table, [10, 11, 12]), [true, false, true]);
    table.fork(1, 14).unwrap();
    assert_eq!(is_known(&table, [10, 12, 13]), [false, true, true]);
    assert_eq!(
        table.counters(),
        Counters {
            evicted_exited: 2,
            ..Counters::default()
        }
    );
    table.check();
}

#[test]
fn then_the_least_recently_used_one_without_children() {
    let mut table = Small::new();
    table.exec(1, &image("/init"));
    table.fork(1, 10).unwrap();
    table.fork(10, 11).unwrap();
    table.fork(1, 12).unwrap();
    table.exec(11, &image("/bin/used"));
    // 1 and 10 are older than 12, but have children.
    table.fork(1, 13).unwrap();
    assert_eq!(is_known(&table, [10, 11, 12]), [true, true, false]);
    assert_eq!(line(&table, 11), [(10, "/init"), (1, "/init")]);
    assert_eq!(
        table.counters(),
        Counters {
            evicted_live: 1,
            ..Counters::default()
        }
    );
    table.check();
}

#[test]
fn children_remember_a_parent_that_was_forgotten_after_its_exit() {
    let mut table = Small::new();
    table.exec(1, &image("/init"));
    table.fork(1, 10).unwrap();
    table.exec(
        10,
        &Image {
            facts: Packed::new(&[4]),
            ..image("/tmp/dropper")
        },
    );
    table.fork(10, 11).unwrap();
    table.exec(11, &image("/tmp/implant"));
    table.exit(10);
    table.fork(1, 12).unwrap();
    table.fork(1, 13).unwrap();
    assert_eq!(table.get(10), None);
    let parent = known(table.parent(11));
    assert_eq!(
        (parent.pid, parent.ppid, path(parent)),
        (10, 0, "/tmp/dropper")
    );
    assert_eq!(
        (parent.facts, parent.exited, parent.lost),
        (Packed::new(&[4]), true, false)
    );
    assert_eq!(line(&table, 11), [(10, "/tmp/dropper")]);
    table.check();
    // The pid's next owner is another process, as its fork says.
    table.exit(12);
    table.fork(1, 10).unwrap();
    table.exec(10, &image("/bin/harmless"));
    assert_eq!(path(known(table.parent(11))), "/tmp/dropper");
    // Without a fork nobody can say whose exec it is.
    table.exec(11, &image("/tmp/still"));
    table.fork(1, 14).unwrap();
    table.fork(1, 15).unwrap();
    assert_eq!(table.get(10), None);
    assert_eq!(path(known(table.parent(11))), "/tmp/dropper");
    table.exec(11, &image("/tmp/again"));
    table.exec(10, &image("/bin/whose"));
    assert_eq!(table.parent(11), Parent::Lost);
    assert_eq!(table.counters().parents_lost, 1);
    table.check();
}

#[test]
fn one_line_of_descent_loses_its_oldest() {
    let mut table = Small::new();
    table.exec(1, &image("/init"));
    for pid in 1..6 {
        table.fork(pid, pid + 1).unwrap();
        table.check();
    }
    assert_eq!(line(&table, 6), [(5, "/init"), (4, "/init"), (3, "/init")]);
    assert_eq!(
        (table.parent(3), table.get(3).unwrap().ppid),
        (Parent::Lost, 2)
    );
    let expected = Counters {
        evicted_live: 2,
        parents_lost: 2,
        ..Counters::default()
    };
    assert_eq!(table.counters(), expected);
}

#[test]
fn too_many_facts_or_rules_are_counted_and_said() {
    let mut table = Table::new();
    let bytes = [1; MAX_FACTS + 1];
    let (facts, rules) = (Packed::new(&bytes[1..]), Packed::new(&bytes[..MAX_RULES]));
    let whole = Image {
        facts,
        fork_rules: rules,
        exit_rules: rules,
        ..image("/a")
    };
    table.exec(1, &whole);
    let process = table.get(1).unwrap();
    assert_eq!(
        (
            process.facts,
            process.fork_rules,
            process.exit_rules,
            process.lost
        ),
        (facts, rules, rules, false)
    );
    table.exec(
        1,
        &Image {
            facts: Packed::new(&bytes),
            ..whole
        },
    );
    let process = table.get(1).unwrap();
    assert_eq!((process.facts, process.fork_rules), (Packed::EMPTY, rules));
    assert_eq!((path(process), process.lost), ("/a", true));
    table.exec(
        1,
        &Image {
            fork_rules: Packed::new(&bytes[..=MAX_RULES]),
            ..whole
        },
    );
    let process = table.get(1).unwrap();
    assert_eq!(
        (
            process.facts,
            process.fork_rules,
            process.exit_rules,
            process.lost
        ),
        (facts, Packed::EMPTY, rules, true)
    );
    let expected = Counters {
        facts_lost: 1,
        rules_lost: 1,
        ..Counters::default()
    };
    assert_eq!(table.counters(), expected);
    table.check();
}

#[test]
fn arguments_are_kept_for_fork_rules_only_and_cut() {
    let mut table = Table::new();
    let args = [b'x'; 513];
    table.exec(
        1,
        &Image {
            args: &args,
            args_len: 9000,
            ..image("/a")
        },
    );
    let process = table.get(1).unwrap();
    assert_eq!((process.args, process.args_len), (&[][..], 0));
    table.exec(
        1,
        &Image {
            args: &args,
            args_len: 9000,
            fork_rules: Packed::new(&[2]),
            ..image("/a")
        },
    );
    let process = table.get(1).unwrap();
    assert_eq!((process.args, process.args_len), (&args[..512], 9000));
    table.check();
}

#[test]
fn an_image_too_long_for_the_store_is_lost() {
    let mut table = Small::new();
    let path = "/".repeat(257);
    table.exec(1, &image(&path[..256]));
    assert_eq!(table.get(1).unwrap().path.map(<[u8]>::len), Some(256));
    table.exec(2, &image("/bin/sh"));
    assert_eq!(table.get(1), None, "the other one's image took all");
    table.exec(2, &image(&path));
    let process = table.get(2).unwrap();
    assert_eq!((process.path, process.lost), (None, true));
    assert_eq!(table.counters().images_lost, 1);
    table.check();
}

#[test]
fn images_of_forgotten_processes_make_room() {
    // Three images.
    let mut table = Lineage::<16, 4, 256>::new();
    table.exec(1, &image("/init"));
    for (pid, path) in [(2, "/a"), (3, "/b"), (4, "/c"), (5, "/d")] {
        table.fork(1, pid).unwrap();
        table.exec(pid, &image(path));
    }
    assert_eq!(is_known(&table, [2, 3, 4]), [false, false, true]);
    assert_eq!(path(table.get(5).unwrap()), "/d");
    assert_eq!(
        table.counters(),
        Counters {
            evicted_live: 2,
            ..Counters::default()
        }
    );
    // The parents of the process itself are not given up for its image.
    table.fork(5, 6).unwrap();
    table.exec(6, &image("/e"));
    assert_eq!((path(table.get(6).unwrap()), table.get(4)), ("/e", None));
    table.fork(6, 7).unwrap();
    table.exec(7, &image("/f"));
    assert!(table.get(7).unwrap().lost);
    assert_eq!(line(&table, 7), [(6, "/e"), (5, "/d"), (1, "/init")]);
    let expected = Counters {
        evicted_live: 3,
        images_lost: 1,
        ..Counters::default()
    };
    assert_eq!(table.counters(), expected);
    table.check();
}

#[test]
fn the_store_closes_its_gaps() {
    let mut table = Lineage::<16, 16, 64>::new();
    let paths: Vec<String> = (0..8).map(|n| std::format!("/image{n}")).collect();
    for (pid, path) in (1..).zip(&paths) {
        table.exec(pid, &image(path));
    }
    assert_eq!(table.images.end, 56);
    // Every second one runs the same now: 28 bytes are free, 8 of them at the end.
    for pid in [1, 3, 5, 7] {
        table.exec(pid, &image(&paths[1]));
    }
    assert_eq!((table.images.end, table.images.in_use), (56, 28));
    let long = "/some/longer/path/that/spans";
    table.exec(1, &image(long));
    assert_eq!((table.images.end, table.images.in_use), (56, 56));
    let found: Vec<&str> = (1..9).map(|pid| path(table.get(pid).unwrap())).collect();
    let expected = [
        long, "/image1", "/image1", "/image3", "/image1", "/image5", "/image1", "/image7",
    ];
    assert_eq!(found, expected);
    assert_eq!(table.counters(), Counters::default());
    table.check();
}

/// Sequential pids, strided ones, and those that would share the low bits.
#[test]
fn pids_spread_over_the_index() {
    for secret in [0, 1, 0x1234_5678, u32::MAX] {
        for stride in [1, 2, 1000, 1024, 4096] {
            let mut table = Box::new(Lineage::<1024, 8, 64>::new());
            table.set_secret(secret);
            for n in 0..1000 {
                table.exec(1 + n * stride, &KTHREAD);
            }
            let mut chains = [0; 1024];
            for n in 0..1000 {
                chains[table.processes.bucket(1 + n * stride)] += 1;
            }
            let longest = chains.iter().max().copied();
            assert!(longest <= Some(8), "{secret:x} {stride}: {longest:?}");
            table.set_secret(!secret);
            assert!((0..1000).all(|n| table.get(1 + n * stride).is_some()));
        }
    }
}
