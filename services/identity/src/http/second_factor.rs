//! One's own second factor.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::Timestamp;
use platform::Caller;
use platform::http::{Body, OpenApiRouter, Problem};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Bounds, NO_STORE, Service};
use crate::service::IdentityService;

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(get_second_factor, begin, disable))
        .routes(routes!(confirm))
        .routes(routes!(renew_codes))
}

#[derive(Debug, Serialize, ToSchema)]
struct SecondFactorView {
    /// Asked for at every sign-in.
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    enabled_at: Option<Timestamp>,
    #[schema(example = 10)]
    recovery_codes_left: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginEnrolmentRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
}

/// Shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolmentView {
    /// For typing into an authenticator app: base32, SHA-1, six digits, 30 seconds.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same as a URI, for a QR code.
    #[schema(example = "otpauth://totp/Guildhall:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Guildhall")]
    otpauth_uri: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmRequest {
    /// Six digits from the app.
    #[schema(value_type = String, min_length = 1, max_length = 40, example = "287082")]
    code: SecretString,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordAndCodeRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
    /// Six digits from the app, or a recovery code.
    #[schema(value_type = String, min_length = 1, max_length = 40, example = "287082")]
    code: SecretString,
}

/// Shown this once. Each is good for one sign-in without the app.
#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCodesView {
    recovery_codes: Vec<String>,
}

impl From<Vec<SecretString>> for RecoveryCodesView {
    fn from(codes: Vec<SecretString>) -> Self {
        Self {
            recovery_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect(),
        }
    }
}

/// Read the state of one's own second factor
#[utoipa::path(get, path = "/v1/me/second-factor", tag = "me", operation_id = "getSecondFactor",
    responses((status = 200, description = "Its state", body = SecondFactorView)))]
async fn get_second_factor(State(service): Service, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let state = service.second_factor_state(&caller).await?;
    Ok(axum::Json(SecondFactorView {
        enabled: state.since.is_some(),
        enabled_at: state.since,
        recovery_codes_left: state.recovery_codes_left,
    }))
}

/// Begin to set up a second factor
///
/// Time-based one-time passwords (RFC 6238). Nothing changes before a first code is confirmed; asking again makes another secret.
#[utoipa::path(post, path = "/v1/me/second-factor", tag = "me", operation_id = "beginSecondFactor",
    request_body(content = BeginEnrolmentRequest, example = json!({"current_password": "seventeen wet herons"})),
    responses((status = 200, description = "The secret for the app", body = EnrolmentView),
        (status = 409, description = "There is a second factor already")))]
async fn begin(State(service): Service, caller: Caller, Body(body): Body<BeginEnrolmentRequest>) -> Result<impl IntoResponse, Problem> {
    Bounds::default().password("/current_password", &body.current_password).check()?;
    let enrolment = service.enrol(&caller, &body.current_password).await?;
    let view = EnrolmentView {
        secret: enrolment.secret.expose_secret().to_owned(),
        otpauth_uri: enrolment.uri.expose_secret().to_owned(),
    };
    Ok((NO_STORE, axum::Json(view)))
}

/// Turn the second factor on
///
/// With a first code of the app. Ends the caller's other sessions and answers the recovery codes; keep them apart from the app.
#[utoipa::path(post, path = "/v1/me/second-factor/confirmation", tag = "me", operation_id = "confirmSecondFactor",
    request_body(content = ConfirmRequest, example = json!({"code": "287082"})),
    responses((status = 200, description = "On", body = RecoveryCodesView),
        (status = 409, description = "No second factor is being set up")))]
async fn confirm(State(service): Service, caller: Caller, Body(body): Body<ConfirmRequest>) -> Result<impl IntoResponse, Problem> {
    Bounds::default().code(&body.code).check()?;
    let codes = service.confirm_second_factor(&caller, &body.code).await?;
    Ok((NO_STORE, axum::Json(RecoveryCodesView::from(codes))))
}

/// Turn the second factor off
#[utoipa::path(delete, path = "/v1/me/second-factor", tag = "me", operation_id = "disableSecondFactor",
    request_body(content = PasswordAndCodeRequest, example = json!({"current_password": "seventeen wet herons", "code": "287082"})),
    responses((status = 204, description = "Off"), (status = 409, description = "There is no second factor")))]
async fn disable(State(service): Service, caller: Caller, Body(body): Body<PasswordAndCodeRequest>) -> Result<StatusCode, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.code(&body.code).check()?;
    service.disable_second_factor(&caller, &body.current_password, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make new recovery codes
///
/// The former ones are good no longer.
#[utoipa::path(post, path = "/v1/me/second-factor/recovery-codes", tag = "me", operation_id = "renewRecoveryCodes",
    request_body(content = PasswordAndCodeRequest, example = json!({"current_password": "seventeen wet herons", "code": "287082"})),
    responses((status = 200, description = "The new ones", body = RecoveryCodesView),
        (status = 409, description = "There is no second factor")))]
async fn renew_codes(
    State(service): Service,
    caller: Caller,
    Body(body): Body<PasswordAndCodeRequest>,
) -> Result<impl IntoResponse, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.code(&body.code).check()?;
    let codes = service.renew_recovery_codes(&caller, &body.current_password, &body.code).await?;
    Ok((NO_STORE, axum::Json(RecoveryCodesView::from(codes))))
}
