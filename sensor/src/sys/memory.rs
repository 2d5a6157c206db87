//! Memory of our own beside the program's: big, seldom touched, or locked.

use core::ffi::c_long;
use core::ptr;
use core::sync::atomic::AtomicU8;

use super::Errno;
use super::call::call;

/// mmap(2); on arm the one that counts in pages.
#[cfg(target_pointer_width = "64")]
pub(super) const MMAP: c_long = libc::SYS_mmap;
#[cfg(target_pointer_width = "32")]
pub(super) const MMAP: c_long = libc::SYS_mmap2;

/// Anonymous memory, all zero, given back when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: *mut u8,
    length: usize,
}

// SAFETY: the memory belongs to this value alone and goes with it.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// So many bytes (rounded up to pages by the kernel). They take up memory only as far as they are touched, even where
    /// [`lock_on_fault`] is in force.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new(length: usize) -> Result<Self, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: new memory at a place of the kernel's choice.
        let start = unsafe { call!(MMAP, 0, length, protection, flags, -1, 0) }?;
        // SAFETY: the range has just been mapped. Locked memory cannot be given back piecemeal.
        let _ = unsafe { call!(libc::SYS_munlock, start, length) };
        Ok(Self {
            start: ptr::with_exposed_provenance_mut(start),
            length,
        })
    }

    /// All of it, to look at.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: mapped, ours, and zero where nothing was written.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    /// All of it.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped, ours, and zero where nothing was written.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.length) }
    }

    /// All of it, for as long as the process lives.
    pub fn leak(mut self) -> &'static mut [u8] {
        let bytes: *mut [u8] = self.bytes();
        core::mem::forget(self);
        // SAFETY: never unmapped now, and nobody else has it.
        unsafe { &mut *bytes }
    }

    /// All of it, for as long as the process lives, for several threads.
    pub fn share(self) -> &'static [AtomicU8] {
        let bytes = self.leak();
        // SAFETY: an `AtomicU8` is laid out as a `u8`, and nobody else has the bytes.
        unsafe { core::slice::from_raw_parts(bytes.as_mut_ptr().cast(), bytes.len()) }
    }

    /// Puts a value at its beginning, where it stays for as long as the process lives.
    ///
    /// # Errors
    /// Those of [`Mapping::new`].
    pub fn place<T>(value: T) -> Result<&'static mut T, Errno> {
        let start = Self::new(size_of::<T>())?.leak().as_mut_ptr().cast::<T>();
        // SAFETY: long enough, aligned to a page, never unmapped, and nobody else has it.
        unsafe {
            start.write(value);
            Ok(&mut *start)
        }
    }

    /// Gives the pages back. What was in them is zero again.
    pub fn release(&mut self) {
        // SAFETY: the range is ours; anonymous pages read as zero afterwards.
        let _ = unsafe {
            call!(
                libc::SYS_madvise,
                self.start,
                self.length,
                libc::MADV_DONTNEED
            )
        };
    }

    /// Keeps so many bytes at `offset` in memory; takes up memory for them at once.
    ///
    /// # Errors
    /// Those of mlock(2).
    pub(super) fn lock(&self, offset: usize, length: usize) -> Result<(), Errno> {
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.length)
        {
            return Err(Errno::INVALID);
        }
        // SAFETY: within the mapping.
        unsafe { call!(libc::SYS_mlock, self.start.add(offset), length) }.map(drop)
    }

    /// Makes the first bytes a guard: touching them ends the process.
    pub(super) fn guard(&self, length: usize) -> Result<(), Errno> {
        if length > self.length {
            return Err(Errno::INVALID);
        }
        // SAFETY: within the mapping, and nobody has a reference into it yet.
        unsafe { call!(libc::SYS_mprotect, self.start, length, libc::PROT_NONE) }.map(drop)
    }

    /// Its first byte.
    pub(super) const fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours and nobody can refer to it any more.
        let _ = unsafe { call!(libc::SYS_munmap, self.start, self.length) };
    }
}

/// From now on keeps in memory what has once been touched, and nothing else: code that a
/// real-time thread has run is not read from a disk again (kernels since 4.4).
///
/// # Errors
/// Those of mlockall(2).
pub fn lock_on_fault() -> Result<(), Errno> {
    // SAFETY: changes no memory.
    unsafe {
        call!(
            libc::SYS_mlockall,
            libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT
        )
    }
    .map(drop)
}

/// Gives back what the calling thread's stack took up where it was deeper than now, up to 64 KiB.
#[inline(never)]
pub fn release_stack() {
    const PAGE: usize = 4096;
    const MOST: usize = 64 << 10;
    let here = 0u8;
    // What lies more than a page below the frame of this function is in use by nobody, whatever the page size.
    let end =
        (ptr::from_ref(&here).addr() & !(super::thread::page_size() - 1)).saturating_sub(PAGE);
    let end = end & !(super::thread::page_size() - 1);
    let start = end.saturating_sub(MOST);
    // SAFETY: below the stack pointer there is nothing that the program may use again without writing it first. Where
    // nothing is mapped, nothing happens. Locked memory cannot be given back.
    unsafe {
        let _ = call!(libc::SYS_munlock, start, MOST);
        let _ = call!(libc::SYS_madvise, start, MOST, libc::MADV_DONTNEED);
    }
}

unsafe extern "C" {
    /// Where the code of commands and of the beginning lies, and where it ends: `link.ld` says what that is.
    safe static peewit_seldom: u8;
    safe static peewit_seldom_end: u8;
}

/// Gives back the memory of code that is seldom used: where it is, the kernel maps all of it around whatever was called. It can be called
/// again as ever.
pub fn release_code() {
    let page = super::thread::page_size();
    let start = (&raw const peewit_seldom).addr().next_multiple_of(page);
    let end = (&raw const peewit_seldom_end).addr();
    let length = end.next_multiple_of(page).saturating_sub(start);
    // SAFETY: whole pages that are only read, and that come from the program's file again. Locked memory cannot be given back.
    unsafe {
        let _ = call!(libc::SYS_munlock, start, length);
        let _ = call!(libc::SYS_madvise, start, length, libc::MADV_DONTNEED);
    }
}

/// Keeps the pages of a value in memory, all of them.
///
/// # Errors
/// Those of mlock(2).
pub fn lock_value<T>(value: &T) -> Result<(), Errno> {
    // SAFETY: changes nothing but where the pages are.
    unsafe { call!(libc::SYS_mlock, ptr::from_ref(value), size_of::<T>()) }.map(drop)
}

/// How many bytes this process may lock without privileges. `None`: any number.
pub fn memory_lock_limit() -> Option<u64> {
    // struct rlimit64: what holds, and how far it may be raised.
    let mut limit = [u64::MAX; 2];
    let no_new = ptr::null::<u64>();
    // SAFETY: `limit` is where the result belongs. Cannot fail.
    let _ = unsafe {
        call!(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_MEMLOCK,
            no_new,
            limit.as_mut_ptr(),
        )
    };
    Some(limit[0]).filter(|&limit| limit != u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_memory_is_zero_again() {
        let mut mapping = Mapping::new(1 << 20).unwrap();
        assert!(mapping.bytes().iter().all(|&byte| byte == 0));
        mapping.bytes()[(1 << 20) - 1] = 7;
        mapping.release();
        assert_eq!(mapping.bytes()[(1 << 20) - 1], 0);
        assert_eq!(mapping.lock(4096, 1 << 20), Err(Errno::INVALID));
    }
}
