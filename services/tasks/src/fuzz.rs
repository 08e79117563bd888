//! Targets of the fuzzer for what reads other people's text: rules of recurrence, calendars, files, Markdown, saved filters.
//!
//! A target takes any bytes, and panics when the code that reads them breaks a promise. See `fuzz/README.md`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use kernel::Timestamp;

use crate::model::import::Mapping;
use crate::model::rrule::{End, MAX_RULE, Rule};
use crate::model::sheet::{FailedRow, Sheet};
use crate::model::table::{self, Delimiter, MAX_COLUMNS};
use crate::model::{ics, mentions, terms};
use crate::query::parse_saved;

/// Enough for everything a reader can get wrong, and few enough for the fuzzer to be quick.
const ROWS: usize = 20;

/// The first bytes as small numbers, and the rest as text.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], String) {
    let mut numbers = [0; N];
    for (number, byte) in numbers.iter_mut().zip(bytes) {
        *number = *byte;
    }
    (numbers, String::from_utf8_lossy(bytes.get(N..).unwrap_or_default()).into_owned())
}

/// A day in the years that due dates have.
fn day(high: u8, low: u8) -> Option<Date> {
    let days = i32::from(u16::from_be_bytes([high, low])) * 55;
    let first = Date::constant(1, 1, 1);
    first
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
        .filter(|day| day.year() <= 9_998)
}

/// Rules of recurrence (RFC 5545): dates in order, from wherever one begins, and never more than the rule counts.
pub fn rrule(bytes: &[u8]) {
    let ([a, b, c, d], text) = split(bytes);
    let rule = match Rule::parse(&text) {
        Ok(rule) => rule,
        Err(reason) => return assert!(!reason.is_empty()),
    };
    assert!(text.trim().chars().count() <= MAX_RULE);
    let plain = text.trim().to_ascii_uppercase();
    let bare = plain.strip_prefix("RRULE:").unwrap_or(&plain);
    assert_eq!(Rule::parse(&bare.to_ascii_lowercase()).as_ref(), Ok(&rule), "case means nothing");
    let (Some(anchor), Some(after)) = (day(a, b), day(c, d)) else {
        return;
    };
    let after = after.max(anchor);
    let dates: Vec<Date> = rule.dates_after(anchor, after).take(8).collect();
    assert!(dates.windows(2).all(|pair| pair[0] < pair[1]), "{dates:?}");
    assert!(dates.iter().all(|date| *date > after && date.year() <= 9_998), "{dates:?}");
    if let End::Count(count) = rule.end {
        assert!(dates.len() < usize::try_from(count).expect("a small number").max(1));
    }
    if let Some(middle) = dates.get(2) {
        let rest: Vec<Date> = rule.dates_after(anchor, *middle).take(dates.len() - 3).collect();
        assert_eq!(rest, dates[3..], "{text}");
    }
}

/// Calendars: whatever a task is called, a reader of the format gets exactly that, and nothing breaks out of its line.
pub fn ics(bytes: &[u8]) {
    let ([a, b, c, kind], text) = split(bytes);
    let event = ics::Event {
        uid: "01910000-0000-7000-8000-000000000011@guildhall".to_owned(),
        summary: text.clone(),
        date: day(a, b).filter(|_| kind.is_multiple_of(2)),
        at: Timestamp::from_micros(i64::from_be_bytes([a, b, c, kind, a, b, c, kind])),
        changed_at: Timestamp::from_seconds(i64::from(kind)),
        version: i64::from(c),
        cancelled: kind.is_multiple_of(3),
    };
    let calendar = ics::calendar(&text, &[event]);
    assert!(calendar.ends_with("\r\n"));
    let lines: Vec<&str> = calendar.split_terminator("\r\n").collect();
    assert!(lines.iter().all(|line| line.len() <= 75 && !line.contains(['\r', '\n', '\0'])));
    let unfolded = calendar.replace("\r\n ", "");
    let lines: Vec<&str> = unfolded.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 21, "{unfolded}");
    let wanted: String = text.replace("\r\n", "\n").replace('\r', "\n");
    let wanted: String = wanted.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n')).collect();
    for property in ["NAME:", "X-WR-CALNAME:", "SUMMARY:"] {
        let found: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(property)).collect();
        assert_eq!(found.len(), 1, "{unfolded}");
        assert_eq!(unescaped(found[0]), wanted);
    }
}

/// TEXT as a reader undoes it (RFC 5545, 3.3.11).
fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next().expect("something is escaped") {
                'n' | 'N' => text.push('\n'),
                c => text.push(c),
            },
            c => {
                assert!(!matches!(c, ';' | ','), "a sign that separates stands bare in {value:?}");
                text.push(c);
            }
        }
    }
    text
}

/// Imports of CSV: bounded, every row known by its line, and what is written of it reads back as it was.
pub fn csv_import(bytes: &[u8]) {
    let ([choice], text) = split(bytes);
    let delimiter = [
        None,
        Some(Delimiter::Comma),
        Some(Delimiter::Semicolon),
        Some(Delimiter::Tab),
        Some(Delimiter::Bar),
    ];
    let delimiter = delimiter[usize::from(choice % 5)];
    let header = [None, Some(true), Some(false)][usize::from(choice / 5 % 3)];
    match Sheet::from_csv(&text, delimiter, header, &Mapping::new(), ROWS) {
        Ok(sheet) => {
            let breaks = u64::try_from(text.matches('\n').count()).expect("a small number");
            let lines = sheet.rows.iter().map(|row| row.line.expect("CSV has lines"));
            let lines: Vec<u64> = lines.collect();
            assert!(
                lines.is_sorted() && lines.iter().all(|line| (1..=breaks + 1).contains(line)),
                "{lines:?}"
            );
            checked(&sheet);
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
    let entries = table::split(&text);
    assert!(entries.iter().all(|entry| !entry.is_empty() && entry.trim() == entry));
    assert_eq!(table::split(&table::join(entries.iter().map(String::as_str))), entries);
}

/// Imports of JSON: the same bounds, and one cell for each column.
pub fn json_import(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Sheet::from_json(&text, &Mapping::new(), ROWS) {
        Ok(sheet) => {
            let columns: BTreeSet<&String> = sheet.columns.iter().collect();
            assert_eq!(columns.len(), sheet.columns.len(), "a column is there twice");
            assert!(sheet.rows.iter().all(|row| row.cells.len() == sheet.columns.len()));
            checked(&sheet);
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
}

fn checked(sheet: &Sheet) {
    assert!(sheet.rows.len() <= ROWS && sheet.columns.len() <= MAX_COLUMNS);
    assert_eq!(sheet.fields.len(), sheet.columns.len());
    let filled: Vec<_> = sheet.fields.iter().flatten().collect();
    assert_eq!(
        filled.len(),
        filled.iter().collect::<BTreeSet<_>>().len(),
        "a field is filled twice"
    );
    assert!(sheet.rows.iter().all(|row| row.number >= 1));

    let table: Vec<Vec<String>> = sheet.rows.iter().map(|row| row.cells.clone()).collect();
    let mut out = Vec::new();
    let borrowed = table.iter().map(|cells| cells.iter().map(|cell| cell.as_str().into()).collect());
    table::write(&mut out, Delimiter::Comma, borrowed);
    let text = String::from_utf8(out).expect("text remains text");
    let read: Vec<Vec<String>> = table::read(&text, Delimiter::Comma, usize::MAX)
        .into_iter()
        .map(|record| record.cells)
        .collect();
    assert_eq!(read, table, "{text:?}");

    let failed = sheet.rows.iter().map(|record| FailedRow {
        record,
        error: "wrong".to_owned(),
        parent: None,
    });
    let file = sheet.error_file(&failed.collect::<Vec<_>>());
    let again = Sheet::from_csv(
        &file,
        Some(sheet.delimiter.unwrap_or(Delimiter::Comma)),
        Some(sheet.heading.is_some()),
        &Mapping::new(),
        ROWS,
    );
    match again {
        Ok(again) => assert_eq!(again.rows.len(), sheet.rows.len(), "{file:?}"),
        // The column of what was wrong is one more.
        Err(_) => assert_eq!(sheet.columns.len(), MAX_COLUMNS, "{file:?}"),
    }
}

/// Mentions in Markdown: bounded, each person once, nobody inside a block of code.
pub fn mentions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = mentions::mentioned(&text);
    assert!(found.len() <= mentions::MAX_MENTIONS);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
    let code: String = text.split(['\r', '\n']).map(|line| format!("    {line}\n")).collect();
    assert!(mentions::mentioned(&code).is_empty(), "{code:?}");
    let excerpt = mentions::excerpt(&text, 40);
    assert!(excerpt.chars().count() <= 40 && !excerpt.contains(['\r', '\n', '\t']) && !excerpt.contains("  "));
}

/// Filters as they are saved, and the words of a search.
pub fn filters(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_saved(&text) {
        Ok(criteria) => {
            let mut keys: Vec<_> = criteria.sorts.iter().map(|sort| format!("{:?}", sort.key)).collect();
            keys.sort();
            keys.dedup();
            assert!(keys.len() == criteria.sorts.len() && (1..=3).contains(&keys.len()));
            assert!(criteria.q.as_ref().is_none_or(|q| !q.contains('\0')));
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
    let query = terms::parse_query(&text);
    assert!(query.all().count() <= terms::MAX_QUERY_WORDS);
    let whole = terms::task_terms(&text, "");
    assert!(whole.len() <= terms::MAX_TERMS);
    assert!(whole.iter().all(|term| !term.is_empty() && term.chars().count() <= terms::MAX_TERM));
    assert!(query.words.iter().all(|word| whole.contains(word)), "{text:?}");
    assert_eq!(terms::fold(&terms::fold(&text)), terms::fold(&text), "{text:?}");
    assert!(terms::title_sort(&text).chars().count() <= 100 && terms::folded_name(&text).chars().count() <= 200);
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn the_corpus_of_rules_keeps_its_promises() {
        replay("rrule", super::rrule);
    }
    #[test]
    fn the_corpus_of_calendars_keeps_its_promises() {
        replay("ics", super::ics);
    }
    #[test]
    fn the_corpus_of_csv_keeps_its_promises() {
        replay("csv_import", super::csv_import);
    }
    #[test]
    fn the_corpus_of_json_keeps_its_promises() {
        replay("json_import", super::json_import);
    }
    #[test]
    fn the_corpus_of_mentions_keeps_its_promises() {
        replay("mentions", super::mentions);
    }
    #[test]
    fn the_corpus_of_filters_keeps_its_promises() {
        replay("filters", super::filters);
    }
}
