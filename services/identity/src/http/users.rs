//! Accounts as administrators of the installation see them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::UserId;
use kernel::{Error, Result};
use platform::Caller;
use platform::db::Reply;
use platform::http::{OpenApiRouter, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::views::UserView;
use super::{Service, page_limit};
use crate::model::user::UserStatus;
use crate::service::{IdentityService, ListUsers};

const MAX_SEARCH_CHARS: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(list_users))
        .routes(routes!(get_user))
        .routes(routes!(lock_user, unlock_user))
        .routes(routes!(grant_admin, revoke_admin))
        .routes(routes!(end_user_sessions))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListUsersQuery {
    /// Part of the address or the name, in any case.
    #[param(max_length = 100)]
    q: Option<String>,
    /// All but the deleted ones when absent.
    #[param(inline)]
    status: Option<UserStatus>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// List accounts
///
/// Newest first. For administrators of the installation.
#[utoipa::path(get, path = "/v1/users", tag = "users", operation_id = "listUsers", params(ListUsersQuery),
    responses((status = 200, description = "A page", body = Page<UserView>)))]
async fn list_users(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListUsersQuery>,
) -> Result<impl IntoResponse, Problem> {
    if query.q.as_ref().is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS) {
        return Err(Error::malformed("request.query_invalid", "q must be at most 100 characters.").into());
    }
    let request = ListUsers {
        text: query.q,
        status: query.status,
        limit: page_limit(query.limit)?,
        cursor: query.cursor,
    };
    let page = service.list_users(&caller, request).await?;
    Ok(axum::Json(page.map(|user| UserView::from(&user))))
}

/// Read an account
///
/// For administrators of the installation.
#[utoipa::path(get, path = "/v1/users/{user_id}", tag = "users", operation_id = "getUser", params(("user_id" = UserId, Path)),
    responses((status = 200, description = "The account", body = UserView, headers(("ETag" = String))),
        (status = 404, description = "No such account")))]
async fn get_user(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<impl IntoResponse, Problem> {
    let user = service.get_user(&caller, id).await?;
    Ok(Reply::ok(UserView::from(&user), user.version))
}

/// Lock an account
///
/// Ends every session; only an administrator can unlock it. Works as often as it is asked.
#[utoipa::path(put, path = "/v1/users/{user_id}/lock", tag = "users", operation_id = "lockUser", params(("user_id" = UserId, Path)),
    responses((status = 204, description = "Locked"), (status = 404, description = "No such account"),
        (status = 409, description = "The last administrator, or a deleted account")))]
async fn lock_user(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    service.lock(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unlock an account
///
/// Also brings back one that its owner disabled.
#[utoipa::path(delete, path = "/v1/users/{user_id}/lock", tag = "users", operation_id = "unlockUser", params(("user_id" = UserId, Path)),
    responses((status = 204, description = "Unlocked"), (status = 404, description = "No such account"),
        (status = 409, description = "The account was deleted")))]
async fn unlock_user(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    service.unlock(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Name an administrator
#[utoipa::path(put, path = "/v1/users/{user_id}/administrator", tag = "users", operation_id = "grantAdministrator",
    params(("user_id" = UserId, Path)),
    responses((status = 204, description = "Named"), (status = 404, description = "No such account"),
        (status = 409, description = "The account was deleted")))]
async fn grant_admin(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    service.set_instance_admin(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Dismiss an administrator
///
/// The last one stays.
#[utoipa::path(delete, path = "/v1/users/{user_id}/administrator", tag = "users", operation_id = "revokeAdministrator",
    params(("user_id" = UserId, Path)),
    responses((status = 204, description = "Dismissed"), (status = 404, description = "No such account"),
        (status = 409, description = "The last administrator, or a deleted account")))]
async fn revoke_admin(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    service.set_instance_admin(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign a person out everywhere
#[utoipa::path(delete, path = "/v1/users/{user_id}/sessions", tag = "users", operation_id = "endUserSessions",
    params(("user_id" = UserId, Path)),
    responses((status = 204, description = "Signed out"), (status = 404, description = "No such account"),
        (status = 409, description = "The account was deleted")))]
async fn end_user_sessions(State(service): Service, caller: Caller, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    service.end_sessions_of(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
