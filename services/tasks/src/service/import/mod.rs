//! Tasks from a file. Every row is decided before anything is written, and all good rows are written in one unit: so an import
//! happened or did not, and a repeated one with the same `Idempotency-Key` answers what the first one answered.

mod parents;
mod rows;

use std::borrow::Cow;
use std::collections::BTreeSet;

use contracts::audit::{Action, Entry, Log};
use contracts::tasks::ImportId;
use contracts::tasks::events::TasksImported;
use contracts::workspaces::ProjectAccess;
use kernel::ids::{EntityId, ProjectId, UserId};
use kernel::roles::Permission;
use kernel::{Error, ErrorKind, FieldError, Result};
use platform::Caller;
use platform::db::Reply;
use serde_json::json;

use super::{Change, Draft, TasksService, writable_project};
use crate::command::{ImportFormat, ImportTasks};
use crate::model::import::ImportField;
use crate::model::sheet::{FailedRow, Sheet};
use crate::model::table::{self, Record};
use crate::view::{ImportColumn, ImportReport, ImportedTask, RowError};

/// Most errors of a report.
const MAX_ERRORS: usize = 1_000;

/// One thing wrong with a row.
#[derive(Debug, Clone)]
struct Issue {
    field: Option<ImportField>,
    code: Cow<'static, str>,
    message: String,
}

impl Issue {
    fn new(field: Option<ImportField>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            code: code.into(),
            message: message.into(),
        }
    }
}

/// A row of the file and what became of it.
struct Row<'a> {
    record: &'a Record,
    /// As written in the columns of these names.
    key: Option<&'a str>,
    parent: Option<&'a str>,
    /// The rows of the file that `parent` names; one, or it is wrong. Of many the first ones.
    named: Vec<usize>,
    decided: std::result::Result<Change, Vec<Issue>>,
}

impl Row<'_> {
    fn refuse(&mut self, issue: Issue) {
        match &mut self.decided {
            Ok(_) => self.decided = Err(vec![issue]),
            Err(issues) => issues.push(issue),
        }
    }
}

impl TasksService {
    pub(crate) async fn import_tasks(&self, caller: &Caller, project_id: ProjectId, command: ImportTasks) -> Result<Reply<ImportReport>> {
        let access = self.project(caller, project_id, Permission::TaskWrite).await?;
        writable_project(&access)?;
        let (atomic, dry_run, format) = (command.atomic, command.dry_run, command.format);
        let sheet = read(command, self.config.import_max_rows)?;
        if !dry_run && !sheet.rows.is_empty() && sheet.column_of(ImportField::Title).is_none() {
            let detail = "no column has a name that means the title; say which one it is";
            return Err(Error::invalid_field("/mapping/title", "required", detail));
        }
        let mut rows = self.decide_rows(caller, &access, &sheet).await?;
        let order = self.place_rows(&access, &mut rows).await?;
        let mut report = report(&sheet, &rows, format, !(dry_run || atomic));
        report.dry_run = dry_run;
        if dry_run {
            return Ok(Reply::plain(report));
        }
        if atomic && report.failed > 0 {
            return Err(refused(&report));
        }
        self.write_rows(caller, &access, rows, &order, report).await
    }

    async fn write_rows(
        &self,
        caller: &Caller,
        access: &ProjectAccess,
        rows: Vec<Row<'_>>,
        order: &[usize],
        mut report: ImportReport,
    ) -> Result<Reply<ImportReport>> {
        let import_id = ImportId::generate(&*self.toolkit.clock);
        let mut draft = Draft::of_import(self, caller, import_id);
        let numbers: Vec<usize> = rows.iter().map(|row| row.record.number).collect();
        let mut changes: Vec<Option<Change>> = rows.into_iter().map(|row| row.decided.ok()).collect();
        let mut written = Vec::new();
        let mut assignees: BTreeSet<UserId> = BTreeSet::new();
        for index in order {
            if let Some(change) = changes.get_mut(*index).and_then(Option::take) {
                assignees.extend(&change.new.assignee_ids);
                written.push((numbers[*index], draft.write(change)));
            }
        }
        if !written.is_empty() {
            draft.unit.emit(&TasksImported {
                import_id,
                workspace_id: access.workspace_id,
                project_id: access.project_id,
                project_name: access.project_name.clone(),
                created: u32::try_from(written.len()).unwrap_or(u32::MAX),
                assignee_ids: assignees.into_iter().collect(),
            });
            let entry = Entry::new(Log::Workspace(access.workspace_id), Action::TasksImported, "project");
            let entry = entry.id(access.project_id).name(access.project_name.as_str());
            draft.unit.record(entry.with("created", written.len()));
        }
        let (numbers, written): (Vec<usize>, Vec<_>) = written.into_iter().unzip();
        let rendering = draft.render(written);
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let views = rendering.views(output)?;
            let tasks = numbers.into_iter().zip(views).map(|(row, view)| ImportedTask {
                row,
                id: view.id,
                key: view.key,
            });
            report.tasks = tasks.collect();
            report.tasks.sort_by_key(|task| task.row);
            report.created = report.tasks.len();
            Ok(Reply::plain(report))
        });
        Ok(reply.await?)
    }
}

fn read(command: ImportTasks, max_rows: usize) -> Result<Sheet> {
    let mapping = command.mapping.into_mapping();
    let sheet = match command.format {
        ImportFormat::Csv => Sheet::from_csv(&command.content, command.delimiter, command.header, &mapping, max_rows),
        ImportFormat::Json => {
            let mut errors = Vec::new();
            for (member, given) in [("delimiter", command.delimiter.is_some()), ("header", command.header.is_some())] {
                if given {
                    errors.push(FieldError::new(format!("/{member}"), "only_csv", "is only for CSV"));
                }
            }
            if errors.is_empty() {
                Sheet::from_json(&command.content, &mapping, max_rows)
            } else {
                Err(errors)
            }
        }
    };
    sheet.map_err(Error::invalid)
}

/// `partly`: the good rows will be tasks when the bad ones come back.
fn report(sheet: &Sheet, rows: &[Row<'_>], format: ImportFormat, partly: bool) -> ImportReport {
    let mut errors = Vec::new();
    let mut failed = Vec::new();
    let mut error_count = 0;
    for row in rows {
        let Err(issues) = &row.decided else { continue };
        error_count += issues.len();
        for issue in issues {
            if errors.len() < MAX_ERRORS {
                errors.push(RowError {
                    row: row.record.number,
                    line: row.record.line,
                    column: issue.field.and_then(|field| sheet.column_of(field)).map(str::to_owned),
                    field: issue.field,
                    code: issue.code.to_string(),
                    message: issue.message.clone(),
                });
            }
        }
        let told: Vec<String> = issues
            .iter()
            .map(|issue| match issue.field {
                Some(field) => format!("{}: {}", field.name(), issue.message),
                None => issue.message.clone(),
            })
            .collect();
        failed.push(FailedRow {
            record: row.record,
            error: told.join("; "),
            parent: partly.then(|| new_parent(rows, row)).flatten(),
        });
    }
    let columns = sheet.columns.iter().zip(&sheet.fields).enumerate();
    ImportReport {
        dry_run: false,
        format,
        delimiter: sheet.delimiter,
        header: sheet.header,
        columns: columns
            .map(|(index, (name, field))| ImportColumn {
                number: index + 1,
                name: name.clone(),
                field: *field,
            })
            .collect(),
        rows: rows.len(),
        valid: rows.len() - failed.len(),
        failed: failed.len(),
        created: 0,
        errors,
        error_count,
        tasks: Vec::new(),
        error_file: (!failed.is_empty()).then(|| sheet.error_file(&failed)),
    }
}

/// What the parent of a failed row is called once the good rows are tasks: without their rows beside it the key in the file would name
/// nothing, or a task that happens to have it. By id, for the new key may be what another row of the file calls itself. Several stay
/// several, which no parent cell can be: somebody has to choose.
fn new_parent(rows: &[Row<'_>], row: &Row<'_>) -> Option<String> {
    let (mut imported, mut names) = (false, Vec::new());
    for named in row.named.iter().filter_map(|index| rows.get(*index)) {
        match &named.decided {
            Ok(change) => {
                imported = true;
                names.push(change.new.id.to_string());
            }
            Err(_) => names.extend(named.key.map(str::to_owned)),
        }
    }
    imported.then(|| table::join(names.iter().map(String::as_str)))
}

/// 422 with what a report says.
fn refused(report: &ImportReport) -> Error {
    let detail = "Some rows cannot be imported, so none was; see report.";
    Error::new(ErrorKind::Invalid, "tasks.import.rows_failed", detail).with_extension("report", json!(report))
}
