//! Points in time as ISO 8601 says them, without a calendar library.

use super::sink::Sink;

/// The last millisecond of the year 9999, the last that ISO 8601 writes in four digits.
const LAST_MS: u64 = 253_402_300_799_999;

const DAY_MS: u64 = 86_400_000;

/// Writes a time in milliseconds since 1970 UTC as `2026-01-31T23:59:59.999Z`. Times after
/// the year 9999 become its last millisecond.
#[inline(never)]
pub(super) fn write_time(out: &mut Sink<'_>, time_ms: u64) {
    let time_ms = time_ms.min(LAST_MS);
    // What is left has 22 and 27 bits.
    let (days, ms) = ((time_ms / DAY_MS) as u32, (time_ms % DAY_MS) as u32);
    let (second, ms) = (ms / 1000, ms % 1000);
    let (year, month, day) = date(days);
    for (number, digits, separator) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (second / 3600, 2, ':'),
        (second / 60 % 60, 2, ':'),
        (second % 60, 2, '.'),
        (ms, 3, 'Z'),
    ] {
        out.digits(number.into(), 10, digits).char(separator);
    }
}

/// Year, month and day of a day counted from 1970-01-01.
fn date(days: u32) -> (u32, u32, u32) {
    // Counted from a 1 March of a year divisible by 400, the leap day comes last in its
    // year, and a month's first day is a linear function of its number.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = if month_from_march < 10 {
        (month_from_march + 3, 0)
    } else {
        (month_from_march - 9, 1)
    };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::ecs::sink::tests::written;

    fn time(time_ms: u64) -> String {
        written(|out| write_time(out, time_ms))
    }

    #[test]
    fn known_times() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(time(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
        assert_eq!(time(2_147_483_648_000), "2038-01-19T03:14:08.000Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(time(LAST_MS), "9999-12-31T23:59:59.999Z");
        assert_eq!(time(LAST_MS + 1), "9999-12-31T23:59:59.999Z");
        assert_eq!(time(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    /// Against counting the days one by one.
    #[test]
    fn every_day_to_the_year_9999() {
        let mut counted = (1970, 1, 1);
        for days in 0..=(LAST_MS / DAY_MS) as u32 {
            assert_eq!(date(days), counted);
            let (year, month, day) = counted;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            counted = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == length => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!(counted, (10_000, 1, 1));
    }
}
