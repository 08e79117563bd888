//! Registering, signing in and out, refreshing.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use kernel::ids::SessionId;
use kernel::time::TimeZone;
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::http::{Body, OpenApiRouter, OptionalBody, Problem, Visitor};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::views::UserView;
use super::{Bounds, Service, cookie};
use crate::error::IdentityError;
use crate::service::{CHALLENGE_LIFE, IdentityService, Register, Registered, SetUp, SignInStep, SignedIn};

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(sign_in))
        .routes(routes!(second_factor))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
        .routes(routes!(sign_out_all))
        .routes(routes!(set_up))
}

/// Where the refresh token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delivery {
    /// Into the answer, for programs.
    #[default]
    Body,
    /// Into the cookie `__Host-refresh`, which scripts cannot read, for browsers. Only for pages of this origin and the
    /// configured ones.
    Cookie,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterRequest {
    #[schema(format = Email, min_length = 6, max_length = 254)]
    email: String,
    /// At least 8 characters (15 where the installation is hardened) and not easy to guess. Any characters; taken as
    /// they are, without Unicode normalisation.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretString,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    /// `UTC` when absent.
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Option<String>,
    /// `en` when absent.
    #[schema(max_length = 35, pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    locale: Option<String>,
    /// Needed where registration is by invitation.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    invitation_token: Option<SecretString>,
    #[serde(default)]
    delivery: Delivery,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    #[schema(min_length = 1, max_length = 254)]
    email: String,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    password: SecretString,
    #[serde(default)]
    delivery: Delivery,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactorRequest {
    /// From `POST /v1/auth/sign-in`. Absent: the cookie is used that a sign-in at a provider has left, and the refresh token comes
    /// as a cookie too.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    second_factor_token: Option<SecretString>,
    /// Six digits from the app, or a recovery code.
    #[schema(value_type = String, min_length = 1, max_length = 40)]
    code: SecretString,
    #[serde(default)]
    delivery: Delivery,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUpRequest {
    /// As printed on the console; case and dashes do not matter.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    code: SecretString,
    #[schema(format = Email, min_length = 6, max_length = 254)]
    email: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretString,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    #[serde(default)]
    delivery: Delivery,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshRequest {
    /// Absent: the cookie is used, and the new token comes as a cookie again.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    refresh_token: Option<SecretString>,
}

/// A new session, or a refreshed one.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    user: UserView,
    session_id: SessionId,
    /// JWT (RFC 9068) for `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token ends.
    #[schema(maximum = 900, minimum = 0)]
    expires_in: u64,
    /// Good for one refresh. Absent when it came as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Without another refresh the session ends then.
    refresh_expires_at: Timestamp,
}

/// The password was right; a code of the second factor is needed to go on.
#[derive(Serialize, ToSchema)]
pub(super) struct SecondFactorNeeded {
    /// For `POST /v1/auth/second-factor`, once. It is no access token.
    #[schema(example = "ghm_4oXq...")]
    second_factor_token: String,
    /// Seconds until it is void.
    #[schema(example = 300)]
    expires_in: u64,
}

/// The mail is on its way, if the address can be registered.
#[derive(Debug, Serialize, ToSchema)]
struct MailSent {
    #[schema(example = "Open the link in the mail we sent to finish.")]
    detail: &'static str,
}

pub(super) fn render(status: StatusCode, signed_in: &SignedIn, delivery: Delivery, now: Timestamp) -> Response {
    let expires_at = signed_in.session.idle_expires_at;
    let in_body = (delivery == Delivery::Body).then(|| signed_in.refresh.expose_secret().to_owned());
    let body = axum::Json(TokenResponse {
        user: UserView::from(&signed_in.user),
        session_id: signed_in.session.id,
        access_token: signed_in.access.token.clone(),
        token_type: "Bearer",
        expires_in: signed_in.access.expires_in.as_secs(),
        refresh_token: in_body,
        refresh_expires_at: expires_at,
    });
    match delivery {
        Delivery::Body => (status, body).into_response(),
        Delivery::Cookie => (status, cookie::set(&signed_in.refresh, expires_at, now), body).into_response(),
    }
}

/// A cookie is only set for pages that may use it: otherwise another site could sign a person into an account of its own.
pub(super) fn check_delivery(service: &IdentityService, headers: &HeaderMap, delivery: Delivery) -> Result<()> {
    match delivery {
        Delivery::Body => Ok(()),
        Delivery::Cookie => cookie::check_origin(service, headers),
    }
}

/// Register
///
/// Where e-mail verification is optional the answer is 201 with tokens. Where it is required the answer is 202 and the same
/// whether the address was free or not; a mail tells its owner. Replies are not stored for an `Idempotency-Key`, for they
/// hold tokens.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", operation_id = "register", security(()),
    request_body(content = RegisterRequest,
        example = json!({"email": "ada@example.org", "password": "seventeen wet herons", "name": "Ada Lovelace", "time_zone": "Europe/London"})),
    responses((status = 201, description = "Registered and signed in", body = TokenResponse),
        (status = 202, description = "A mail is on its way", body = MailSent),
        (status = 403, description = "Registration is closed or needs an invitation"),
        (status = 409, description = "The address is taken (only where verification is optional)")))]
async fn register(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    Body(body): Body<RegisterRequest>,
) -> Result<impl IntoResponse, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    if let Some(token) = &body.invitation_token {
        Bounds::default().token("/invitation_token", token).check()?;
    }
    let command = Register {
        email: body.email,
        password: body.password,
        name: body.name,
        time_zone: body.time_zone,
        locale: body.locale,
        invitation_token: body.invitation_token,
    };
    Ok(match service.register(&caller, command).await? {
        Registered::SignedIn(signed_in) => render(StatusCode::CREATED, &signed_in, body.delivery, caller.now),
        Registered::MailSent => {
            let body = MailSent {
                detail: "Open the link in the mail we sent to finish.",
            };
            (StatusCode::ACCEPTED, axum::Json(body)).into_response()
        }
    })
}

/// Sign in
///
/// Opens a session. One answer, in the same time, for an unknown address, a wrong password, and an account that is disabled
/// or locked. Failures slow down further tries, never for ever. For people with a second factor the answer is 202 and no
/// session is opened yet: go on with `POST /v1/auth/second-factor`.
#[utoipa::path(post, path = "/v1/auth/sign-in", tag = "auth", operation_id = "signIn", security(()),
    request_body(content = SignInRequest, example = json!({"email": "ada@example.org", "password": "seventeen wet herons"})),
    responses((status = 200, description = "Signed in", body = TokenResponse),
        (status = 202, description = "A second factor is needed", body = SecondFactorNeeded),
        (status = 401, description = "Wrong address or password"),
        (status = 403, description = "The address is not verified yet, or the page may not use the cookie")))]
async fn sign_in(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    Body(body): Body<SignInRequest>,
) -> Result<impl IntoResponse, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    Bounds::default().email(&body.email).password("/password", &body.password).check()?;
    Ok(match service.sign_in(&caller, &body.email, &body.password).await? {
        SignInStep::SignedIn(signed_in) => render(StatusCode::OK, &signed_in, body.delivery, caller.now),
        SignInStep::SecondFactor(token) => second_factor_needed(&token),
    })
}

pub(super) fn second_factor_needed(token: &SecretString) -> Response {
    let body = SecondFactorNeeded {
        second_factor_token: token.expose_secret().to_owned(),
        expires_in: CHALLENGE_LIFE.as_secs(),
    };
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

/// Finish a sign-in with the second factor
///
/// Each code is good once. After five wrong ones the password is asked for again.
#[utoipa::path(post, path = "/v1/auth/second-factor", tag = "auth", operation_id = "finishSignIn", security(()),
    request_body(content = SecondFactorRequest, example = json!({"second_factor_token": "ghm_4oXq...", "code": "287082"})),
    responses((status = 200, description = "Signed in", body = TokenResponse),
        (status = 401, description = "The code is wrong, or the token is void"),
        (status = 403, description = "The page may not use the cookie")))]
async fn second_factor(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    Body(body): Body<SecondFactorRequest>,
) -> Result<Response, Problem> {
    let Some(token) = &body.second_factor_token else {
        Bounds::default().code(&body.code).check()?;
        let token = cookie::CHALLENGE
            .read(&headers)
            .ok_or_else(|| Error::from(IdentityError::ChallengeInvalid))?;
        cookie::check_origin(&service, &headers)?;
        let signed_in = service.finish_challenge(&caller, &token, &body.code).await?;
        let answer = render(StatusCode::OK, &signed_in, Delivery::Cookie, caller.now);
        return Ok((cookie::CHALLENGE.clear(), answer).into_response());
    };
    check_delivery(&service, &headers, body.delivery)?;
    let bounds = Bounds::default().token("/second_factor_token", token);
    bounds.code(&body.code).check()?;
    let signed_in = service.finish_challenge(&caller, token, &body.code).await?;
    Ok(render(StatusCode::OK, &signed_in, body.delivery, caller.now))
}

/// Make the first administrator
///
/// With the one-time code that the server printed when it started without an administrator. Works whatever the
/// registration setting is.
#[utoipa::path(post, path = "/v1/auth/setup", tag = "auth", operation_id = "setUp", security(()),
    request_body(content = SetUpRequest,
        example = json!({"code": "ABCDE-FGHIJ-KLMNO-PQRST-UVWXY-Z", "email": "ada@example.org", "password": "seventeen wet herons", "name": "Ada Lovelace"})),
    responses((status = 201, description = "Made and signed in", body = TokenResponse),
        (status = 403, description = "The code is wrong"), (status = 409, description = "There is an administrator already")))]
async fn set_up(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    Body(body): Body<SetUpRequest>,
) -> Result<impl IntoResponse, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    Bounds::default().token("/code", &body.code).check()?;
    let account = Register {
        email: body.email,
        password: body.password,
        name: body.name,
        time_zone: None,
        locale: None,
        invitation_token: None,
    };
    let command = SetUp { code: body.code, account };
    let signed_in = service.set_up(&caller, command).await?;
    Ok(render(StatusCode::CREATED, &signed_in, body.delivery, caller.now))
}

/// Refresh
///
/// Trades the refresh token for a new one and a new access token. Each is good for one use; using one twice ends the session,
/// except that within ten seconds the last one yields the same successor again, for an answer that got lost.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", operation_id = "refresh", security(()),
    request_body(content = Option<RefreshRequest>, example = json!({"refresh_token": "ghr_4oXq..."})),
    responses((status = 200, description = "Refreshed", body = TokenResponse),
        (status = 401, description = "No token, or one that is unknown, used, or of a session that is over"),
        (status = 403, description = "The page may not use the cookie")))]
async fn refresh(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<RefreshRequest>,
) -> Result<Response, Problem> {
    if let Some(token) = body.and_then(|body| body.refresh_token).as_ref() {
        Bounds::default().token("/refresh_token", token).check()?;
        let signed_in = service.refresh(&caller, token).await?;
        return Ok(render(StatusCode::OK, &signed_in, Delivery::Body, caller.now));
    }
    let token = cookie::read(&headers).ok_or_else(|| Error::from(IdentityError::RefreshMissing))?;
    cookie::check_origin(&service, &headers)?;
    match service.refresh(&caller, &token).await {
        Ok(signed_in) => Ok(render(StatusCode::OK, &signed_in, Delivery::Cookie, caller.now)),
        Err(error) if error.code == IdentityError::RefreshInvalid.code() => Ok(cookie::clear(Problem(error))),
        Err(error) => Err(error.into()),
    }
}

/// Sign out
///
/// Ends the session of the access token or, without one, that of the refresh token in the body or the cookie. Works as
/// often as it is asked.
#[utoipa::path(post, path = "/v1/auth/sign-out", tag = "auth", operation_id = "signOut", security((), ("bearer" = [])),
    request_body(content = Option<RefreshRequest>, example = json!({})),
    responses((status = 204, description = "Signed out"), (status = 401, description = "Neither a valid access token nor a refresh token"),
        (status = 403, description = "The page may not use the cookie")))]
async fn sign_out(
    State(service): Service,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<RefreshRequest>,
) -> Result<Response, Problem> {
    let in_cookie = cookie::read(&headers);
    let in_body = body.and_then(|body| body.refresh_token);
    if let Some(token) = &in_body {
        Bounds::default().token("/refresh_token", token).check()?;
    }
    if caller.actor.user_id().is_some() {
        service.sign_out(&caller).await?;
    } else if let Some(token) = &in_body {
        service.sign_out_by_token(&caller, token).await?;
    } else {
        let token = in_cookie.as_ref().ok_or_else(|| Error::from(IdentityError::RefreshMissing))?;
        cookie::check_origin(&service, &headers)?;
        service.sign_out_by_token(&caller, token).await?;
    }
    Ok(if in_cookie.is_some() {
        cookie::clear(StatusCode::NO_CONTENT)
    } else {
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Sign out everywhere
///
/// Ends every session of the caller, this one too.
#[utoipa::path(post, path = "/v1/auth/sign-out-all", tag = "auth", operation_id = "signOutAll",
    responses((status = 204, description = "Signed out everywhere")))]
async fn sign_out_all(State(service): Service, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    service.sign_out_all(&caller).await?;
    Ok(if cookie::read(&headers).is_some() {
        cookie::clear(StatusCode::NO_CONTENT)
    } else {
        StatusCode::NO_CONTENT.into_response()
    })
}
