//! Routes: parse, call the service, render.

mod api_keys;
mod arrival;
mod auth;
mod cookie;
mod external_identities;
mod keys;
mod me;
mod oidc;
mod pages;
mod recovery;
mod second_factor;
mod sessions;
mod takeout;
mod users;
mod views;

pub use takeout::DISCLOSED;

use std::sync::Arc;

use kernel::{Error, FieldError, Result};
use platform::http::OpenApiRouter;
use secrecy::{ExposeSecret, SecretString};

use crate::config::MAX_PASSWORD_CHARS;
use crate::model::email::MAX_EMAIL_CHARS;
use crate::model::second_factor::MAX_CODE_CHARS;
use crate::model::token::MAX_TOKEN_CHARS;
use crate::service::IdentityService;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// For answers that show a secret, outside of `/v1/auth`, where the edge says so.
const NO_STORE: [(http::HeaderName, &str); 1] = [(http::header::CACHE_CONTROL, "no-store")];

type Service = axum::extract::State<Arc<IdentityService>>;

pub(crate) fn routes(service: Arc<IdentityService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(oidc::routes())
        .merge(recovery::routes())
        .merge(me::routes())
        .merge(second_factor::routes())
        .merge(external_identities::routes())
        .merge(sessions::routes())
        .merge(api_keys::routes())
        .merge(users::routes())
        .merge(keys::routes())
        .merge(pages::routes())
        .merge(arrival::routes())
        .with_state(service)
}

/// 400 for a limit out of bounds.
fn page_limit(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Error::malformed("request.limit_out_of_range", "limit must lie between 1 and 200."))
    }
}

/// Collects what is too short or too long, as the OpenAPI document says it.
#[derive(Default)]
struct Bounds(Vec<FieldError>);

impl Bounds {
    fn text(mut self, pointer: &str, text: &str, max_chars: usize) -> Self {
        let chars = text.chars().count();
        if chars == 0 {
            self.0.push(FieldError::new(pointer, "required", "must not be empty"));
        } else if chars > max_chars {
            self.0.push(FieldError::new(
                pointer,
                "too_long",
                format!("must be at most {max_chars} characters"),
            ));
        }
        self
    }
    fn email(self, text: &str) -> Self {
        self.text("/email", text, MAX_EMAIL_CHARS)
    }
    fn password(self, pointer: &str, secret: &SecretString) -> Self {
        self.text(pointer, secret.expose_secret(), MAX_PASSWORD_CHARS)
    }
    fn token(self, pointer: &str, secret: &SecretString) -> Self {
        self.text(pointer, secret.expose_secret(), MAX_TOKEN_CHARS)
    }
    fn code(self, secret: &SecretString) -> Self {
        self.text("/code", secret.expose_secret(), MAX_CODE_CHARS)
    }
    /// Of people with a second factor alone.
    fn optional_code(self, secret: Option<&SecretString>) -> Self {
        match secret {
            Some(secret) => self.code(secret),
            None => self,
        }
    }
    fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}
