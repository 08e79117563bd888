//! What comes in before anybody looks at it: the head within bounds, the body whole.
//!
//! The body is read before the request takes a place among those that are worked on, so that a client that sends slowly keeps
//! nobody else waiting; and before anything refuses the request, so that the connection can be used again afterwards. Where the
//! body is not read to its end the answer says that the connection closes (RFC 9112, 9.6).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kernel::{Error, ErrorKind};

use super::Edge;
use super::config::HttpConfig;
use super::edge::RequestMeta;
use super::extract::too_large;
use super::idempotency::IDEMPOTENCY_KEY;
use super::problem::Problem;
use super::ratelimit::network;

/// Request targets, in bytes; RFC 9110, 4.1 recommends at least 8000.
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// Header lines of one request, in bytes of names and values.
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// Header fields that say who asks, what for and how to read it.
const SINGLE: [(HeaderName, &str); 3] = [
    (header::AUTHORIZATION, "Authorization"),
    (header::CONTENT_TYPE, "Content-Type"),
    (IDEMPOTENCY_KEY, "Idempotency-Key"),
];
/// Slow bodies of one address (IPv6: /64) at the same time.
const SLOW_PER_ADDRESS: usize = 64;
/// Slow bodies altogether.
const SLOW_AT_ONCE: usize = 1_024;
/// What is thrown away of a body that is too large, in bytes. A connection closed while the client still sends is reset, and
/// with it goes the answer that says why; most clients that send too much have sent it all by then.
const MAX_DISCARDED_BYTES: usize = 32 * 1024 * 1024;
/// And for how long.
const DISCARDING: Duration = Duration::from_secs(5);

/// Reads bodies, and counts those that do not come at once.
pub(super) struct Receiver {
    max_bytes: usize,
    patience: Duration,
    slow: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the slow ones, until dropped.
struct Slow<'a> {
    receiver: &'a Receiver,
    address: IpAddr,
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        let mut slow = self.receiver.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = slow.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                slow.remove(&self.address);
            }
        }
    }
}

impl Receiver {
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            max_bytes: config.max_body_bytes,
            patience: Duration::from_secs(config.body_timeout_seconds),
            slow: Mutex::default(),
        }
    }

    /// `waits`: the client sends nothing before it is told to (`Expect: 100-continue`).
    async fn read(&self, mut body: HttpBody, address: IpAddr, waits: bool) -> Result<Bytes, Error> {
        if body.size_hint().lower() > self.max_bytes as u64 {
            if !waits {
                self.discard(&mut body, address).await?;
            }
            return Err(too_large());
        }
        let mut reading = Box::pin(Limited::new(&mut body, self.max_bytes).collect());
        // Most bodies are here with their head.
        let read = match reading.as_mut().now_or_never() {
            Some(read) => read,
            None => {
                let _slow = self.slow(network(address))?;
                tokio::time::timeout(self.patience, reading).await.map_err(|_| {
                    let detail = "The body did not arrive in time.";
                    Error::new(ErrorKind::RequestTimeout, "request.body_timeout", detail)
                })?
            }
        };
        match read {
            Ok(read) => Ok(read.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                self.discard(&mut body, address).await?;
                Err(too_large())
            }
            Err(_) => Err(Error::malformed(
                "request.body_unreadable",
                "The body could not be read to its end.",
            )),
        }
    }

    /// Throws away what comes, within bounds.
    async fn discard(&self, body: &mut HttpBody, address: IpAddr) -> Result<(), Error> {
        let _slow = self.slow(network(address))?;
        let discarding = async {
            let mut left = MAX_DISCARDED_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        // What is not here by then is not waited for.
        let _ = tokio::time::timeout(DISCARDING, discarding).await;
        Ok(())
    }

    fn slow(&self, address: IpAddr) -> Result<Slow<'_>, Error> {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let altogether: usize = slow.values().sum();
        let count = slow.entry(address).or_default();
        if *count >= SLOW_PER_ADDRESS {
            let detail = format!("{SLOW_PER_ADDRESS} requests from this address are still sending their bodies.");
            return Err(Error::new(ErrorKind::RateLimited, "request.too_many_slow_bodies", detail));
        }
        if altogether >= SLOW_AT_ONCE {
            return Err(Error::unavailable(Duration::from_secs(1)));
        }
        *count += 1;
        Ok(Slow { receiver: self, address })
    }
}

pub(super) async fn layer(State(state): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let http1 = request.version() < Version::HTTP_2;
    if let Err(error) = head(&request) {
        return closing(error, http1);
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let address = request
        .extensions()
        .get::<RequestMeta>()
        .map_or(IpAddr::from([127, 0, 0, 1]), |meta| meta.client_ip);
    let (parts, body) = request.into_parts();
    let waits = parts
        .headers
        .get(header::EXPECT)
        .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    match state.receiver.read(body, address, waits).await {
        Ok(bytes) => next.run(Request::from_parts(parts, HttpBody::from(bytes))).await,
        Err(error) => closing(error, http1),
    }
}

/// The body may not have been read to its end, so nothing else can be read on this connection of HTTP/1.
fn closing(error: Error, http1: bool) -> Response {
    let mut response = Problem(error).into_response();
    if http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn head(request: &Request) -> Result<(), Error> {
    let (uri, headers) = (request.uri(), request.headers());
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        let detail = format!("Paths with their query may have {MAX_TARGET_BYTES} bytes.");
        return Err(Error::new(ErrorKind::UriTooLong, "request.uri_too_long", detail));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let detail = format!("Requests may have {MAX_HEADERS} header fields with {MAX_HEADER_BYTES} bytes.");
        return Err(Error::new(ErrorKind::HeadersTooLarge, "request.headers_too_large", detail));
    }
    // Of two, somebody on the way may have believed the other (RFC 9110, 5.3).
    for (field, name) in SINGLE {
        if headers.get_all(&field).iter().count() > 1 {
            let detail = format!("{name} may be sent once.");
            return Err(Error::malformed("request.header_repeated", detail));
        }
    }
    // RFC 9112, 3.2: exactly one; HTTP/2 has its own.
    if request.version() == Version::HTTP_11 && headers.get_all(header::HOST).iter().count() != 1 {
        return Err(Error::malformed(
            "request.host_invalid",
            "HTTP/1.1 needs exactly one Host header field.",
        ));
    }
    Ok(())
}
