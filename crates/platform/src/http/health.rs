//! `/livez` and `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use futures_util::future::join_all;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A check may take this long; a database that hangs is not ready.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// One thing that must work before requests are sent here.
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    fn name(&self) -> String;
    /// The text is shown to anybody who asks: no addresses, no secrets.
    async fn check(&self) -> Result<(), String>;
}

/// `/livez`: the process runs. `/readyz`: every check passes, 503 otherwise.
///
/// Once `stopping` has fired the process is not ready, whatever its checks say.
pub fn routes(checks: Vec<Arc<dyn HealthCheck>>, stopping: CancellationToken) -> Router {
    let readiness = Readiness {
        checks: checks.into(),
        stopping,
    };
    Router::new()
        .route(
            "/livez",
            routing::get(|| async { answer(StatusCode::OK, json!({ "status": "alive" })) }),
        )
        .route("/readyz", routing::get(ready))
        .with_state(readiness)
}

#[derive(Clone)]
struct Readiness {
    checks: Arc<[Arc<dyn HealthCheck>]>,
    stopping: CancellationToken,
}

async fn ready(State(Readiness { checks, stopping }): State<Readiness>) -> Response {
    if stopping.is_cancelled() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "stopping", "checks": [] }));
    }
    let results = join_all(checks.iter().map(|check| async {
        let result = tokio::time::timeout(CHECK_TIMEOUT, check.check())
            .await
            .unwrap_or_else(|_| Err("timed out".into()));
        (check.name(), result)
    }))
    .await;
    let ready = results.iter().all(|(_, result)| result.is_ok());
    let checks: Vec<_> = results
        .into_iter()
        .map(|(name, result)| json!({ "name": name, "ok": result.is_ok(), "detail": result.err() }))
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(
        status,
        json!({ "status": if ready { "ready" } else { "not_ready" }, "checks": checks }),
    )
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}
