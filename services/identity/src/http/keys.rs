//! The keys that verify access tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CACHE_CONTROL;
use platform::http::{OpenApiRouter, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Service;
use crate::service::{IdentityService, JWKS_MAX_AGE};

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new().routes(routes!(jwks))
}

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
struct JwkSet {
    #[schema(value_type = Vec<Jwk>)]
    keys: Vec<serde_json::Value>,
}

/// A public key: Ed25519 (RFC 8037), or P-256 (RFC 7518) where `identity.signing_algorithm` is `es256`.
#[derive(Debug, Serialize, ToSchema)]
struct Jwk {
    /// `OKP` or `EC`.
    #[schema(example = "OKP")]
    kty: String,
    /// `Ed25519` or `P-256`.
    #[schema(example = "Ed25519")]
    crv: String,
    /// `EdDSA` or `ES256`; the only algorithm the key is for.
    #[schema(example = "EdDSA")]
    alg: String,
    #[schema(example = "sig")]
    r#use: String,
    kid: String,
    x: String,
    /// Of keys on P-256.
    #[schema(nullable = false)]
    y: Option<String>,
}

/// Public keys of access tokens
///
/// The current one, the next one ahead of its use, and previous ones as long as tokens they signed may live.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", operation_id = "getJwks", security(()),
    responses((status = 200, description = "The key set", body = JwkSet, headers(("Cache-Control" = String)))))]
async fn jwks(State(service): Service) -> Result<impl IntoResponse, Problem> {
    let keys = service.key_document().await?.keys;
    let cache = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    Ok(([(CACHE_CONTROL, cache)], axum::Json(JwkSet { keys })))
}
