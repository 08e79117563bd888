use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, http::StatusCode};
use kernel::cursor::Page;
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::{Role, SalesRole};
use kernel::{Error, Result as KernelResult};
use platform::Caller;
use platform::http::{Field, IfMatch, OpenApiRouter, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Service, page_request};
use crate::WorkspacesService;
use crate::service::members::UpdateMember;
use crate::views::{ListedMemberView, MemberView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, update, remove))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListMembersQuery {
    #[param(inline)]
    role: Option<Role>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMemberRequest {
    #[schema(value_type = Option<Role>, nullable = false)]
    #[serde(default)]
    role: Field<Role>,
    /// `null` takes it away.
    #[schema(value_type = Option<SalesRole>)]
    #[serde(default)]
    sales_role: Field<SalesRole>,
}

/// List the members of a workspace
///
/// In the order of joining, with names and addresses as they are now.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/members", tag = "members", operation_id = "listMembers",
    params(("workspace_id" = WorkspaceId, Path), ListMembersQuery),
    responses((status = 200, description = "A page", body = Page<ListedMemberView>), (status = 404, description = "No such workspace")))]
async fn list(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    QueryString(query): QueryString<ListMembersQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    Ok(Json(service.list_members_page(&caller, id, query.role, page).await?))
}

/// Read a membership
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/members/{user_id}", tag = "members", operation_id = "getMember",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path)),
    responses((status = 200, description = "The membership", body = MemberView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace or member")))]
async fn get(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(WorkspaceId, UserId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_member(&caller, id, user_id).await?)
}

/// Change the roles of a member
///
/// Nobody gives a role above their own or changes somebody above them; at least one owner remains.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}/members/{user_id}", tag = "members", operation_id = "updateMember",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path),
        ("If-Match" = String, Header, description = "The `ETag` last read")),
    request_body(content = UpdateMemberRequest, example = json!({"role": "collaborator"})),
    responses((status = 200, description = "Changed", body = MemberView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace or member"),
        (status = 409, description = "No owner would remain"), (status = 412, description = "Changed since it was read"),
        (status = 428, description = "If-Match is missing")))]
async fn update(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(WorkspaceId, UserId)>,
    if_match: IfMatch,
    Patch(body): Patch<UpdateMemberRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = UpdateMember {
        role: not_null("/role", body.role)?,
        sales_role: body.sales_role,
    };
    Ok(service.update_member(&caller, id, user_id, &if_match, command).await?)
}

/// Remove a member
///
/// Takes all roles in the projects of the workspace along. Of oneself it is the same as leaving.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/members/{user_id}", tag = "members", operation_id = "removeMember",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path),
        ("If-Match" = String, Header, description = "The `ETag` last read")),
    responses((status = 204, description = "Removed"), (status = 404, description = "No such workspace or member"),
        (status = 409, description = "No owner would remain"), (status = 412, description = "Changed since it was read"),
        (status = 428, description = "If-Match is missing")))]
async fn remove(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(WorkspaceId, UserId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.remove_member(&caller, id, user_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A member of a merge patch that cannot be cleared.
pub(super) fn not_null<T>(pointer: &str, field: Field<T>) -> KernelResult<Option<T>> {
    match field.into_option() {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(Error::invalid(vec![kernel::FieldError::not_null(pointer)])),
    }
}
