//! Logs, page by page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use kernel::cursor::Page;
use kernel::ids::WorkspaceId;
use platform::Caller;
use platform::http::{Path, Problem, Query as QueryString};

use super::TAG;
use super::query::ListQuery;
use crate::AuditService;
use crate::service::views::AuditEntryView;

type Service = State<Arc<AuditService>>;

/// Read the audit log of a workspace
///
/// Who did what, from where; newest first. For owners. An action is in the log moments after it was done, and stays for 400 days
/// or as long as the operator chose.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/audit-log", tag = TAG, operation_id = "listAuditLog",
    params(("workspace_id" = inline(WorkspaceId), Path), ListQuery),
    responses((status = 200, description = "A page", body = Page<AuditEntryView>), (status = 404, description = "No such workspace")))]
pub(super) async fn list_workspace_log(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    QueryString(query): QueryString<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (filter, page) = query.parse()?;
    let log = service.workspace_log(&caller, workspace_id).await?;
    Ok(Json(service.list_entries(&caller, log, &filter, page).await?))
}

/// Read one's own security log
///
/// Sign-ins and failed ones, changes of password, second factor, API keys and address, sessions that were ended; newest first.
#[utoipa::path(get, path = "/v1/me/security-log", tag = "me", operation_id = "listSecurityLog",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<AuditEntryView>)))]
pub(super) async fn list_security_log(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (filter, page) = query.parse()?;
    let log = AuditService::own_log(&caller)?;
    Ok(Json(service.list_entries(&caller, log, &filter, page).await?))
}

/// Read the audit log of the installation
///
/// What its administrators did, accounts that came and went, purged workspaces, sign-ins with addresses that nobody has; newest
/// first. For administrators of the installation, and not with an API key.
#[utoipa::path(get, path = "/v1/audit-log", tag = "installation", operation_id = "listInstallationLog",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<AuditEntryView>)))]
pub(super) async fn list_installation_log(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (filter, page) = query.parse()?;
    let log = AuditService::installation_log(&caller)?;
    Ok(Json(service.list_entries(&caller, log, &filter, page).await?))
}
