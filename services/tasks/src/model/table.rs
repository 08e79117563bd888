//! Tables of text as people exchange them: CSV by RFC 4180, with the tolerance that files from elsewhere need.

use kernel::cell::{guard, unguard};
use serde::{Deserialize, Serialize};

/// Most columns of a table.
pub(crate) const MAX_COLUMNS: usize = 100;

/// What stands between two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
pub enum Delimiter {
    #[serde(rename = ",")]
    Comma,
    #[serde(rename = ";")]
    Semicolon,
    #[serde(rename = "tab", alias = "\t")]
    Tab,
    #[serde(rename = "|")]
    Bar,
}

impl Delimiter {
    const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// The one that cuts the first records into the same number of cells, and into most.
    pub fn detect(text: &str) -> Self {
        let score = |delimiter: &Self| {
            let widths: Vec<usize> = records(text, *delimiter).take(5).map(|(_, cells)| cells.len()).collect();
            let first = widths.first().copied().unwrap_or(0);
            let even = first > 1 && widths.iter().all(|width| *width == first);
            (even, first)
        };
        let mut best = Self::Comma;
        for candidate in Self::ALL {
            if score(&candidate) > score(&best) {
                best = candidate;
            }
        }
        best
    }
}

/// One record of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Counts from 1, the header included.
    pub number: usize,
    /// Where it begins in the text, counted from 1; `None` where the text has no lines that mean anything.
    pub line: Option<u64>,
    pub cells: Vec<String>,
}

/// The records of a text with the lines they begin on, without its empty lines and its byte order mark.
fn records(text: &str, delimiter: Delimiter) -> impl Iterator<Item = (u64, Vec<String>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut line, mut counted) = (1, 0);
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter.byte())
        .from_reader(text.as_bytes())
        .into_records()
        // The text is UTF-8 and in memory, so there is nothing that could fail.
        .map_while(Result::ok)
        .map(move |record| {
            // The reader begins a record with the empty lines before it.
            let begin = record.position().map_or(0, csv::Position::byte);
            let rest = &text.as_bytes()[usize::try_from(begin).unwrap_or(text.len()).min(text.len())..];
            let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let begin = text.len() - rest.len() + breaks;
            line += text.as_bytes()[counted..begin]
                .iter()
                .map(|byte| u64::from(*byte == b'\n'))
                .sum::<u64>();
            counted = begin;
            (line, record.iter().map(str::to_owned).collect())
        })
}

/// A quoted cell that does not end as RFC 4180 says. A reader that repairs it in silence makes one task of many, or another text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misquoted {
    /// The record in which the quote begins, counted from 1 with the header, and the line of that quote.
    pub record: usize,
    pub line: u64,
    /// Text follows the closing quote; otherwise there is none.
    pub closed: bool,
}

/// The first cell that is quoted wrongly. Read as [`records`] reads: quotes inside of a cell that does not begin with one are text, and
/// so is blank space behind a closing quote.
pub(crate) fn misquoted(text: &str, delimiter: Delimiter) -> Option<Misquoted> {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Record,
        Cell,
        Bare,
        Quoted,
        /// Right behind a quote inside of a quoted cell: its end, or the first of a doubled one.
        Quote,
        Closed,
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut at, mut record, mut line, mut begin) = (At::Record, 0, 1, (0, 1));
    for byte in text.bytes() {
        let is_break = matches!(byte, b'\r' | b'\n');
        if at == At::Record && !is_break {
            record += 1;
            at = At::Cell;
        }
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) | (At::Quote, b'"') => At::Quoted,
            _ if is_break => At::Record,
            _ if byte == delimiter.byte() => At::Cell,
            (At::Quote | At::Closed, b' ' | b'\t') => At::Closed,
            (At::Quote | At::Closed, _) => {
                let (record, line) = begin;
                let closed = true;
                return Some(Misquoted { record, line, closed });
            }
            (At::Cell, b'"') => {
                begin = (record, line);
                At::Quoted
            }
            _ => At::Bare,
        };
        line += u64::from(byte == b'\n');
    }
    let (record, line) = begin;
    let closed = false;
    (at == At::Quoted).then_some(Misquoted { record, line, closed })
}

/// At most `limit` records; whoever needs to know whether there are more asks for one more.
pub(crate) fn read(text: &str, delimiter: Delimiter, limit: usize) -> Vec<Record> {
    records(text, delimiter)
        .enumerate()
        .map(|(index, (line, cells))| Record {
            number: index + 1,
            line: Some(line),
            cells: cells.into_iter().map(unguard).collect(),
        })
        .take(limit)
        .collect()
}

/// Appends records as CSV (RFC 4180 but for the delimiter): every cell in quotes, lines that end in CR LF, no byte order mark. In
/// quotes, because a spreadsheet that splits at another delimiter would otherwise find the start of a cell inside of ours.
pub(crate) fn write<'a>(out: &mut Vec<u8>, delimiter: Delimiter, records: impl IntoIterator<Item = Vec<std::borrow::Cow<'a, str>>>) {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .delimiter(delimiter.byte())
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(out);
    for record in records {
        // Writing to memory cannot fail.
        let _ = writer.write_record(record.iter().map(|cell| guard(cell).into_owned()));
    }
    let _ = writer.flush();
}

/// Several names in one cell: `bug; "one; two"`. What would be misread stands in quotes, and a quote inside is doubled.
pub(crate) fn join<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |entry: &str| {
        if entry.contains([';', ',', '"', '\n', '\r']) || entry.trim() != entry {
            format!("\"{}\"", entry.replace('"', "\"\""))
        } else {
            entry.to_owned()
        }
    };
    entries.into_iter().map(quoted).collect::<Vec<_>>().join("; ")
}

/// The other way round. Where nothing is separated by a semicolon, commas separate; empty entries are none.
pub(crate) fn split(cell: &str) -> Vec<String> {
    let by = |separator: char| {
        let mut entries = vec![String::new()];
        let (mut inside, mut rest) = (false, cell.chars().peekable());
        while let Some(next) = rest.next() {
            let entry = entries.len() - 1;
            let entry = &mut entries[entry];
            match next {
                '"' if inside && rest.peek() == Some(&'"') => {
                    rest.next();
                    entry.push('"');
                }
                '"' if inside => inside = false,
                '"' if entry.trim().is_empty() => {
                    entry.clear();
                    inside = true;
                }
                _ if next == separator && !inside => entries.push(String::new()),
                _ => entry.push(next),
            }
        }
        entries
    };
    let mut entries = by(';');
    if entries.len() == 1 {
        entries = by(',');
    }
    entries
        .into_iter()
        .map(|entry| entry.trim().to_owned())
        .filter(|entry| !entry.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(records: &[&[&str]]) -> String {
        let mut out = Vec::new();
        write(
            &mut out,
            Delimiter::Comma,
            records.iter().map(|record| record.iter().map(|cell| (*cell).into()).collect()),
        );
        String::from_utf8(out).unwrap()
    }

    fn cells(text: &str, delimiter: Delimiter) -> Vec<Vec<String>> {
        read(text, delimiter, usize::MAX).into_iter().map(|record| record.cells).collect()
    }

    #[test]
    fn cells_are_quoted_and_lines_end_as_the_standard_says() {
        assert_eq!(
            text(&[&["a", "b \"c\""], &["1\n2", ""]]),
            "\"a\",\"b \"\"c\"\"\"\r\n\"1\n2\",\"\"\r\n"
        );
    }

    #[test]
    fn sec_31_no_cell_begins_like_a_formula() {
        let written = text(&[&["=1+1", "a=b"]]);
        assert_eq!(written, "\"'=1+1\",\"a=b\"\r\n");
        assert_eq!(cells(&written, Delimiter::Comma), [["=1+1", "a=b"]], "and it comes back");
    }

    #[test]
    fn delimiters_are_told_from_the_first_records() {
        for (text, delimiter) in [
            ("title,labels\nA,\"x;y;z\"\n", Delimiter::Comma),
            ("title;due\r\n\"a, b\";2026-01-01\r\n", Delimiter::Semicolon),
            ("title\tdue\na\tb\n", Delimiter::Tab),
            ("title|due\na|b\n", Delimiter::Bar),
            ("title\nonly; one, column\n", Delimiter::Comma),
            ("", Delimiter::Comma),
        ] {
            assert_eq!(Delimiter::detect(text), delimiter, "{text}");
        }
    }

    #[test]
    fn records_know_their_number_and_line_and_lose_the_byte_order_mark() {
        let records = read("\u{feff}title,x\n\n\"two\nlines\",1\nlast", Delimiter::Comma, 10);
        let places: Vec<_> = records
            .iter()
            .map(|record| (record.number, record.line, record.cells.len()))
            .collect();
        assert_eq!(records[0].cells[0], "title");
        assert_eq!(places, [(1, Some(1), 2), (2, Some(3), 2), (3, Some(5), 1)]);
        assert_eq!(read("a\nb\nc", Delimiter::Comma, 2).len(), 2);
    }

    #[test]
    fn a_quote_ends_where_its_cell_ends() {
        let found = |text: &str| misquoted(text, Delimiter::Comma).map(|bad| (bad.record, bad.line, bad.closed));
        assert_eq!(found("title,x\nA,\"open\nB,x\nC,y\n"), Some((2, 2, false)));
        assert_eq!(found("\u{feff}title\n\n\"two\nlines\"\n\r\n\"quo\"ted\" x\nB"), Some((3, 6, true)));
        assert_eq!(found("\"a\" \"b\""), Some((1, 1, true)));
        assert_eq!(found("a,\""), Some((1, 1, false)));
        for fine in [
            "",
            "a 6\" pipe,b\"\n",
            "\"a\"\"b\",\"\",\"c,\r\nd\"\r\ne",
            "\"a\" ,\"b\"\t\n",
            " \"not a quote\" at all",
            "\"\"\"\"",
            "\"\"",
        ] {
            assert_eq!(found(fine), None, "{fine}");
        }
        assert_eq!(misquoted("\"a\";b", Delimiter::Semicolon), None);
        assert!(misquoted("\"a\";b", Delimiter::Comma).is_some());
    }

    #[test]
    fn lists_are_separated_by_semicolons_or_else_by_commas() {
        assert_eq!(split("a; b ;;c"), ["a", "b", "c"]);
        assert_eq!(split("a, b"), ["a", "b"]);
        assert_eq!(split("Doe, J; Roe, R"), ["Doe, J", "Roe, R"]);
        assert_eq!(split(r#""one; two"; three"#), ["one; two", "three"]);
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split(r#"6" pipe"#), [r#"6" pipe"#]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(records in proptest::collection::vec(proptest::collection::vec("[-=+@'\"\t\r\n,; a＝é]{0,6}", 2..4), 1..4)) {
            let mut out = Vec::new();
            write(&mut out, Delimiter::Comma, records.iter().map(|record| record.iter().map(|cell| cell.as_str().into()).collect()));
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(misquoted(&text, Delimiter::Comma), None);
            prop_assert_eq!(cells(&text, Delimiter::Comma), records);
        }

        #[test]
        fn lists_are_read_as_they_were_joined(entries in proptest::collection::vec("[a-c;,\" ]{1,5}", 0..4)) {
            let kept: Vec<String> = entries.iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect();
            prop_assert_eq!(split(&join(kept.iter().map(String::as_str))), kept);
        }
    }
}
