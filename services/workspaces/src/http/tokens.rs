//! What the holder of an invitation's token can do. The token is in the path because it comes as a link; logs and
//! metrics carry the route, never the path.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use platform::Caller;
use platform::http::{OpenApiRouter, Path, Problem, Visitor};
use utoipa_axum::routes;

use super::Service;
use crate::WorkspacesService;
use crate::views::{InvitationPreview, MemberView};

pub(super) fn routes() -> OpenApiRouter<Arc<WorkspacesService>> {
    OpenApiRouter::new()
        .routes(routes!(preview))
        .routes(routes!(accept))
        .routes(routes!(decline))
}

/// See an invitation
///
/// For whoever holds the token, signed in or not.
#[utoipa::path(get, path = "/v1/invitations/{token}", tag = "invitations", operation_id = "previewInvitation", security(()),
    params(("token" = String, Path)),
    responses((status = 200, description = "The invitation", body = InvitationPreview), (status = 404, description = "No such invitation"),
        (status = 410, description = "It was used, revoked, or ran out")))]
async fn preview(State(service): Service, Visitor(caller): Visitor, Path(token): Path<String>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(service.preview_invitation(&caller, &token).await?))
}

/// Accept an invitation
///
/// The caller becomes a member. An invitation by e-mail is for the account with that address alone; the role must
/// still be one that the inviter may give.
#[utoipa::path(post, path = "/v1/invitations/{token}/acceptance", tag = "invitations", operation_id = "acceptInvitation",
    params(("token" = String, Path)),
    responses((status = 201, description = "The membership", body = MemberView), (status = 404, description = "No such invitation"),
        (status = 409, description = "The caller is a member already, or the workspace is full"),
        (status = 410, description = "It was used, revoked, or ran out")))]
async fn accept(State(service): Service, caller: Caller, Path(token): Path<String>) -> Result<impl IntoResponse, Problem> {
    Ok(service.accept_invitation(&caller, &token).await?)
}

/// Decline an invitation
///
/// For whoever holds the mail, signed in or not. Answers with what was declined.
#[utoipa::path(post, path = "/v1/invitations/{token}/decline", tag = "invitations", operation_id = "declineInvitation", security(()),
    params(("token" = String, Path)),
    responses((status = 200, description = "Declined", body = InvitationPreview), (status = 404, description = "No such invitation"),
        (status = 409, description = "It is a link for anybody"), (status = 410, description = "It was used, revoked, or ran out")))]
async fn decline(State(service): Service, Visitor(caller): Visitor, Path(token): Path<String>) -> Result<impl IntoResponse, Problem> {
    Ok(service.decline_invitation(&caller, &token).await?)
}
