//! Who we are: the header of every alert stream.

use core::sync::atomic::{AtomicU32, Ordering};

use heapless::String;
use peewit_core::alert::{Header, STREAM_VERSION, TEXT_LIMIT};
use peewit_core::pack::Pack;

use crate::sys::{Errno, host_name, machine, random, read_file, real_ms};
use crate::text::hex;

/// A text of the header.
pub type Text = String<TEXT_LIMIT>;

/// The sensor's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The host, the boot and the sensor.
#[derive(Debug, Default)]
pub struct Host {
    id: Text,
    name: Text,
    boot: Text,
    version: Text,
    pack_build: AtomicU32,
    pack_checksum: AtomicU32,
    time_ms: u64,
    stream_version: u16,
}

impl Host {
    /// This one. `kept`: its id in the state, for one that has no machine id.
    ///
    /// # Errors
    /// Those of getrandom(2), where there is neither.
    pub fn this(pack: &Pack<'_>, kept: Option<&str>) -> Result<Self, Errno> {
        let mut id = first_word(c"/etc/machine-id");
        if id.is_empty() {
            id = match kept {
                Some(kept) => text(kept),
                None => random_id()?,
            };
        }
        Ok(Self {
            id,
            name: machine()
                .as_ref()
                .map_or(Text::new(), |machine| text(host_name(machine))),
            boot: first_word(c"/proc/sys/kernel/random/boot_id"),
            version: text(VERSION),
            pack_build: pack.build().into(),
            pack_checksum: pack.checksum().into(),
            time_ms: real_ms(),
            stream_version: STREAM_VERSION,
        })
    }

    /// The one of a stream's header.
    pub fn of(header: &Header<'_>) -> Self {
        Self {
            id: text(header.host_id),
            name: text(header.host_name),
            boot: text(header.boot_id),
            version: text(header.sensor_version),
            pack_build: header.pack_build.into(),
            pack_checksum: header.pack_crc.into(),
            time_ms: header.time_ms,
            stream_version: header.version,
        }
    }

    /// It uses another pack from now on.
    pub fn use_pack(&self, pack: &Pack<'_>) {
        self.pack_build.store(pack.build(), Ordering::Relaxed);
        self.pack_checksum.store(pack.checksum(), Ordering::Relaxed);
    }

    /// Whether both are of one start of a sensor: its rules may have changed since.
    pub fn same_start(&self, other: &Self) -> bool {
        self.time_ms == other.time_ms && self.boot == other.boot
    }

    /// As a header.
    #[inline(never)]
    pub fn header(&self) -> Header<'_> {
        Header {
            version: self.stream_version,
            host_id: &self.id,
            host_name: &self.name,
            boot_id: &self.boot,
            sensor_version: &self.version,
            pack_build: self.pack_build.load(Ordering::Relaxed),
            pack_crc: self.pack_checksum.load(Ordering::Relaxed),
            time_ms: self.time_ms,
        }
    }

    /// ECS `host.id`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// As much as there is room for.
#[inline(never)]
fn text(long: &str) -> Text {
    let end = long.floor_char_boundary(TEXT_LIMIT);
    let mut short = Text::new();
    // Fits.
    let _ = short.push_str(long.get(..end).unwrap_or(""));
    short
}

/// The first word of a small file; empty if there is none.
#[inline(never)]
fn first_word(path: &core::ffi::CStr) -> Text {
    let mut buffer = [0; TEXT_LIMIT];
    let read = read_file(path, &mut buffer).unwrap_or(&[]);
    let end = read.iter().position(|byte| !byte.is_ascii_graphic());
    let word = read.get(..end.unwrap_or(read.len())).unwrap_or(&[]);
    text(peewit_core::utf8(word).unwrap_or(""))
}

/// 128 random bits, written as a machine id is.
pub fn random_id() -> Result<Text, Errno> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    let mut digits = [0; 32];
    for (place, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        place.copy_from_slice(&hex(byte));
    }
    Ok(text(peewit_core::utf8(&digits).unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_look_like_machine_ids() {
        let id = random_id().unwrap();
        assert_eq!(id.len(), 32);
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        );
        assert_ne!(id, random_id().unwrap());
    }

    #[test]
    fn a_header_comes_back() {
        let header = Header {
            version: 1,
            host_id: "id",
            host_name: "name",
            boot_id: "boot",
            sensor_version: "0.1.0",
            pack_build: 3,
            pack_crc: 4,
            time_ms: 5,
        };
        assert_eq!(Host::of(&header).header(), header);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "\u{e4}".repeat(40);
        assert_eq!(text(&long).as_str(), "\u{e4}".repeat(32));
    }
}
