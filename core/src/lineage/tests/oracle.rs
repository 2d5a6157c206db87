//! The table beside a model that forgets nothing.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
enum Op {
    Exec(u32, usize),
    Fork(u32, u32),
    Exit(u32),
    Seed(u32, u32, usize),
    Adopt(u32, u32),
}

/// What programs there are: they share paths, facts or arguments, but are all different.
const IMAGES: [Image<'static>; 9] = {
    const fn image(
        path: &'static [u8],
        facts: &'static [u8],
        fork_rules: &'static [u8],
    ) -> Image<'static> {
        Image {
            path: Some(path),
            facts: Packed::new(facts),
            fork_rules: Packed::new(fork_rules),
            ..KTHREAD
        }
    }
    const ROUTE: Image<'static> = image(b"/sbin/route", &[1, 2], &[7]);
    [
        image(b"/init", &[], &[]),
        image(b"/bin/sh", &[1], &[]),
        image(b"/bin/sh", &[1, 2], &[]),
        image(b"/tmp/a/rather/long/dropper", &[2], &[]),
        Image {
            args: b"route\0",
            args_len: 6,
            ..ROUTE
        },
        Image {
            args: b"route\0",
            args_len: 7,
            ..ROUTE
        },
        Image {
            lost: true,
            ..image(b"/usr/bin/unclear", &[], &[])
        },
        KTHREAD,
        Image::LOST,
    ]
};

fn ops(pids: u32) -> impl Strategy<Value = Vec<Op>> {
    let (pid, image) = (1..=pids, 0..IMAGES.len());
    let op = prop_oneof![
        4 => (pid.clone(), image.clone()).prop_map(|(pid, image)| Op::Exec(pid, image)),
        6 => (pid.clone(), pid.clone()).prop_map(|(parent, child)| Op::Fork(parent, child)),
        2 => pid.clone().prop_map(Op::Exit),
        1 => (pid.clone(), 0..=pids, image).prop_map(|(pid, ppid, image)| Op::Seed(pid, ppid, image)),
        1 => (pid, 0..=pids).prop_map(|(pid, ppid)| Op::Adopt(pid, ppid)),
    ];
    prop::collection::vec(op, 1..120)
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Lost,
    None,
    To(usize),
}

#[derive(Clone, Copy, Debug)]
struct Node {
    pid: u32,
    ppid: u32,
    image: usize,
    parent: Link,
    exited: bool,
}

/// All processes there ever were, and which pid is whose now.
#[derive(Default)]
struct Model {
    nodes: Vec<Node>,
    pids: HashMap<u32, usize>,
}

impl Model {
    fn add(&mut self, node: Node) {
        if let Some(old) = self.pids.insert(node.pid, self.nodes.len()) {
            self.nodes[old].exited = true;
        }
        self.nodes.push(node);
    }

    /// Whether the operation makes sense: a fork of no process does not, nor a circle.
    fn apply(&mut self, op: Op) -> bool {
        match op {
            Op::Exec(pid, image) => match self.pids.get(&pid) {
                Some(&index) => self.nodes[index].image = image,
                None => self.add(Node {
                    pid,
                    ppid: 0,
                    image,
                    parent: Link::Lost,
                    exited: false,
                }),
            },
            Op::Fork(parent, child) => {
                let Some(&from) = self.pids.get(&parent) else {
                    return false;
                };
                if parent == child {
                    return false;
                }
                let (parent, ppid, image) = (Link::To(from), parent, self.nodes[from].image);
                self.add(Node {
                    pid: child,
                    ppid,
                    image,
                    parent,
                    exited: false,
                });
            }
            Op::Exit(pid) => {
                if let Some(&index) = self.pids.get(&pid) {
                    self.nodes[index].exited = true;
                }
            }
            Op::Seed(pid, ppid, image) => {
                let parent = if ppid == 0 { Link::None } else { Link::Lost };
                self.add(Node {
                    pid,
                    ppid,
                    image,
                    parent,
                    exited: false,
                });
            }
            Op::Adopt(pid, ppid) => {
                let Some(&index) = self.pids.get(&pid) else {
                    return false;
                };
                let parent = self.pids.get(&ppid).copied();
                if parent.is_some_and(|parent| self.line(parent).contains(&index)) {
                    return false;
                }
                let node = &mut self.nodes[index];
                node.ppid = ppid;
                node.parent = match parent {
                    Some(parent) => Link::To(parent),
                    None if ppid == 0 => Link::None,
                    None => Link::Lost,
                };
            }
        }
        true
    }

    /// A process and its ancestors.
    fn line(&self, index: usize) -> Vec<usize> {
        let mut line = vec![index];
        while let Link::To(parent) = self.nodes[line[line.len() - 1]].parent {
            line.push(parent);
        }
        line
    }

    fn process(&self, index: usize) -> Process<'static> {
        let Node {
            pid,
            ppid,
            image,
            exited,
            ..
        } = self.nodes[index];
        let Image {
            path,
            invoked,
            facts,
            fork_rules,
            exit_rules,
            args,
            args_len,
            lost,
        } = IMAGES[image];
        Process {
            pid,
            ppid,
            path,
            invoked,
            facts,
            fork_rules,
            exit_rules,
            args,
            args_len,
            lost,
            exited,
        }
    }
}

/// Does to the table what a sensor does: a parent that it does not know is read from `/proc`.
fn apply<const P: usize, const I: usize, const B: usize>(
    table: &mut Lineage<P, I, B>,
    model: &Model,
    op: Op,
) {
    match op {
        Op::Exec(pid, image) => table.exec(pid, &IMAGES[image]),
        Op::Exit(pid) => table.exit(pid),
        Op::Seed(pid, ppid, image) => table.seed(pid, ppid, &IMAGES[image]),
        Op::Adopt(pid, ppid) => table.adopt(pid, ppid),
        Op::Fork(parent, child) => {
            if table.fork(parent, child) == Err(UnknownParent) {
                // The model is a step ahead, but the fork has not changed the parent.
                let child = model.nodes.len() - 1;
                let Link::To(from) = model.nodes[child].parent else {
                    panic!()
                };
                let node = model.nodes[from];
                // Of a parent that exited, or whose pid is another's now, /proc tells nothing.
                let told = match node.parent {
                    Link::Lost => false,
                    Link::None => true,
                    Link::To(parent) => !model.nodes[parent].exited,
                };
                if told {
                    table.seed(parent, node.ppid, &IMAGES[node.image]);
                    table.adopt(parent, node.ppid);
                } else {
                    table.exec(parent, &IMAGES[node.image]);
                }
                assert_eq!(table.fork(parent, model.nodes[child].pid), Ok(()));
            }
        }
    }
    table.check();
}

/// What a small table says is true: it may be lost, and no more is known of `exited`.
fn agrees(got: Process<'_>, expected: Process<'_>) -> bool {
    let ppid = if got.ppid == 0 { 0 } else { expected.ppid };
    let expected = Process {
        ppid,
        exited: got.exited,
        ..expected
    };
    got == expected || got.lost && got.pid == expected.pid && got.path.is_none()
}

/// Runs a table that is too small.
fn run<const P: usize, const I: usize, const B: usize>(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut table = Lineage::<P, I, B>::new();
    let mut model = Model::default();
    for &op in ops {
        if !model.apply(op) {
            continue;
        }
        apply(&mut table, &model, op);
        for (&pid, &index) in &model.pids {
            if let Some(process) = table.get(pid) {
                prop_assert!(agrees(process, model.process(index)), "{:?}", process);
            }
            let line = model.line(index);
            match table.parent(pid) {
                Parent::Known(parent) => {
                    prop_assert!(line.len() > 1, "{:?} is nobody's parent", parent);
                    prop_assert!(agrees(parent, model.process(line[1])), "{:?}", parent);
                }
                Parent::None => prop_assert!(matches!(model.nodes[index].parent, Link::None)),
                Parent::Lost => {}
            }
            let ancestors: Vec<_> = table.ancestors(pid).collect();
            prop_assert!(ancestors.len() < line.len());
            for (&got, &index) in ancestors.iter().zip(&line[1..]) {
                prop_assert!(agrees(got, model.process(index)), "{:?}", got);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn with_room_every_answer_is_the_models(ops in ops(24)) {
        let mut table = Lineage::<128, 16, 256>::new();
        table.set_secret(5);
        let mut model = Model::default();
        for op in ops {
            if !model.apply(op) {
                continue;
            }
            apply(&mut table, &model, op);
            for pid in 0..=24 {
                let Some(&index) = model.pids.get(&pid) else {
                    prop_assert_eq!(table.get(pid), None);
                    prop_assert_eq!(table.parent(pid), Parent::Lost);
                    continue;
                };
                prop_assert_eq!(table.get(pid), Some(model.process(index)));
                let parent = match model.nodes[index].parent {
                    Link::Lost => Parent::Lost,
                    Link::None => Parent::None,
                    Link::To(parent) => Parent::Known(model.process(parent)),
                };
                prop_assert_eq!(table.parent(pid), parent);
                let line = model.line(index);
                let expected: Vec<_> = line[1..].iter().map(|&index| model.process(index)).collect();
                prop_assert_eq!(table.ancestors(pid).collect::<Vec<_>>(), expected);
            }
        }
        prop_assert_eq!(table.counters(), Counters::default());
    }

    #[test]
    fn without_room_no_answer_is_wrong(ops in ops(10)) {
        run::<3, 16, 256>(&ops)?;
        run::<5, 16, 256>(&ops)?;
        run::<8, 3, 256>(&ops)?;
        run::<8, 16, 32>(&ops)?;
        run::<12, 5, 64>(&ops)?;
    }
}
