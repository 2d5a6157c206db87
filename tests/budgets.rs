//! B1 and B3: the size of the sensor's binary on each target, that it holds no allocator, and that it needs nothing else. (B2 is in
//! `live` and `machines`.)

use std::fs;

use peewit_tests::{TARGETS, budget, program};

/// A file of each target's build: those that are there.
fn built(name: &str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    TARGETS.into_iter().filter_map(move |target| {
        let path = program(&format!("{target}/release/{name}"))?;
        Some((target, fs::read(path).expect("it is built")))
    })
}

#[test]
fn b1_the_binary_is_small() {
    for (target, binary) in built("peewit") {
        let (size, most) = (binary.len() as u64, budget("binary", target));
        assert!(size <= most, "B1: {target} has {size} bytes of {most}");
    }
}

#[test]
fn b3_there_is_no_allocator() {
    for (target, map) in built("peewit.map") {
        let map = String::from_utf8(map).expect("the linker's map");
        assert!(
            map.contains("memcpy"),
            "{target}: the map does not name what is linked in"
        );
        for allocator in [
            "malloc",
            "calloc",
            "realloc",
            "free",
            "__rust_alloc",
            "sbrk",
        ] {
            let found = map
                .lines()
                .find(|line| line.split_whitespace().next_back() == Some(allocator));
            assert_eq!(found, None, "B3: {target}");
        }
    }
}

/// What the linker's script sets apart is there: a function that has another name now would stay in memory unnoticed.
#[test]
fn what_is_seldom_used_is_named_right() {
    let script = include_str!("../sensor/link.ld");
    let named: Vec<Vec<&str>> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("*(.text."))
        .map(|line| line.trim_end_matches(")").split('*').collect())
        .collect();
    assert!(!named.is_empty(), "{script}");
    for (target, map) in built("peewit.map") {
        let map = String::from_utf8(map).expect("the linker's map");
        let seldom = map.split_once(" .text.seldom\n").expect("a section").1;
        for parts in &named {
            let mut functions = seldom.lines().filter(|line| line.contains("(.text."));
            let is_there = functions.any(|line| {
                let mut rest = Some(line);
                for part in parts {
                    rest = rest
                        .and_then(|rest| rest.split_once(part))
                        .map(|(_, rest)| rest);
                }
                rest.is_some()
            });
            assert!(is_there, "{target}: {parts:?}");
        }
    }
}

/// A number of so many bytes, little-endian.
fn number(elf: &[u8], at: usize, length: usize) -> usize {
    let bytes = elf[at..at + length].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[test]
fn the_binary_is_static() {
    const DYNAMIC: usize = 2;
    const INTERPRETER: usize = 3;
    for (target, elf) in built("peewit") {
        assert_eq!(&elf[..4], b"\x7fELF", "{target}");
        // Where the program headers are, how long one is, and how many; of 32 and of 64 bits.
        let (headers, size, count) = match elf[4] {
            1 => (
                number(&elf, 28, 4),
                number(&elf, 42, 2),
                number(&elf, 44, 2),
            ),
            _ => (
                number(&elf, 32, 8),
                number(&elf, 54, 2),
                number(&elf, 56, 2),
            ),
        };
        let kinds: Vec<_> = (0..count)
            .map(|index| number(&elf, headers + index * size, 4))
            .collect();
        assert!(!kinds.is_empty(), "{target}");
        for kind in [DYNAMIC, INTERPRETER] {
            assert!(!kinds.contains(&kind), "{target}: {kinds:?}");
        }
    }
}
