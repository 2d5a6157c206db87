//! `/proc/PID/status`: parent, users, groups, capabilities.

use super::Proc;
use crate::sys::Errno;
use crate::text::number;
use peewit_core::parts;

/// What a process' `status` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The parent; 0 if it has none in this pid namespace.
    pub parent: u32,
    /// The real user.
    pub user: u32,
    /// The effective user.
    pub effective_user: u32,
    /// The real group.
    pub group: u32,
    /// The effective group.
    pub effective_group: u32,
    /// Bits of the permitted and the effective capabilities; `None` behind a list of groups longer than what is read.
    pub capabilities: Option<(u64, u64)>,
}

/// Names of the capabilities, by their bits (`linux/capability.h`), each ended by NUL.
pub static CAPABILITIES: &[u8] = concat!(
    "CAP_CHOWN\0",
    "CAP_DAC_OVERRIDE\0",
    "CAP_DAC_READ_SEARCH\0",
    "CAP_FOWNER\0",
    "CAP_FSETID\0",
    "CAP_KILL\0",
    "CAP_SETGID\0",
    "CAP_SETUID\0",
    "CAP_SETPCAP\0",
    "CAP_LINUX_IMMUTABLE\0",
    "CAP_NET_BIND_SERVICE\0",
    "CAP_NET_BROADCAST\0",
    "CAP_NET_ADMIN\0",
    "CAP_NET_RAW\0",
    "CAP_IPC_LOCK\0",
    "CAP_IPC_OWNER\0",
    "CAP_SYS_MODULE\0",
    "CAP_SYS_RAWIO\0",
    "CAP_SYS_CHROOT\0",
    "CAP_SYS_PTRACE\0",
    "CAP_SYS_PACCT\0",
    "CAP_SYS_ADMIN\0",
    "CAP_SYS_BOOT\0",
    "CAP_SYS_NICE\0",
    "CAP_SYS_RESOURCE\0",
    "CAP_SYS_TIME\0",
    "CAP_SYS_TTY_CONFIG\0",
    "CAP_MKNOD\0",
    "CAP_LEASE\0",
    "CAP_AUDIT_WRITE\0",
    "CAP_AUDIT_CONTROL\0",
    "CAP_SETFCAP\0",
    "CAP_MAC_OVERRIDE\0",
    "CAP_MAC_ADMIN\0",
    "CAP_SYSLOG\0",
    "CAP_WAKE_ALARM\0",
    "CAP_BLOCK_SUSPEND\0",
    "CAP_AUDIT_READ\0",
    "CAP_PERFMON\0",
    "CAP_BPF\0",
    "CAP_CHECKPOINT_RESTORE\0",
)
.as_bytes();

impl Proc {
    /// Its parent, users, groups and capabilities.
    ///
    /// # Errors
    /// [`Errno::NOT_FOUND`] if it is gone altogether; a process that has ended but was not waited for
    /// still has them.
    // Not inlined: the buffer would stay on its callers' stacks.
    #[inline(never)]
    pub fn status(&self, pid: u32) -> Result<Status, Errno> {
        let mut buffer = [0; 1536];
        parse(self.read_of(pid, b"status", &mut buffer)?).ok_or(Errno::INVALID)
    }
}

/// The value of a line `KEY:\tVALUE` of a status file.
pub fn line<'a>(file: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    parts(file, b'\n').find_map(|line| line.strip_prefix(key)?.strip_prefix(b":\t"))
}

fn parse(status: &[u8]) -> Option<Status> {
    // The first line is `Name:`, in which the kernel escapes newlines.
    let (user, effective_user) = pair(line(status, b"Uid")?)?;
    let (group, effective_group) = pair(line(status, b"Gid")?)?;
    let bits = |key| hexadecimal(line(status, key)?);
    Some(Status {
        parent: u32::try_from(number(line(status, b"PPid")?)?).ok()?,
        user,
        effective_user,
        group,
        effective_group,
        capabilities: bits(b"CapPrm").zip(bits(b"CapEff")),
    })
}

/// The real and the effective one.
fn pair(ids: &[u8]) -> Option<(u32, u32)> {
    let mut ids = parts(ids, b'\t');
    let mut id = || u32::try_from(number(ids.next()?)?).ok();
    Some((id()?, id()?))
}

/// A number of exactly 16 hexadecimal digits: less may have been cut.
pub fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.len() != 16 {
        return None;
    }
    digits.iter().try_fold(0, |number, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_behind_a_hostile_name() {
        let status = b"Name:\tUid:\\n7\nUmask:\t0022\nState:\tR (running)\nTgid:\t9\nPid:\t9\nPPid:\t4\nUid:\t1000\t0\t0\t0\nGid:\t5\t6\t5\t5\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\n";
        let expected = Status {
            parent: 4,
            user: 1000,
            effective_user: 0,
            group: 5,
            effective_group: 6,
            capabilities: Some((0x1FF_FFFF_FFFF, 1 << 19)),
        };
        assert_eq!(parse(status), Some(expected));
        let cut = Status {
            capabilities: None,
            ..expected
        };
        assert_eq!(parse(&status[..status.len() - 3]), Some(cut));
        assert_eq!(parse(&status[..70]), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_process() {
        let proc = Proc::open().unwrap();
        let status = proc.status(crate::sys::process_id()).unwrap();
        assert_eq!(status.parent, std::os::unix::process::parent_id());
        assert!(status.capabilities.is_some());
        assert_eq!(proc.status(0), Err(Errno::NOT_FOUND));
    }
}
