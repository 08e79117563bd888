use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, http::StatusCode};
use kernel::cursor::Page;
use kernel::ids::{ProjectId, UserId};
use kernel::roles::Role;
use platform::Caller;
use platform::http::{Body, IfMatch, OpenApiRouter, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Service, page_request};
use crate::WorkspacesService;
use crate::views::{ListedProjectMemberView, ProjectMemberView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, update, remove))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListProjectMembersQuery {
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectRoleRequest {
    /// Not above the caller's own in the project.
    role: Role,
}

/// List the people with a role of their own in a project
///
/// Members of the workspace without one have their role in the workspace, unless the project is private.
#[utoipa::path(get, path = "/v1/projects/{project_id}/members", tag = "projects", operation_id = "listProjectMembers",
    params(("project_id" = ProjectId, Path), ListProjectMembersQuery),
    responses((status = 200, description = "A page", body = Page<ListedProjectMemberView>), (status = 404, description = "No such project")))]
async fn list(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    QueryString(query): QueryString<ListProjectMembersQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    Ok(Json(service.list_project_members(&caller, id, page).await?))
}

/// Read somebody's role in a project
#[utoipa::path(get, path = "/v1/projects/{project_id}/members/{user_id}", tag = "projects", operation_id = "getProjectMember",
    params(("project_id" = ProjectId, Path), ("user_id" = UserId, Path)),
    responses((status = 200, description = "The role", body = ProjectMemberView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project or member")))]
async fn get(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(ProjectId, UserId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_project_member(&caller, id, user_id).await?)
}

/// Give a member of the workspace a role in a project
///
/// Replaces the role in the workspace, in either direction. `If-Match` is demanded when a role is there and changes, and
/// refused with 412 when none is there.
#[utoipa::path(put, path = "/v1/projects/{project_id}/members/{user_id}", tag = "projects", operation_id = "setProjectMember",
    params(("project_id" = ProjectId, Path), ("user_id" = UserId, Path)),
    request_body(content = ProjectRoleRequest, example = json!({"role": "collaborator"})),
    responses((status = 200, description = "Has it", body = ProjectMemberView, headers(("ETag" = String, description = "Version of the body"))), (status = 201, description = "Given", body = ProjectMemberView),
        (status = 404, description = "No such project, or nobody with that id in the workspace"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn put(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(ProjectId, UserId)>,
    if_match: IfMatch,
    Body(body): Body<ProjectRoleRequest>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.set_project_role(&caller, id, user_id, &if_match, body.role, true).await?)
}

/// Change somebody's role in a project
#[utoipa::path(patch, path = "/v1/projects/{project_id}/members/{user_id}", tag = "projects", operation_id = "updateProjectMember",
    params(("project_id" = ProjectId, Path), ("user_id" = UserId, Path),
        ("If-Match" = String, Header, description = "The `ETag` last read")),
    request_body(content = ProjectRoleRequest, example = json!({"role": "viewer"})),
    responses((status = 200, description = "Changed", body = ProjectMemberView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project or member"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn update(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(ProjectId, UserId)>,
    if_match: IfMatch,
    Patch(body): Patch<ProjectRoleRequest>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.set_project_role(&caller, id, user_id, &if_match, body.role, false).await?)
}

/// Take somebody's role in a project away
///
/// The role in the workspace counts again.
#[utoipa::path(delete, path = "/v1/projects/{project_id}/members/{user_id}", tag = "projects", operation_id = "removeProjectMember",
    params(("project_id" = ProjectId, Path), ("user_id" = UserId, Path),
        ("If-Match" = String, Header, description = "The `ETag` last read")),
    responses((status = 204, description = "Taken away"), (status = 404, description = "No such project or member"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn remove(
    State(service): Service,
    caller: Caller,
    Path((id, user_id)): Path<(ProjectId, UserId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.remove_project_member(&caller, id, user_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
