//! The daily digest: when it is due, and how it reads.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::message::{MailText, one_line};
use super::subscription::texts;

/// How mails about notifications come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailMode {
    /// Each at once.
    #[default]
    Immediate,
    /// One mail a day with everything that would have been mailed.
    Daily,
}
texts!(EmailMode { Immediate => "immediate", Daily => "daily" });

/// Hour of the day at which the digest comes when nobody chose one.
pub(crate) const DEFAULT_HOUR: u8 = 8;
/// Longer digests end with a count.
const MAX_LINES: usize = 100;

/// The reader's zone; UTC when its name is unknown.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The first `hour` o'clock (0 to 23, in the zone) after `now` on a local day later than that of the latest digest.
///
/// On the day the clocks go forward over that hour it is as much later as they jump; on the day they go back it is the first of the
/// two (RFC 5545's reading, which jiff calls compatible). So there is one moment on every local day.
pub(crate) fn next_digest(now: Timestamp, time_zone: &str, hour: u8, latest: Option<Timestamp>) -> Timestamp {
    let zone = zone(time_zone);
    let local_day = |at: Timestamp| at.to_jiff().to_zoned(zone.clone()).date();
    let moment = |day: Date| -> Option<Timestamp> {
        let hour = i8::try_from(hour).ok()?;
        Some(Timestamp::from_jiff(zone.to_zoned(day.at(hour, 0, 0, 0)).ok()?.timestamp()))
    };
    let after = latest.map(local_day);
    let mut day = Some(local_day(now));
    // Today, tomorrow or the day after; the latest digest may lie a day ahead of a reader who travelled west.
    for _ in 0..4 {
        let Some(date) = day else { break };
        if after.is_none_or(|after| date > after)
            && let Some(at) = moment(date).filter(|at| *at > now)
        {
            return at;
        }
        day = date.tomorrow().ok();
    }
    // The end of the calendar.
    now.plus(Duration::from_secs(86_400))
}

/// One line of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Project or workspace; lines of the same place stand together.
    pub place: String,
    pub text: String,
    pub link: String,
    pub at: Timestamp,
}

/// `inbox` and `settings` are the resources to go to; times are in the reader's zone.
pub(crate) fn digest(lines: &[Line], now: Timestamp, time_zone: &str, inbox: &str, settings: &str) -> MailText {
    let zone = zone(time_zone);
    let name = zone.iana_name().unwrap_or("UTC");
    let count = match lines.len() {
        1 => "1 notification".to_owned(),
        many => format!("{many} notifications"),
    };
    let day = now.to_jiff().to_zoned(zone.clone()).strftime("%A, %-d %B %Y").to_string();
    let mut text = format!("{count} until {day} ({name}).\n");
    let shown = &lines[..lines.len().min(MAX_LINES)];
    let mut places: Vec<&str> = Vec::new();
    for line in shown {
        if !places.contains(&line.place.as_str()) {
            places.push(&line.place);
        }
    }
    // Writing to a String cannot fail.
    for place in places {
        let _ = writeln!(text, "\n{}", one_line(place));
        for line in shown.iter().filter(|line| line.place == place) {
            let at = line.at.to_jiff().to_zoned(zone.clone());
            let _ = writeln!(text, "- {} {}\n  {}", at.strftime("%a %H:%M"), one_line(&line.text), line.link);
        }
    }
    if lines.len() > shown.len() {
        let _ = writeln!(text, "\nAnd {} more: {inbox}", lines.len() - shown.len());
    }
    let _ = write!(
        text,
        "\n{inbox}\n\n-- \nYou get this mail once a day because you chose a daily digest. Change that at {settings}\n"
    );
    MailText {
        subject: format!("Daily digest: {count}"),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }
    fn next(now: &str, zone: &str, hour: u8, latest: Option<&str>) -> String {
        next_digest(at(now), zone, hour, latest.map(at)).to_string()
    }

    #[test]
    fn it_comes_at_the_readers_hour_today_or_tomorrow() {
        assert_eq!(next("2026-01-10T06:59:59Z", "Europe/Berlin", 8, None), "2026-01-10T07:00:00Z");
        assert_eq!(next("2026-01-10T07:00:00Z", "Europe/Berlin", 8, None), "2026-01-11T07:00:00Z");
        assert_eq!(next("2026-07-10T05:00:00Z", "Europe/Berlin", 8, None), "2026-07-10T06:00:00Z");
        assert_eq!(next("2026-01-10T20:00:00Z", "Asia/Tokyo", 8, None), "2026-01-10T23:00:00Z");
        assert_eq!(next("2026-01-10T06:00:00Z", "Mars/Olympus", 8, None), "2026-01-10T08:00:00Z");
    }

    /// Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
    #[test]
    fn the_hour_that_is_left_out_comes_later_and_the_one_that_comes_twice_counts_once() {
        assert_eq!(
            next("2026-03-28T12:00:00Z", "Europe/Berlin", 2, None),
            "2026-03-29T01:00:00Z",
            "at 03:00"
        );
        assert_eq!(next("2026-03-29T01:00:00Z", "Europe/Berlin", 2, None), "2026-03-30T00:00:00Z");
        assert_eq!(
            next("2026-10-24T12:00:00Z", "Europe/Berlin", 2, None),
            "2026-10-25T00:00:00Z",
            "the first 02:00"
        );
        let second = next("2026-10-25T00:30:00Z", "Europe/Berlin", 2, Some("2026-10-25T00:00:00Z"));
        assert_eq!(second, "2026-10-26T01:00:00Z", "not the second 02:00 of the day");
        // Lord Howe moves by half an hour.
        assert_eq!(
            next("2026-10-03T00:00:00Z", "Australia/Lord_Howe", 2, None),
            "2026-10-03T15:30:00Z",
            "at 02:30"
        );
    }

    #[test]
    fn another_hour_or_zone_makes_no_second_digest_of_the_day() {
        let sent = Some("2026-01-10T07:00:00Z");
        assert_eq!(next("2026-01-10T09:00:00Z", "Europe/Berlin", 20, sent), "2026-01-11T19:00:00Z");
        // Auckland's morning of the 11th is Honolulu's of the 10th: the next is on its 11th.
        let flown = Some("2026-01-10T19:00:00Z");
        assert_eq!(next("2026-01-10T19:30:00Z", "Pacific/Honolulu", 8, flown), "2026-01-11T18:00:00Z");
    }

    proptest! {
        /// One a day: every next digest lies in the future, on another local day, and no local day is left out.
        #[test]
        fn every_local_day_has_its_digest(start in 1_700_000_000_i64..1_900_000_000, hour in 0_u8..24, zone_name in proptest::sample::select(&[
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Africa/Cairo",
        ])) {
            let mut now = Timestamp::from_seconds(start);
            let mut latest: Option<Timestamp> = None;
            for _ in 0..400 {
                let next = next_digest(now, zone_name, hour, latest);
                prop_assert!(next > now);
                if let Some(latest) = latest {
                    let day = |at: Timestamp| at.to_jiff().to_zoned(zone(zone_name)).date();
                    prop_assert_eq!(Some(day(next)), day(latest).tomorrow().ok());
                }
                (now, latest) = (next, Some(next));
            }
        }
    }

    #[test]
    fn a_digest_stands_by_place_and_tells_what_it_leaves_out() {
        let line = |place: &str, text: &str| Line {
            place: place.to_owned(),
            text: text.to_owned(),
            link: "http://x/tasks/1".to_owned(),
            at: at("2026-11-21T09:30:00Z"),
        };
        let lines = [
            line("Engine (ENG)", "Ada did\nthis"),
            line("Acme", "Bob joined Acme"),
            line("Engine (ENG)", "Ada did that"),
        ];
        let mail = digest(&lines, at("2026-11-22T07:00:00Z"), "Europe/Berlin", "http://x/n", "http://x/p");
        assert_eq!(mail.subject, "Daily digest: 3 notifications");
        assert_eq!(
            mail.text,
            "3 notifications until Sunday, 22 November 2026 (Europe/Berlin).\n\nEngine (ENG)\n- Sat 10:30 Ada did this\n  http://x/tasks/1\n\
             - Sat 10:30 Ada did that\n  http://x/tasks/1\n\nAcme\n- Sat 10:30 Bob joined Acme\n  http://x/tasks/1\n\nhttp://x/n\n\n-- \nYou get \
             this mail once a day because you chose a daily digest. Change that at http://x/p\n"
        );
        let many = digest(&vec![lines[0].clone(); 137], at("2026-11-22T07:00:00Z"), "UTC", "http://x/n", "p");
        assert!(many.text.contains("\nAnd 37 more: http://x/n\n"), "{}", many.text);
        assert_eq!(many.text.matches("Ada did this").count(), 100);
    }
}
