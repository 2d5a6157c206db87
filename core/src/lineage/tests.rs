mod bounds;
mod invariants;
mod oracle;

use super::*;

const KTHREAD: Image<'static> = Image {
    lost: false,
    ..Image::LOST
};

fn image(path: &str) -> Image<'_> {
    Image {
        path: Some(path.as_bytes()),
        ..KTHREAD
    }
}

type Table = Lineage<32, 32, 1024>;

fn known<'a>(parent: Parent<'a>) -> Process<'a> {
    match parent {
        Parent::Known(process) => process,
        other => panic!("{other:?}"),
    }
}

fn path(process: Process<'_>) -> &str {
    process
        .path
        .map_or("-", |path| std::str::from_utf8(path).unwrap())
}

/// The pids and paths of all ancestors.
fn line<const P: usize, const I: usize, const B: usize>(
    table: &Lineage<P, I, B>,
    pid: u32,
) -> Vec<(u32, &str)> {
    table
        .ancestors(pid)
        .map(|process| (process.pid, path(process)))
        .collect()
}

/// Other rules: atoms and rules have other numbers.
#[test]
fn facts_can_be_forgotten_and_learned_again() {
    let mut table = Table::new();
    let sh = Image {
        facts: Packed::new(&[3, 5]),
        fork_rules: Packed::new(&[1]),
        exit_rules: Packed::new(&[2]),
        args: b"sh\0-c\0",
        args_len: 6,
        ..image("/bin/sh")
    };
    table.exec(10, &sh);
    table.fork(10, 11).unwrap();
    table.exec(11, &image("/bin/id"));
    table.exec(2, &KTHREAD);
    table.fork(10, 12).unwrap();
    table.exit(10);
    table.forget_facts();
    table.check();
    let lost = |path| Image {
        lost: true,
        ..image(path)
    };
    for (pid, expected) in [
        (10, lost("/bin/sh")),
        (11, lost("/bin/id")),
        (12, lost("/bin/sh")),
        (2, KTHREAD),
    ] {
        let process = table.get(pid).unwrap();
        assert_eq!(process.path, expected.path, "{pid}");
        assert_eq!(process.lost, expected.lost, "{pid}");
        assert!(
            process.facts.is_empty()
                && process.fork_rules.is_empty()
                && process.exit_rules.is_empty()
        );
        assert_eq!((process.args, process.args_len), (&b""[..], 0));
    }
    assert_eq!(path(known(table.parent(11))), "/bin/sh");
    // Learned again, with other facts; and memory is used as before.
    for round in 0..200u8 {
        let facts = [3, round % 100 + 1];
        table.exec(
            12,
            &Image {
                facts: Packed::new(&facts),
                ..sh
            },
        );
        let process = table.get(12).unwrap();
        assert_eq!((process.facts, process.lost), (Packed::new(&facts), false));
        table.check();
        table.forget_facts();
        table.check();
    }
    for pid in [2, 10, 11, 12] {
        table.exit(pid);
    }
    table.check();
}

#[test]
fn a_child_runs_what_its_parent_runs_until_it_execs() {
    let mut table = Table::new();
    let sh = Image {
        invoked: Some(b"/tmp/x.sh"),
        facts: Packed::new(&[3, 5]),
        fork_rules: Packed::new(&[1]),
        args: b"sh\0-c\0id\0",
        args_len: 9,
        ..image("/bin/sh")
    };
    table.exec(10, &sh);
    table.fork(10, 11).unwrap();
    let child = table.get(11).unwrap();
    assert_eq!(
        child,
        Process {
            pid: 11,
            ppid: 10,
            path: Some(b"/bin/sh"),
            invoked: Some(b"/tmp/x.sh"),
            facts: Packed::new(&[3, 5]),
            fork_rules: Packed::new(&[1]),
            exit_rules: Packed::EMPTY,
            args: b"sh\0-c\0id\0",
            args_len: 9,
            lost: false,
            exited: false,
        }
    );
    assert_eq!(table.images.used, 1, "both refer to one image");
    // The same program, invoked by another name, is another image.
    let other = Image {
        invoked: Some(b"/tmp/y.sh"),
        ..sh
    };
    table.exec(12, &other);
    assert_eq!(table.images.used, 2);
    assert_eq!(table.get(12).unwrap().invoked, other.invoked);
    table.exec(11, &image("/bin/id"));
    assert_eq!(path(table.get(11).unwrap()), "/bin/id");
    assert_eq!(path(known(table.parent(11))), "/bin/sh");
    table.check();
}

#[test]
fn a_parent_is_what_it_runs_now_not_what_it_ran_at_the_fork() {
    let mut table = Table::new();
    table.exec(10, &image("/bin/sh"));
    table.fork(10, 11).unwrap();
    table.exec(10, &image("/tmp/dropper"));
    assert_eq!(path(known(table.parent(11))), "/tmp/dropper");
    assert_eq!(path(table.get(11).unwrap()), "/bin/sh");
    // Its exec may be handled after its exit.
    table.exit(10);
    table.exec(10, &image("/tmp/late"));
    let parent = known(table.parent(11));
    assert_eq!((path(parent), parent.exited), ("/tmp/late", true));
    table.check();
}

#[test]
fn ancestors_come_nearest_first_and_outlive_their_exit() {
    let mut table = Table::new();
    table.seed(1, 0, &image("/init"));
    table.fork(1, 20).unwrap();
    table.exec(20, &image("/bin/sh"));
    table.fork(20, 21).unwrap();
    table.exec(21, &image("/tmp/dropper"));
    table.fork(21, 22).unwrap();
    table.exit(21);
    table.exit(20);
    assert_eq!(
        line(&table, 22),
        [(21, "/tmp/dropper"), (20, "/bin/sh"), (1, "/init")]
    );
    assert_eq!(table.parent(1), Parent::None);
    assert_eq!(line(&table, 1), []);
    assert_eq!(line(&table, 99), []);
    assert_eq!(table.parent(99), Parent::Lost);
    table.check();
}

#[test]
fn a_pid_used_again_is_another_process() {
    let mut table = Table::new();
    table.seed(1, 0, &image("/init"));
    table.fork(1, 20).unwrap();
    table.exec(20, &image("/tmp/dropper"));
    table.fork(20, 21).unwrap();
    table.fork(1, 20).unwrap();
    table.exec(20, &image("/bin/harmless"));
    assert_eq!(path(table.get(20).unwrap()), "/bin/harmless");
    let parent = known(table.parent(21));
    assert_eq!(
        (parent.pid, path(parent), parent.exited),
        (20, "/tmp/dropper", true)
    );
    assert_eq!(line(&table, 21), [(20, "/tmp/dropper"), (1, "/init")]);
    table.check();
    // An old process without children leaves nothing behind.
    table.fork(1, 21).unwrap();
    assert_eq!(path(table.get(21).unwrap()), "/init");
    assert_eq!(table.len(), 4);
    table.check();
}

#[test]
fn an_exec_of_an_unknown_process_has_a_lost_parent() {
    let mut table = Table::new();
    table.exec(10, &image("/bin/sh"));
    assert_eq!(table.parent(10), Parent::Lost);
    assert_eq!(table.get(10).unwrap().ppid, 0);
    assert_eq!(table.fork(9, 12), Err(UnknownParent));
    assert_eq!(table.get(12), None);
    assert_eq!(
        UnknownParent.to_string(),
        "the forking process is not in the lineage table"
    );
    table.exec(9, &Image::LOST);
    assert_eq!(table.fork(9, 12), Ok(()));
    let parent = known(table.parent(12));
    assert_eq!((parent.path, parent.lost), (None, true));
    assert_eq!(
        table.counters(),
        Counters::default(),
        "what never was known was not lost here"
    );
}

#[test]
fn processes_found_in_proc_are_linked_in_a_second_pass() {
    let mut table = Table::new();
    table.seed(11, 10, &image("/bin/child"));
    table.seed(10, 1, &image("/bin/sh"));
    table.seed(1, 0, &image("/init"));
    table.seed(2, 0, &KTHREAD);
    assert_eq!(table.parent(11), Parent::Lost);
    assert_eq!(table.get(11).unwrap().ppid, 10);
    for (pid, ppid) in [(11, 10), (10, 1), (1, 0), (2, 0), (77, 1)] {
        table.adopt(pid, ppid);
    }
    assert_eq!(line(&table, 11), [(10, "/bin/sh"), (1, "/init")]);
    assert_eq!(table.parent(2), Parent::None);
    let kernel_thread = table.get(2).unwrap();
    assert_eq!((kernel_thread.path, kernel_thread.lost), (None, false));
    assert_eq!(table.get(77), None);
    // Read again: what /proc says now replaces what was known.
    table.seed(10, 1, &image("/bin/other"));
    let parent = known(table.parent(11));
    assert_eq!((path(parent), parent.exited), ("/bin/sh", true));
    table.adopt(11, 10);
    assert_eq!(path(known(table.parent(11))), "/bin/other");
    table.adopt(11, 55);
    assert_eq!(
        (table.parent(11), table.get(11).unwrap().ppid),
        (Parent::Lost, 55)
    );
    table.check();
}

#[test]
fn links_make_no_circle() {
    let mut table = Table::new();
    for pid in 1..4 {
        table.seed(pid, pid + 1, &image("/bin/sh"));
        table.adopt(pid, pid - 1);
    }
    table.adopt(1, 3);
    assert_eq!(
        (table.parent(1), table.get(1).unwrap().ppid),
        (Parent::Lost, 3)
    );
    table.adopt(2, 2);
    assert_eq!(table.parent(2), Parent::Lost);
    assert_eq!(line(&table, 3), [(2, "/bin/sh")]);
    table.check();
}

#[test]
fn nonsense_changes_nothing() {
    let mut table = Table::new();
    table.exec(0, &image("/bin/sh"));
    table.seed(0, 0, &image("/bin/sh"));
    table.exit(0);
    table.exit(5);
    table.adopt(0, 0);
    assert_eq!(table.fork(5, 5), Ok(()));
    assert_eq!(table.fork(5, 0), Ok(()));
    assert_eq!(table.fork(0, 5), Err(UnknownParent));
    assert_eq!((table.get(0), table.parent(0)), (None, Parent::Lost));
    assert!(table.is_empty());
    table.check();
}
