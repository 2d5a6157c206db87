//! Marks on an alert.

use core::ops::{BitOr, BitOrAssign};

/// A set of marks on an alert. A reader keeps the bits that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(u32);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// Some copy in the alert was cut. All of it was matched.
    pub const TRUNCATED: Self = Self(1);
    /// A value over 1024 characters took part: Elasticsearch would not have seen it.
    pub const BEYOND_UPSTREAM: Self = Self(2);
    /// The program's file was unlinked while it ran.
    pub const DELETED: Self = Self(4);
    /// The parent was lost (a full table): its term, if it is one, is `unknown`.
    pub const LOST_PARENT: Self = Self(8);
    /// Sent while the device still learns which terms are usual.
    pub const LEARNING: Self = Self(16);
    /// The device's clock was not known to be right (adjtimex(2) did not call it synchronised).
    pub const CLOCK_UNTRUSTED: Self = Self(32);

    /// Each mark with its name in ECS (`peewit.alert.NAME`) and text.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::TRUNCATED, "truncated"),
        (Self::BEYOND_UPSTREAM, "beyond_upstream"),
        (Self::DELETED, "deleted"),
        (Self::LOST_PARENT, "lost_parent"),
        (Self::LEARNING, "learning"),
        (Self::CLOCK_UNTRUSTED, "clock_untrusted"),
    ];

    /// The set with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as on the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `marks` are in the set.
    pub const fn contains(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
