//! `/problems/{type}`: what a problem's `type` resolves to.

use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing};
use http::{HeaderValue, header};
use kernel::Error;

use super::extract::Path;
use super::problem::{PROBLEM_TYPES, Problem, problem_type};

pub fn routes() -> Router {
    Router::new()
        .route("/problems", routing::get(list))
        .route("/problems/{type}", routing::get(page))
}

fn cached(html: String) -> Response {
    (
        [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))],
        Html(html),
    )
        .into_response()
}

async fn list() -> Response {
    let items: String = PROBLEM_TYPES
        .iter()
        .map(|(kind, _)| {
            format!(
                "<li><a href=\"/problems/{0}\">{0}</a>: {1} ({2})</li>\n",
                problem_type(*kind),
                kind.title(),
                kind.http_status()
            )
        })
        .collect();
    cached(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Problem types</title><h1>Problem types</h1><ul>\n{items}</ul></html>"
    ))
}

async fn page(Path(name): Path<String>) -> Response {
    let found = PROBLEM_TYPES.iter().find(|(kind, _)| problem_type(*kind) == name);
    let Some((kind, text)) = found else {
        return Problem(Error::not_found("request.not_found", "There is no such problem type.")).into_response();
    };
    let (title, status) = (kind.title(), kind.http_status());
    cached(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1><p>HTTP status {status}.</p><p>{text}</p><p><a href=\"/problems\">All problem types</a></p></html>"
    ))
}
