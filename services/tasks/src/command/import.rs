//! A file with tasks, as it is sent.

use platform::http::Field;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::model::import::{ColumnRef, ImportField, Mapping};
use crate::model::table::Delimiter;

/// Form of an imported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportFormat {
    Csv,
    Json,
}

/// A file with tasks and how to read it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"format": "csv", "content": "title,labels,due_date\nWrite the release notes,docs,2026-12-24\n", "dry_run": true}))]
pub struct ImportTasks {
    pub format: ImportFormat,
    /// The text of the file. CSV: RFC 4180. JSON: an array of objects, or an object with such an array as `items`, as an export
    /// has it.
    pub content: String,
    /// Of CSV; found out when left out.
    #[serde(default)]
    pub delimiter: Option<Delimiter>,
    /// Whether the first record of the CSV names the columns; found out when left out.
    #[serde(default)]
    pub header: Option<bool>,
    /// Which column fills which field, where the names do not say it.
    #[serde(default)]
    #[schema(required = false)]
    pub mapping: ColumnMapping,
    /// `true`: a single row with something wrong keeps all rows out (422). `false` (default): the good rows are imported.
    #[serde(default)]
    pub atomic: bool,
    /// `true`: only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// For each field the column it is filled from: its name in the header, or its number counted from 1. `null` leaves the field
/// out although a column has its name. What is left out is found by the usual names.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Aufgabe", "labels": 3, "status": null}))]
pub struct ColumnMapping {
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    key: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    title: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    description: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    state: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    status: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    priority: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    due_date: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    due_at: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    assignees: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    labels: Field<ColumnRef>,
    #[serde(default)]
    #[schema(value_type = Option<ColumnRef>)]
    parent: Field<ColumnRef>,
}

impl ColumnMapping {
    pub(crate) fn into_mapping(self) -> Mapping {
        let fields = [
            (ImportField::Key, self.key),
            (ImportField::Title, self.title),
            (ImportField::Description, self.description),
            (ImportField::State, self.state),
            (ImportField::Status, self.status),
            (ImportField::Priority, self.priority),
            (ImportField::DueDate, self.due_date),
            (ImportField::DueAt, self.due_at),
            (ImportField::Assignees, self.assignees),
            (ImportField::Labels, self.labels),
            (ImportField::Parent, self.parent),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(field, column)| Some((field, column.into_option()?)));
        given.collect()
    }
}
