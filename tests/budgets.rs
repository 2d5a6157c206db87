//! B1 and B3: the size of the sensor's binary, and that it holds no allocator. (B2 is in `live`.)

use std::fs;

use peewit_tests::{TARGET, program, sensor};

const KIB: u64 = 1024;

/// What the binary may have (B1), and what it has more than that since it has three sources and rules of all languages: to be
/// brought down, and not to grow.
const B1: u64 = 128 * KIB;
const OVER: u64 = 5 * KIB;

#[test]
fn b1_the_binary_is_small() {
    let Some(path) = sensor() else { return };
    let size = fs::metadata(path).expect("it is built").len();
    assert!(size <= B1 + OVER, "B1: {size} bytes");
}

#[test]
fn b3_there_is_no_allocator() {
    let Some(map) = program(&format!("{TARGET}/release/peewit.map")) else {
        return;
    };
    let map = fs::read_to_string(map).expect("the linker's map");
    assert!(
        map.contains("pthread_create"),
        "the map does not name what is linked in"
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
        assert_eq!(found, None, "B3");
    }
}

#[test]
fn the_binary_is_static() {
    let Some(path) = sensor() else { return };
    let elf = fs::read(path).expect("it is built");
    assert_eq!(&elf[..5], b"\x7fELF\x02", "a 64-bit ELF file");
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let long =
        |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (headers, size, count) = (long(32), half(54), half(56));
    let kinds = (0..count).map(|index| {
        u32::from_le_bytes(
            elf[headers + index * size..][..4]
                .try_into()
                .expect("four bytes"),
        )
    });
    const INTERPRETER: u32 = 3;
    assert!(
        !kinds.into_iter().any(|kind| kind == INTERPRETER),
        "it needs an interpreter"
    );
}
