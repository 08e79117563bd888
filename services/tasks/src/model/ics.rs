//! Calendars (RFC 5545) of what is due. Events rather than to-dos (VTODO), which the common calendars leave out of
//! subscriptions.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::Timestamp;

/// Longest line in octets, its end not counted (RFC 5545, 3.1).
const MAX_LINE: usize = 75;
/// How long an event lasts that is due at a moment, in seconds: calendars show none of no length.
const LENGTH: i64 = 30 * 60;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Stays the same for ever, so that calendars move an event rather than double it.
    pub uid: String,
    pub summary: String,
    /// All day, or from the moment on.
    pub date: Option<Date>,
    pub at: Timestamp,
    pub changed_at: Timestamp,
    pub version: i64,
    pub cancelled: bool,
}

/// The same text for the same events, so that it can be compared by its hash.
pub(crate) fn calendar(name: &str, events: &[Event]) -> String {
    let mut text = String::new();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Guildhall//Tasks//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
    ] {
        push(&mut text, line);
    }
    // NAME and REFRESH-INTERVAL are RFC 7986; the X- properties are what calendars read that do not know it.
    let name = escaped(name);
    push(&mut text, &format!("NAME:{name}"));
    push(&mut text, &format!("X-WR-CALNAME:{name}"));
    push(&mut text, "REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    push(&mut text, "X-PUBLISHED-TTL:PT1H");
    for event in events {
        write(&mut text, event);
    }
    push(&mut text, "END:VCALENDAR");
    text
}

fn write(text: &mut String, event: &Event) {
    let changed = utc(event.changed_at);
    push(text, "BEGIN:VEVENT");
    push(text, &format!("UID:{}", event.uid));
    push(text, &format!("DTSTAMP:{changed}"));
    push(text, &format!("LAST-MODIFIED:{changed}"));
    push(text, &format!("SEQUENCE:{}", event.version.clamp(0, i64::from(i32::MAX))));
    match event.date {
        Some(date) => {
            push(text, &format!("DTSTART;VALUE=DATE:{}", day(date)));
            // The day after, which is not part of it any more (RFC 5545, 3.6.1).
            push(text, &format!("DTEND;VALUE=DATE:{}", day(date.tomorrow().unwrap_or(date))));
        }
        None => {
            push(text, &format!("DTSTART:{}", utc(event.at)));
            let end = Timestamp::from_seconds(event.at.as_seconds().saturating_add(LENGTH));
            push(text, &format!("DTEND:{}", utc(end)));
        }
    }
    push(text, &format!("SUMMARY:{}", escaped(&event.summary)));
    push(text, if event.cancelled { "STATUS:CANCELLED" } else { "STATUS:CONFIRMED" });
    // Something to do takes no time away from anybody's free and busy.
    push(text, "TRANSP:TRANSPARENT");
    push(text, "END:VEVENT");
}

fn day(date: Date) -> String {
    date.strftime("%Y%m%d").to_string()
}

fn utc(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at.to_jiff()).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// TEXT (RFC 5545, 3.3.11). Control characters have no place in it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' | ';' | ',' => text.extend(['\\', c]),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' => text.push_str("\\n"),
            c if c.is_control() && c != '\t' => {}
            c => text.push(c),
        }
    }
    text
}

/// A line, folded between characters.
fn push(text: &mut String, line: &str) {
    let mut length = 0;
    for c in line.chars() {
        if length + c.len_utf8() > MAX_LINE {
            text.push_str("\r\n ");
            length = 1;
        }
        text.push(c);
        length += c.len_utf8();
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(summary: &str) -> Event {
        Event {
            uid: "01910000-0000-7000-8000-000000000011@guildhall".into(),
            summary: summary.into(),
            date: Some("2026-12-31".parse().unwrap()),
            at: "2026-12-31T22:59:59.999999Z".parse().unwrap(),
            changed_at: "2026-11-21T09:30:00.5Z".parse().unwrap(),
            version: 4,
            cancelled: false,
        }
    }

    /// As a reader of the format undoes it: unfolded lines.
    fn unfolded(text: &str) -> Vec<String> {
        text.replace("\r\n ", "").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_day_is_an_event_of_that_day_and_a_moment_one_of_half_an_hour() {
        let mut moment = event("ABC-2 Call");
        moment.date = None;
        moment.at = "2026-12-31T23:45:00Z".parse().unwrap();
        moment.cancelled = true;
        let text = calendar("Mine", &[event("ABC-1 Write; sign, send"), moment]);
        let lines = unfolded(&text);
        let expected = [
            "BEGIN:VEVENT",
            "UID:01910000-0000-7000-8000-000000000011@guildhall",
            "DTSTAMP:20261121T093000Z",
            "LAST-MODIFIED:20261121T093000Z",
            "SEQUENCE:4",
            "DTSTART;VALUE=DATE:20261231",
            "DTEND;VALUE=DATE:20270101",
            "SUMMARY:ABC-1 Write\\; sign\\, send",
            "STATUS:CONFIRMED",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ];
        let start = lines.iter().position(|line| line == "BEGIN:VEVENT").unwrap();
        assert_eq!(lines[start..start + expected.len()], expected);
        for line in [
            "DTSTART:20261231T234500Z",
            "DTEND:20270101T001500Z",
            "STATUS:CANCELLED",
            "X-WR-CALNAME:Mine",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}");
        }
        assert!(text.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n") && text.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn text_is_escaped_and_folded_between_characters() {
        assert_eq!(escaped("a\\b;c,d\r\ne\nf\u{7}g"), "a\\\\b\\;c\\,d\\ne\\nfg");
        let text = calendar("x", &[event(&"ä€😀".repeat(40))]);
        assert!(text.split("\r\n").all(|line| line.len() <= MAX_LINE));
        assert!(unfolded(&text).contains(&format!("SUMMARY:{}", "ä€😀".repeat(40))));
    }

    proptest! {
        /// Nothing that a title holds ends its line or begins another property.
        #[test]
        fn no_title_breaks_out_of_its_line(title in "(\\PC|[\r\n\t;:,]){0,200}") {
            let text = calendar(&title, &[event(&title)]);
            prop_assert!(text.split("\r\n").all(|line| line.len() <= MAX_LINE && !line.contains(['\r', '\n'])));
            let lines = unfolded(&text);
            prop_assert_eq!(lines.len(), unfolded(&calendar("x", &[event("x")])).len());
        }
    }
}
