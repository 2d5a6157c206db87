//! `peewit run --demo`: a harmless attack, played by copies of this program.

use core::ffi::CStr;

use crate::log::Path;
use crate::sys::{
    Ended, Errno, Fd, OpenMode, make_directory, open, process_id, remove_directory, remove_file,
    run,
};
use crate::text::{Decimal, plain, say};

/// Where a program may be put that an attacker brought along. The first that allows to run programs is taken.
const PLACES: [&[u8]; 3] = [b"/tmp", b"/var/tmp", b"/dev/shm"];

/// Names of the programs: both copies of this one.
const DROPPER: &[u8] = b"/dropper";
const IMPLANT: &[u8] = b"/implant";
const LOG: &[u8] = b"/alerts.log";

/// The demo's own directory, removed when dropped.
#[derive(Debug)]
pub struct Stage {
    directory: Path,
}

impl Stage {
    /// Makes the directory and puts the programs there.
    ///
    /// # Errors
    /// Those of the last place that was tried.
    #[inline(never)]
    pub fn build() -> Result<Self, Errno> {
        let mut result = Err(Errno::NOT_FOUND);
        for place in PLACES {
            result = Self::build_at(place);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    #[inline(never)]
    fn build_at(place: &[u8]) -> Result<Self, Errno> {
        let directory = Path::of(&[
            place,
            b"/peewit-",
            Decimal::new(u64::from(process_id())).as_bytes(),
        ])?;
        make_directory(directory.as_c_str())?;
        let stage = Self { directory };
        for program in [DROPPER, IMPLANT] {
            copy_self(&stage.file(program)?)?;
        }
        // Without arguments for it, the role ends at once: only to see whether programs may run here.
        run(stage.file(IMPLANT)?.as_c_str(), &[c"implant", c"demo-role"])?.well()?;
        Ok(stage)
    }

    #[inline(never)]
    fn file(&self, name: &[u8]) -> Result<Path, Errno> {
        Path::of(&[self.directory.as_bytes(), name])
    }

    /// Where the demo keeps its alerts.
    ///
    /// # Errors
    /// Never: the path fits.
    pub fn log(&self) -> Result<Path, Errno> {
        self.file(LOG)
    }

    /// Plays the attack: a dropper starts an implant, which is told to find out who it runs as.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn play(&self) -> Result<(), Errno> {
        let (dropper, implant) = (self.file(DROPPER)?, self.file(IMPLANT)?);
        plain(
            "\nThe demo plays an attack, with programs that do nothing:\n  \
             somebody has brought the program ",
        )
        .printable(dropper.as_bytes())
        .text(" to this device;\n  it starts ")
        .printable(implant.as_bytes())
        .text(", which asks for `id`: who am I here?\n");
        run(
            dropper.as_c_str(),
            &[c"dropper", c"demo-role", implant.as_c_str()],
        )?
        .well()
        .map(drop)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for name in [DROPPER, IMPLANT, LOG] {
            if let Ok(file) = self.file(name) {
                // The log is there only if it could be made.
                let _ = remove_file(file.as_c_str());
            }
        }
        if let Err(error) = remove_directory(self.directory.as_c_str()) {
            say("cannot remove ")
                .printable(self.directory.as_bytes())
                .text(": ")
                .error(error);
        }
    }
}

fn copy_self(to: &Path) -> Result<(), Errno> {
    let from = open(c"/proc/self/exe", OpenMode::Read)?;
    let to: Fd = open(to.as_c_str(), OpenMode::NewProgram)?;
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            read => to.write_all(piece.get(..read).unwrap_or(&[]))?,
        }
    }
}

/// What the demo's programs do: with a program's path the dropper's part, which starts it, else the implant's:
/// nothing. Gives the exit status.
pub fn role(program: Option<&CStr>) -> u8 {
    let Some(program) = program.filter(|program| program.to_bytes().starts_with(b"/")) else {
        return 0;
    };
    let ended = run(program, &[c"implant", c"demo-role", c"id"]);
    u8::from(ended.and_then(Ended::well).is_err())
}
