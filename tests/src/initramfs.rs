//! A guest's first file system: a cpio archive in the kernel's "newc" form.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
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

    /// Adds a file.
    pub fn file(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.entry(path, FILE, content)
    }

    /// Adds all that is in a folder of this machine, as root's; without devices and their like.
    pub fn tree(&mut self, root: &Path) -> &mut Self {
        let mut waiting = vec![root.to_path_buf()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let about = path.symlink_metadata().expect("it is there");
                let inside = path.strip_prefix(root).expect("it is below");
                let name = inside.to_str().expect("a name in UTF-8");
                if about.is_dir() {
                    self.entry(name, about.mode(), &[]);
                    waiting.push(path);
                } else if about.is_symlink() {
                    let to = fs::read_link(&path).expect("a link");
                    self.entry(name, about.mode(), to.as_os_str().as_bytes());
                } else if about.is_file() {
                    self.entry(name, about.mode(), &fs::read(&path).expect("a file"));
                }
            }
        }
        self
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
