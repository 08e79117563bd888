//! What exports and imports of tasks show.

use std::borrow::Cow;

use kernel::Timestamp;
use kernel::ids::TaskId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::command::ImportFormat;
use crate::model::import::ImportField;
use crate::model::table::{Delimiter, join};
use crate::model::{Priority, Status};

/// Exported tasks. A CSV export has the same members as columns.
#[derive(Debug, Serialize, ToSchema)]
pub struct TasksExport {
    #[schema(example = "guildhall.tasks")]
    pub format: String,
    /// Of the format; members may be added within a version.
    #[schema(example = 1)]
    pub version: u32,
    #[schema(example = "ABC")]
    pub project_key: String,
    pub exported_at: Timestamp,
    /// In the order of their numbers.
    pub items: Vec<ExportedTask>,
}

/// A task in the words of people, so that it means the same in another project or program.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"key": "ABC-12", "title": "Write the release notes", "description": "For **1.0**.", "state": "To do", "status": "open",
    "priority": "high", "due_date": "2026-12-24", "due_at": null, "assignees": ["ann@example.com"], "labels": ["docs"], "parent": "ABC-7",
    "creator": "ann@example.com", "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z", "completed_at": null, "archived_at": null}))]
pub struct ExportedTask {
    pub key: String,
    pub title: String,
    /// Markdown.
    pub description: String,
    pub state: String,
    pub status: Status,
    pub priority: Priority,
    #[schema(format = Date)]
    pub due_date: Option<String>,
    /// Of a task that is due at a moment rather than on a day.
    pub due_at: Option<Timestamp>,
    /// E-mail addresses of those who can read the project; none for an API key without the scope `members:read`.
    pub assignees: Vec<String>,
    pub labels: Vec<String>,
    /// The key of the task above it.
    pub parent: Option<String>,
    /// E-mail address, if that person can read the project; as with `assignees`.
    pub creator: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
}

impl ExportedTask {
    /// The header of a CSV export.
    pub(crate) const COLUMNS: [&'static str; 16] = [
        "key",
        "title",
        "description",
        "state",
        "status",
        "priority",
        "due_date",
        "due_at",
        "assignees",
        "labels",
        "parent",
        "creator",
        "created_at",
        "updated_at",
        "completed_at",
        "archived_at",
    ];

    pub(crate) fn cells(&self) -> Vec<Cow<'_, str>> {
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let names = |names: &[String]| join(names.iter().map(String::as_str));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.key.as_str().into(),
            self.title.as_str().into(),
            self.description.as_str().into(),
            self.state.as_str().into(),
            self.status.as_str().into(),
            self.priority.as_str().into(),
            text(&self.due_date).into(),
            moment(self.due_at).into(),
            names(&self.assignees).into(),
            names(&self.labels).into(),
            text(&self.parent).into(),
            text(&self.creator).into(),
            self.created_at.to_string().into(),
            self.updated_at.to_string().into(),
            moment(self.completed_at).into(),
            moment(self.archived_at).into(),
        ]
    }
}

/// What an import did, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"dry_run": false, "format": "csv", "delimiter": ",", "header": true, "columns": [{"number": 1, "name": "Summary", "field": "title"}],
    "rows": 2, "valid": 1, "failed": 1, "created": 1, "errors": [{"row": 3, "line": 3, "column": "Summary", "field": "title", "code": "blank", "message": "must not be blank"}],
    "error_count": 1, "tasks": [{"row": 2, "id": "01910000-0000-7000-8000-000000000011", "key": "ABC-12"}], "error_file": "\"Summary\",\"error\"\r\n\" \",\"title: must not be blank\"\r\n"}))]
pub struct ImportReport {
    pub dry_run: bool,
    pub format: ImportFormat,
    /// As given or found; only of CSV.
    pub delimiter: Option<Delimiter>,
    /// As given or found; only of CSV.
    pub header: Option<bool>,
    /// How the columns were understood.
    pub columns: Vec<ImportColumn>,
    /// How many rows there are, blank ones left out.
    pub rows: usize,
    /// Rows with nothing wrong.
    pub valid: usize,
    pub failed: usize,
    /// Tasks that were made: none in a dry run.
    pub created: usize,
    /// What is wrong, in the order of the rows; at most 1,000.
    pub errors: Vec<RowError>,
    /// How many there are in all.
    pub error_count: usize,
    /// The new tasks, in the order of their rows.
    pub tasks: Vec<ImportedTask>,
    /// A CSV file of the failed rows, with a column `error` more. Mended, it can be imported by the same request (from JSON: as CSV):
    /// it has the delimiter and the header, or none, of the file; the column is not read; and a parent that was imported is named by
    /// its new id. `null` where no row failed.
    pub error_file: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImportColumn {
    /// Counted from 1.
    pub number: usize,
    #[schema(example = "Summary")]
    pub name: String,
    /// What is filled from it; `null`: nothing.
    pub field: Option<ImportField>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RowError {
    /// The number of the record in a CSV file, its header included; of the item in JSON. Counted from 1.
    pub row: usize,
    /// The line of a CSV file on which the record begins.
    pub line: Option<u64>,
    /// The name of the column, if it is about one.
    #[schema(example = "Summary")]
    pub column: Option<String>,
    pub field: Option<ImportField>,
    #[schema(example = "blank")]
    pub code: String,
    #[schema(example = "must not be blank")]
    pub message: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedTask {
    pub row: usize,
    pub id: TaskId,
    #[schema(example = "ABC-12")]
    pub key: String,
}
