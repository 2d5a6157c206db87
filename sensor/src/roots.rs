//! Programs that are known to have started with the host's root directory.
//!
//! Whether a process sees another root than we do takes a look into `/proc`, which would be a tenth of what an exec costs.
//! The same program started by the same process is nearly always started the same way, so that is remembered for a while.
//! If it was not, what its rules see is the path as the host knows it.

/// How many are remembered.
const PLACES: usize = 8;

/// How often may be asked before all of them are looked at again.
const LIFE: u8 = 200;

/// Some programs, each with the process that started it.
#[derive(Debug)]
pub struct Roots {
    known: [u64; PLACES],
    asked: u8,
}

impl Roots {
    /// None is known.
    pub const fn new() -> Self {
        Self {
            known: [0; PLACES],
            asked: 0,
        }
    }

    /// Whether this program, started by this process, had the host's root directory not long ago.
    pub fn is_host(&mut self, key: u64) -> bool {
        self.asked += 1;
        if self.asked > LIFE {
            *self = Self::new();
        }
        key != 0 && self.known.get(place(key)) == Some(&key)
    }

    /// It has.
    pub fn insert(&mut self, key: u64) {
        if let Some(known) = self.known.get_mut(place(key)) {
            *known = key;
        }
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self::new()
    }
}

/// Stands for a program and the process that started it. Never 0.
pub fn key(program: &[u8], parent: u32) -> u64 {
    // FNV-1a. Who makes two of them meet has only changed which of two paths of its own program is looked at.
    let start = 0xcbf2_9ce4_8422_2325 ^ u64::from(parent);
    let hash = program.iter().fold(start, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash | 1 << 63
}

fn place(key: u64) -> usize {
    (key >> 32) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_for_a_while() {
        let mut roots = Roots::new();
        let this = key(b"/bin/true", 7);
        assert!(!roots.is_host(this));
        roots.insert(this);
        assert!(!roots.is_host(key(b"/bin/true", 8)));
        assert!(!roots.is_host(key(b"/bin/tru", 7)));
        assert!(!roots.is_host(0));
        for _ in 4..LIFE {
            assert!(roots.is_host(this));
        }
        assert!(!roots.is_host(this));
    }
}
