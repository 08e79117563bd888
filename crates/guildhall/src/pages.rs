//! The binary's own pages: the API's documents and their interactive page.

use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, Router, routing};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::Value;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// `/openapi.json`, `/openapi.yaml`, `/asyncapi.json`, `/api-docs`; `/` leads to the latter.
pub fn routes(openapi: &Value) -> Router {
    // Rendered once: the documents do not change while the process runs.
    let json = Bytes::from(serde_json::to_vec(openapi).unwrap_or_default());
    let yaml = Bytes::from(serde_yaml_ng::to_string(openapi).unwrap_or_default());
    let asyncapi = contracts::asyncapi::document(env!("CARGO_PKG_VERSION"));
    // The documents come from our own routes; the page only points there.
    let interactive: Router = SwaggerUi::new("/api-docs")
        .config(Config::from("/openapi.json").use_base_layout().try_it_out_enabled(true))
        .into();
    Router::new()
        .route("/", routing::get(|| async { Redirect::temporary("/api-docs/") }))
        .route(
            "/openapi.json",
            routing::get(move || async move { document("application/json", json) }),
        )
        .route(
            "/openapi.yaml",
            routing::get(move || async move { document("application/yaml", yaml) }),
        )
        .route("/asyncapi.json", routing::get(move || async move { Json(asyncapi) }))
        .merge(interactive.layer(from_fn(page_policy)))
}

fn document(content_type: &'static str, text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], text).into_response()
}

/// The interactive page runs its own scripts; everything else stays shut.
async fn page_policy(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
