//! What a due date means.
//!
//! A task is due either at an exact moment, or on a day. A day has no moment of its own: it means the last
//! microsecond of that day in the workspace's time zone, resolved when the date is written. A later change of the
//! workspace's zone does not move dates that are already set, so nobody's deadline shifts behind their back; writing
//! the date again resolves it anew.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::Timestamp;

/// When a task is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Set for all-day due dates.
    pub date: Option<Date>,
    /// The moment from which the task is overdue.
    pub at: Timestamp,
}

impl Due {
    pub fn moment(at: Timestamp) -> Self {
        Self { date: None, at }
    }

    /// All day: the end of `date` in `zone` (an IANA name; an unknown one counts as UTC).
    pub fn day(date: Date, zone: &str) -> Self {
        Self {
            date: Some(date),
            at: end_of_day(date, zone),
        }
    }
}

/// The last microsecond of a day. Days with a clock change have 23 or 25 hours, and some start at 01:00: the next
/// day's first moment decides, not an addition of 24 hours.
fn end_of_day(date: Date, zone: &str) -> Timestamp {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let next_start = date
        .tomorrow()
        .and_then(|next| next.to_zoned(zone.clone()))
        .and_then(|next| next.start_of_day());
    match next_start {
        Ok(start) => Timestamp::from_micros(Timestamp::from_jiff(start.timestamp()).as_micros().saturating_sub(1)),
        // The last day of the calendar has no tomorrow; [`YEARS`] leaves it out, but older rows may hold it.
        Err(_) => Timestamp::from_jiff(jiff::Timestamp::MAX),
    }
}

/// The years a due date or moment may lie in. One year less than the calendar of [`jiff`] has, so that the end of a day
/// is a moment in every time zone.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9_998;

/// What a refusal says of [`YEARS`].
pub(crate) const RANGE: &str = "must lie in the years 0001 to 9998";

pub(crate) fn date_in_range(date: Date) -> bool {
    YEARS.contains(&date.year())
}

/// Whether a moment lies in the accepted years, in UTC.
pub(crate) fn moment_in_range(at: Timestamp) -> bool {
    at.to_jiff().as_microsecond() == at.as_micros() && date_in_range(TimeZone::UTC.to_datetime(at.to_jiff()).date())
}

/// `YYYY-MM-DD` and nothing else; the years 0000 to 9999.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    if !shaped {
        return None;
    }
    text.parse::<Date>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(date: &str, zone: &str) -> String {
        Due::day(parse_date(date).unwrap(), zone).at.to_string()
    }

    #[test]
    fn a_day_ends_in_the_zone_of_the_workspace() {
        assert_eq!(end("2026-11-21", "UTC"), "2026-11-21T23:59:59.999999Z");
        assert_eq!(end("2026-11-21", "Europe/Berlin"), "2026-11-21T22:59:59.999999Z");
        assert_eq!(end("2026-11-21", "Pacific/Auckland"), "2026-11-21T10:59:59.999999Z");
        assert_eq!(end("2026-11-21", "America/Los_Angeles"), "2026-11-22T07:59:59.999999Z");
    }

    #[test]
    fn clock_changes_make_days_of_23_and_25_hours() {
        // Berlin: clocks go forward on 29 March 2026, back on 25 October 2026.
        assert_eq!(end("2026-03-28", "Europe/Berlin"), "2026-03-28T22:59:59.999999Z");
        assert_eq!(end("2026-03-29", "Europe/Berlin"), "2026-03-29T21:59:59.999999Z");
        assert_eq!(end("2026-10-25", "Europe/Berlin"), "2026-10-25T22:59:59.999999Z");
        // In Santiago midnight itself is skipped on 6 September 2026: the day starts at 01:00 local.
        assert_eq!(end("2026-09-05", "America/Santiago"), "2026-09-06T03:59:59.999999Z");
    }

    #[test]
    fn every_accepted_day_ends_at_an_accepted_moment_or_on_its_first_morning_after() {
        for zone in ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Tokyo", "America/Los_Angeles"] {
            for (day, first, last) in [
                ("0001-01-01", "0001-01-01", "0001-01-02"),
                ("9998-12-31", "9998-12-31", "9999-01-01"),
            ] {
                let end = end(day, zone);
                assert!(
                    end.as_str() >= first && end.as_str() < format!("{last}T13").as_str(),
                    "{day} {zone} {end}"
                );
            }
        }
        assert!(!date_in_range(parse_date("9999-12-31").unwrap()));
        assert!(!date_in_range(parse_date("0000-01-01").unwrap()));
    }

    #[test]
    fn moments_beyond_the_accepted_years_are_known() {
        let at = |text: &str| moment_in_range(text.parse().unwrap());
        assert!(at("0001-01-01T00:00:00Z") && at("9998-12-31T23:59:59.999999Z"));
        assert!(!at("0000-12-31T23:59:59Z") && !at("9999-01-01T00:00:00Z") && !at("9999-12-30T22:00:00Z"));
        assert!(!moment_in_range(Timestamp::from_micros(i64::MAX)) && !moment_in_range(Timestamp::from_micros(i64::MIN)));
    }

    #[test]
    fn an_unknown_zone_counts_as_utc() {
        assert_eq!(end("2026-11-21", "Mars/Olympus"), "2026-11-21T23:59:59.999999Z");
    }

    #[test]
    fn only_the_plain_form_of_a_date_is_read() {
        for bad in [
            "2026-1-1",
            "20261121",
            "2026-02-30",
            "+002026-01-01",
            "2026-11-21T00:00:00Z",
            "",
            "2026-11-2é",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn later_days_end_later(day in 0_i32..20_000, zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kolkata", "Pacific/Apia"])) {
            let start = jiff::civil::date(1990, 1, 1);
            let date = start + jiff::Span::new().days(day);
            let next = date.tomorrow().unwrap();
            let length = Due::day(next, zone).at.since(Due::day(date, zone).at).as_secs();
            // A zone may even skip a whole day (Samoa, 30 December 2011).
            prop_assert!(length <= 25 * 3_600 && (length >= 23 * 3_600 || zone == "Pacific/Apia"), "{} {}", date, length);
        }
    }
}
