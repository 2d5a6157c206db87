//! Time that counts: how old the state is, over restarts.

use super::Saved;

/// What the clocks said at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Age of the state in ms: the time it was in use, and the time switched off as far as that is known.
    pub age_ms: u64,
    /// Since 1970 UTC.
    pub wall_ms: u64,
    /// Since the kernel started.
    pub boot_ms: u64,
    /// Which start of the kernel that was, as its boot id.
    pub boot: [u8; 16],
    /// Whether the wall clock was known to be right.
    pub trusted: bool,
}

/// What is known of the time since the state was last in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// The kernel has run all the time: it is exact.
    None,
    /// Switched off for so many ms, of which the running time before and after may be a part: counted.
    Counted(u64),
    /// Switched off for a time that is not known, for at one of its ends the wall clock was not known to be right: not counted.
    Unknown,
}

impl Saved {
    /// How old the state is at this moment, whose `age_ms` says nothing yet.
    pub fn age(&self, now: &Clock) -> (u64, Off) {
        let Some(last) = self.clock else {
            return (self.age_ms, Off::None);
        };
        let same = last.boot == now.boot && last.boot_ms <= now.boot_ms;
        // This start of the kernel has come later than all that is in the state.
        let ran = match same {
            true => last.age_ms.saturating_add(now.boot_ms - last.boot_ms),
            false => self.age_ms.saturating_add(now.boot_ms),
        };
        let ran = ran.max(self.age_ms);
        match self.trusted {
            Some(trusted) if trusted.boot == now.boot && same => (ran, Off::None),
            Some(trusted) if now.trusted && now.wall_ms >= trusted.wall_ms => {
                let since = now.wall_ms - trusted.wall_ms;
                let age = trusted.age_ms.saturating_add(since).max(ran);
                (age, Off::Counted(age - ran))
            }
            None if same => (ran, Off::None),
            _ => (ran, Off::Unknown),
        }
    }
}
