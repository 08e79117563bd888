//! Extractors that answer with problem+json.

use crate::context::Caller;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use kernel::{Error, Result};
use serde::de::DeserializeOwned;

/// A JSON body: 415 for another content type, 400 malformed, 413 too large, 422 with a pointer for a
/// wrong or unknown field (`#[serde(deny_unknown_fields)]` on the struct).
#[derive(Debug)]
pub struct Body<T>(pub T);

/// Like [`Body`], also accepts `application/merge-patch+json`. Members are [`super::Field`].
#[derive(Debug)]
pub struct Patch<T>(pub T);

/// Query parameters: 400 for unknown or unreadable ones (`#[serde(deny_unknown_fields)]`).
#[derive(Debug)]
pub struct Query<T>(pub T);

/// Path parameters; an id that is none is 404, as any unknown id.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// Anybody, signed in or not.
#[derive(Debug)]
pub struct Visitor(pub Caller);

/// The `If-Match` header.
#[derive(Debug, Clone)]
pub struct IfMatch {}

impl IfMatch {
    /// 428 when the header is absent.
    pub fn require(&self) -> Result<()> {
        unimplemented!()
    }
    /// 412 when the header is there and does not name `version`.
    pub fn check(&self, _version: i64) -> Result<()> {
        unimplemented!()
    }
    /// [`IfMatch::require`] when `required`, then [`IfMatch::check`].
    pub fn check_or_require(&self, version: i64, required: bool) -> Result<()> {
        if required {
            self.require()?;
        }
        self.check(version)
    }
}

/// `kernel::Error` as a response: problem+json.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
impl From<crate::db::DbError> for Problem {
    fn from(error: crate::db::DbError) -> Self {
        Self(error.into())
    }
}
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        unimplemented!()
    }
}
impl<T: serde::Serialize> axum::response::IntoResponse for crate::db::Reply<T> {
    fn into_response(self) -> axum::response::Response {
        unimplemented!()
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(_: Request, _: &S) -> Result<Self, Problem> {
        unimplemented!()
    }
}
impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Patch<T> {
    type Rejection = Problem;
    async fn from_request(_: Request, _: &S) -> Result<Self, Problem> {
        unimplemented!()
    }
}
macro_rules! parts { ($([$($g:tt)*] $t:ty),+) => { $(
    impl<S: Sync $($g)*> FromRequestParts<S> for $t {
        type Rejection = Problem;
        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> { unimplemented!() }
    } )+ } }
parts!([] Caller, [] Visitor, [] IfMatch, [, T: DeserializeOwned] Query<T>, [, T: DeserializeOwned + Send] Path<T>);
