//! Query parameters of routes that have none.
//!
//! A route with a [`super::Query`] names an unknown parameter itself. On any other, `?archived=true` would be silently
//! ignored, and the caller would take the answer for what it asked.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr, SecurityRequirement};

use super::extract::{Identified, unknown_parameter};
use super::problem::Problem;

/// The operations of a service without query parameters; whether they need a token.
#[derive(Clone)]
pub struct QueryFree(Arc<HashMap<(Method, String), bool>>);

impl QueryFree {
    /// Reads the routes' own description.
    pub fn new(api: &OpenApi) -> Self {
        let mut free = HashMap::new();
        for (path, item) in &api.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation.as_ref().filter(|operation| !asks(operation)) {
                    // As in `openapi::complete`: an empty requirement makes a route public, none at all a protected one.
                    let open = operation
                        .security
                        .iter()
                        .flatten()
                        .any(|needed| *needed == SecurityRequirement::default());
                    free.insert((method, path.clone()), !open);
                }
            }
        }
        Self(Arc::new(free))
    }
}

fn asks(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(own) if own.parameter_in == ParameterIn::Query))
}

/// 400 for the first parameter. Who has no token and needs one is told that first, by the handler.
pub async fn layer(State(free): State<QueryFree>, path: MatchedPath, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let Some((name, _)) = url::form_urlencoded::parse(query.as_bytes()).next() else {
        return next.run(request).await;
    };
    let method = if request.method() == Method::HEAD {
        Method::GET
    } else {
        request.method().clone()
    };
    let signed_in = |request: &Request| {
        let found = request.extensions().get::<Identified>();
        found.is_some_and(|found| found.refused.is_none() && found.caller.user_id().is_ok())
    };
    match free.0.get(&(method, path.as_str().to_owned())) {
        Some(protected) if !protected || signed_in(&request) => Problem(unknown_parameter(&name)).into_response(),
        _ => next.run(request).await,
    }
}
