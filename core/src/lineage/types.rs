//! What the table takes and what it answers.

use crate::packed::Packed;

/// Most bytes of packed facts kept for an image: a hundred and more. With more it is kept without any, as lost.
pub const MAX_FACTS: usize = 240;
/// Most bytes of packed fork rules, and of exit rules, kept for an image. With more it is kept without any, as lost.
pub const MAX_RULES: usize = 16;
/// Most bytes of arguments kept for an image.
pub const MAX_ARGS: usize = 512;

/// What an executed program is for its children and forks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Image<'a> {
    /// The executable. `None` for a kernel thread, or if it could not be read (then `lost`).
    pub path: Option<&'a [u8]>,
    /// The path by which it was invoked, where a rule's alerts or state are told apart by it or its name.
    pub invoked: Option<&'a [u8]>,
    /// The atoms that hold for the process as a parent.
    pub facts: Packed<'a>,
    /// The rules that hold for a fork of the process.
    pub fork_rules: Packed<'a>,
    /// The rules that may hold for its end.
    pub exit_rules: Packed<'a>,
    /// The arguments, each ended by NUL. Kept only beside fork and exit rules, and cut at [`MAX_ARGS`].
    pub args: &'a [u8],
    /// Length of all arguments in bytes, before any cut.
    pub args_len: u32,
    /// Path, facts or rules are not all there: for the children, parent fields are
    /// [`crate::event::Values::Lost`]; for a fork, rules have to be evaluated again.
    pub lost: bool,
}

impl Image<'_> {
    /// A program of which nothing is known.
    pub const LOST: Self = Self {
        path: None,
        invoked: None,
        facts: Packed::EMPTY,
        fork_rules: Packed::EMPTY,
        exit_rules: Packed::EMPTY,
        args: &[],
        args_len: 0,
        lost: true,
    };
}

/// A process as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Process<'a> {
    /// Its pid (a thread group's id).
    pub pid: u32,
    /// Its parent's pid; 0 if it has none or none is known.
    pub ppid: u32,
    /// The executable. `None` for a kernel thread, or if it is not known (then `lost`).
    pub path: Option<&'a [u8]>,
    /// The path by which it was invoked, if that was kept.
    pub invoked: Option<&'a [u8]>,
    /// The atoms that hold for it as a parent.
    pub facts: Packed<'a>,
    /// The rules that hold for a fork of it.
    pub fork_rules: Packed<'a>,
    /// The rules that may hold for its end.
    pub exit_rules: Packed<'a>,
    /// Its arguments, each ended by NUL, the last one possibly cut. Empty without fork and exit rules.
    pub args: &'a [u8],
    /// Length of all its arguments in bytes: more than that of `args` if the copy was cut.
    pub args_len: u32,
    /// Path, facts or rules are not all there.
    pub lost: bool,
    /// It is known to have exited, or its pid belongs to another process now.
    pub exited: bool,
}

/// A process's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Parent<'a> {
    /// What the parent is now, or was last. Look at [`Process::lost`].
    Known(Process<'a>),
    /// The kernel started it: its ppid is 0.
    None,
    /// It had one that is not known, or the process itself is not known.
    Lost,
}

/// The forking process is not in the table: seed it from `/proc` and call again. Where that
/// fails too, [`super::Lineage::exec`] with [`Image::LOST`] enters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownParent;

impl core::fmt::Display for UnknownParent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the forking process is not in the lineage table")
    }
}

impl core::error::Error for UnknownParent {}

/// What did not fit, since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Processes forgotten after their exit.
    pub evicted_exited: u64,
    /// Processes forgotten though they may still run.
    pub evicted_live: u64,
    /// Links to a parent that had to be dropped, so that it became [`Parent::Lost`].
    pub parents_lost: u64,
    /// Images for which there was no room: name, facts and rules are lost.
    pub images_lost: u64,
    /// Images with more than [`MAX_FACTS`] bytes of facts.
    pub facts_lost: u64,
    /// Images with more than [`MAX_RULES`] bytes of fork or exit rules.
    pub rules_lost: u64,
}
