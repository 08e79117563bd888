//! Signing in at other providers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use kernel::cursor::Page;
use kernel::{Error, ErrorKind, Result};
use platform::http::{Body, OpenApiRouter, Path, Problem, Query as QueryString, Visitor};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::auth::{Delivery, SecondFactorNeeded, TokenResponse, check_delivery, render, second_factor_needed};
use super::external_identities::ExternalIdentityView;
use super::{Bounds, Service, cookie};
use crate::error::IdentityError;
use crate::model::oidc::flow::{MAX_FLOW_CHARS, MAX_RETURN_CHARS, with_outcome};
use crate::service::{Answer, Begin, Begun, CHALLENGE_LIFE, Finished, IdentityService, SignInStep};

const MAX_PARAMETER_CHARS: usize = 4_096;

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(list_providers))
        .routes(routes!(send_to_provider, begin))
        .routes(routes!(come_back, finish))
}

/// A sign-in provider of this installation.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ProviderView {
    /// For the other routes.
    #[schema(example = "corp")]
    id: String,
    /// For the button.
    #[schema(example = "Example Corporation")]
    name: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SendQuery {
    /// Where the browser goes afterwards: a path of this installation, or a page of an origin in `identity.allowed_origins`. A plain page
    /// when absent.
    #[param(min_length = 1, max_length = 500, example = "/app")]
    return_to: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginSignInRequest {
    /// `cookie` binds the sign-in to this browser; otherwise it is bound to `flow_token`.
    #[serde(default)]
    delivery: Delivery,
    /// For a browser that comes back to us: where it goes afterwards, as for the page.
    #[schema(min_length = 1, max_length = 500, example = "/app")]
    return_to: Option<String>,
    /// One of those configured for the provider; our own when absent.
    #[schema(min_length = 1, max_length = 500)]
    redirect_uri: Option<String>,
    /// For people without an account, where registration is by invitation.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    invitation_token: Option<SecretString>,
}

/// Open the address in a browser.
#[derive(Serialize, ToSchema)]
pub(super) struct BegunView {
    #[schema(example = "https://id.example.org/authorize?response_type=code&client_id=guildhall&state=…")]
    authorization_url: String,
    /// Secret. Finishes the sign-in, together with what the provider sends back. Absent when it is a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    flow_token: Option<String>,
    /// Seconds until it is void.
    #[schema(example = 600)]
    expires_in: u64,
}

impl BegunView {
    pub(super) fn answer(begun: &Begun, delivery: Delivery) -> Response {
        let in_body = (delivery == Delivery::Body).then(|| begun.flow.expose_secret().to_owned());
        let view = axum::Json(Self {
            authorization_url: begun.authorization_url.clone(),
            flow_token: in_body,
            expires_in: begun.expires_in.as_secs(),
        });
        match delivery {
            Delivery::Body => view.into_response(),
            Delivery::Cookie => (cookie::FLOW.set(&begun.flow, begun.expires_in), view).into_response(),
        }
    }
}

/// What the provider adds to the redirect URI; it may add more.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ComeBackQuery {
    #[param(max_length = 200)]
    state: Option<String>,
    #[param(value_type = Option<String>, max_length = 4096)]
    code: Option<SecretString>,
    /// RFC 9207.
    #[param(max_length = 500)]
    iss: Option<String>,
    /// Instead of a code (RFC 6749, section 4.1.2.1).
    #[param(max_length = 200)]
    error: Option<String>,
}

/// What the provider added to the redirect URI, as it is: parameters that are not known are ignored (RFC 6749, section 4.1.2).
#[derive(Deserialize, ToSchema)]
struct FinishRequest {
    #[schema(min_length = 1, max_length = 200)]
    state: String,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4096)]
    code: Option<SecretString>,
    /// When the provider sent it (RFC 9207).
    #[schema(min_length = 1, max_length = 500)]
    iss: Option<String>,
    /// When the provider sent it instead of a code.
    #[schema(min_length = 1, max_length = 200)]
    error: Option<String>,
    /// Absent: the cookie is used.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4000)]
    flow_token: Option<SecretString>,
    #[serde(default)]
    delivery: Delivery,
}

/// List the sign-in providers
///
/// Those that the operator has configured, by name.
#[utoipa::path(get, path = "/v1/auth/oidc/providers", tag = "auth", operation_id = "listSignInProviders", security(()),
    responses((status = 200, description = "All of them on one page", body = Page<ProviderView>)))]
async fn list_providers(State(service): Service) -> impl IntoResponse {
    let providers = service.config.oidc.providers.iter();
    axum::Json(Page {
        items: providers
            .map(|(id, provider)| ProviderView {
                id: id.clone(),
                name: provider.name.clone(),
            })
            .collect(),
        next_cursor: None,
        total: None,
    })
}

/// Send a browser to a sign-in provider
///
/// For a link on a page: leads to the provider, which leads back here. The sign-in is bound to this browser by a cookie and to
/// ten minutes.
#[utoipa::path(get, path = "/v1/auth/oidc/{provider}/authorization", tag = "auth", operation_id = "sendToSignInProvider", security(()),
    params(("provider" = String, Path, max_length = 32, description = "Id of the provider."), SendQuery),
    responses((status = 303, description = "On to the provider", headers(("Location" = String))),
        (status = 404, description = "No such provider"), (status = 503, description = "The provider does not answer")))]
async fn send_to_provider(
    State(service): Service,
    Visitor(caller): Visitor,
    Path(provider): Path<String>,
    QueryString(query): QueryString<SendQuery>,
) -> Result<Response, Problem> {
    let begin = Begin {
        provider,
        redirect_uri: None,
        return_to: query.return_to,
        invitation: None,
    };
    let begun = service.begin_sign_in(&caller, begin).await.map_err(|error| match error.kind {
        ErrorKind::Invalid => Error {
            fields: error.fields.into_iter().map(of_query).collect(),
            ..Error::malformed("request.query_invalid", "A query parameter is not acceptable; see errors.")
        },
        _ => error,
    })?;
    let on = Redirect::to(&begun.authorization_url);
    Ok((cookie::FLOW.set(&begun.flow, begun.expires_in), on).into_response())
}

fn of_query(field: kernel::FieldError) -> kernel::FieldError {
    kernel::FieldError {
        pointer: format!("#query{}", field.pointer),
        ..field
    }
}

/// Begin a sign-in at a provider
///
/// For programs and applications that open the address themselves. With `delivery` `cookie` the provider may lead back to us;
/// otherwise send what it adds to the redirect URI to `POST …/callback`, with `flow_token`.
#[utoipa::path(post, path = "/v1/auth/oidc/{provider}/authorization", tag = "auth", operation_id = "beginProviderSignIn", security(()),
    params(("provider" = String, Path, max_length = 32, description = "Id of the provider.")),
    request_body(content = BeginSignInRequest, example = json!({"delivery": "cookie", "return_to": "/app"})),
    responses((status = 200, description = "Begun", body = BegunView), (status = 404, description = "No such provider"),
        (status = 403, description = "The page may not use the cookie"), (status = 503, description = "The provider does not answer")))]
async fn begin(
    State(service): Service,
    Visitor(caller): Visitor,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Body(body): Body<BeginSignInRequest>,
) -> Result<Response, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    if let Some(token) = &body.invitation_token {
        Bounds::default().token("/invitation_token", token).check()?;
    }
    check_targets(body.return_to.as_deref(), body.redirect_uri.as_deref())?;
    let begin = Begin {
        provider,
        redirect_uri: body.redirect_uri,
        return_to: body.return_to,
        invitation: body.invitation_token,
    };
    let begun = service.begin_sign_in(&caller, begin).await?;
    Ok(BegunView::answer(&begun, body.delivery))
}

/// Bounds, as the document says them.
pub(super) fn check_targets(return_to: Option<&str>, redirect_uri: Option<&str>) -> Result<()> {
    let mut bounds = Bounds::default();
    for (pointer, text) in [("/return_to", return_to), ("/redirect_uri", redirect_uri)] {
        if let Some(text) = text {
            bounds = bounds.text(pointer, text, MAX_RETURN_CHARS);
        }
    }
    bounds.check()
}

/// Come back from a sign-in provider
///
/// The redirect URI to register with the provider. Leads on to the page that the sign-in was begun for, with `outcome` in its query:
/// `signed_in` (the refresh token is a cookie), `second_factor` (go on with `POST /v1/auth/second-factor` without a token),
/// `linked`, or `failed` with the code of the problem in `problem`.
#[utoipa::path(get, path = "/v1/auth/oidc/{provider}/callback", tag = "auth", operation_id = "comeBackFromSignInProvider", security(()),
    params(("provider" = String, Path, max_length = 32, description = "Id of the provider."), ComeBackQuery),
    responses((status = 303, description = "On to the page", headers(("Location" = String))),
        (status = 401, description = "This browser has begun no such sign-in, or it is over"),
        (status = 404, description = "No such provider")))]
async fn come_back(
    State(service): Service,
    Visitor(caller): Visitor,
    Path(provider): Path<String>,
    headers: HeaderMap,
    QueryString(query): QueryString<ComeBackQuery>,
) -> Result<Response, Problem> {
    service.provider(&provider)?;
    let unknown = || Error::from(IdentityError::FlowInvalid);
    let sealed = cookie::FLOW.read(&headers).ok_or_else(unknown)?;
    let state = query.state.ok_or_else(unknown)?;
    let flow = service.open_flow(&caller, &provider, &sealed, &state).await?;
    let answer = Answer {
        code: query.code,
        error: query.error,
        issuer: query.iss,
    };
    let on = |pairs: &[(&str, &str)]| Redirect::to(&with_outcome(&flow.return_to, pairs));
    let response = match service.finish_flow(&caller, &flow, &answer).await {
        Ok(Finished::SignIn(SignInStep::SignedIn(signed_in))) => {
            let cookie = cookie::set(&signed_in.refresh, signed_in.session.idle_expires_at, caller.now);
            (cookie, on(&[("outcome", "signed_in")])).into_response()
        }
        Ok(Finished::SignIn(SignInStep::SecondFactor(token))) => {
            let cookie = cookie::CHALLENGE.set(&token, CHALLENGE_LIFE);
            (cookie, on(&[("outcome", "second_factor")])).into_response()
        }
        Ok(Finished::Linked(_)) => on(&[("outcome", "linked")]).into_response(),
        Err(error) if error.kind == ErrorKind::Internal => return Err(error.into()),
        Err(error) => on(&[("outcome", "failed"), ("problem", &*error.code)]).into_response(),
    };
    Ok((cookie::FLOW.clear(), response).into_response())
}

/// Finish a sign-in at a provider
///
/// With what the provider added to the redirect URI. Works once, whatever comes of it. A sign-in that was begun to link an account answers
/// 201.
#[utoipa::path(post, path = "/v1/auth/oidc/{provider}/callback", tag = "auth", operation_id = "finishProviderSignIn", security(()),
    params(("provider" = String, Path, max_length = 32, description = "Id of the provider.")),
    request_body(content = FinishRequest, example = json!({"state": "xcoivjuywkdkhvusuye3kch", "code": "SplxlOBeZQQYbYS6WxSbIA", "flow_token": "v1.4oXq..."})),
    responses((status = 200, description = "Signed in", body = TokenResponse),
        (status = 201, description = "Linked", body = ExternalIdentityView),
        (status = 202, description = "A second factor is needed", body = SecondFactorNeeded),
        (status = 401, description = "No such sign-in, it is over, the provider refused, or its answer cannot be trusted"),
        (status = 403, description = "The provider vouches for no address, the account cannot be used, registration is closed, or the page may not use the cookie"),
        (status = 404, description = "No such provider"),
        (status = 409, description = "Sign in to your account and link the provider first; or it is linked to somebody else"),
        (status = 503, description = "The provider does not answer")))]
async fn finish(
    State(service): Service,
    Visitor(caller): Visitor,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Body(body): Body<FinishRequest>,
) -> Result<Response, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    check_answer(&body)?;
    service.provider(&provider)?;
    let (sealed, from_cookie) = match body.flow_token {
        Some(token) => (token, false),
        None => {
            let token = cookie::FLOW.read(&headers);
            (token.ok_or_else(|| Error::from(IdentityError::FlowInvalid))?, true)
        }
    };
    if from_cookie {
        cookie::check_origin(&service, &headers)?;
    }
    let flow = service.open_flow(&caller, &provider, &sealed, &body.state).await?;
    let answer = Answer {
        code: body.code,
        error: body.error,
        issuer: body.iss,
    };
    let response = match service.finish_flow(&caller, &flow, &answer).await {
        Ok(Finished::SignIn(SignInStep::SignedIn(signed_in))) => render(StatusCode::OK, &signed_in, body.delivery, caller.now),
        Ok(Finished::SignIn(SignInStep::SecondFactor(token))) => second_factor_needed(&token),
        Ok(Finished::Linked(identity)) => {
            let view = ExternalIdentityView::new(&identity, &service);
            (StatusCode::CREATED, axum::Json(view)).into_response()
        }
        Err(error) => Problem(error).into_response(),
    };
    Ok(if from_cookie {
        (cookie::FLOW.clear(), response).into_response()
    } else {
        response
    })
}

fn check_answer(body: &FinishRequest) -> Result<()> {
    let mut bounds = Bounds::default().text("/state", &body.state, 200);
    let optional = [
        ("/code", body.code.as_ref().map(ExposeSecret::expose_secret), MAX_PARAMETER_CHARS),
        ("/iss", body.iss.as_deref(), 500),
        ("/error", body.error.as_deref(), 200),
        (
            "/flow_token",
            body.flow_token.as_ref().map(ExposeSecret::expose_secret),
            MAX_FLOW_CHARS,
        ),
    ];
    for (pointer, text, max_chars) in optional {
        if let Some(text) = text {
            bounds = bounds.text(pointer, text, max_chars);
        }
    }
    bounds.check()
}
