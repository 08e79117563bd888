//! The API as another way in asks it, such as the Model Context Protocol: by requests that never leave the process.
//!
//! So a rule stands in one place whichever way somebody comes: the token is looked at again, scopes and rates count, the
//! handler reads and decides as for anybody. Such a request has the id, the address and the place in the queue of the one
//! that it is part of, and ends with it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use kernel::{Error, Result};
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::edge::{self, RequestMeta, Spans};
use super::{Edge, guard};

/// What the outer request has been counted for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paid(pub u32);

/// Routes behind the rules that hold for all of them, to be asked from inside the process.
#[derive(Clone)]
pub struct Inside(Router);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Inside {
    /// `routes` as [`super::stack`] takes them, with the layers that are part of a route.
    pub fn new(routes: Router, edge: &Arc<Edge>) -> Self {
        let rules = (
            from_fn_with_state(edge.clone(), edge::edge),
            from_fn(guard::catch_panic),
            from_fn_with_state(edge.clone(), guard::identify),
            DefaultBodyLimit::max(edge.config.max_body_bytes),
        );
        Self(routes.layer(rules))
    }

    /// Asks on behalf of whoever sent `outer`, which has come through [`super::stack`]. Internal when it has not.
    pub async fn ask(&self, outer: &Parts, mut request: Request) -> Result<Answer> {
        let (meta, spans): (Option<&RequestMeta>, Option<&Spans>) = (outer.extensions.get(), outer.extensions.get());
        let (Some(meta), Some(spans)) = (meta, spans) else {
            return Err(Error::internal("the outer request has not come through the edge"));
        };
        request.extensions_mut().insert(meta.clone());
        request.extensions_mut().insert(Paid(1));
        if let Some(token) = outer.headers.get(header::AUTHORIZATION) {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        // Whoever asks may do so from a task of its own.
        let answering = self.0.clone().oneshot(request);
        let answering = answering.instrument(spans.log.clone()).instrument(spans.trace.clone());
        let response = match answering.await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body): (_, HttpBody) = response.into_parts();
        // Our own answers, which are bounded where they are made.
        let body = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}
