//! Rules, and the memory that they are in.

use peewit_core::engine::{Engine, Limits};
use peewit_core::pack::{Error, Pack, Purpose};

use super::Mapping;
use crate::invoked::is_key;

/// The rules of a pack, ready to be evaluated. The memory of the pack goes with it.
pub struct Book {
    /// Of a life as long as this value's, whatever it says here: see [`Book::engine`].
    engine: Engine<'static>,
    keeps_invoked: bool,
    has_sequences: bool,
    /// Not touched any more, and given back when this is dropped.
    _memory: Mapping,
}

impl Book {
    /// The pack that the first `length` bytes of this memory are.
    ///
    /// # Errors
    /// Those of [`Pack::parse`].
    #[inline(never)]
    pub fn new(memory: Mapping, length: usize) -> Result<Self, Error> {
        let bytes: *const [u8] = memory.as_bytes().get(..length).unwrap_or(&[]);
        // SAFETY: moving a mapping does not move what is mapped. It is neither written nor unmapped before this value is dropped,
        // and what borrows from it leaves this value only with a shorter life.
        let pack = Pack::parse(unsafe { &*bytes })?;
        Ok(Self {
            keeps_invoked: is_key(&pack),
            has_sequences: pack
                .rules()
                .any(|rule| matches!(rule.purpose, Purpose::Stage { .. })),
            engine: Engine::new(pack, Limits::Device),
            _memory: memory,
        })
    }

    /// Whether it is kept with each process by which path it was invoked.
    pub const fn keeps_invoked(&self) -> bool {
        self.keeps_invoked
    }

    /// Whether some rule asks in which order events came.
    pub const fn has_sequences(&self) -> bool {
        self.has_sequences
    }

    /// What evaluates them.
    pub const fn engine(&self) -> &Engine<'_> {
        &self.engine
    }
}
