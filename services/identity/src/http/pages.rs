//! Plain pages behind the links in mails, so that every flow can be finished in a browser without the web app.
//!
//! A link opens a form; only its button uses the token up, for mail scanners open links too. No script, no style,
//! nothing from elsewhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{StatusCode, Uri};
use platform::http::{OpenApiRouter, Visitor};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Bounds, Service};
use crate::service::IdentityService;

/// The general policy plus forms that post to this origin.
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .route("/account/verify-email", get(verify_form).post(verify))
        .route("/account/reset-password", get(reset_form).post(reset))
        .route("/account/forgot-password", get(forgot_form).post(forgot))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Form {
    token: String,
    password: String,
    email: String,
}

fn parse(bytes: &[u8]) -> Form {
    serde_urlencoded::from_bytes(bytes).unwrap_or_default()
}

async fn verify_form(uri: Uri) -> Response {
    let form = parse(uri.query().unwrap_or_default().as_bytes());
    let body = format!(
        r#"<p>Prove that this e-mail address is yours.</p>
<form method="post" action="/account/verify-email"><input type="hidden" name="token" value="{}"><button>This is my address</button></form>"#,
        escape(&form.token)
    );
    page(StatusCode::OK, "E-mail address", &body)
}

async fn verify(State(service): Service, Visitor(caller): Visitor, bytes: Bytes) -> Response {
    let token = SecretString::from(parse(&bytes).token);
    match service
        .verify_email(&caller, &token, |user| user.email.clone().unwrap_or_default())
        .await
    {
        Ok(reply) => page(
            StatusCode::OK,
            "E-mail address",
            &format!("<p>Thank you: {} is yours. You can sign in now.</p>", escape(&reply.body)),
        ),
        Err(error) => refused("E-mail address", &error),
    }
}

async fn reset_form(uri: Uri) -> Response {
    let form = parse(uri.query().unwrap_or_default().as_bytes());
    let body = format!(
        r#"<p>Choose a new password. You will be signed out everywhere.</p>
<form method="post" action="/account/reset-password"><input type="hidden" name="token" value="{}">
<label>New password <input type="password" name="password" autocomplete="new-password" required minlength="8" maxlength="256"></label>
<button>Set the password</button></form>"#,
        escape(&form.token)
    );
    page(StatusCode::OK, "New password", &body)
}

async fn reset(State(service): Service, Visitor(caller): Visitor, bytes: Bytes) -> Response {
    let form = parse(&bytes);
    let (token, password) = (SecretString::from(form.token), SecretString::from(form.password));
    match service.reset_password_by_mail(&caller, &token, &password).await {
        Ok(()) => page(
            StatusCode::OK,
            "New password",
            "<p>Your password was changed. Sign in with the new one.</p>",
        ),
        Err(error) => refused("New password", &error),
    }
}

async fn forgot_form() -> Response {
    let body = r#"<p>We mail you a link to choose a new password.</p>
<form method="post" action="/account/forgot-password">
<label>E-mail address <input type="email" name="email" autocomplete="email" required maxlength="254"></label><button>Send the mail</button></form>"#;
    page(StatusCode::OK, "Forgotten password", body)
}

async fn forgot(State(service): Service, Visitor(caller): Visitor, bytes: Bytes) -> Response {
    let email = parse(&bytes).email;
    let asked = match Bounds::default().email(&email).check() {
        Ok(()) => service.forgot_password(&caller, &email).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(()) => page(
            StatusCode::OK,
            "Forgotten password",
            "<p>If the address is known, a mail is on its way.</p>",
        ),
        Err(error) => refused("Forgotten password", &error),
    }
}

pub(super) fn refused(title: &str, error: &kernel::Error) -> Response {
    let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(%error, cause = ?error.cause, "account page failed");
    }
    let fields: Vec<String> = error
        .fields
        .iter()
        .map(|field| {
            format!(
                "<li>{} {}</li>",
                escape(field.pointer.trim_start_matches('/')),
                escape(&field.detail)
            )
        })
        .collect();
    page(
        status,
        title,
        &format!("<p>{}</p><ul>{}</ul>", escape(&error.detail), fields.concat()),
    )
}

pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} · Guildhall</title></head>
<body><main><h1>{title}</h1>{body}</main></body></html>"#
    );
    (status, [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_link_carries_cannot_become_markup() {
        assert_eq!(super::escape(r#""><script>'&"#), "&quot;&gt;&lt;script&gt;&#39;&amp;");
    }
}
