//! The alert log: where it is, and where its numbering stands.

use core::ffi::CStr;

use peewit_core::alert::Record;
use peewit_core::frame::{Frames, Item};

use crate::sys::{Errno, Fd, OpenMode, is_directory, make_directory, open};
use crate::text::PathBuffer;

/// Where alerts are kept if nobody says otherwise.
pub const DEFAULT: &CStr = c"/var/lib/peewit/alerts/";

/// Name of the log in a folder of alerts.
const NAME: &[u8] = b"alerts.log";

/// How far back from its end a log is looked through for the last number, at first.
const TAIL: u64 = 256 << 10;

/// A path of ours.
pub type Path = PathBuffer<512>;

/// The file that `path` means: in a folder (one that is there, or a path with a slash at its end) the log in it, else itself.
///
/// # Errors
/// [`Errno::TOO_LONG`].
pub fn file(path: &CStr) -> Result<Path, Errno> {
    let mut file = Path::of(&[path.to_bytes()])?;
    if path.to_bytes().ends_with(b"/") {
        file.push(NAME)?;
    } else if is_directory(path) {
        file.push(b"/")?;
        file.push(NAME)?;
    }
    Ok(file)
}

/// Opens a log for more alerts, and makes it and its folders if need be.
///
/// # Errors
/// Those of mkdir(2) and open(2).
pub fn append(file: &Path) -> Result<Fd, Errno> {
    for (place, _) in file
        .as_bytes()
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == b'/')
    {
        let folder = Path::of(&[file.as_bytes().get(..place).unwrap_or(&[])])?;
        match make_directory(folder.as_c_str()) {
            Ok(()) | Err(Errno::EXISTS) => {}
            // One that is there may be out of our hands; whether the file can be made will show.
            Err(_) if is_directory(folder.as_c_str()) => {}
            Err(error) => return Err(error),
        }
    }
    open(file.as_c_str(), OpenMode::Append)
}

/// The number of the last alert in a log; 0 if there is none. Reads only the end of a long one, if there is an alert in it.
///
/// `buffer` is for frames: [`peewit_core::frame::MAX_FRAME`] bytes.
pub fn last_sequence(log: &Fd, buffer: &mut [u8]) -> u64 {
    let length = log.seek_to_end().unwrap_or(0);
    let tail = length.saturating_sub(TAIL);
    match scan(log, tail, buffer) {
        0 if tail > 0 => scan(log, 0, buffer),
        last => last,
    }
}

fn scan(log: &Fd, from: u64, buffer: &mut [u8]) -> u64 {
    if log.seek_to(from).is_err() {
        return 0;
    }
    let mut last = 0;
    let mut frames = Frames::new(buffer);
    let mut piece = [0; 512];
    // An error ends it like the end of the file: what can be read counts.
    while let Ok(read @ 1..) = log.read(&mut piece) {
        let mut input = piece.get(..read).unwrap_or(&[]);
        while let Some(item) = frames.next(&mut input) {
            if let Item::Record {
                record: Record::Alert(alert),
                ..
            } = item
            {
                last = alert.sequence;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlet::tests::alert;
    use peewit_core::frame::{MAX_FRAME, encode};
    use std::vec::Vec;

    fn directory(name: &str) -> std::path::PathBuf {
        let directory =
            std::env::temp_dir().join(std::format!("peewit-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        directory
    }

    fn path(path: &std::path::Path, end: &[u8]) -> Path {
        Path::of(&[path.as_os_str().as_encoded_bytes(), end]).unwrap()
    }

    #[test]
    fn a_folder_or_a_file() {
        let directory = directory("folder");
        let expected = path(&directory, b"/alerts.log");
        assert_eq!(
            file(path(&directory, b"").as_c_str()).unwrap().as_bytes(),
            expected.as_bytes()
        );
        assert_eq!(
            file(path(&directory, b"/").as_c_str()).unwrap().as_bytes(),
            expected.as_bytes()
        );
        assert_eq!(
            file(c"/nowhere/x.log").unwrap().as_bytes(),
            b"/nowhere/x.log"
        );
        assert_eq!(
            file(c"/nowhere/").unwrap().as_bytes(),
            b"/nowhere/alerts.log"
        );
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn numbering_goes_on_behind_a_torn_frame_and_a_long_log() {
        let directory = directory("sequence");
        let file = path(&directory, b"/a/b/alerts.log");
        let log = append(&file).unwrap();
        assert_eq!(last_sequence(&log, &mut [0; MAX_FRAME]), 0);
        let frame = |sequence| {
            let mut buffer = [0; MAX_FRAME];
            encode(&Record::Alert(alert(sequence)), &mut buffer)
                .unwrap()
                .to_vec()
        };
        log.write_all(&frame(41)).unwrap();
        log.write_all(&frame(42)).unwrap();
        let torn: Vec<u8> = frame(43);
        log.write_all(&torn[..torn.len() - 2]).unwrap();
        assert_eq!(last_sequence(&log, &mut [0; MAX_FRAME]), 42);
        log.write_all(&frame(44)).unwrap();
        assert_eq!(last_sequence(&log, &mut [0; MAX_FRAME]), 44);
        // Nothing to be found in the tail.
        log.write_all(&std::vec![7; TAIL as usize + 100]).unwrap();
        assert_eq!(last_sequence(&log, &mut [0; MAX_FRAME]), 44);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
