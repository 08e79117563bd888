//! Whether somebody may still see what a stored answer tells: the API is asked, as they would ask it themselves.

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use tower::ServiceExt as _;

use super::edge::{RequestMeta, Spans};
use super::extract::Identified;
use super::problem::ProblemParts;

/// Whoever has left is still told so.
const PARTING: &str = "/leave";

/// The routes that an answer may be asked of, with the layers of the services and without those around all.
#[derive(Clone)]
pub(super) struct Standing(Router);

impl Standing {
    /// `routes` as the layers around them may ask them.
    pub fn of(routes: Router) -> Self {
        Self(routes)
    }

    /// The refusal of whoever may no longer read the path of the request or, where nothing is read there, what lies above it.
    pub async fn refusal(&self, parts: &Parts) -> Option<Response> {
        let mut path = parts.uri.path();
        if path.ends_with(PARTING) {
            return None;
        }
        while path.starts_with("/v1/") {
            let answer = self.read(path, parts).await?;
            if is_read(&answer) {
                let refused = matches!(
                    answer.status(),
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
                );
                return refused.then_some(answer);
            }
            path = path.rsplit_once('/')?.0;
        }
        None
    }

    /// The route finds its own parameters, so that only who asks is taken over.
    async fn read(&self, path: &str, parts: &Parts) -> Option<Response> {
        let mut request = Request::builder().method(Method::GET).uri(path).body(HttpBody::empty()).ok()?;
        let extensions = request.extensions_mut();
        extensions.insert(parts.extensions.get::<Identified>()?.clone());
        extensions.insert(parts.extensions.get::<RequestMeta>()?.clone());
        extensions.insert(parts.extensions.get::<Spans>()?.clone());
        match self.0.clone().oneshot(request).await {
            Ok(response) => Some(response),
            Err(never) => match never {},
        }
    }
}

/// Neither the router's 405 nor its 404.
fn is_read(answer: &Response) -> bool {
    let routed = answer.status() != StatusCode::NOT_FOUND || answer.extensions().get::<ProblemParts>().is_some();
    routed && answer.status() != StatusCode::METHOD_NOT_ALLOWED
}
