//! How well the sensor sees, and what it has lost.

/// How many things [`Health`] counts.
pub const COUNTS: usize = 28;

/// How the sensor is: written at its start and end, after a loss, and now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Health {
    /// When, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The same on `CLOCK_BOOTTIME`.
    pub boot_ms: u64,
    /// Why it is said now.
    pub reason: Reason,
    /// Where events come from.
    pub source: Source,
    /// What stands in the way of seeing all. None: capture is complete.
    pub limits: Limits,
    /// How often each thing has happened since the start: see [`Count`].
    pub counts: [u64; COUNTS],
}

impl Health {
    /// How often a thing has happened.
    pub fn count(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or(0)
    }

    /// `complete`, if each exec is seen and was seen since the record before; else `best effort`.
    pub fn grade(&self) -> &'static str {
        if self.limits == Limits::NONE {
            "complete"
        } else {
            "best effort"
        }
    }
}

/// Why the sensor says how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// It begins to watch.
    Start,
    /// It ends.
    Stop,
    /// It is time again.
    Interval,
    /// Something was lost.
    Loss,
    /// Events had stopped, or come again.
    Silence,
    /// Somebody asked.
    Status,
    /// Rules, configuration and exceptions were read again, or refused.
    Reload,
}

impl Reason {
    /// All of them. The place is the number on the wire.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Stop,
        Self::Interval,
        Self::Loss,
        Self::Silence,
        Self::Status,
        Self::Reload,
    ];

    /// The name, for ECS `event.action`.
    #[inline(never)]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Interval => "interval",
            Self::Loss => "loss",
            Self::Silence => "silence",
            Self::Status => "status",
            Self::Reload => "reload",
        }
    }
}

/// Where events come from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Source {
    /// The process connector.
    Connector,
    /// Tracepoints, through perf.
    Perf,
    /// Files that are opened to be executed.
    Fanotify,
}

impl Source {
    /// All of them, the best first. The place is the number on the wire.
    pub const ALL: [Self; 3] = [Self::Connector, Self::Perf, Self::Fanotify];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Perf => "perf",
            Self::Fanotify => "fanotify",
        }
    }
}

/// What a [`Health`] counts. Its place is the number's in [`Health::counts`]; new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Execs seen.
    Execs,
    /// Of them those whose program, arguments and parent are all known.
    Complete,
    /// Execs whose program was gone before it could be read.
    ProgramGone,
    /// Execs whose arguments alone could not be read.
    ArgumentsGone,
    /// Execs that could not be read for lack of a right.
    Denied,
    /// Execs of which only the parent is not known.
    ParentUnknown,
    /// New processes.
    Forks,
    /// Execs that the kernel had no room for.
    ExecsDropped,
    /// The same of forks and ends, which are then looked up.
    ForksDropped,
    /// How often the kernel had no room.
    Overruns,
    /// Alerts raised.
    Alerts,
    /// Alerts for which the queue had no room.
    AlertsLost,
    /// Alerts that the log did not take.
    AlertsUnwritten,
    /// Events that the file of all events did not take.
    EventsLost,
    /// Processes in the table, now.
    Processes,
    /// Processes forgotten though they may still run.
    ProcessesForgotten,
    /// Parents forgotten before their children.
    ParentsForgotten,
    /// Programs of processes that there was no room to remember.
    ImagesForgotten,
    /// Terms forgotten before their window was over.
    TermsForgotten,
    /// Own children that were started to be seen, and were not.
    CanariesMissed,
    /// Alerts that the rate limit held back.
    HeldBack,
    /// Alerts that an exception of this device silenced.
    Excepted,
    /// Alerts in segments of the log that were removed before anybody said that they were consumed.
    AlertsDropped,
    /// Terms that are known, now.
    Terms,
    /// Of them those that were seen only once.
    TermsOnce,
    /// Records that the state did not take.
    StateUnwritten,
    /// How often rules, configuration and exceptions were read again.
    Reloads,
    /// How often they were bad, and the old ones kept.
    ReloadsRefused,
}

/// The names of what is counted, in ECS (`peewit.health.NAME`) and text.
pub const COUNT_NAMES: [&str; COUNTS] = [
    "execs",
    "complete",
    "program_gone",
    "arguments_gone",
    "denied",
    "parent_unknown",
    "forks",
    "execs_dropped",
    "forks_dropped",
    "overruns",
    "alerts",
    "alerts_lost",
    "alerts_unwritten",
    "events_lost",
    "processes",
    "processes_forgotten",
    "parents_forgotten",
    "images_forgotten",
    "terms_forgotten",
    "canaries_missed",
    "held_back",
    "excepted",
    "alerts_dropped",
    "terms",
    "terms_once",
    "state_unwritten",
    "reloads",
    "reloads_refused",
];

/// What stands in the way of seeing every exec whole. A reader keeps the bits that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits(u32);

impl Limits {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// No real-time priority: programs that end at once may be gone before they are read.
    pub const NO_REALTIME: Self = Self(1);
    /// There are CPUs without a thread of their own: what starts there is seen late.
    pub const CPUS_SHARED: Self = Self(2);
    /// Programs of some processes may not be read.
    pub const UNREADABLE: Self = Self(4);
    /// The kernel's buffers are small: a burst of events may not fit.
    pub const SMALL_BUFFERS: Self = Self(8);
    /// The source tells of an exec when it begins, not when it is done, and of forks and ends not at all.
    pub const EXECS_ONLY: Self = Self(16);
    /// Not the host's pid namespace: only the processes in it are seen.
    pub const PID_NAMESPACE: Self = Self(32);
    /// Something was lost since the record before.
    pub const LOSS: Self = Self(64);
    /// No events come.
    pub const SILENT: Self = Self(128);

    /// Each with its name in ECS and text.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::NO_REALTIME, "no_realtime"),
        (Self::CPUS_SHARED, "cpus_shared"),
        (Self::UNREADABLE, "unreadable"),
        (Self::SMALL_BUFFERS, "small_buffers"),
        (Self::EXECS_ONLY, "execs_only"),
        (Self::PID_NAMESPACE, "pid_namespace"),
        (Self::LOSS, "loss"),
        (Self::SILENT, "silent"),
    ];

    /// Those with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as on the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `limits` are among them.
    pub const fn contains(self, limits: Self) -> bool {
        self.0 & limits.0 == limits.0
    }

    /// With `limit` among them, if `holds`.
    pub const fn with(self, limit: Self, holds: bool) -> Self {
        Self(if holds {
            self.0 | limit.0
        } else {
            self.0 & !limit.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_place() {
        assert_eq!(Count::ReloadsRefused as usize, COUNTS - 1);
        assert_eq!(COUNT_NAMES[Count::ExecsDropped as usize], "execs_dropped");
        assert_eq!(
            COUNT_NAMES[Count::TermsForgotten as usize],
            "terms_forgotten"
        );
    }

    #[test]
    fn limits_are_set_and_cleared() {
        let limits = Limits::NONE
            .with(Limits::LOSS, true)
            .with(Limits::NO_REALTIME, true)
            .with(Limits::SILENT, false);
        assert_eq!(limits.bits(), 65);
        assert_eq!(limits.with(Limits::LOSS, false), Limits::NO_REALTIME);
        assert!(limits.contains(Limits::LOSS) && !limits.contains(Limits::SILENT));
    }
}
