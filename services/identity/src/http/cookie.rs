//! Secrets as a browser holds them: where no script can read them and no other site can send them.

use std::time::Duration;

use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use kernel::{Result, Timestamp};
use platform::http::origin;
use secrecy::{ExposeSecret, SecretString};

use crate::service::IdentityService;

/// A cookie of ours. `__Host-` in its name makes the browser itself demand Secure, Path=/ and no Domain (RFC 6265bis, section
/// 4.1.3.2).
pub(super) struct Cookie {
    name: &'static str,
    same_site: &'static str,
}

pub(super) type SetCookie = AppendHeaders<[(HeaderName, String); 1]>;

const REFRESH: Cookie = Cookie {
    name: "__Host-refresh",
    same_site: "Strict",
};

/// A sign-in under way at a provider. The browser must send it when the provider sends the person back, which is a
/// navigation from another site.
pub(super) const FLOW: Cookie = Cookie {
    name: "__Host-oidc",
    same_site: "Lax",
};

/// A sign-in that waits for its second factor.
pub(super) const CHALLENGE: Cookie = Cookie {
    name: "__Host-second-factor",
    same_site: "Strict",
};

impl Cookie {
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<SecretString> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, value)| *name == self.name && !value.is_empty())
            .map(|(_, value)| SecretString::from(value))
    }

    pub(super) fn set(&self, secret: &SecretString, max_age: Duration) -> SetCookie {
        self.header(secret.expose_secret(), max_age.as_secs())
    }

    pub(super) fn clear(&self) -> SetCookie {
        self.header("", 0)
    }

    fn header(&self, value: &str, max_age: u64) -> SetCookie {
        let Self { name, same_site } = self;
        AppendHeaders([(
            SET_COOKIE,
            format!("{name}={value}; Max-Age={max_age}; HttpOnly; Secure; SameSite={same_site}; Path=/"),
        )])
    }
}

/// The refresh token in the request's cookies.
pub(super) fn read(headers: &HeaderMap) -> Option<SecretString> {
    REFRESH.read(headers)
}

pub(super) fn set(token: &SecretString, expires_at: Timestamp, now: Timestamp) -> SetCookie {
    REFRESH.set(token, expires_at.since(now))
}

pub(super) fn clear(response: impl IntoResponse) -> Response {
    (REFRESH.clear(), response).into_response()
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
        let [(_, text)] = FLOW.clear().0;
        assert_eq!(text, "__Host-oidc=; Max-Age=0; HttpOnly; Secure; SameSite=Lax; Path=/");
    }

    #[test]
    fn origins_have_no_path() {
        assert_eq!(origin_of("https://a.example.org/app"), "https://a.example.org");
        assert_eq!(origin_of("http://localhost:8080"), "http://localhost:8080");
    }
}
