//! Changes that lost a race are made again.
//!
//! A service reads, decides and writes one unit that is guarded by the version it read. When somebody else was quicker the unit
//! leaves nothing behind. Whoever sent `If-Match` with a tag wants to know (412); everybody else set no condition that could
//! fail (RFC 9110, 13.1.1), so the request is decided again on what is there now. The same holds for a foreign key that another
//! request broke meanwhile.

use std::time::Duration;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use kernel::{Error, ErrorKind};
use rand::RngExt as _;

use super::extract::too_large;
use super::problem::{Problem, ProblemParts};
use crate::db::{DbError, Guard};

/// Of so many who change one row at once the last still gets through, for in each round one does.
const ATTEMPTS: u32 = 50;
/// Read again, what is gone is missed at once and says so in its own words; a reference that stays broken is 409.
const REFERENCE_ATTEMPTS: u32 = 3;
/// Those who lost together do not come back together.
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

pub async fn layer(State(max_body_bytes): State<usize>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || names_a_version(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, max_body_bytes).await else {
        return Problem(too_large()).into_response();
    };
    for attempt in 1..=ATTEMPTS {
        let request = Request::from_parts(parts.clone(), HttpBody::from(body.clone()));
        let response = next.clone().run(request).await;
        match race_of(&response) {
            Some(Race::Version) => {}
            Some(Race::Reference) if attempt < REFERENCE_ATTEMPTS => {}
            _ => return response,
        }
        metrics::counter!("http_reruns_total").increment(1);
        let longest = Duration::from_millis(u64::from(attempt) * 2).min(LONGEST_PAUSE);
        let pause = longest.mul_f64(rand::rng().random_range(0.0..1.0));
        tokio::time::sleep(pause).await;
    }
    let detail = "Too many change this at the same time; try again shortly.";
    let busy = Error::new(ErrorKind::Unavailable, "service.contended", detail);
    Problem(busy.with_retry_after(Duration::from_secs(1))).into_response()
}

/// `*` is met by whatever there is.
fn names_a_version(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::IF_MATCH)
        .iter()
        .any(|value| value.as_bytes().trim_ascii() != b"*")
}

enum Race {
    /// Somebody else changed the row.
    Version,
    /// Somebody else deleted what the row was to refer to, or referred to what was to be deleted.
    Reference,
}

fn race_of(response: &Response) -> Option<Race> {
    let problem = response.extensions().get::<ProblemParts>();
    match problem.and_then(|problem| problem.error.cause.as_ref()?.downcast_ref::<DbError>())? {
        DbError::Guard(Guard::VERSION) => Some(Race::Version),
        DbError::ForeignKey => Some(Race::Reference),
        _ => None,
    }
}
