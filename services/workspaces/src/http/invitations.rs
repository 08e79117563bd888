use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, http::StatusCode};
use kernel::cursor::Page;
use kernel::ids::{InvitationId, WorkspaceId};
use kernel::roles::{Role, SalesRole};
use platform::Caller;
use platform::http::{Body, IfMatch, OpenApiRouter, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Service, page_request};
use crate::WorkspacesService;
use crate::service::invitations::CreateInvitation;
use crate::views::{InvitationStateView, InvitationView, IssuedInvitationView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, revoke))
        .routes(routes!(resend))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateInvitationRequest {
    /// Whom to send it to. Absent: the reply carries a link for whoever gets it.
    #[schema(
        format = "email",
        max_length = 254,
        pattern = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$"
    )]
    email: Option<String>,
    /// The default role of the workspace when absent; not above the caller's own.
    role: Option<Role>,
    sales_role: Option<SalesRole>,
    /// Seconds until it ends; 7 days when absent.
    #[schema(minimum = 300, maximum = 2_592_000)]
    expires_in: Option<i64>,
    /// Whether a link ends with the first person who accepts; yes when absent. By e-mail always.
    single_use: Option<bool>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListInvitationsQuery {
    #[param(inline)]
    state: Option<InvitationStateView>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Invite somebody
///
/// By e-mail, or by a link that the reply shows once: its token is stored nowhere, so a reply that is replayed under its
/// `Idempotency-Key` lacks `token` and `link`. If the first reply got lost, `resend` makes a new link of the same invitation.
/// Whether the address has an account changes nothing in the reply.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/invitations", tag = "invitations", operation_id = "createInvitation",
    params(("workspace_id" = WorkspaceId, Path)),
    request_body(content = CreateInvitationRequest, example = json!({"email": "ada@example.com", "role": "collaborator"})),
    responses((status = 201, description = "Invited", body = IssuedInvitationView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such workspace"),
        (status = 409, description = "The address is a member or has an open invitation, or too many are open")))]
async fn create(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    Body(body): Body<CreateInvitationRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = CreateInvitation {
        email: body.email,
        role: body.role,
        sales_role: body.sales_role,
        expires_in: body.expires_in,
        single_use: body.single_use,
    };
    Ok(service.create_invitation(&caller, id, command).await?)
}

/// List the invitations of a workspace
///
/// In the order of their making. They are forgotten 30 days after their end.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/invitations", tag = "invitations", operation_id = "listInvitations",
    params(("workspace_id" = WorkspaceId, Path), ListInvitationsQuery),
    responses((status = 200, description = "A page", body = Page<InvitationView>), (status = 404, description = "No such workspace")))]
async fn list(
    State(service): Service,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    QueryString(query): QueryString<ListInvitationsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    Ok(Json(service.list_invitations(&caller, id, query.state, page).await?))
}

/// Read an invitation
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/invitations/{invitation_id}", tag = "invitations", operation_id = "getInvitation",
    params(("workspace_id" = WorkspaceId, Path), ("invitation_id" = InvitationId, Path)),
    responses((status = 200, description = "The invitation", body = InvitationView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such invitation")))]
async fn get(
    State(service): Service,
    caller: Caller,
    Path((id, invitation_id)): Path<(WorkspaceId, InvitationId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_invitation(&caller, id, invitation_id).await?)
}

/// Revoke an invitation
///
/// Its token is dead at once. Again is no error.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/invitations/{invitation_id}", tag = "invitations", operation_id = "revokeInvitation",
    params(("workspace_id" = WorkspaceId, Path), ("invitation_id" = InvitationId, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, description = "No such invitation"),
        (status = 410, description = "It was accepted or declined"), (status = 412, description = "Changed since it was read")))]
async fn revoke(
    State(service): Service,
    caller: Caller,
    Path((id, invitation_id)): Path<(WorkspaceId, InvitationId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.revoke_invitation(&caller, id, invitation_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send an invitation again
///
/// With a new token and a new term; the old token is dead. Of a link it makes a new one.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/invitations/{invitation_id}/resend", tag = "invitations", operation_id = "resendInvitation",
    params(("workspace_id" = WorkspaceId, Path), ("invitation_id" = InvitationId, Path)),
    responses((status = 200, description = "Sent", body = IssuedInvitationView, headers(("ETag" = String, description = "Version of the body"))), (status = 404, description = "No such invitation"),
        (status = 409, description = "The address has another open invitation"), (status = 410, description = "It was used or revoked"),
        (status = 412, description = "Changed since it was read")))]
async fn resend(
    State(service): Service,
    caller: Caller,
    Path((id, invitation_id)): Path<(WorkspaceId, InvitationId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.resend_invitation(&caller, id, invitation_id, &if_match).await?)
}
