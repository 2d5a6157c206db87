//! A guest's first file system: a cpio archive in the kernel's "newc" form.

use std::fmt::Write;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
}

impl Initramfs {
    /// Adds a directory; those above it come first.
    pub fn directory(&mut self, path: &str) -> &mut Self {
        self.entry(path, DIRECTORY, &[])
    }

    /// Adds a file that can be run.
    pub fn program(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.entry(path, PROGRAM, content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> &mut Self {
        self.entry(path, LINK, to.as_bytes())
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> &mut Self {
        self.entries += 1;
        let length = u32::try_from(content.len()).expect("a small file");
        let name = u32::try_from(path.len() + 1).expect("a short name");
        // inode, mode, uid, gid, links, time, length, four numbers of devices, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name, 0];
        let mut header = String::from("070701");
        for field in fields {
            write!(header, "{field:08x}").expect("a string takes it");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
        self
    }

    fn align(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}
