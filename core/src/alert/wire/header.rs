//! The header of a stream on the wire.

use super::fields::{Fields, Out};
use crate::alert::{Header, TEXT_LIMIT};

pub(super) fn put(out: &mut Out<'_>, header: &Header<'_>) {
    out.number(header.version.into());
    out.text(header.host_id, TEXT_LIMIT);
    out.text(header.host_name, TEXT_LIMIT);
    out.text(header.boot_id, TEXT_LIMIT);
    out.text(header.sensor_version, TEXT_LIMIT);
    out.number(header.pack_build.into());
    out.number(header.pack_crc.into());
    out.number(header.time_ms);
}

#[inline(never)]
pub(super) fn take<'a>(fields: &mut Fields<'a>) -> Header<'a> {
    Header {
        version: fields.u16(),
        host_id: fields.text(),
        host_name: fields.text(),
        boot_id: fields.text(),
        sensor_version: fields.text(),
        pack_build: fields.u32(),
        pack_crc: fields.u32(),
        time_ms: fields.u64(),
    }
}
