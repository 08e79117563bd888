//! Where people land who come back from a sign-in provider without an application: a plain page that says what came of it and
//! asks for the second factor.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use kernel::{Error, Result};
use platform::Caller;
use platform::http::{OpenApiRouter, Visitor};
use secrecy::SecretString;
use serde::Deserialize;

use super::pages::{escape, page, refused};
use super::{Bounds, Service, cookie};
use crate::error::IdentityError;
use crate::service::{IdentityService, SignedIn};

const TITLE: &str = "Sign in";

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .route("/account/signed-in", get(arrive))
        .route("/account/second-factor", post(second_factor))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Form {
    outcome: String,
    problem: String,
    code: String,
}

fn parse(bytes: &[u8]) -> Form {
    serde_urlencoded::from_bytes(bytes).unwrap_or_default()
}

async fn arrive(uri: Uri) -> Response {
    let form = parse(uri.query().unwrap_or_default().as_bytes());
    let body = match form.outcome.as_str() {
        "signed_in" => "<p>You are signed in.</p>".to_owned(),
        "linked" => "<p>The account is linked. You can sign in with it from now on.</p>".to_owned(),
        "second_factor" => r#"<p>A code of your authenticator app is needed, or a recovery code.</p>
<form method="post" action="/account/second-factor">
<label>Code <input name="code" autocomplete="one-time-code" required maxlength="40"></label><button>Sign in</button></form>"#
            .to_owned(),
        _ => format!(
            "<p>You are not signed in. {} ({})</p>",
            explanation(&form.problem),
            escape(&form.problem)
        ),
    };
    page(StatusCode::OK, TITLE, &body)
}

/// What to do about the problems that people can do something about.
fn explanation(code: &str) -> String {
    use IdentityError as E;
    let known = [
        E::AddressNotVouchedFor,
        E::LinkFirst,
        E::AccountUnavailable,
        E::RegistrationClosed,
        E::InvitationRequired,
        E::EmailUnverified,
        E::LinkedElsewhere,
        E::ProviderUnavailable,
        E::ProviderRefused,
    ];
    let found = known.into_iter().find(|error| error.code() == code);
    found.map_or_else(|| "Start again.".to_owned(), |error| error.to_string())
}

async fn second_factor(State(service): Service, Visitor(caller): Visitor, headers: HeaderMap, bytes: Bytes) -> Response {
    let code = SecretString::from(parse(&bytes).code);
    match finish(&service, &caller, &headers, &code).await {
        Ok(signed_in) => {
            let refresh = cookie::set(&signed_in.refresh, signed_in.session.idle_expires_at, caller.now);
            let done = page(StatusCode::OK, TITLE, "<p>You are signed in.</p>");
            (cookie::CHALLENGE.clear(), refresh, done).into_response()
        }
        Err(error) => refused(TITLE, &error),
    }
}

async fn finish(service: &IdentityService, caller: &Caller, headers: &HeaderMap, code: &SecretString) -> Result<SignedIn> {
    Bounds::default().code(code).check()?;
    let token = cookie::CHALLENGE.read(headers);
    let token = token.ok_or_else(|| Error::from(IdentityError::ChallengeInvalid))?;
    cookie::check_origin(service, headers)?;
    service.finish_challenge(caller, &token, code).await
}
