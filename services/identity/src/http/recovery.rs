//! What works by mail: proving an address, resetting a password.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use platform::http::{Body, OpenApiRouter, Problem, Visitor};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Bounds, Service};
use crate::model::user::User;
use crate::service::IdentityService;

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(verify_email))
        .routes(routes!(resend_verification))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    /// From the mail.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    token: SecretString,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailRequest {
    #[schema(format = Email, min_length = 6, max_length = 254)]
    email: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetPasswordRequest {
    /// From the mail.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    token: SecretString,
    /// The new one.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretString,
}

/// The address that was proven.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifiedEmail {
    #[schema(example = "ada@example.org")]
    email: String,
    email_verified: bool,
}

impl From<&User> for VerifiedEmail {
    fn from(user: &User) -> Self {
        Self {
            email: user.email.clone().unwrap_or_default(),
            email_verified: user.email_verified,
        }
    }
}

/// The same for known and unknown addresses.
#[derive(Debug, Serialize, ToSchema)]
struct Accepted {
    #[schema(example = "If the address is known, a mail is on its way.")]
    detail: &'static str,
}

fn accepted() -> impl IntoResponse {
    let body = Accepted {
        detail: "If the address is known, a mail is on its way.",
    };
    (StatusCode::ACCEPTED, axum::Json(body))
}

/// Prove an e-mail address
///
/// With the token from the mail, once. Also finishes a change of address.
#[utoipa::path(post, path = "/v1/auth/verify-email", tag = "auth", operation_id = "verifyEmail", security(()),
    request_body(content = TokenRequest, example = json!({"token": "ghv_4oXq..."})),
    responses((status = 200, description = "Proven", body = VerifiedEmail),
        (status = 409, description = "The new address was taken meanwhile"),
        (status = 410, description = "The link was used, has expired, or was replaced by a newer one")))]
async fn verify_email(
    State(service): Service,
    Visitor(caller): Visitor,
    Body(body): Body<TokenRequest>,
) -> Result<impl IntoResponse, Problem> {
    Bounds::default().token("/token", &body.token).check()?;
    let reply = service.verify_email(&caller, &body.token, |user| VerifiedEmail::from(user)).await?;
    Ok(reply)
}

/// Ask for another verification mail
///
/// The answer is the same whether the address is known or not.
#[utoipa::path(post, path = "/v1/auth/verify-email/resend", tag = "auth", operation_id = "resendVerification", security(()),
    request_body(content = EmailRequest, example = json!({"email": "ada@example.org"})),
    responses((status = 202, description = "Accepted", body = Accepted)))]
async fn resend_verification(
    State(service): Service,
    Visitor(caller): Visitor,
    Body(body): Body<EmailRequest>,
) -> Result<impl IntoResponse, Problem> {
    service.resend_verification(&caller, &body.email).await?;
    Ok(accepted())
}

/// Ask for a mail to reset the password
///
/// The answer is the same whether the address is known or not. A person who disabled their account comes back this way.
#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "auth", operation_id = "forgotPassword", security(()),
    request_body(content = EmailRequest, example = json!({"email": "ada@example.org"})),
    responses((status = 202, description = "Accepted", body = Accepted)))]
async fn forgot_password(
    State(service): Service,
    Visitor(caller): Visitor,
    Body(body): Body<EmailRequest>,
) -> Result<impl IntoResponse, Problem> {
    service.forgot_password(&caller, &body.email).await?;
    Ok(accepted())
}

/// Reset the password
///
/// With the token from the mail, once. Ends every session.
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "auth", operation_id = "resetPassword", security(()),
    request_body(content = ResetPasswordRequest, example = json!({"token": "ghp_4oXq...", "password": "eighteen dry herons"})),
    responses((status = 204, description = "Reset; sign in with the new password"),
        (status = 410, description = "The link was used, has expired, or was replaced by a newer one")))]
async fn reset_password(
    State(service): Service,
    Visitor(caller): Visitor,
    Body(body): Body<ResetPasswordRequest>,
) -> Result<StatusCode, Problem> {
    Bounds::default().token("/token", &body.token).check()?;
    service.reset_password_by_mail(&caller, &body.token, &body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
