//! pack
pub type AtomId = u16;
