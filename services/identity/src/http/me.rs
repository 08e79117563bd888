//! One's own account.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use contracts::identity::SoleOwnedWorkspaces;
use http::StatusCode;
use kernel::FieldError;
use kernel::time::TimeZone;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, Field, IfMatch, OpenApiRouter, Patch, Problem};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::views::UserView;
use super::{Bounds, Service};
use crate::service::{ChangePassword, IdentityService, ProfileChange};

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(get_me, change_me, delete_me))
        .routes(routes!(change_password))
        .routes(routes!(disable_me))
}

/// Merge patch: what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMeRequest {
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    name: Field<String>,
    #[schema(value_type = Option<TimeZone>, nullable = false)]
    #[serde(default)]
    time_zone: Field<String>,
    #[schema(value_type = Option<String>, nullable = false, max_length = 35, pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    #[serde(default)]
    locale: Field<String>,
    /// Takes effect when the new address is proven; until then it is `pending_email`. Needs `current_password`, and
    /// `code` of people with a second factor.
    #[schema(value_type = Option<String>, nullable = false, format = Email, min_length = 6, max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// Only for a new address.
    #[schema(value_type = Option<String>, nullable = false, format = Password, min_length = 1, max_length = 256)]
    #[serde(default)]
    current_password: Field<SecretString>,
    /// Only for a new address, of people with a second factor: six digits from the app, or a recovery code.
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 40, example = "287082")]
    #[serde(default)]
    code: Field<SecretString>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DisableMeRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
    /// Needed of people with a second factor: six digits from the app, or a recovery code.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40, example = "287082")]
    code: Option<SecretString>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteMeRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
    /// Needed of people with a second factor: six digits from the app, or a recovery code.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40, example = "287082")]
    code: Option<SecretString>,
    /// What shall become of workspaces that only the caller owns and others work in. Absent: while there are any, the
    /// account stays and the answer lists them.
    sole_owned_workspaces: Option<SoleOwnedWorkspaces>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePasswordRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    new_password: SecretString,
    /// Needed of people with a second factor: six digits from the app, or a recovery code.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40, example = "287082")]
    code: Option<SecretString>,
    /// Signs out every other device. On when absent.
    #[serde(default = "yes")]
    end_other_sessions: bool,
}

const fn yes() -> bool {
    true
}

/// Read one's own account
#[utoipa::path(get, path = "/v1/me", tag = "me", operation_id = "getMe",
    responses((status = 200, description = "The caller", body = UserView, headers(("ETag" = String)))))]
async fn get_me(State(service): Service, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let user = service.get_me(&caller).await?;
    Ok(Reply::ok(UserView::from(&user), user.version))
}

fn present<T>(field: Field<T>, pointer: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    match field {
        Field::Absent => None,
        Field::Value(value) => Some(value),
        Field::Null => {
            errors.push(FieldError::not_null(pointer));
            None
        }
    }
}

/// Change one's own profile
///
/// A new e-mail address is mailed a link and counts once that was used. Asking for one needs the password, and a code of people with
/// a second factor.
#[utoipa::path(patch, path = "/v1/me", tag = "me", operation_id = "updateMe",
    request_body(content = UpdateMeRequest, content_type = "application/merge-patch+json",
        example = json!({"name": "Ada King", "time_zone": "Europe/London", "locale": "en-GB"})),
    responses((status = 200, description = "Changed", body = UserView, headers(("ETag" = String))),
        (status = 412, description = "The account has changed since")))]
async fn change_me(
    State(service): Service,
    caller: Caller,
    if_match: IfMatch,
    Patch(body): Patch<UpdateMeRequest>,
) -> Result<impl IntoResponse, Problem> {
    let mut errors = Vec::new();
    let change = ProfileChange {
        name: present(body.name, "/name", &mut errors),
        time_zone: present(body.time_zone, "/time_zone", &mut errors),
        locale: present(body.locale, "/locale", &mut errors),
        email: present(body.email, "/email", &mut errors),
        current_password: present(body.current_password, "/current_password", &mut errors),
        code: present(body.code, "/code", &mut errors),
    };
    let mut bounds = Bounds(errors);
    if let Some(password) = &change.current_password {
        bounds = bounds.password("/current_password", password);
    }
    bounds.optional_code(change.code.as_ref()).check()?;
    let reply = service
        .change_profile(&caller, change, &if_match, |user| UserView::from(user))
        .await?;
    Ok(reply)
}

/// Delete one's own account
///
/// For ever: name, address and traces of sessions are erased, every session ends, and only the id stays with what the person
/// made.
///
/// While the caller is the only owner of workspaces in which others work, the answer is 409 `identity.user.sole_owner` with
/// `workspaces` (`id`, `name`, `other_members` of each), unless `sole_owned_workspaces` says how to go on: `transfer` makes
/// the highest, then longest-standing of the others owner, `delete` deletes them. Workspaces without anybody else are deleted.
#[utoipa::path(delete, path = "/v1/me", tag = "me", operation_id = "deleteMe",
    request_body(content = DeleteMeRequest, example = json!({"current_password": "seventeen wet herons", "sole_owned_workspaces": "transfer"})),
    responses((status = 204, description = "Deleted"),
        (status = 409, description = "The caller is the last administrator, or the only owner of workspaces in which others work")))]
async fn delete_me(State(service): Service, caller: Caller, Body(body): Body<DeleteMeRequest>) -> Result<StatusCode, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.optional_code(body.code.as_ref()).check()?;
    service
        .delete_me(&caller, &body.current_password, body.code.as_ref(), body.sole_owned_workspaces)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Disable one's own account
///
/// Ends every session. A password reset by mail brings the account back.
#[utoipa::path(post, path = "/v1/me/disable", tag = "me", operation_id = "disableMe",
    request_body(content = DisableMeRequest, example = json!({"current_password": "seventeen wet herons"})),
    responses((status = 204, description = "Disabled"), (status = 409, description = "The caller is the last administrator")))]
async fn disable_me(State(service): Service, caller: Caller, Body(body): Body<DisableMeRequest>) -> Result<StatusCode, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.optional_code(body.code.as_ref()).check()?;
    service.disable_me(&caller, &body.current_password, body.code.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change one's own password
///
/// Needs the current one, and a code of people with a second factor. Ends the other sessions unless told otherwise, and tells the
/// owner by mail.
#[utoipa::path(put, path = "/v1/me/password", tag = "me", operation_id = "changePassword",
    request_body(content = ChangePasswordRequest,
        example = json!({"current_password": "seventeen wet herons", "new_password": "eighteen dry herons"})),
    responses((status = 204, description = "Changed"), (status = 412, description = "The account changed at the same moment")))]
async fn change_password(State(service): Service, caller: Caller, Body(body): Body<ChangePasswordRequest>) -> Result<StatusCode, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.optional_code(body.code.as_ref()).check()?;
    let command = ChangePassword {
        current_password: body.current_password,
        new_password: body.new_password,
        code: body.code,
        end_other_sessions: body.end_other_sessions,
    };
    service.change_password(&caller, command).await?;
    Ok(StatusCode::NO_CONTENT)
}
