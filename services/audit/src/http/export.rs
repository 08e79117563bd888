//! Logs as files.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use kernel::Result;
use kernel::ids::WorkspaceId;
use platform::Caller;
use platform::http::{Path, Problem, Query as QueryString, download};

use super::TAG;
use super::query::ExportQuery;
use crate::AuditService;
use crate::service::access::Readable;

type Service = State<Arc<AuditService>>;

async fn file(service: &Arc<AuditService>, caller: &Caller, log: Readable, query: ExportQuery) -> Result<Response> {
    let (filter, format) = query.parse()?;
    let name = format!("audit-log-{}.{}", caller.now.to_jiff().strftime("%Y-%m-%d"), format.extension());
    let lines = service.export(caller, log, filter, format).await?;
    Ok(download(format.content_type(), &name, lines))
}

/// Export the audit log of a workspace
///
/// As CSV (what a spreadsheet would take for a formula begins with an apostrophe) or as JSON lines, oldest first, up to now. The
/// export itself is an entry of the log. If the connection breaks off without an orderly end, the file is not whole.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/audit-log/export", tag = TAG, operation_id = "exportAuditLog",
    params(("workspace_id" = inline(WorkspaceId), Path), ExportQuery),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/jsonl"))),
        (status = 404, description = "No such workspace")))]
pub(super) async fn export_workspace_log(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    QueryString(query): QueryString<ExportQuery>,
) -> Result<impl IntoResponse, Problem> {
    let log = service.workspace_log(&caller, workspace_id).await?;
    Ok(file(&service, &caller, log, query).await?)
}

/// Export the audit log of the installation
///
/// As that of a workspace. For administrators of the installation.
#[utoipa::path(get, path = "/v1/audit-log/export", tag = "installation", operation_id = "exportInstallationLog",
    params(ExportQuery),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/jsonl")))))]
pub(super) async fn export_installation_log(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ExportQuery>,
) -> Result<impl IntoResponse, Problem> {
    let log = AuditService::installation_log(&caller)?;
    Ok(file(&service, &caller, log, query).await?)
}
