//! The folder of the state.

use core::ffi::CStr;

use peewit_core::store::{Kind, Place, Reader, Record};

use crate::log::Path;
use crate::sys::{Errno, Fd, OpenMode, is_directory, make_directory, open, rename};
use crate::text::say;

/// The folder of the state.
pub struct Folder {
    path: Path,
    fd: Fd,
}

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &CStr) -> Result<Self, Errno> {
        let mut folder = Path::of(&[path.to_bytes()])?;
        if !path.to_bytes().ends_with(b"/") {
            folder.push(b"/")?;
        }
        let fd = open(path, OpenMode::Directory)?;
        Ok(Self { path: folder, fd })
    }

    /// Makes it if it is not there, with all above it.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn make(path: &CStr) -> Result<(), Errno> {
        let bytes = path.to_bytes();
        for end in (1..=bytes.len()).filter(|end| matches!(bytes.get(*end), None | Some(b'/'))) {
            let folder = Path::of(&[bytes.get(..end).unwrap_or(&[])])?;
            match make_directory(folder.as_c_str()) {
                Ok(()) | Err(Errno::EXISTS) => {}
                // One that is there may be out of our hands; whether files can be made will show.
                Err(_) if is_directory(folder.as_c_str()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps other sensors away.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if one has it.
    pub fn lock(&self) -> Result<(), Errno> {
        self.fd.lock()
    }

    /// The path of a file in it.
    ///
    /// # Errors
    /// [`Errno::TOO_LONG`].
    pub fn path(&self, name: &[u8]) -> Result<Path, Errno> {
        Path::of(&[self.path.as_bytes(), name])
    }

    /// Opens a file in it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn file(&self, name: &[u8], mode: OpenMode) -> Result<Fd, Errno> {
        open(self.path(name)?.as_c_str(), mode)
    }

    /// Gives a file another name, for good.
    ///
    /// # Errors
    /// Those of rename(2) and fsync(2).
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        rename(self.path(from)?.as_c_str(), self.path(to)?.as_c_str())?;
        self.fd.sync_names()
    }

    /// Sets a file aside that is not to be trusted: it gets `.bad` behind its name. Says so.
    #[cold]
    #[inline(never)]
    pub fn set_aside(&self, name: &[u8]) {
        let (Ok(from), Ok(to)) = (
            self.path(name),
            Path::of(&[self.path.as_bytes(), name, b".bad"]),
        ) else {
            return;
        };
        let renamed = rename(from.as_c_str(), to.as_c_str()).and_then(|()| self.fd.sync_names());
        let mut line = say("state ");
        line.printable(from.as_bytes())
            .text(": damaged, or not ours; ");
        match renamed {
            Ok(()) => line.text("set aside as .bad"),
            Err(error) => line.text("cannot be set aside: ").error(error),
        };
    }
}

/// Hands over all records of a file that can be trusted. Gives where they end, and whether that is the end of the file.
///
/// # Errors
/// Those of read(2): nothing is known of the file then.
#[inline(never)]
pub fn read(
    file: &Fd,
    kind: Kind,
    buffer: &mut [u8],
    take: &mut dyn FnMut(&Record<'_>),
) -> Result<(Place, bool), Errno> {
    file.seek_to(0)?;
    let mut result = Ok(());
    let mut input = |room: &mut [u8]| match file.read(room) {
        Ok(read) => read,
        Err(error) => {
            result = Err(error);
            0
        }
    };
    let mut reader = Reader::new(kind, buffer);
    while let Some(record) = reader.next(&mut input) {
        take(&record);
    }
    let found = (reader.place(), reader.is_whole());
    result.map(|()| found)
}
