use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, http::StatusCode};
use kernel::cursor::Page;
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::Role;
use kernel::time::TimeZone;
use platform::Caller;
use platform::http::{Body, Field, IfMatch, OpenApiRouter, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::members::not_null;
use super::{Service, page_request};
use crate::WorkspacesService;
use crate::service::members::TransferOwnership;
use crate::service::workspaces::{CreateWorkspace, UpdateWorkspace};
use crate::views::{MemberView, OwnWorkspaceView, WorkspaceView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(restore))
        .routes(routes!(transfer))
        .routes(routes!(leave))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWorkspaceSettings {
    /// Every change in the workspace demands `If-Match`. Off when absent.
    #[serde(default)]
    strict_concurrency: bool,
    #[schema(schema_with = optional_default_role)]
    default_role: Option<Role>,
}

/// Every role but `owner`.
fn default_role() -> utoipa::openapi::schema::Object {
    let roles = Role::ALL.iter().filter(|role| **role != Role::Owner);
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some("Role of invitations that name none; not `owner`"))
        .enum_values(Some(roles.map(|role| role.as_str())))
        .build()
}

/// `null` is as good as absent.
fn optional_default_role() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{SchemaType, Type};
    let mut schema = default_role();
    schema.schema_type = SchemaType::Array(vec![Type::String, Type::Null]);
    schema.description = Some("Role of invitations that name none; not `owner`; `collaborator` when absent".to_owned());
    if let Some(names) = &mut schema.enum_values {
        names.push(serde_json::Value::Null);
    }
    schema
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWorkspaceRequest {
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    /// Made from the name when absent.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    slug: Option<String>,
    /// Markdown.
    #[schema(max_length = 10000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// `UTC` when absent.
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Option<String>,
    settings: Option<CreateWorkspaceSettings>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateWorkspaceSettings {
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default)]
    strict_concurrency: Field<bool>,
    #[schema(schema_with = default_role)]
    #[serde(default)]
    default_role: Field<Role>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateWorkspaceRequest {
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    name: Field<String>,
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    #[serde(default)]
    slug: Field<String>,
    #[schema(value_type = Option<String>, max_length = 10000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    description: Field<String>,
    #[schema(value_type = Option<TimeZone>, nullable = false)]
    #[serde(default)]
    time_zone: Field<String>,
    #[schema(value_type = Option<UpdateWorkspaceSettings>, nullable = false)]
    #[serde(default)]
    settings: Field<UpdateWorkspaceSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WorkspaceState {
    Active,
    Deleted,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListWorkspacesQuery {
    /// `deleted`: those that the caller owned and can restore.
    #[param(inline)]
    state: Option<WorkspaceState>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferRequest {
    /// A member of the workspace.
    user_id: UserId,
    /// What the old owner becomes; `collaborator` when absent.
    own_role: Option<Role>,
}

/// Make a workspace
///
/// The caller becomes its owner and sales admin.
#[utoipa::path(post, path = "/v1/workspaces", tag = "workspaces", operation_id = "createWorkspace",
    request_body(content = CreateWorkspaceRequest, example = json!({"name": "Acme", "time_zone": "Europe/Berlin"})),
    responses((status = 201, description = "Made", body = WorkspaceView), (status = 409, description = "The slug is taken")))]
async fn create(State(service): Service, caller: Caller, Body(body): Body<CreateWorkspaceRequest>) -> Result<impl IntoResponse, Problem> {
    let command = CreateWorkspace {
        name: body.name,
        slug: body.slug,
        description: body.description,
        time_zone: body.time_zone,
        strict_concurrency: body.settings.as_ref().is_some_and(|settings| settings.strict_concurrency),
        default_role: body.settings.and_then(|settings| settings.default_role),
    };
    Ok(service.create_workspace(&caller, command).await?)
}

/// List one's own workspaces
///
/// In the order of their making.
#[utoipa::path(get, path = "/v1/workspaces", tag = "workspaces", operation_id = "listWorkspaces", params(ListWorkspacesQuery),
    responses((status = 200, description = "A page", body = Page<OwnWorkspaceView>)))]
async fn list(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListWorkspacesQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    let deleted = query.state == Some(WorkspaceState::Deleted);
    Ok(Json(service.list_workspaces(&caller, deleted, page).await?))
}

/// Read a workspace
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}", tag = "workspaces", operation_id = "getWorkspace",
    params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, description = "The workspace", body = WorkspaceView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace")))]
async fn get(State(service): Service, caller: Caller, Path(id): Path<WorkspaceId>) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_workspace(&caller, id).await?)
}

/// Change a workspace
///
/// JSON merge patch; `null` clears the description. For owners.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}", tag = "workspaces", operation_id = "updateWorkspace",
    params(("workspace_id" = WorkspaceId, Path), ("If-Match" = String, Header, description = "The `ETag` last read")),
    request_body(content = UpdateWorkspaceRequest, example = json!({"settings": {"strict_concurrency": true}})),
    responses((status = 200, description = "Changed", body = WorkspaceView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace"),
        (status = 409, description = "The slug is taken"), (status = 412, description = "Changed since it was read"),
        (status = 428, description = "If-Match is missing")))]
async fn update(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    if_match: IfMatch,
    Patch(body): Patch<UpdateWorkspaceRequest>,
) -> Result<impl IntoResponse, Problem> {
    let settings = not_null("/settings", body.settings)?.unwrap_or_default();
    let command = UpdateWorkspace {
        name: body.name,
        slug: body.slug,
        description: body.description,
        time_zone: body.time_zone,
        strict_concurrency: settings.strict_concurrency,
        default_role: settings.default_role,
    };
    Ok(service.update_workspace(&caller, id, &if_match, command).await?)
}

/// Delete a workspace
///
/// Everybody loses access at once. An owner can restore it for 30 days; its slug stays taken until then.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}", tag = "workspaces", operation_id = "deleteWorkspace",
    params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such workspace"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
async fn delete(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_workspace(&caller, id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restore a deleted workspace
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/restore", tag = "workspaces", operation_id = "restoreWorkspace",
    params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, description = "Restored", body = WorkspaceView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace"),
        (status = 409, description = "It is not deleted"), (status = 410, description = "The 30 days are over")))]
async fn restore(State(service): Service, caller: Caller, Path(id): Path<WorkspaceId>) -> Result<impl IntoResponse, Problem> {
    Ok(service.restore_workspace(&caller, id).await?)
}

/// Give a workspace to another member
///
/// The member becomes owner and the caller takes a lower role, in one step. Like every change of roles it demands `If-Match`: here
/// with the `ETag` of the workspace.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/transfer", tag = "workspaces", operation_id = "transferWorkspace",
    params(("workspace_id" = WorkspaceId, Path), ("If-Match" = String, Header, description = "The `ETag` last read of the workspace")),
    request_body(content = TransferRequest, example = json!({"user_id": "0192f0c1-0000-7000-8000-000000000001"})),
    responses((status = 200, description = "Transferred", body = WorkspaceView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace"),
        (status = 409, description = "No owner would remain"), (status = 412, description = "Changed since it was read"),
        (status = 428, description = "If-Match is missing")))]
async fn transfer(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    if_match: IfMatch,
    Body(body): Body<TransferRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = TransferOwnership {
        user_id: body.user_id,
        own_role: body.own_role.unwrap_or(Role::Collaborator),
    };
    Ok(service.transfer_ownership(&caller, id, &if_match, command).await?)
}

/// Leave a workspace
///
/// Answers with the membership that was. The last owner cannot leave.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/leave", tag = "workspaces", operation_id = "leaveWorkspace",
    params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, description = "Left", body = MemberView), (status = 404, description = "No such workspace"),
        (status = 409, description = "The caller is the last owner"), (status = 412, description = "The caller's role changed meanwhile")))]
async fn leave(State(service): Service, caller: Caller, Path(id): Path<WorkspaceId>) -> Result<impl IntoResponse, Problem> {
    Ok(service.leave_workspace(&caller, id).await?)
}
