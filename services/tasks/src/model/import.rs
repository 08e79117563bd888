//! What the columns of somebody's file mean.

use std::collections::{BTreeMap, HashMap};

use kernel::FieldError;
use serde::{Deserialize, Serialize};

use super::{Priority, Status};

/// What of a task can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportField {
    /// What `parent` of other rows calls this one. The task gets a number of its own.
    Key,
    Title,
    Description,
    /// Name of a state of the workspace.
    State,
    /// What the state means; `state` wins where a row has both.
    Status,
    Priority,
    DueDate,
    DueAt,
    /// E-mail addresses of people who can read the project.
    Assignees,
    /// Names of labels of the workspace.
    Labels,
    /// The key of another row, or the key or id of a task of the project.
    Parent,
}

impl ImportField {
    pub const ALL: [Self; 11] = [
        Self::Key,
        Self::Title,
        Self::Description,
        Self::State,
        Self::Status,
        Self::Priority,
        Self::DueDate,
        Self::DueAt,
        Self::Assignees,
        Self::Labels,
        Self::Parent,
    ];

    /// As in the API, in an export and in a header; the others are what files from elsewhere call it.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["key", "id", "issue_key", "reference", "ref"],
            Self::Title => &["title", "summary", "name", "subject", "task", "task_name"],
            Self::Description => &["description", "details", "body", "notes"],
            Self::State => &["state", "column", "list", "stage"],
            Self::Status => &["status"],
            Self::Priority => &["priority"],
            Self::DueDate => &["due_date", "due", "deadline", "due_on"],
            Self::DueAt => &["due_at"],
            Self::Assignees => &["assignees", "assignee", "assigned_to", "assignee_email"],
            Self::Labels => &["labels", "label", "tags", "tag"],
            Self::Parent => &["parent", "parent_key", "parent_task", "parent_id"],
        }
    }

    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    /// The field that a member of the creation of a task is filled from.
    pub fn of_pointer(pointer: &str) -> Option<Self> {
        let member = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
        Some(match member {
            "state_id" => Self::State,
            "assignee_ids" => Self::Assignees,
            "label_ids" => Self::Labels,
            "parent_id" => Self::Parent,
            member => *Self::ALL.iter().find(|field| field.name() == member)?,
        })
    }
}

/// The column of a failed row that says why; it is never imported.
pub(crate) const ERROR_COLUMN: &str = "error";

/// Which column of a table: its name in the header, or its number, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
#[serde(untagged, expecting = "must be the name of a column or its number")]
pub enum ColumnRef {
    Number(usize),
    Name(String),
}

/// What the request says of columns; `null` leaves a field out although a column looks like it.
pub(crate) type Mapping = BTreeMap<ImportField, Option<ColumnRef>>;

/// `Due date` and `due-date` are `due_date`.
pub(crate) fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.chars()
        .map(|c| if c.is_whitespace() || matches!(c, '-' | '.') { '_' } else { c })
        .collect()
}

fn field_of(name: &str) -> Option<ImportField> {
    let name = plain(name);
    ImportField::ALL.into_iter().find(|field| field.names().contains(&name.as_str()))
}

/// Whether a first record names the columns rather than being a task: one of its cells is a name we know or the mapping uses.
pub(crate) fn is_header(cells: &[String], mapping: &Mapping) -> bool {
    let named = |cell: &String| {
        let of_mapping = |column: &ColumnRef| matches!(column, ColumnRef::Name(name) if plain(name) == plain(cell));
        mapping.values().flatten().any(of_mapping)
    };
    cells.iter().any(|cell| field_of(cell).is_some() || named(cell))
}

/// The field of each column. The mapping goes first, then what the names suggest, the better known name before the lesser; each
/// field is filled from one column. Field errors point into `/mapping`.
pub(crate) fn fields_of(columns: &[String], mapping: &Mapping, errors: &mut Vec<FieldError>) -> Vec<Option<ImportField>> {
    let mut fields: Vec<Option<ImportField>> = vec![None; columns.len()];
    for (field, column) in mapping {
        let Some(column) = column else { continue };
        let found: Vec<usize> = match column {
            ColumnRef::Number(number) => number.checked_sub(1).filter(|index| *index < columns.len()).into_iter().collect(),
            ColumnRef::Name(name) => (0..columns.len()).filter(|index| plain(&columns[*index]) == plain(name)).collect(),
        };
        let pointer = format!("/mapping/{}", field.name());
        match found[..] {
            [index] if fields[index].is_none() => fields[index] = Some(*field),
            [_] => errors.push(FieldError::new(pointer, "repeated", "another field is filled from this column")),
            [] => errors.push(FieldError::new(pointer, "unknown_column", "the file has no such column")),
            _ => errors.push(FieldError::new(
                pointer,
                "ambiguous_column",
                "several columns have this name; give its number",
            )),
        }
    }
    for field in ImportField::ALL.into_iter().filter(|field| !mapping.contains_key(field)) {
        let free = |name: &&&str| {
            let is_free = |(index, column): (usize, &String)| (fields[index].is_none() && plain(column) == **name).then_some(index);
            columns.iter().enumerate().find_map(is_free)
        };
        if let Some(index) = field.names().iter().find_map(|name| free(&name)) {
            fields[index] = Some(field);
        }
    }
    fields
}

/// The cells of one row by field; blank cells are none.
pub(crate) fn cells_of<'a>(cells: &'a [String], fields: &[Option<ImportField>]) -> HashMap<ImportField, &'a str> {
    let filled = cells
        .iter()
        .zip(fields)
        .filter_map(|(cell, field)| Some((((*field)?), cell.as_str())));
    filled.filter(|(_, cell)| !cell.trim().is_empty()).collect()
}

/// `In Progress`, `in-progress` and `in_progress` are the same, and so are a few words that other programs use.
pub(crate) fn parse_status(text: &str) -> Option<Status> {
    let name = plain(text);
    Some(match name.as_str() {
        "todo" | "to_do" | "new" | "backlog" => Status::Open,
        "doing" | "started" => Status::InProgress,
        "closed" | "completed" | "complete" | "resolved" => Status::Done,
        "canceled" => Status::Cancelled,
        name => name.parse().ok()?,
    })
}

pub(crate) fn parse_priority(text: &str) -> Option<Priority> {
    plain(text).parse().ok()
}

/// `Ann <ann@example.com>` is `ann@example.com`; addresses are compared in lower case.
pub(crate) fn address(entry: &str) -> String {
    let bare = entry.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    bare.unwrap_or(entry).trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn resolve(names: &[&str], mapping: &Mapping) -> (Vec<Option<ImportField>>, Vec<String>) {
        let mut errors = Vec::new();
        let fields = fields_of(&columns(names), mapping, &mut errors);
        let errors = errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect();
        (fields, errors)
    }

    #[test]
    fn usual_names_are_understood_and_the_better_known_wins() {
        let (fields, errors) = resolve(&["Name", "Title", "Due Date", "assigned-to", "Colour", "error"], &Mapping::new());
        assert_eq!(
            fields,
            [
                None,
                Some(ImportField::Title),
                Some(ImportField::DueDate),
                Some(ImportField::Assignees),
                None,
                None
            ]
        );
        assert!(errors.is_empty());
    }

    #[test]
    fn the_mapping_of_the_request_comes_first() {
        let name = |name: &str| Some(ColumnRef::Name(name.to_owned()));
        let mapping = Mapping::from([
            (ImportField::Title, name("aufgabe")),
            (ImportField::Labels, Some(ColumnRef::Number(1))),
            (ImportField::Status, None),
        ]);
        let (fields, errors) = resolve(&["Title", "Aufgabe", "Status"], &mapping);
        assert_eq!(fields, [Some(ImportField::Labels), Some(ImportField::Title), None]);
        assert!(errors.is_empty(), "{errors:?}");
        let bad = Mapping::from([
            (ImportField::Title, name("x")),
            (ImportField::State, Some(ColumnRef::Number(0))),
            (ImportField::Parent, name("a")),
            (ImportField::Labels, Some(ColumnRef::Number(3))),
            (ImportField::Priority, Some(ColumnRef::Number(3))),
        ]);
        let (_, errors) = resolve(&["a", "A", "b"], &bad);
        assert_eq!(
            errors,
            [
                "/mapping/title unknown_column",
                "/mapping/state unknown_column",
                "/mapping/labels repeated",
                "/mapping/parent ambiguous_column"
            ]
        );
    }

    #[test]
    fn a_header_is_told_from_a_task() {
        assert!(is_header(&columns(&["x", "Summary"]), &Mapping::new()));
        assert!(!is_header(&columns(&["Buy milk", "2026-01-01"]), &Mapping::new()));
        let mapping = Mapping::from([(ImportField::Title, Some(ColumnRef::Name("Aufgabe".into())))]);
        assert!(is_header(&columns(&["AUFGABE"]), &mapping));
    }

    #[test]
    fn words_of_other_programs_are_understood() {
        assert_eq!(parse_status("In Progress"), Some(Status::InProgress));
        assert_eq!(parse_status("Closed"), Some(Status::Done));
        assert_eq!(parse_status("whatever"), None);
        assert_eq!(parse_priority(" High "), Some(Priority::High));
        assert_eq!(address("Ann B <Ann@Example.com>"), "ann@example.com");
        for field in ImportField::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
        }
    }
}
