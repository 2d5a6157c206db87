//! The ECS fields that rules may ask for.
//!
//! Names are those of the Elastic Common Schema 8 and of Elastic's endpoint
//! integration; `invoked`, by which a program was started, is our own. The number of a field is part of the pack format: append, never
//! reorder.

/// What kind of values a field holds, and so which predicates fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Type {
    /// Byte strings compared whole. Elasticsearch does not index such a value if
    /// it is longer than [`KEYWORD_LIMIT`].
    Keyword,
    /// Byte strings compared whole, of any length (Elasticsearch's `wildcard`).
    Wildcard,
    /// Whole numbers; a boolean is 0 or 1.
    Number,
}

/// Longest keyword value, in UTF-16 code units, that Elasticsearch indexes
/// (`ignore_above` in the mappings of process events).
pub const KEYWORD_LIMIT: usize = 1024;

/// What a value costs on a device: fields are evaluated cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cost {
    /// The same for every event of a kind.
    Constant,
    /// In the lineage table, evaluated when the parent itself exec'd.
    Lineage,
    /// Read for every exec anyway.
    Captured,
    /// Read for every exec anyway, but of any length.
    CapturedLong,
    /// One more read of `/proc`.
    Read,
    /// No device has it (yet).
    Absent,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $ty:ident, $cost:ident;)*) => {
        /// A field of a process event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum Field { $(#[doc = concat!("`", $name, "`")] $variant,)* }

        impl Field {
            /// Every field, in the order of their numbers.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// All names, each ended by a line feed.
            const NAMES: &'static [u8] = concat!($($name, "\n"),*).as_bytes();

            /// The dotted ECS name.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// The kind of its values.
            pub const fn ty(self) -> Type {
                match self { $(Field::$variant => Type::$ty,)* }
            }

            /// What it costs a device to know it.
            pub const fn cost(self) -> Cost {
                match self { $(Field::$variant => Cost::$cost,)* }
            }
        }
    };
}

fields! {
    HostOsType = "host.os.type", Keyword, Constant;
    HostId = "host.id", Keyword, Constant;
    EventKind = "event.kind", Keyword, Constant;
    EventCategory = "event.category", Keyword, Constant;
    EventType = "event.type", Keyword, Constant;
    EventAction = "event.action", Keyword, Constant;
    EventOutcome = "event.outcome", Keyword, Absent;
    ProcessExecutable = "process.executable", Keyword, Captured;
    ProcessName = "process.name", Keyword, Captured;
    ProcessArgs = "process.args", Keyword, CapturedLong;
    ProcessArgsCount = "process.args_count", Number, CapturedLong;
    ProcessCommandLine = "process.command_line", Wildcard, CapturedLong;
    ProcessWorkingDirectory = "process.working_directory", Keyword, Read;
    ProcessPid = "process.pid", Number, Captured;
    ProcessEntityId = "process.entity_id", Keyword, Read;
    ProcessInteractive = "process.interactive", Number, Read;
    ProcessEnvVars = "process.env_vars", Keyword, Read;
    ProcessExitCode = "process.exit_code", Number, Captured;
    ProcessLogonId = "process.logon_id", Keyword, Read;
    ProcessCapabilitiesEffective = "process.thread.capabilities.effective", Keyword, Read;
    ProcessCapabilitiesPermitted = "process.thread.capabilities.permitted", Keyword, Read;
    ProcessUserId = "process.user.id", Keyword, Read;
    ProcessRealUserId = "process.real_user.id", Keyword, Read;
    ProcessGroupId = "process.group.id", Keyword, Read;
    ProcessRealGroupId = "process.real_group.id", Keyword, Read;
    EntryLeaderType = "process.entry_leader.entry_meta.type", Keyword, Read;
    EntryLeaderEntityId = "process.entry_leader.entity_id", Keyword, Read;
    EntryLeaderExecutable = "process.entry_leader.executable", Keyword, Read;
    EntryLeaderArgs = "process.entry_leader.args", Keyword, Read;
    SessionLeaderName = "process.session_leader.name", Keyword, Read;
    GroupLeaderName = "process.group_leader.name", Keyword, Read;
    ParentExecutable = "process.parent.executable", Keyword, Lineage;
    ParentName = "process.parent.name", Keyword, Lineage;
    ParentArgs = "process.parent.args", Keyword, Lineage;
    ParentArgsCount = "process.parent.args_count", Number, Lineage;
    ParentCommandLine = "process.parent.command_line", Wildcard, Lineage;
    ParentPid = "process.parent.pid", Number, Captured;
    ParentEntityId = "process.parent.entity_id", Keyword, Read;
    ParentWorkingDirectory = "process.parent.working_directory", Keyword, Read;
    ParentInteractive = "process.parent.interactive", Number, Read;
    ParentUserId = "process.parent.user.id", Keyword, Read;
    ParentGroupId = "process.parent.group.id", Keyword, Read;
    UserId = "user.id", Keyword, Read;
    UserName = "user.name", Keyword, Read;
    ContainerId = "container.id", Keyword, Read;
    UserRealId = "user.Ext.real.id", Keyword, Read;
    GroupRealId = "group.Ext.real.id", Keyword, Read;
    ProcessInvokedPath = "process.invoked.path", Keyword, Read;
    ProcessInvokedName = "process.invoked.name", Keyword, Read;
    ParentInvokedPath = "process.parent.invoked.path", Keyword, Lineage;
    ParentInvokedName = "process.parent.invoked.name", Keyword, Lineage;
}

impl Field {
    /// Whether an event can have several values of it.
    pub const fn has_several(self) -> bool {
        matches!(
            self,
            Self::ProcessArgs
                | Self::ParentArgs
                | Self::EntryLeaderArgs
                | Self::ProcessEnvVars
                | Self::ProcessCapabilitiesEffective
                | Self::ProcessCapabilitiesPermitted
                | Self::EventCategory
                | Self::EventType
                | Self::EventAction
        )
    }

    /// Whether it says by what a program was invoked.
    pub const fn is_invoked(self) -> bool {
        matches!(
            self,
            Self::ProcessInvokedPath
                | Self::ProcessInvokedName
                | Self::ParentInvokedPath
                | Self::ParentInvokedName
        )
    }
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The field of a number, as packs hold it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The field of a dotted name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    /// The field of a dotted name that may be no text. Looks through one list: a device has no table of names.
    #[inline(never)]
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        let mut names = crate::parts(Self::NAMES, b'\n');
        let place = names.position(|known| known == name)?;
        Self::ALL.get(place).copied()
    }

    /// Its number, as packs hold it.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The field of a process that is `self` of its children: what is evaluated
    /// when a process execs and remembered for its children.
    pub const fn of_parent(self) -> Option<Self> {
        Some(match self {
            Field::ProcessExecutable => Field::ParentExecutable,
            Field::ProcessName => Field::ParentName,
            Field::ProcessArgs => Field::ParentArgs,
            Field::ProcessArgsCount => Field::ParentArgsCount,
            Field::ProcessCommandLine => Field::ParentCommandLine,
            Field::ProcessInvokedPath => Field::ParentInvokedPath,
            Field::ProcessInvokedName => Field::ParentInvokedName,
            _ => return None,
        })
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FieldSet(u64);

static_assertions::const_assert!(Field::COUNT <= 64);

impl FieldSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The fields of these bits, by number.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// These fields.
    pub const fn of(fields: &[Field]) -> Self {
        let mut set = Self::EMPTY;
        let mut rest = fields;
        while let [field, others @ ..] = rest {
            set.insert(*field);
            rest = others;
        }
        set
    }

    /// Those that are in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The fields of a cost.
    pub const fn of_cost(cost: Cost) -> Self {
        const BY_COST: [FieldSet; 6] = {
            let mut sets = [FieldSet::EMPTY; 6];
            let mut rest = Field::ALL;
            while let [field, others @ ..] = rest {
                sets[field.cost() as usize].insert(*field);
                rest = others;
            }
            sets
        };
        BY_COST[cost as usize]
    }

    /// Those that are in one of them.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A bit for each field, by number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `field` is in it.
    pub const fn contains(self, field: Field) -> bool {
        self.0 >> field.number() & 1 == 1
    }

    /// Puts `field` in.
    pub const fn insert(&mut self, field: Field) {
        self.0 |= 1 << field.number();
    }

    /// Takes `field` out.
    pub const fn remove(&mut self, field: Field) {
        self.0 &= !(1 << field.number());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for (number, field) in Field::ALL.iter().enumerate() {
            assert_eq!(usize::from(field.number()), number);
            assert_eq!(Field::from_number(field.number()), Some(*field));
            assert_eq!(Field::from_name(field.name()), Some(*field));
        }
        assert_eq!(Field::from_number(Field::COUNT as u8), None);
        assert_eq!(Field::from_name("process.nmae"), None);
        assert_eq!(Field::from_name(""), None);
    }

    /// Packs hold these numbers: a change here breaks every pack in the field.
    #[test]
    fn numbers_are_stable() {
        assert_eq!(Field::HostOsType.number(), 0);
        assert_eq!(Field::ProcessExecutable.number(), 7);
        assert_eq!(Field::ParentExecutable.number(), 31);
        assert_eq!(Field::GroupRealId.number(), 46);
        assert_eq!(Field::ParentInvokedName.number(), 50);
    }
}
