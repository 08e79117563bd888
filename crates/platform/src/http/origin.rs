//! Whether a browser request that carries a cookie comes from a page of ours (security against cross-site requests).

use http::{HeaderMap, header};
use kernel::{Error, Result};

/// 403 unless the request is same-origin (`Sec-Fetch-Site`) or its `Origin` is in the list. Programs send neither
/// header, but they do not send cookies either; so for a cookie one of the two must be there.
pub fn check(headers: &HeaderMap, allowed: &[String]) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin_allowed = text(header::ORIGIN.as_str()).map(|origin| allowed.iter().any(|entry| entry == origin));
    let allowed = match (text("sec-fetch-site"), origin_allowed) {
        (Some("same-origin"), _) | (_, Some(true)) => true,
        (_, Some(false) | None) => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(Error::forbidden("auth.origin_refused", "This page may not use the session cookie."))
    }
}
