//! A file with tasks, read: its columns, what they mean, and its rows.

use std::borrow::Cow;

use kernel::FieldError;
use serde_json::{Map, Value};

use super::import::{ColumnRef, ERROR_COLUMN, ImportField, Mapping, fields_of, is_header, plain};
use super::table::{self, Delimiter, MAX_COLUMNS, Misquoted, Record};

/// The rows of a file, as text, whatever form it had.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Of CSV.
    pub delimiter: Option<Delimiter>,
    /// Whether the first record of the CSV names the columns.
    pub header: Option<bool>,
    pub columns: Vec<String>,
    /// What stands above rows that go back, so that the same request reads them again; `None` where it said that nothing does.
    pub heading: Option<Vec<String>>,
    /// One for each column.
    pub fields: Vec<Option<ImportField>>,
    /// Without blank ones.
    pub rows: Vec<Record>,
}

/// A row that goes back.
#[derive(Debug)]
pub(crate) struct FailedRow<'a> {
    pub record: &'a Record,
    /// What is wrong.
    pub error: String,
    /// What its parent is called from now on.
    pub parent: Option<String>,
}

type Errors = Vec<FieldError>;

impl Sheet {
    /// What is not given is found out from the text; what is given goes before what the text says.
    pub fn from_csv(
        text: &str,
        delimiter: Option<Delimiter>,
        header: Option<bool>,
        mapping: &Mapping,
        max_rows: usize,
    ) -> Result<Self, Errors> {
        let (named, text) = separator_line(text);
        let delimiter = delimiter.or(named).unwrap_or_else(|| Delimiter::detect(text));
        if let Some(found) = table::misquoted(text, delimiter) {
            return Err(vec![wrong_quote(found)]);
        }
        let told_bare = header == Some(false);
        // A header, and one more, which tells that there are too many.
        let mut records = table::read(text, delimiter, max_rows.saturating_add(2));
        let header = header.unwrap_or_else(|| records.first().is_some_and(|first| is_header(&first.cells, mapping)));
        let columns = if header && !records.is_empty() {
            records.remove(0).cells
        } else {
            let width = records.iter().map(|record| record.cells.len()).max().unwrap_or(0);
            (1..=width).map(|number| format!("column_{number}")).collect()
        };
        let sheet = Self {
            delimiter: Some(delimiter),
            header: Some(header),
            heading: None,
            fields: Vec::new(),
            columns,
            rows: records,
        };
        let mut sheet = sheet.checked(mapping, max_rows)?;
        if !told_bare {
            sheet.heading = Some(sheet.readable_heading(mapping));
        }
        Ok(sheet)
    }

    /// The object of an export, or its items alone: an array of objects.
    pub fn from_json(text: &str, mapping: &Mapping, max_rows: usize) -> Result<Self, Errors> {
        let refused = |detail: &str| vec![FieldError::new("/content", "invalid_json", detail)];
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut value: Value = serde_json::from_str(text).map_err(|error| refused(&format!("is no JSON: {error}")))?;
        if let Some(items) = value.get_mut("items") {
            value = items.take();
        }
        let Value::Array(items) = value else {
            return Err(refused("must be an array of objects, or an object whose items are one"));
        };
        if items.len() > max_rows {
            return Err(too_many_rows(max_rows));
        }
        let mut objects = Vec::new();
        for item in items {
            match item {
                Value::Object(object) => objects.push(object),
                _ => return Err(refused("must hold nothing but objects")),
            }
        }
        let mut columns: Vec<String> = Vec::new();
        for name in objects.iter().flat_map(Map::keys) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
            if columns.len() > MAX_COLUMNS {
                return Err(too_many_columns());
            }
        }
        let record = |(index, mut object): (usize, Map<String, Value>)| Record {
            number: index + 1,
            line: None,
            cells: columns.iter().map(|name| cell(object.remove(name))).collect(),
        };
        let rows = objects.into_iter().enumerate().map(record).collect();
        let sheet = Self {
            delimiter: None,
            header: None,
            heading: Some(columns.clone()),
            fields: Vec::new(),
            columns,
            rows,
        };
        sheet.checked(mapping, max_rows)
    }

    fn checked(mut self, mapping: &Mapping, max_rows: usize) -> Result<Self, Errors> {
        self.rows.retain(|row| row.cells.iter().any(|cell| !cell.trim().is_empty()));
        let width = self.columns.len();
        for row in &mut self.rows {
            // Some programs end rows, but not the header, with a delimiter. A cell that says nothing is not one too many.
            let filled = row
                .cells
                .iter()
                .rposition(|cell| !cell.trim().is_empty())
                .map_or(0, |last| last + 1);
            row.cells.truncate(filled.max(width));
        }
        if self.rows.len() > max_rows {
            return Err(too_many_rows(max_rows));
        }
        if self.columns.len() > MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut errors = Vec::new();
        self.fields = fields_of(&self.columns, mapping, &mut errors);
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// Of a file without a header the names that are understood when it comes back, unless the request uses those we gave.
    fn readable_heading(&self, mapping: &Mapping) -> Vec<String> {
        let used = |column: &str| {
            let is_it = |used: &ColumnRef| matches!(used, ColumnRef::Name(name) if plain(name) == plain(column));
            mapping.values().flatten().any(is_it)
        };
        let name = |(column, field): (&String, &Option<ImportField>)| match field {
            Some(field) if self.header == Some(false) && !used(column) => field.name().to_owned(),
            _ => column.clone(),
        };
        self.columns.iter().zip(&self.fields).map(name).collect()
    }

    fn index_of(&self, field: ImportField) -> Option<usize> {
        self.fields.iter().position(|other| *other == Some(field))
    }

    /// The name of the column that a field is filled from.
    pub fn column_of(&self, field: ImportField) -> Option<&str> {
        self.columns.get(self.index_of(field)?).map(String::as_str)
    }

    /// The rows with something wrong as a file of their own: as they came, and what was wrong behind them, or in the column of that
    /// name that came in. All other columns keep their places, so numbers in a mapping keep their meaning.
    pub fn error_file(&self, failed: &[FailedRow<'_>]) -> String {
        let place = (0..self.columns.len()).find(|index| self.fields[*index].is_none() && plain(&self.columns[*index]) == ERROR_COLUMN);
        let heading = self.heading.as_ref().map(|names| {
            let own = place.is_none().then(|| ERROR_COLUMN.to_owned());
            names.iter().cloned().chain(own).map(Cow::<str>::Owned).collect::<Vec<_>>()
        });
        let parent = self.index_of(ImportField::Parent);
        let cells = |row: &FailedRow<'_>| {
            let cell = |index: usize| match &row.parent {
                Some(name) if Some(index) == parent => name.clone(),
                _ if Some(index) == place => row.error.clone(),
                _ => row.record.cells.get(index).cloned().unwrap_or_default(),
            };
            let own = place.is_none().then(|| row.error.clone());
            // Cells that no column is named for were what is wrong; they stay visible behind it.
            let beyond = row.record.cells.iter().skip(self.columns.len()).cloned();
            let cells = (0..self.columns.len()).map(cell).chain(own).chain(beyond);
            cells.map(Cow::<str>::Owned).collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        let delimiter = self.delimiter.unwrap_or(Delimiter::Comma);
        table::write(&mut out, delimiter, heading.into_iter().chain(failed.iter().map(cells)));
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// The delimiter that a first line such as `sep=;` names, and the text after it. Spreadsheets read and write that line, and it is no
/// record. Its line break stays, so that the lines behind it are counted as they stand in the file.
fn separator_line(text: &str) -> (Option<Delimiter>, &str) {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (line, rest) = bare.split_at(bare.find(['\r', '\n']).unwrap_or(bare.len()));
    let unquoted = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let named = match unquoted.to_ascii_lowercase().as_str() {
        "sep=," => Delimiter::Comma,
        "sep=;" => Delimiter::Semicolon,
        "sep=\t" | "sep=\\t" => Delimiter::Tab,
        "sep=|" => Delimiter::Bar,
        _ => return (None, text),
    };
    (Some(named), rest)
}

fn wrong_quote(found: Misquoted) -> FieldError {
    let Misquoted { record, line, closed } = found;
    let (code, what) = if closed {
        (
            "text_after_quote",
            "is followed by text; a quote inside of a quoted cell is doubled",
        )
    } else {
        ("unterminated_quote", "has no closing quote")
    };
    FieldError::new(
        "/content",
        code,
        format!("the quoted cell that begins in row {record}, line {line}, {what}"),
    )
}

fn too_many_rows(max_rows: usize) -> Errors {
    let detail = format!("must have at most {max_rows} rows; import the file in parts");
    vec![FieldError::new("/content", "too_many_rows", detail)]
}

fn too_many_columns() -> Errors {
    let detail = format!("must have at most {MAX_COLUMNS} columns");
    vec![FieldError::new("/content", "too_many_columns", detail)]
}

/// A JSON value as the cell of a table has it.
fn cell(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Array(entries)) if entries.iter().all(Value::is_string) => table::join(entries.iter().filter_map(Value::as_str)),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Sheet {
        Sheet::from_csv(text, None, None, &Mapping::new(), 10).unwrap()
    }

    fn codes(result: Result<Sheet, Errors>) -> Vec<String> {
        result.unwrap_err().into_iter().map(|error| error.code.into_owned()).collect()
    }

    #[test]
    fn a_file_is_understood_without_being_told() {
        let sheet = csv("Summary;Due\r\nBuy milk;2026-01-02\r\n;\r\nSell milk;\r\n");
        assert_eq!((sheet.delimiter, sheet.header), (Some(Delimiter::Semicolon), Some(true)));
        assert_eq!(sheet.fields, [Some(ImportField::Title), Some(ImportField::DueDate)]);
        assert_eq!(sheet.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(sheet.column_of(ImportField::DueDate), Some("Due"));
        let bare = csv("Buy milk,today\n");
        assert_eq!((bare.header, bare.columns.len(), bare.rows.len()), (Some(false), 2, 1));
        assert!(csv("").rows.is_empty());
    }

    #[test]
    fn json_becomes_a_table_whether_it_is_an_export_or_a_list() {
        let sheet = Sheet::from_json(
            r#"{"items":[{"title":"=A","labels":["a;b","c"],"n":3},{"title":"B","x":null}]}"#,
            &Mapping::new(),
            10,
        )
        .unwrap();
        let labels = sheet.columns.iter().position(|name| name == "labels").unwrap();
        assert_eq!(sheet.rows[0].cells[labels], r#""a;b"; c"#);
        assert_eq!(sheet.rows[1].number, 2);
        assert_eq!(Sheet::from_json("[{\"title\":\"A\"}]", &Mapping::new(), 1).unwrap().rows.len(), 1);
        for bad in ["", "3", "{}", "[1]", "{\"items\":3}"] {
            assert_eq!(codes(Sheet::from_json(bad, &Mapping::new(), 1)), ["invalid_json"], "{bad}");
        }
    }

    #[test]
    fn a_table_is_bounded() {
        assert_eq!(
            codes(Sheet::from_csv("title\na\nb\nc", None, None, &Mapping::new(), 2)),
            ["too_many_rows"]
        );
        assert!(Sheet::from_csv("title\na\nb", None, None, &Mapping::new(), 2).is_ok());
        assert_eq!(codes(Sheet::from_json("[{},{}]", &Mapping::new(), 1)), ["too_many_rows"]);
        let wide = ["title"; 101].join(",");
        assert_eq!(codes(Sheet::from_csv(&wide, None, None, &Mapping::new(), 2)), ["too_many_columns"]);
    }

    #[test]
    fn failed_rows_come_back_as_they_were_with_what_is_wrong() {
        let sheet = csv("Summary,Error,x\n\"'=1\",old,y,beyond\n");
        let failed = |sheet: &Sheet, row: usize| {
            let failed = FailedRow {
                record: &sheet.rows[row],
                error: "title: no".to_owned(),
                parent: None,
            };
            sheet.error_file(&[failed])
        };
        assert_eq!(
            failed(&sheet, 0),
            "\"Summary\",\"Error\",\"x\"\r\n\"'=1\",\"title: no\",\"y\",\"beyond\"\r\n"
        );
        assert_eq!(
            failed(&csv("Summary;x\na;b\n"), 0),
            "\"Summary\";\"x\";\"error\"\r\n\"a\";\"b\";\"title: no\"\r\n"
        );

        // Without a header as it came when that was said; otherwise with names that are understood.
        let bare = |header: Option<bool>, column: ColumnRef| {
            let mapping = Mapping::from([(ImportField::Title, Some(column))]);
            let sheet = Sheet::from_csv("a,b", None, header, &mapping, 9).unwrap();
            let file = failed(&sheet, 0);
            let again = Sheet::from_csv(&file, None, header, &mapping, 9).unwrap();
            let title = again.fields.iter().position(|field| *field == Some(ImportField::Title)).unwrap();
            assert_eq!((again.rows.len(), again.rows[0].cells[title].as_str()), (1, "b"), "{file}");
            file
        };
        let named = || ColumnRef::Name("column_2".to_owned());
        for column in [ColumnRef::Number(2), named()] {
            assert_eq!(bare(Some(false), column), "\"a\",\"b\",\"title: no\"\r\n");
        }
        assert_eq!(
            bare(None, ColumnRef::Number(2)),
            "\"column_1\",\"title\",\"error\"\r\n\"a\",\"b\",\"title: no\"\r\n"
        );
        assert_eq!(
            bare(None, named()),
            "\"column_1\",\"column_2\",\"error\"\r\n\"a\",\"b\",\"title: no\"\r\n"
        );
    }

    #[test]
    fn blank_cells_beyond_the_columns_are_none() {
        let sheet = csv("title,priority\r\nGood,low,\r\nBad,zzz, ,\r\nWide,low,,beyond,\r\nNarrow\r\n");
        let widths: Vec<usize> = sheet.rows.iter().map(|row| row.cells.len()).collect();
        assert_eq!(widths, [2, 2, 4, 1]);
        let failed = |row: usize| FailedRow {
            record: &sheet.rows[row],
            error: "no".to_owned(),
            parent: None,
        };
        assert_eq!(
            sheet.error_file(&[failed(1), failed(2)]),
            "\"title\",\"priority\",\"error\"\r\n\"Bad\",\"zzz\",\"no\"\r\n\"Wide\",\"low\",\"no\",\"\",\"beyond\"\r\n"
        );
    }

    #[test]
    fn a_first_line_for_spreadsheets_names_the_delimiter() {
        for (line, delimiter, sign) in [
            ("sep=;", Delimiter::Semicolon, ';'),
            ("\u{feff}Sep=,", Delimiter::Comma, ','),
            ("sep=\t", Delimiter::Tab, '\t'),
            ("sep=\\t", Delimiter::Tab, '\t'),
            ("\u{feff}\"sep=|\"", Delimiter::Bar, '|'),
        ] {
            for end in ["\n", "\r\n"] {
                let sheet = csv(&format!("{line}{end}title{sign}note{end}\"A,;\t|\"{sign}x{end}"));
                assert_eq!((sheet.delimiter, sheet.header), (Some(delimiter), Some(true)), "{line}");
                assert_eq!(sheet.columns, ["title", "note"], "{line}");
                let row = &sheet.rows[0];
                assert_eq!((row.number, row.line), (2, Some(3)), "{line}");
                assert_eq!(row.cells, ["A,;\t|", "x"], "{line}");
            }
        }
        let bare = csv("sep=;\r\nBuy milk;today\r\n");
        assert_eq!((bare.header, bare.rows[0].line, bare.columns.len()), (Some(false), Some(2), 2));
        assert!(csv("sep=;").rows.is_empty());
        // It names where nothing else does, and otherwise it is skipped all the same.
        let told = Sheet::from_csv("sep=;\ntitle,note\nA,x\n", Some(Delimiter::Comma), None, &Mapping::new(), 10).unwrap();
        assert_eq!(told.columns, ["title", "note"]);
        // What looks similar is a row.
        for text in ["sep=#\nA\n", "\"sep=;\nA\n\"\nB\n", "A\nsep=;\n"] {
            assert_eq!(csv(text).rows.len(), 2, "{text}");
        }
    }

    #[test]
    fn a_row_that_is_quoted_wrongly_takes_no_other_along() {
        let refused = |text: &str| {
            let errors = Sheet::from_csv(text, None, None, &Mapping::new(), 10).unwrap_err();
            let FieldError { code, detail, .. } = &errors[0];
            (code.to_string(), detail.clone())
        };
        let (code, detail) = refused("title,description\nA,\"unterminated\nB,x\nC,y\n");
        assert_eq!(code, "unterminated_quote");
        assert!(detail.contains("row 2, line 2,"), "{detail}");
        assert_eq!(refused("title,x\n\"quo\"ted\" x,y\n").0, "text_after_quote");
        let (_, detail) = refused("sep=;\r\ntitle\r\n\"A\r\n");
        assert!(detail.contains("row 2, line 3,"), "{detail}");
        assert_eq!(csv("title\n6\" pipe\n").rows[0].cells, ["6\" pipe"]);
    }
}
