//! Tasks that come again: a rule, its first occurrence, and where the series stands.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::rrule::{End, Rule};
use super::{Due, UnknownName};

kernel::id_type!(
    /// A series of tasks.
    RecurrenceId,
);

/// When the next task of a series is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Once the present one is done or cancelled.
    Completion,
    /// Once the present one is due, done or not.
    Schedule,
}

impl Trigger {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Schedule => "schedule",
        }
    }
}

impl std::str::FromStr for Trigger {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "completion" => Ok(Self::Completion),
            "schedule" => Ok(Self::Schedule),
            _ => Err(UnknownName),
        }
    }
}

/// A series. Its present task is the pattern of the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recurrence {
    pub id: RecurrenceId,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    pub task_id: TaskId,
    /// RFC 5545, as it was given.
    pub rule: String,
    pub trigger: Trigger,
    /// IANA name of the zone in which dates and times are meant.
    pub time_zone: String,
    /// The first occurrence; a time of day for tasks that are due at a moment.
    pub first: Date,
    pub time: Option<Time>,
    /// The occurrence that the present task stands for. Its due date may have been changed by hand; the series goes on
    /// from here all the same.
    pub current: Date,
    pub creator_id: Option<UserId>,
    pub ended_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Recurrence {
    /// Date and, unless the task is due all day, time of day of a due moment in a zone.
    pub fn occurrence(due: Due, time_zone: &str) -> (Date, Option<Time>) {
        match due.date {
            Some(date) => (date, None),
            None => {
                let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
                let local = zone.to_datetime(due.at.to_jiff());
                (local.date(), Some(local.time()))
            }
        }
    }

    /// When the occurrence of a date is due. A time that a clock change skips becomes the one as much later, one that
    /// comes twice is the first (RFC 5545, 3.3.5).
    pub fn due_on(&self, date: Date) -> Due {
        let Some(time) = self.time else {
            return Due::day(date, &self.time_zone);
        };
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        match date.to_datetime(time).to_zoned(zone) {
            Ok(zoned) => Due::moment(Timestamp::from_jiff(zoned.timestamp())),
            Err(_) => Due::day(date, &self.time_zone),
        }
    }

    /// The first occurrence behind the present one that is due after `now`; those that were missed are left out, though
    /// COUNT counts them. `None`: the series is over.
    pub fn next(&self, now: Option<Timestamp>) -> Option<(Date, Due)> {
        let rule = Rule::parse(&self.rule).ok()?;
        rule.dates_after(self.first, self.current)
            .map(|date| (date, self.due_on(date)))
            .take_while(|(date, due)| self.lasts_until(&rule, *date, *due))
            .find(|(_, due)| now.is_none_or(|now| due.at > now))
    }

    /// Neither the first date is one of the series nor is there a later one: a rule for the 30th of February, or one that ended before.
    pub fn is_barren(&self) -> bool {
        let Ok(rule) = Rule::parse(&self.rule) else { return true };
        match rule.end {
            End::Count(1) => false,
            End::Count(_) | End::Never => self.next(None).is_none(),
            End::Date(_) | End::Moment { .. } => !self.lasts_until(&rule, self.first, self.due_on(self.first)),
        }
    }

    fn lasts_until(&self, rule: &Rule, date: Date, due: Due) -> bool {
        match rule.end {
            End::Never | End::Count(_) => true,
            End::Date(last) => date <= last,
            End::Moment { at, utc } => {
                let zone = if utc {
                    TimeZone::UTC
                } else {
                    TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
                };
                // For days, the day on which the moment lies in the zone of the series.
                let Ok(last) = at.to_zoned(zone) else { return false };
                match self.time {
                    Some(_) => due.at <= Timestamp::from_jiff(last.timestamp()),
                    None => {
                        let own = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
                        date <= own.to_datetime(last.timestamp()).date()
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ids::Uuid;

    fn series(rule: &str, due: &str, zone: &str) -> Recurrence {
        let due = match due.parse::<Date>() {
            Ok(date) if !due.contains('T') => Due::day(date, zone),
            _ => Due::moment(due.parse().unwrap()),
        };
        let (first, time) = Recurrence::occurrence(due, zone);
        Recurrence {
            id: RecurrenceId(Uuid::nil()),
            workspace_id: WorkspaceId(Uuid::nil()),
            project_id: ProjectId(Uuid::nil()),
            task_id: TaskId(Uuid::nil()),
            rule: rule.into(),
            trigger: Trigger::Schedule,
            time_zone: zone.into(),
            first,
            time,
            current: first,
            creator_id: None,
            ended_at: None,
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn moments(mut series: Recurrence, most: usize) -> Vec<String> {
        let mut found = Vec::new();
        while let Some((date, due)) = series.next(None).filter(|_| found.len() < most) {
            found.push(due.at.to_string());
            series.current = date;
        }
        found
    }

    #[test]
    fn the_wall_clock_stays_when_clocks_change() {
        let weekly = series("FREQ=WEEKLY", "2026-03-22T08:00:00Z", "Europe/Berlin");
        assert_eq!(moments(weekly, 2), ["2026-03-29T07:00:00Z", "2026-04-05T07:00:00Z"]);
        // 02:30 does not exist in Berlin on 29 March and exists twice on 25 October.
        let daily = series("FREQ=DAILY", "2026-03-28T01:30:00Z", "Europe/Berlin");
        assert_eq!(moments(daily, 2), ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
        let daily = series("FREQ=DAILY", "2026-10-24T00:30:00Z", "Europe/Berlin");
        assert_eq!(moments(daily, 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let days = series("FREQ=DAILY", "2026-03-28", "Europe/Berlin");
        assert_eq!(moments(days, 1), ["2026-03-29T21:59:59.999999Z"]);
    }

    #[test]
    fn a_series_ends_with_count_or_until() {
        assert_eq!(moments(series("FREQ=DAILY;COUNT=3", "2026-01-01", "UTC"), 9).len(), 2);
        assert_eq!(moments(series("FREQ=DAILY;UNTIL=20260103", "2026-01-01", "UTC"), 9).len(), 2);
        // 22:30 UTC is the morning of the 4th in Auckland.
        assert_eq!(
            moments(series("FREQ=DAILY;UNTIL=20260103T223000Z", "2026-01-01", "Pacific/Auckland"), 9).len(),
            3
        );
        let at_nine = |until: &str| {
            moments(
                series(&format!("FREQ=DAILY;UNTIL={until}"), "2026-01-01T08:00:00Z", "Europe/Berlin"),
                9,
            )
            .len()
        };
        assert_eq!((at_nine("20260103T080000Z"), at_nine("20260103T075959Z")), (2, 1));
        assert_eq!(
            (at_nine("20260103T090000"), at_nine("20260103T085959"), at_nine("20260103")),
            (2, 1, 2)
        );
    }

    #[test]
    fn what_was_missed_is_left_out_but_counted() {
        let now = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let daily = series("FREQ=DAILY", "2026-01-01", "UTC");
        assert_eq!(daily.next(now("2026-01-20T12:00:00Z")).unwrap().0.to_string(), "2026-01-20");
        let three = series("FREQ=DAILY;COUNT=3", "2026-01-01", "UTC");
        assert_eq!(three.next(now("2026-01-02T12:00:00Z")).unwrap().0.to_string(), "2026-01-02");
        assert_eq!(three.next(now("2026-01-20T12:00:00Z")), None);
    }
}
