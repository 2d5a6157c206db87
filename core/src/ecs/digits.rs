//! Numbers without `core::fmt`: its machinery would be 3 KiB of the sensor.

use core::fmt::{Result, Write};

/// Writes a number to a base of at most 16, with zeros in front up to at least `width` digits.
fn digits(out: &mut dyn Write, number: u64, base: u64, width: usize) -> Result {
    // The longest: 20 digits to base 10.
    let mut text = [b'0'; 20];
    let mut rest = number;
    let mut used = 0;
    for place in text.iter_mut().rev() {
        let digit = (rest % base) as u8;
        *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
        rest /= base;
        used += 1;
        if rest == 0 && used >= width {
            break;
        }
    }
    let text = text.get(text.len() - used..).unwrap_or(&[]);
    text.iter()
        .try_for_each(|&digit| out.write_char(char::from(digit)))
}

/// Writes a number in decimal, with at least `width` digits.
pub(super) fn decimal(out: &mut dyn Write, number: u64, width: usize) -> Result {
    digits(out, number, 10, width)
}

/// Writes a number in hexadecimal, with at least `width` digits.
pub(super) fn hex(out: &mut dyn Write, number: u32, width: usize) -> Result {
    digits(out, number.into(), 16, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    #[test]
    fn as_core_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 99, 255, 256, 4096, u32::MAX] {
            for width in [1, 2, 4] {
                let mut out = String::new();
                decimal(&mut out, number.into(), width).unwrap();
                hex(&mut out, number, width).unwrap();
                assert_eq!(out, format!("{number:0width$}{number:0width$x}"));
            }
        }
        let mut out = String::new();
        decimal(&mut out, u64::MAX, 1).unwrap();
        assert_eq!(out, format!("{}", u64::MAX));
    }
}
