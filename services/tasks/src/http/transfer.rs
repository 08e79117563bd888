//! Tasks of a project as a file: out and in.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use futures_util::stream;
use kernel::ids::ProjectId;
use platform::Caller;
use platform::http::{Body, Path, Problem, Query, download};

use crate::TasksService;
use crate::command::ImportTasks;
use crate::query::{ExportFormat, ExportQuery};
use crate::view::{ImportReport, TasksExport};

type Service = State<Arc<TasksService>>;

/// Export the tasks of a project
///
/// A file in the order of the tasks' numbers, sent while it is read, with the filters of the list. CSV is RFC 4180 in UTF-8 without a
/// byte order mark, each cell in quotes, several names in one cell separated by semicolons; a cell that a spreadsheet would
/// run as a formula begins with an apostrophe, which the import takes off again. An export that breaks off ends the
/// connection: what came whole has its last line, or for JSON its end. E-mail addresses need the scope `members:read` of an API key;
/// without it `assignees` and `creator` stay empty. Each export is an entry of the workspace's audit log.
#[utoipa::path(get, path = "/v1/projects/{project_id}/tasks/export", tag = "tasks", operation_id = "exportTasks",
    params(("project_id" = ProjectId, Path), ExportQuery),
    responses(
        (status = 200, description = "The file", content((String = "text/csv"), (TasksExport = "application/json"))),
        (status = 404, description = "No such project, or no access")))]
pub(super) async fn export_tasks(
    State(service): Service,
    caller: Caller,
    Path(project_id): Path<ProjectId>,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (criteria, format) = query.parse()?;
    let export = service.export_tasks(&caller, project_id, criteria, format).await?;
    let content_type = match export.format() {
        ExportFormat::Csv => "text/csv; charset=utf-8; header=present",
        ExportFormat::Json => "application/json",
    };
    let name = export.file_name();
    let parts = stream::try_unfold(export, |mut export| async move {
        let part = export.next().await?;
        Ok(part.map(|part| (part, export)))
    });
    Ok(download(content_type, &name, parts))
}

/// Import tasks from a file
///
/// CSV or JSON, into one project. Delimiter, header and columns are found out and shown in the answer; `mapping` says what cannot
/// be found. `dry_run` shows what would be done and what is wrong, and does nothing. Rows with something wrong are left out and
/// come back as `error_file`, which the same request takes once it is mended; with `atomic` they keep all others out as well (422
/// with the same report as a member `report` of the problem). All tasks are made in one transaction, each with its number, history and
/// event as if it were created alone; people are told of their tasks once. At most 1,000 rows, a setting of the server.
#[utoipa::path(post, path = "/v1/projects/{project_id}/tasks/import", tag = "tasks", operation_id = "importTasks",
    params(("project_id" = ProjectId, Path)), request_body = ImportTasks,
    responses(
        (status = 200, description = "What was done, or would be", body = ImportReport),
        (status = 404, description = "No such project, or no access"),
        (status = 422, description = "The file cannot be read, such as one with a quote that does not end; or `atomic`, and a row is wrong"),
        (status = 409, description = "The project is archived, or a task above was deleted or archived meanwhile; nothing was imported")))]
pub(super) async fn import_tasks(
    State(service): Service,
    caller: Caller,
    Path(project_id): Path<ProjectId>,
    Body(command): Body<ImportTasks>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.import_tasks(&caller, project_id, command).await?)
}
