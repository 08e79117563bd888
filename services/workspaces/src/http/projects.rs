use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, http::StatusCode};
use kernel::cursor::Page;
use kernel::ids::{ProjectId, WorkspaceId};
use platform::Caller;
use platform::http::{Body, Field, IfMatch, OpenApiRouter, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Service, page_request};
use crate::WorkspacesService;
use crate::service::projects::{CreateProject, UpdateProject};
use crate::views::{ListedProjectView, ProjectStateView, ProjectView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(archive, unarchive))
        .routes(routes!(restore))
        .routes(routes!(purge))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateProjectRequest {
    workspace_id: WorkspaceId,
    /// Start of the keys of its tasks, such as `ABC-123`. Unique in the workspace and fixed.
    #[schema(min_length = 2, max_length = 10, pattern = "^[A-Z][A-Z0-9]{1,9}$")]
    key: String,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    /// Markdown.
    #[schema(max_length = 10000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// Only its own members and the owners of the workspace see it.
    #[serde(default)]
    private: bool,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateProjectRequest {
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    name: Field<String>,
    #[schema(value_type = Option<String>, max_length = 10000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    description: Field<String>,
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default)]
    private: Field<bool>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListProjectsQuery {
    /// Only of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Active and archived ones when absent. `deleted`: those that the caller can restore.
    #[param(inline)]
    state: Option<ProjectStateView>,
    /// In the name, or equal to the key; upper and lower case alike.
    #[param(min_length = 1, max_length = 200)]
    q: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Make a project
///
/// The caller becomes its owner.
#[utoipa::path(post, path = "/v1/projects", tag = "projects", operation_id = "createProject",
    request_body(content = CreateProjectRequest, example = json!({"workspace_id": "0192f0c1-0000-7000-8000-000000000001", "key": "APO", "name": "Apollo"})),
    responses((status = 201, description = "Made", body = ProjectView), (status = 404, description = "No such workspace"),
        (status = 409, description = "The key is taken, or the workspace has too many projects")))]
async fn create(State(service): Service, caller: Caller, Body(body): Body<CreateProjectRequest>) -> Result<impl IntoResponse, Problem> {
    let command = CreateProject {
        workspace_id: body.workspace_id,
        key: body.key,
        name: body.name,
        description: body.description,
        private: body.private,
    };
    Ok(service.create_project(&caller, command).await?)
}

/// List projects
///
/// All that the caller can see, in the order of their making.
#[utoipa::path(get, path = "/v1/projects", tag = "projects", operation_id = "listProjects", params(ListProjectsQuery),
    responses((status = 200, description = "A page", body = Page<ListedProjectView>), (status = 404, description = "No such workspace")))]
async fn list(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListProjectsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    if let Some(text) = &query.q
        && !(1..=200).contains(&text.chars().count())
    {
        return Err(kernel::Error::malformed("request.query_invalid", "q must have 1 to 200 characters.").into());
    }
    let state = query.state.map(Into::into);
    Ok(Json(
        service.list_projects(&caller, query.workspace_id, state, query.q, page).await?,
    ))
}

/// Read a project
#[utoipa::path(get, path = "/v1/projects/{project_id}", tag = "projects", operation_id = "getProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 200, description = "The project", body = ProjectView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project")))]
async fn get(State(service): Service, caller: Caller, Path(id): Path<ProjectId>) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_project(&caller, id).await?)
}

/// Change a project
///
/// JSON merge patch; `null` clears the description. For owners of the project.
#[utoipa::path(patch, path = "/v1/projects/{project_id}", tag = "projects", operation_id = "updateProject",
    params(("project_id" = ProjectId, Path)),
    request_body(content = UpdateProjectRequest, example = json!({"name": "Apollo 11"})),
    responses((status = 200, description = "Changed", body = ProjectView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn update(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
    Patch(body): Patch<UpdateProjectRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = UpdateProject {
        name: body.name,
        description: body.description,
        private: body.private,
    };
    Ok(service.update_project(&caller, id, &if_match, command).await?)
}

/// Delete a project
///
/// An owner can restore it for 30 days; its key stays taken until then.
#[utoipa::path(delete, path = "/v1/projects/{project_id}", tag = "projects", operation_id = "deleteProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such project"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn delete(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_project(&caller, id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Archive a project
///
/// It can still be read and searched. Again is no error.
#[utoipa::path(put, path = "/v1/projects/{project_id}/archive", tag = "projects", operation_id = "archiveProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 200, description = "Archived", body = ProjectView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn archive(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.set_archived(&caller, id, &if_match, true).await?)
}

/// Take a project out of the archive
#[utoipa::path(delete, path = "/v1/projects/{project_id}/archive", tag = "projects", operation_id = "unarchiveProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 200, description = "Active", body = ProjectView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn unarchive(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.set_archived(&caller, id, &if_match, false).await?)
}

/// Erase a deleted project
///
/// With everything in it, at once and for ever; its key is free again. For owners of the project.
#[utoipa::path(delete, path = "/v1/trash/projects/{project_id}", tag = "projects", operation_id = "purgeProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 204, description = "Erased"), (status = 404, description = "No such project, or no right to erase it"), (status = 409, description = "It is not deleted"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn purge(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.purge_project(&caller, id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restore a deleted project
#[utoipa::path(post, path = "/v1/projects/{project_id}/restore", tag = "projects", operation_id = "restoreProject",
    params(("project_id" = ProjectId, Path)),
    responses((status = 200, description = "Restored", body = ProjectView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such project"),
        (status = 409, description = "It is not deleted"), (status = 410, description = "The 30 days are over")))]
async fn restore(State(service): Service, caller: Caller, Path(id): Path<ProjectId>) -> Result<impl IntoResponse, Problem> {
    Ok(service.restore_project(&caller, id).await?)
}
