//! Targets of the fuzzer for what reads untrusted bytes in the kernel and the platform, and the replay of every target's corpus.
//!
//! A target takes any bytes, and panics when the code that reads them breaks a promise. `fuzz/` hands them to libFuzzer;
//! [`replay`] runs them over the committed corpus in the ordinary tests, so that what was found once stays mended.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::extract::FromRequest;
use contracts::identity::{CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, header};
use kernel::cursor::CursorCodec;
use kernel::ids::{ApiKeyId, EntityId, Uuid, parse_uuid};
use kernel::{CallContext, Error, ErrorKind, Timestamp, api_key};
use platform::http::auth::{AuthConfig, Authenticator};
use platform::http::client_ip::client_ip;
use platform::http::{Field, IfMatch, Patch, Problem, etag};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::FixedClock;

/// Runs a target over its corpus, `fuzz/corpus/<target>`. A corpus that is missing or empty fails: it is what the test is for.
pub fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry of the corpus").path();
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        // A target's panic does not say which input it was.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&bytes)));
        assert!(outcome.is_ok(), "{} breaks the target {target}", path.display());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

/// The bytes as text, and the parts of it that U+0000 separates.
pub fn parts<const N: usize>(bytes: &[u8]) -> [String; N] {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut parts = text.splitn(N, '\0').map(str::to_owned);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Cursors: what was not sealed here does not open, what was opens only where it belongs.
pub fn cursor(bytes: &[u8]) {
    let codec = CursorCodec::new([7; 32]);
    let text = String::from_utf8_lossy(bytes);
    let refused = codec.open::<Value>(&text, "list").expect_err("a cursor that nobody sealed");
    assert_eq!(refused.kind, ErrorKind::Malformed);

    let [position, binding, other] = parts(bytes);
    let sealed = codec.seal(&(&position, bytes.len()), &binding).expect("text and a number");
    let long = sealed.len() > 2_048;
    let opened = codec.open::<(String, usize)>(&sealed, &binding);
    match opened {
        Ok(opened) => assert!(!long && opened == (position, bytes.len())),
        Err(error) => assert!(long, "an honest cursor: {error:?}"),
    }
    assert_eq!(codec.open::<Value>(&sealed, &other).is_ok(), !long && binding == other);
    let mut forged = sealed.into_bytes();
    let place = bytes.len() % forged.len();
    let replaced = if forged[place] == b'A' { b'B' } else { b'A' };
    forged[place] = replaced;
    let forged = String::from_utf8(forged).expect("ASCII");
    assert!(codec.open::<Value>(&forged, &binding).is_err(), "a changed cursor opened");
}

/// API keys: one key has one spelling, and any other letter is noticed.
pub fn api_key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some((id, secret)) = api_key::parse(&text) {
        assert_eq!(api_key::format(id, &secret), text);
    }
    let mut material = [0; 49];
    for (place, byte) in material.iter_mut().zip(bytes) {
        *place = *byte;
    }
    let id = ApiKeyId::from_uuid(Uuid::from_slice(&material[..16]).expect("sixteen bytes"));
    let secret: api_key::Secret = material[16..48].try_into().expect("thirty-two bytes");
    let mut key = api_key::format(id, &secret);
    assert_eq!(api_key::parse(&key), Some((id, secret)));
    let place = usize::from(material[48]) % key.len();
    let replaced = if key.as_bytes()[place] == b'q' { "r" } else { "q" };
    key.replace_range(place..=place, replaced);
    assert_eq!(api_key::parse(&key), None);
}

/// Access tokens: header and claims as anybody may write them, signed with our key, with a foreign one, or not at all. Only a token
/// that says exactly what ours say is taken.
pub fn access_token(bytes: &[u8]) {
    let fixture = fixture();
    let ask = |token: &str| {
        let answer = fixture.authenticator.authenticate(token, "fuzz").now_or_never();
        answer.expect("the fakes never wait")
    };
    let text = String::from_utf8_lossy(bytes);
    assert!(ask(&text).is_err(), "a token that nobody signed: {text:?}");

    let [header, claims] = parts(bytes);
    let signed = |key: &SigningKey, header: &str, claims: &str| {
        let message = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(header.as_bytes()),
            BASE64URL_NOPAD.encode(claims.as_bytes())
        );
        let signature = key.sign(message.as_bytes()).to_bytes();
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    };
    assert!(ask(&signed(&SigningKey::from_bytes(&[9; 32]), &header, &claims)).is_err());
    let good_header = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"fuzz"}"#;
    for header in [header.as_str(), good_header] {
        let Ok(found) = ask(&signed(&fixture.key, header, &claims)) else {
            continue;
        };
        let header: Value = serde_json::from_str(header).expect("a header that was taken");
        assert!(
            header["alg"] == "EdDSA" && header["typ"] == "at+jwt" && header["kid"] == "fuzz",
            "{header}"
        );
        let claims: Value = serde_json::from_str(&claims).expect("claims that were taken");
        assert!(claims["iss"] == "https://fuzz.test" && claims["aud"] == "guildhall", "{claims}");
        let now = FixedClock::START.as_seconds();
        assert!(claims["exp"].as_i64().is_some_and(|end| end > now), "{claims}");
        assert_eq!(claims["exp"].as_i64(), Some(found.expires_at.as_seconds()));
        assert!(!found.instance_admin && found.scopes.is_none());
    }
}

struct Fixture {
    authenticator: Authenticator,
    key: SigningKey,
}

/// Made once: a fuzzer asks a hundred thousand times a second.
fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let key = SigningKey::from_bytes(&[7; 32]);
        let config = AuthConfig {
            issuer: "https://fuzz.test".to_owned(),
            audience: "guildhall".to_owned(),
        };
        let identity = Arc::new(OneKey(key.clone()));
        Fixture {
            authenticator: Authenticator::new(identity, Arc::new(FixedClock::default()), config),
            key,
        }
    })
}

/// An identity service with one key, in which every session lives.
struct OneKey(SigningKey);

#[async_trait]
impl Identity for OneKey {
    async fn get_users(&self, _: &CallContext, _: GetUsers) -> kernel::Result<Vec<UserSummary>> {
        Ok(Vec::new())
    }
    async fn find_user_by_email(&self, _: &CallContext, _: FindUserByEmail) -> kernel::Result<Option<UserSummary>> {
        Ok(None)
    }
    async fn check_session(&self, _: &CallContext, _: CheckSession) -> kernel::Result<SessionState> {
        Ok(SessionState {
            active: true,
            instance_admin: false,
        })
    }
    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> kernel::Result<Jwks> {
        let x = BASE64URL_NOPAD.encode(self.0.verifying_key().as_bytes());
        let key = json!({ "kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": "fuzz", "crv": "Ed25519", "x": x });
        Ok(Jwks { keys: vec![key] })
    }
}

/// A merge patch with members of every kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    title: Field<String>,
    #[serde(default)]
    due: Field<i64>,
    #[serde(default)]
    labels: Field<Vec<String>>,
    #[serde(default)]
    inner: Field<Inner>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    flag: bool,
}

/// Bodies: refused with a problem that names what is wrong, or read as a plain JSON parser and RFC 7396 understand them.
pub fn body(bytes: &[u8]) {
    let request = Request::patch("/").header(header::CONTENT_TYPE, "application/merge-patch+json");
    let request = request.body(axum::body::Body::from(bytes.to_vec())).expect("a request");
    let read = Patch::<Change>::from_request(request, &()).now_or_never();
    match read.expect("the body is in memory") {
        Ok(Patch(change)) => {
            let document: Map<String, Value> = serde_json::from_slice(bytes).expect("what was read is a JSON object");
            assert!(!document.values().any(holds_nul), "U+0000 came in");
            let member = |name: &str| document.get(name).cloned();
            assert_eq!(meaning(change.title), member("title"));
            assert_eq!(meaning(change.labels), member("labels"));
            assert_eq!(meaning(change.inner), member("inner"));
            let due = member("due").map(|due| due.as_i64().map_or_else(|| whole(&due), Value::from));
            assert_eq!(meaning(change.due), due);
        }
        Err(Problem(error)) => refused_well(&error),
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        _ => false,
    }
}

/// `1.0` is a whole number too.
#[expect(clippy::cast_possible_truncation, reason = "compared with what was read, which must be the same")]
fn whole(value: &Value) -> Value {
    value.as_f64().map_or(Value::Null, |number| Value::from(number as i64))
}

fn meaning<T: Serialize>(field: Field<T>) -> Option<Value> {
    let option = field.into_option();
    option.map(|value| value.map_or(Value::Null, |value| serde_json::to_value(value).expect("plain data")))
}

fn refused_well(error: &Error) {
    assert!(matches!(error.kind, ErrorKind::Malformed | ErrorKind::Invalid), "{error:?}");
    assert!(error.fields.len() <= 20, "{error:?}");
    let pointers: std::collections::BTreeSet<&str> = error.fields.iter().map(|field| &*field.pointer).collect();
    assert_eq!(pointers.len(), error.fields.len(), "a field is named twice: {error:?}");
    for pointer in pointers {
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer:?}");
    }
}

/// Header lines: preconditions, the addresses that proxies wrote, ids and times.
pub fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        precondition(value.clone(), bytes.len());
        forwarded(value);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().ok(), Some(time), "{text:?}");
    }
    if let Ok(id) = parse_uuid(&text) {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
    if HEXLOWER.decode(bytes).is_ok_and(|id| id.len() == 16) {
        assert!(parse_uuid(&text).is_err(), "an id has one spelling");
    }
}

fn precondition(value: HeaderValue, length: usize) {
    let version = i64::try_from(length).expect("small");
    let one = |value: HeaderValue| HeaderMap::from_iter([(header::IF_MATCH, value)]);
    let given = IfMatch::from_headers(&one(value.clone()));
    assert!(given.require().is_ok() && given.check_absent().is_err());
    // Nothing but `*` and the right tag, quoted, fits.
    let tag = etag(version);
    let has_tag = value.as_bytes().windows(tag.len()).any(|part| part == tag.as_bytes());
    assert!(given.check(version).is_err() || has_tag || value.as_bytes().trim_ascii() == b"*");
    // The right tag fits wherever it stands among others.
    let mut lines = one(HeaderValue::from_static("\"x\", W/\"y\""));
    lines.append(header::IF_MATCH, tag);
    assert!(IfMatch::from_headers(&lines).check(version).is_ok());
    let ours = IfMatch::from_headers(&one(etag(version)));
    assert!(ours.check(version).is_ok() && ours.check(version + 1).is_err());
}

fn forwarded(value: HeaderValue) {
    let trusted = ["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")];
    let is_trusted = |address: IpAddr| trusted.iter().any(|net: &ipnet::IpNet| net.contains(&address));
    let peer: IpAddr = "10.0.0.1".parse().expect("an address");
    let stranger: IpAddr = "198.51.100.7".parse().expect("an address");
    let lines = |values: &[HeaderValue]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.clone());
        }
        headers
    };
    assert_eq!(client_ip(stranger, &lines(std::slice::from_ref(&value)), &trusted), stranger);
    let found = client_ip(peer, &lines(std::slice::from_ref(&value)), &trusted);
    if !is_trusted(found) {
        // What stands left of the first address that no proxy of ours has is anybody's claim.
        let claimed = HeaderValue::from_static("203.0.113.9, 10.1.1.1");
        assert_eq!(client_ip(peer, &lines(&[claimed, value.clone()]), &trusted), found);
    }
    // What our proxy writes behind it counts, whatever a client sent.
    let written = HeaderValue::from_static("192.0.2.33");
    let seen = client_ip(peer, &lines(&[value, written]), &trusted);
    assert_eq!(seen, "192.0.2.33".parse::<IpAddr>().expect("an address"));
}

#[cfg(test)]
mod tests {
    use super::replay;

    #[test]
    fn the_corpus_of_cursors_keeps_its_promises() {
        replay("cursor", super::cursor);
    }
    #[test]
    fn the_corpus_of_api_keys_keeps_its_promises() {
        replay("api_key", super::api_key);
    }
    #[test]
    fn the_corpus_of_access_tokens_keeps_its_promises() {
        replay("access_token", super::access_token);
    }
    #[test]
    fn the_corpus_of_bodies_keeps_its_promises() {
        replay("body", super::body);
    }
    #[test]
    fn the_corpus_of_headers_keeps_its_promises() {
        replay("headers", super::headers);
    }
}
