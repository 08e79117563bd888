//! The refresh token as a browser holds it: where no script can read it and no other site can send it.

use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use kernel::{Result, Timestamp};
use platform::http::origin;
use secrecy::{ExposeSecret, SecretString};

use crate::service::IdentityService;

/// `__Host-` makes the browser itself demand Secure, Path=/ and no Domain (RFC 6265bis, section 4.1.3.2).
const NAME: &str = "__Host-refresh";
const ATTRIBUTES: &str = "HttpOnly; Secure; SameSite=Strict; Path=/";

/// The token in the request's cookies.
pub(super) fn read(headers: &HeaderMap) -> Option<SecretString> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == NAME && !value.is_empty())
        .map(|(_, value)| SecretString::from(value))
}

pub(super) fn set(token: &SecretString, expires_at: Timestamp, now: Timestamp) -> AppendHeaders<[(HeaderName, String); 1]> {
    let max_age = expires_at.since(now).as_secs();
    AppendHeaders([(
        SET_COOKIE,
        format!("{NAME}={}; Max-Age={max_age}; {ATTRIBUTES}", token.expose_secret()),
    )])
}

pub(super) fn clear(response: impl IntoResponse) -> Response {
    (AppendHeaders([(SET_COOKIE, format!("{NAME}=; Max-Age=0; {ATTRIBUTES}"))]), response).into_response()
}

/// 403 unless a page of ours asks. Everything that reads or sets the cookie comes through here.
pub(super) fn check_origin(service: &IdentityService, headers: &HeaderMap) -> Result<()> {
    let mut allowed = service.config.allowed_origins.clone();
    allowed.push(origin_of(&service.public_url));
    origin::check(headers, &allowed)
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    url[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn sec_15_cookie_has_every_attribute_and_is_read_back() {
        let headers = set(&"ghr_abc".into(), Timestamp::from_seconds(160), Timestamp::from_seconds(100));
        let [(_, text)] = headers.0;
        assert_eq!(
            text,
            "__Host-refresh=ghr_abc; Max-Age=60; HttpOnly; Secure; SameSite=Strict; Path=/"
        );
        let mut request = HeaderMap::new();
        request.append(COOKIE, HeaderValue::from_static("refresh=no; a=b"));
        request.append(COOKIE, HeaderValue::from_static("x=y; __Host-refresh=ghr_abc"));
        assert_eq!(read(&request).unwrap().expose_secret(), "ghr_abc");
        assert!(read(&HeaderMap::new()).is_none());
    }

    #[test]
    fn origins_have_no_path() {
        assert_eq!(origin_of("https://a.example.org/app"), "https://a.example.org");
        assert_eq!(origin_of("http://localhost:8080"), "http://localhost:8080");
    }
}
