//! A file with tasks, read: its columns, what they mean, and its rows.

use kernel::FieldError;
use serde_json::{Map, Value};

use super::import::{ERROR_COLUMN, ImportField, Mapping, fields_of, is_header, plain};
use super::table::{self, Delimiter, MAX_COLUMNS, Record};

/// The rows of a file, as text, whatever form it had.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Of CSV.
    pub delimiter: Option<Delimiter>,
    /// Whether the first record of the CSV names the columns.
    pub header: Option<bool>,
    pub columns: Vec<String>,
    /// One for each column.
    pub fields: Vec<Option<ImportField>>,
    /// Without blank ones.
    pub rows: Vec<Record>,
}

type Errors = Vec<FieldError>;

impl Sheet {
    /// What is not given is found out from the text.
    pub fn from_csv(
        text: &str,
        delimiter: Option<Delimiter>,
        header: Option<bool>,
        mapping: &Mapping,
        max_rows: usize,
    ) -> Result<Self, Errors> {
        let delimiter = delimiter.unwrap_or_else(|| Delimiter::detect(text));
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
            fields: Vec::new(),
            columns,
            rows: records,
        };
        sheet.checked(mapping, max_rows)
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
            fields: Vec::new(),
            columns,
            rows,
        };
        sheet.checked(mapping, max_rows)
    }

    fn checked(mut self, mapping: &Mapping, max_rows: usize) -> Result<Self, Errors> {
        self.rows.retain(|row| row.cells.iter().any(|cell| !cell.trim().is_empty()));
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

    /// The name of the column that a field is filled from.
    pub fn column_of(&self, field: ImportField) -> Option<&str> {
        let index = self.fields.iter().position(|other| *other == Some(field))?;
        self.columns.get(index).map(String::as_str)
    }

    /// The rows with something wrong as a file of their own: as they came, and what was wrong behind them. A column of that name
    /// that came in is replaced. Columns without a header get the names that are understood when the file comes back.
    pub fn error_file(&self, failed: &[(&Record, String)]) -> String {
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|index| plain(&self.columns[*index]) != ERROR_COLUMN)
            .collect();
        let name = |index: &usize| match self.fields[*index] {
            Some(field) if self.header == Some(false) => field.name().into(),
            _ => self.columns[*index].as_str().into(),
        };
        let header = kept.iter().map(name).chain([ERROR_COLUMN.into()]).collect();
        let cells = |(record, error): &(&Record, String)| {
            let cell = |index: &usize| record.cells.get(*index).cloned().unwrap_or_default().into();
            // Cells that no column is named for were what is wrong; they stay visible behind it.
            let beyond = record.cells.iter().skip(self.columns.len()).cloned().map(Into::into);
            kept.iter().map(cell).chain([error.clone().into()]).chain(beyond).collect()
        };
        let mut out = Vec::new();
        table::write(&mut out, std::iter::once(header).chain(failed.iter().map(cells)));
        String::from_utf8_lossy(&out).into_owned()
    }
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
        let file = sheet.error_file(&[(&sheet.rows[0], "title: no".to_owned())]);
        assert_eq!(file, "\"Summary\",\"x\",\"error\"\r\n\"'=1\",\"y\",\"title: no\",\"beyond\"\r\n");
        let bare = Sheet::from_csv(
            "a,b",
            None,
            Some(false),
            &Mapping::from([(ImportField::Title, Some(super::super::import::ColumnRef::Number(2)))]),
            9,
        )
        .unwrap();
        let file = bare.error_file(&[(&bare.rows[0], "e".to_owned())]);
        assert_eq!(file, "\"column_1\",\"title\",\"error\"\r\n\"a\",\"b\",\"e\"\r\n");
    }
}
