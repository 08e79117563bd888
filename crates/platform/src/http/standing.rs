//! Whether somebody may still see what a stored answer tells: the API is asked, as they would ask it themselves.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use kernel::ids::Uuid;
use serde_json::Value;
use tower::ServiceExt as _;

use super::edge::{RequestMeta, Spans};
use super::extract::Identified;
use super::problem::ProblemParts;

/// Whoever has left, or never came in, is still told so.
const PARTINGS: [&str; 2] = ["/leave", "/decline"];

/// The routes that an answer may be asked of, with the layers of the services and without those around all.
#[derive(Clone)]
pub(super) struct Standing(Router);

impl Standing {
    /// `routes` as the layers around them may ask them.
    pub fn of(routes: Router) -> Self {
        Self(routes)
    }

    /// The refusal of whoever may no longer read the path of the request or, where nothing is read there, what lies above it; or
    /// a workspace or project that the stored answer names, for not every path does.
    pub async fn refusal(&self, parts: &Parts, stored: &str) -> Option<Response> {
        let mut path = parts.uri.path();
        if PARTINGS.iter().any(|parting| path.ends_with(parting)) {
            return None;
        }
        while path.starts_with("/v1/") {
            let answer = self.read(path, parts).await?;
            if is_read(&answer) {
                if refuses(&answer) {
                    return Some(answer);
                }
                break;
            }
            path = path.rsplit_once('/')?.0;
        }
        let mut homes = BTreeSet::new();
        if let Ok(stored) = serde_json::from_str(stored) {
            collect_homes(&stored, &mut homes);
        }
        for home in homes {
            let answer = self.read(&home, parts).await?;
            if refuses(&answer) {
                return Some(answer);
            }
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

fn refuses(answer: &Response) -> bool {
    matches!(
        answer.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
    )
}

/// Where the workspaces and projects that an answer names are read.
fn collect_homes(value: &Value, homes: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_homes(item, homes)),
        Value::Object(members) => {
            for (name, member) in members {
                let place = match name.as_str() {
                    "workspace_id" => "workspaces",
                    "project_id" => "projects",
                    _ => {
                        collect_homes(member, homes);
                        continue;
                    }
                };
                if let Some(id) = member.as_str().and_then(|id| Uuid::try_parse(id).ok()) {
                    homes.insert(format!("/v1/{place}/{id}"));
                }
            }
        }
        _ => {}
    }
}

/// Neither the router's 405 nor its 404.
fn is_read(answer: &Response) -> bool {
    let routed = answer.status() != StatusCode::NOT_FOUND || answer.extensions().get::<ProblemParts>().is_some();
    routed && answer.status() != StatusCode::METHOD_NOT_ALLOWED
}
