//! Recurrence rules (RFC 5545, 3.3.10) for things that happen at most once a day.
//!
//! A rule gives dates; the time of day and its zone are the series'. So DAILY, WEEKLY, MONTHLY and YEARLY are read with
//! INTERVAL, COUNT or UNTIL, BYMONTH, BYMONTHDAY, BYYEARDAY, BYDAY (with numbers), BYSETPOS and WKST. What would make several
//! occurrences of one day (HOURLY and finer, BYHOUR, …) is refused, and BYWEEKNO with it, which nothing writes.
//!
//! Every period (day, week, month, year) is taken day by day, and a day counts when all parts of the rule let it: for
//! these frequencies that is what the table of the RFC comes to.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, ToSpan};

/// Longest text of a rule, in characters.
pub(crate) const MAX_RULE: usize = 500;
const MAX_INTERVAL: u32 = 1_000;
const MAX_COUNT: u32 = 10_000;
/// Most values of one part.
const MAX_VALUES: usize = 100;
/// A rule without a date in so many years has none: the sparsest that has any (29 February on a Monday) comes every 40.
const HORIZON_YEARS: i16 = 120;
/// Last year of a date; see [`super::due`].
const LAST_YEAR: i16 = 9_998;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// Where a series ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    /// With so many occurrences, the first one included.
    Count(u32),
    /// With the last occurrence on or before this day.
    Date(Date),
    /// With the last occurrence at or before this moment, in local time or in UTC.
    Moment {
        at: DateTime,
        utc: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    frequency: Frequency,
    interval: u32,
    pub end: End,
    months: Vec<i8>,
    month_days: Vec<i8>,
    year_days: Vec<i16>,
    /// With the number of the weekday inside the month or year; 0: every one.
    weekdays: Vec<(i16, Weekday)>,
    positions: Vec<i16>,
    week_start: Weekday,
}

impl Rule {
    /// Reads a rule, with or without `RRULE:` before it. The error is a sentence for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() > MAX_RULE {
            return Err(format!("must be at most {MAX_RULE} characters"));
        }
        let text = text.to_ascii_uppercase();
        let mut reader = Reader::default();
        for part in text.strip_prefix("RRULE:").unwrap_or(&text).split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("has a part without a value: {part:?}"))?;
            if reader.seen.iter().any(|seen| seen == name) {
                return Err(format!("has {name} twice"));
            }
            reader.part(name, value)?;
            reader.seen.push(name.to_owned());
        }
        reader.finish()
    }

    /// The dates after `after`, in order. `anchor` is the first occurrence, whether the rule gives it or not, and `after`
    /// none before it. Ends with COUNT; UNTIL is for the caller, who knows the time of day. Never endless, and never long
    /// without a date.
    pub fn dates_after(&self, anchor: Date, after: Date) -> impl Iterator<Item = Date> + '_ {
        let last_year = after.year().saturating_add(HORIZON_YEARS).min(LAST_YEAR);
        let all = (self.first_period(anchor, after)..)
            .map_while(move |n| self.period(anchor, n))
            .take_while(move |(start, _)| start.year() <= last_year)
            .flat_map(move |(start, end)| self.dates_in(anchor, start, end))
            .filter(move |date| *date > anchor && date.year() <= last_year);
        // Without the anchor, which is the first one.
        let further = match self.end {
            End::Count(count) => usize::try_from(count - 1).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        all.take(further).filter(move |date| *date > after)
    }

    /// What to start from: all dates are needed to count them, otherwise only those behind `after`.
    fn first_period(&self, anchor: Date, after: Date) -> i32 {
        if matches!(self.end, End::Count(_)) {
            return 0;
        }
        let days = after.since(anchor).map_or(0, |span| span.get_days());
        let per_period = match self.frequency {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            Frequency::Monthly => 31,
            Frequency::Yearly => 366,
        };
        let periods = days / per_period / i32::try_from(self.interval).unwrap_or(1);
        (periods - 2).max(0)
    }

    /// First and last day of the n-th period that counts.
    fn period(&self, anchor: Date, n: i32) -> Option<(Date, Date)> {
        let steps = n.checked_mul(i32::try_from(self.interval).ok()?)?;
        match self.frequency {
            Frequency::Daily => {
                let day = anchor.checked_add(Span::new().try_days(steps).ok()?).ok()?;
                Some((day, day))
            }
            Frequency::Weekly => {
                let into = anchor.weekday().since(self.week_start);
                let start = anchor.checked_sub(i32::from(into).days()).ok()?;
                let start = start.checked_add(Span::new().try_weeks(steps).ok()?).ok()?;
                Some((start, start.checked_add(6.days()).ok()?))
            }
            Frequency::Monthly => {
                let start = anchor.first_of_month().checked_add(Span::new().try_months(steps).ok()?).ok()?;
                Some((start, start.last_of_month()))
            }
            Frequency::Yearly => {
                let start = anchor.first_of_year().checked_add(Span::new().try_years(steps).ok()?).ok()?;
                Some((start, start.last_of_year()))
            }
        }
    }

    fn dates_in(&self, anchor: Date, start: Date, end: Date) -> Vec<Date> {
        let days = std::iter::successors(Some(start), |day| day.tomorrow().ok()).take_while(|day| *day <= end);
        let dates: Vec<Date> = days.filter(|day| self.allows(anchor, *day)).collect();
        if self.positions.is_empty() {
            return dates;
        }
        let at = |position: &i16| {
            let index = usize::from(position.unsigned_abs()).checked_sub(1)?;
            let index = if *position > 0 {
                index
            } else {
                dates.len().checked_sub(index + 1)?
            };
            dates.get(index).copied()
        };
        let mut chosen: Vec<Date> = self.positions.iter().filter_map(at).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn allows(&self, anchor: Date, day: Date) -> bool {
        let from_end = |value: i16, length: i16, index: i16| value == index || (value < 0 && length + value + 1 == index);
        let month = self.months.is_empty() || self.months.contains(&day.month());
        let month_day = self.month_days.is_empty()
            || self
                .month_days
                .iter()
                .any(|value| from_end(i16::from(*value), i16::from(day.days_in_month()), i16::from(day.day())));
        let year_day = self.year_days.is_empty()
            || self
                .year_days
                .iter()
                .any(|value| from_end(*value, day.days_in_year(), day.day_of_year()));
        let weekday = self.weekdays.is_empty()
            || self
                .weekdays
                .iter()
                .any(|(number, weekday)| self.is_weekday(day, *number, *weekday));
        month && month_day && year_day && weekday && self.is_implied(anchor, day)
    }

    fn is_weekday(&self, day: Date, number: i16, weekday: Weekday) -> bool {
        if day.weekday() != weekday {
            return false;
        }
        let in_month = self.frequency == Frequency::Monthly || !self.months.is_empty();
        let (index, length) = if in_month {
            (i16::from(day.day()), i16::from(day.days_in_month()))
        } else {
            (day.day_of_year(), day.days_in_year())
        };
        match number {
            0 => true,
            from_start if from_start > 0 => (index - 1) / 7 + 1 == from_start,
            from_end => -((length - index) / 7 + 1) == from_end,
        }
    }

    /// What the rule leaves open comes from the first occurrence (RFC 5545: "information … is taken from DTSTART").
    fn is_implied(&self, anchor: Date, day: Date) -> bool {
        let days_given = !self.month_days.is_empty() || !self.year_days.is_empty() || !self.weekdays.is_empty();
        if days_given {
            return true;
        }
        match self.frequency {
            Frequency::Daily => true,
            Frequency::Weekly => day.weekday() == anchor.weekday(),
            Frequency::Monthly => day.day() == anchor.day(),
            Frequency::Yearly => day.day() == anchor.day() && (!self.months.is_empty() || day.month() == anchor.month()),
        }
    }
}

#[derive(Default)]
struct Reader {
    seen: Vec<String>,
    frequency: Option<Frequency>,
    interval: Option<u32>,
    end: Option<End>,
    months: Vec<i8>,
    month_days: Vec<i8>,
    year_days: Vec<i16>,
    weekdays: Vec<(i16, Weekday)>,
    positions: Vec<i16>,
    week_start: Option<Weekday>,
}

impl Reader {
    fn part(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "FREQ" => {
                self.frequency = Some(match value {
                    "DAILY" => Frequency::Daily,
                    "WEEKLY" => Frequency::Weekly,
                    "MONTHLY" => Frequency::Monthly,
                    "YEARLY" => Frequency::Yearly,
                    _ => return Err("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY".to_owned()),
                });
            }
            "INTERVAL" => self.interval = Some(number(name, value, 1, MAX_INTERVAL)?),
            "COUNT" => self.ends(End::Count(number(name, value, 1, MAX_COUNT)?))?,
            "UNTIL" => self.ends(until(value).ok_or("UNTIL must be a date such as 20261224 or a date-time such as 20261224T170000Z")?)?,
            "BYMONTH" => self.months = list(value, |entry| number(name, entry, 1, 12))?,
            "BYMONTHDAY" => self.month_days = list(value, |entry| signed(name, entry, 31))?,
            "BYYEARDAY" => self.year_days = list(value, |entry| signed(name, entry, 366))?,
            "BYSETPOS" => self.positions = list(value, |entry| signed(name, entry, 366))?,
            "BYDAY" => self.weekdays = list(value, numbered_weekday)?,
            "WKST" => self.week_start = Some(weekday(value).ok_or("WKST must be a weekday such as MO")?),
            "BYHOUR" | "BYMINUTE" | "BYSECOND" | "BYWEEKNO" => return Err(format!("{name} is not supported")),
            _ => return Err(format!("has an unknown part: {name:?}")),
        }
        Ok(())
    }

    fn ends(&mut self, end: End) -> Result<(), String> {
        if self.end.replace(end).is_some() {
            return Err("COUNT and UNTIL exclude each other".to_owned());
        }
        Ok(())
    }

    fn finish(self) -> Result<Rule, String> {
        let frequency = self.frequency.ok_or("FREQ is required")?;
        let numbered = self.weekdays.iter().any(|(number, _)| *number != 0);
        if numbered && !matches!(frequency, Frequency::Monthly | Frequency::Yearly) {
            return Err("BYDAY with numbers needs FREQ=MONTHLY or FREQ=YEARLY".to_owned());
        }
        if frequency == Frequency::Weekly && !self.month_days.is_empty() {
            return Err("BYMONTHDAY does not go with FREQ=WEEKLY".to_owned());
        }
        if frequency != Frequency::Yearly && !self.year_days.is_empty() {
            return Err("BYYEARDAY needs FREQ=YEARLY".to_owned());
        }
        let days = self.months.len() + self.month_days.len() + self.year_days.len() + self.weekdays.len();
        if !self.positions.is_empty() && days == 0 {
            return Err("BYSETPOS needs another BY part".to_owned());
        }
        Ok(Rule {
            frequency,
            interval: self.interval.unwrap_or(1),
            end: self.end.unwrap_or(End::Never),
            months: self.months,
            month_days: self.month_days,
            year_days: self.year_days,
            weekdays: self.weekdays,
            positions: self.positions,
            week_start: self.week_start.unwrap_or(Weekday::Monday),
        })
    }
}

fn list<T>(value: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if value.split(',').count() > MAX_VALUES {
        return Err(format!("has a part with more than {MAX_VALUES} values"));
    }
    value.split(',').map(read).collect()
}

fn number<T: TryFrom<u32>>(name: &str, value: &str, least: u32, most: u32) -> Result<T, String> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse::<u32>().ok().filter(|number| digits && (least..=most).contains(number));
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("{name} must be a number from {least} to {most}"))
}

/// A number from 1, or from -1 backwards.
fn signed<T: TryFrom<i32>>(name: &str, value: &str, most: u32) -> Result<T, String> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let wrong = || format!("{name} must be a number from 1 to {most} or from -{most} to -1");
    let number: u32 = number(name, digits, 1, most).map_err(|_| wrong())?;
    i32::try_from(number)
        .ok()
        .and_then(|number| T::try_from(sign * number).ok())
        .ok_or_else(wrong)
}

fn weekday(value: &str) -> Option<Weekday> {
    Some(match value {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

fn numbered_weekday(value: &str) -> Result<(i16, Weekday), String> {
    let wrong = || "BYDAY must have weekdays such as MO, 2TU or -1FR".to_owned();
    let split = value
        .len()
        .checked_sub(2)
        .filter(|split| value.is_char_boundary(*split))
        .ok_or_else(wrong)?;
    let (numbered, name) = value.split_at(split);
    let weekday = weekday(name).ok_or_else(wrong)?;
    if numbered.is_empty() {
        return Ok((0, weekday));
    }
    Ok((signed("BYDAY", numbered, 53).map_err(|_| wrong())?, weekday))
}

fn until(value: &str) -> Option<End> {
    let (date, time) = match value.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (value, None),
    };
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(date, 8) {
        return None;
    }
    let date = Date::new(date[..4].parse().ok()?, date[4..6].parse().ok()?, date[6..].parse().ok()?).ok()?;
    let Some(time) = time else {
        return Some(End::Date(date));
    };
    let (clock, utc) = match time.strip_suffix('Z') {
        Some(clock) => (clock, true),
        None => (time, false),
    };
    if !digits(clock, 6) {
        return None;
    }
    let time = jiff::civil::Time::new(clock[..2].parse().ok()?, clock[2..4].parse().ok()?, clock[4..].parse().ok()?, 0).ok()?;
    Some(End::Moment {
        at: date.to_datetime(time),
        utc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// The anchor and what follows, as far as asked.
    fn series(rule: &str, anchor: &str, most: usize) -> Vec<String> {
        let (rule, anchor) = (Rule::parse(rule).unwrap(), date(anchor));
        std::iter::once(anchor)
            .chain(rule.dates_after(anchor, anchor))
            .take(most)
            .map(|date| date.to_string())
            .collect()
    }

    /// The examples of RFC 5545, 3.8.5.3, as far as they have one occurrence a day and start with one.
    #[test]
    fn the_examples_of_the_rfc_come_out() {
        let starts = |rule: &str, anchor: &str, expected: &[&str]| assert_eq!(series(rule, anchor, expected.len()), expected, "{rule}");
        starts("FREQ=DAILY;INTERVAL=2", "1997-09-02", &["1997-09-02", "1997-09-04", "1997-09-06"]);
        starts(
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
            "1997-09-02",
            &["1997-09-02", "1997-09-16", "1997-09-30", "1997-10-14"],
        );
        starts(
            "RRULE:FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
            "1997-09-02",
            &["1997-09-02", "1997-09-04", "1997-09-09", "1997-09-11", "1997-09-16"],
        );
        starts(
            "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
            "1997-09-05",
            &["1997-09-05", "1997-10-03", "1997-11-07", "1997-12-05", "1998-01-02"],
        );
        starts(
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1997-09-07",
            &["1997-09-07", "1997-09-28", "1997-11-02", "1997-11-30", "1998-01-04", "1998-01-25"],
        );
        starts(
            "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
            "1997-09-22",
            &["1997-09-22", "1997-10-20", "1997-11-17", "1997-12-22"],
        );
        starts(
            "FREQ=MONTHLY;BYMONTHDAY=-3",
            "1997-09-28",
            &["1997-09-28", "1997-10-29", "1997-11-28", "1997-12-29", "1998-01-29", "1998-02-26"],
        );
        starts(
            "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
            "1997-09-30",
            &["1997-09-30", "1997-10-01", "1997-10-31", "1997-11-01", "1997-11-30"],
        );
        starts(
            "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
            "1997-06-10",
            &["1997-06-10", "1997-07-10", "1998-06-10", "1998-07-10"],
        );
        starts(
            "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "1997-01-01",
            &["1997-01-01", "1997-04-10", "1997-07-19", "2000-01-01", "2000-04-09"],
        );
        starts("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", &["1997-05-19", "1998-05-18", "1999-05-17"]);
        starts(
            "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
            "1997-03-13",
            &["1997-03-13", "1997-03-20", "1997-03-27", "1998-03-05"],
        );
        starts(
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
            "1998-02-13",
            &["1998-02-13", "1998-03-13", "1998-11-13", "1999-08-13", "2000-10-13"],
        );
        starts(
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1996-11-05",
            &["1996-11-05", "2000-11-07", "2004-11-02"],
        );
        starts(
            "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
            "1997-09-04",
            &["1997-09-04", "1997-10-07", "1997-11-06"],
        );
        starts(
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
            "1997-09-29",
            &["1997-09-29", "1997-10-30", "1997-11-27", "1997-12-30"],
        );
        starts(
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1997-08-05",
            &["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"],
        );
        starts(
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1997-08-05",
            &["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"],
        );
        starts(
            "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
            "2007-01-15",
            &["2007-01-15", "2007-01-30", "2007-02-15", "2007-03-15", "2007-03-30"],
        );
        assert_eq!(series("FREQ=DAILY;COUNT=10", "1997-09-02", 99).len(), 10);
        assert_eq!(
            series("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "1997-06-10", 99).last().unwrap(),
            "2001-07-10"
        );
    }

    #[test]
    fn days_that_a_month_or_year_lacks_are_left_out() {
        assert_eq!(
            series("FREQ=MONTHLY", "2026-01-31", 4),
            ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]
        );
        assert_eq!(series("FREQ=YEARLY", "2024-02-29", 3), ["2024-02-29", "2028-02-29", "2032-02-29"]);
        assert_eq!(
            series("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "2024-02-29", 2),
            ["2024-02-29", "2044-02-29"]
        );
        // No such day at all, and nobody waits for it.
        assert_eq!(series("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "2026-01-01", 2).len(), 1);
        assert_eq!(series("FREQ=DAILY;INTERVAL=1000", "9990-01-01", 99).len(), 4);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_a_reason() {
        for (bad, reason) in [
            ("", "without a value"),
            ("INTERVAL=2", "FREQ is required"),
            ("FREQ=HOURLY", "FREQ must be"),
            ("FREQ=DAILY;FREQ=DAILY", "twice"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude"),
            ("FREQ=DAILY;COUNT=0", "COUNT"),
            ("FREQ=DAILY;COUNT=+1", "COUNT"),
            ("FREQ=DAILY;INTERVAL=1001", "INTERVAL"),
            ("FREQ=DAILY;UNTIL=2027-01-01", "UNTIL"),
            ("FREQ=DAILY;UNTIL=20270230", "UNTIL"),
            ("FREQ=DAILY;UNTIL=20270101T250000Z", "UNTIL"),
            ("FREQ=WEEKLY;BYDAY=1MO", "numbers"),
            ("FREQ=WEEKLY;BYDAY=", "BYDAY"),
            ("FREQ=WEEKLY;BYDAY=é", "BYDAY"),
            ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
            ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
            ("FREQ=DAILY;BYHOUR=9", "not supported"),
            ("FREQ=YEARLY;BYWEEKNO=20", "not supported"),
            ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS"),
            ("FREQ=DAILY;X-THING=1", "unknown part"),
            ("FREQ=DAILY;", "without a value"),
        ] {
            let error = Rule::parse(bad).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
        let long = format!("FREQ=YEARLY;BYYEARDAY={}", vec!["1"; 300].join(","));
        assert!(Rule::parse(&long).is_err());
        assert!(Rule::parse("rrule:freq=daily;until=20261224t170000z").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = Rule::parse(&text);
            let _ = Rule::parse(&format!("FREQ=DAILY;{text}"));
        }

        /// In order, none twice, none before it was asked for, and the same from wherever one starts.
        #[test]
        fn dates_come_in_order_wherever_one_starts(
            frequency in prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
            interval in 1_u32..5,
            by in prop::sample::select(vec!["", ";BYMONTH=1,6,12", ";BYDAY=MO,WE,SU", ";BYMONTH=2;BYDAY=FR"]),
            day in 0_i32..4_000,
            skip in 0_usize..8,
        ) {
            let anchor = date("2020-01-01").checked_add(day.days()).unwrap();
            let rule = Rule::parse(&format!("FREQ={frequency};INTERVAL={interval}{by}")).unwrap();
            let all: Vec<Date> = rule.dates_after(anchor, anchor).take(12).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]) && all.iter().all(|date| *date > anchor));
            if let Some(from) = all.get(skip) {
                let rest: Vec<Date> = rule.dates_after(anchor, *from).take(all.len() - skip - 1).collect();
                prop_assert_eq!(&rest[..], &all[skip + 1..]);
            }
        }
    }
}
