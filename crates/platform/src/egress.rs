//! Requests to addresses that users name: webhooks, sign-in providers. The rules against server-side request forgery
//! stand in the adapter behind the trait; services decide only what to send.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use kernel::{Error, FieldError};

/// One request. There are no redirects, no cookies, no proxies and no retries.
#[derive(Debug, Clone)]
pub struct EgressRequest {
    pub method: Method,
    pub url: String,
    /// `Host`, `Content-Length`, `Connection` and `User-Agent` are set by the client.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the look-up of the name to the last byte that is read.
    pub timeout: Duration,
    /// What lies behind in the body is not read.
    pub max_response_bytes: usize,
}

/// Any answer, whatever its status.
#[derive(Debug, Clone)]
pub struct EgressResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body went on behind `max_response_bytes`, or broke off.
    pub truncated: bool,
}

/// Why there is no answer. The texts are for users: they tell nothing of the inner network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("is no URL that can be called: {0}")]
    Url(&'static str),
    #[error("must start with https://")]
    Insecure,
    #[error("names port {0}, which is not allowed here")]
    Port(u16),
    #[error("leads to an address that is not allowed here")]
    Address,
    #[error("names a host that cannot be found")]
    Dns,
    #[error("cannot be connected to")]
    Connect,
    #[error("has no valid TLS certificate, or speaks no TLS")]
    Tls,
    #[error("gave no complete answer in time")]
    Timeout,
    #[error("broke off, or answered something other than HTTP")]
    Protocol,
}

impl EgressError {
    /// Stable, machine-readable.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "invalid_url",
            Self::Insecure => "https_required",
            Self::Port(_) => "port_not_allowed",
            Self::Address => "address_not_allowed",
            Self::Dns => "host_not_found",
            Self::Connect => "connection_failed",
            Self::Tls => "tls_failed",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol_error",
        }
    }

    /// 422 that blames the field at `pointer`.
    pub fn at_field(&self, pointer: &str) -> Error {
        Error::invalid(vec![FieldError::new(pointer, self.code(), self.to_string())])
    }
}

#[async_trait]
pub trait Egress: Send + Sync + 'static {
    /// Whether `url` may be called as things are: its form, and every address that its host has now. Nothing is sent.
    /// [`Egress::send`] checks again, for a name can lead elsewhere by then.
    async fn check(&self, url: &str) -> Result<(), EgressError>;

    /// Sends to an address that was checked.
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError>;
}
