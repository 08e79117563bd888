//! A sign-in provider (OpenID Connect) that does as the test wants, in memory or over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use kernel::SystemClock;
use kernel::time::SharedClock;
use platform::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use url::{Url, form_urlencoded};

/// The client that every provider knows.
pub const CLIENT_ID: &str = "guild hall";
pub const CLIENT_SECRET: &str = "s3cret/+%";

/// How ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signing {
    #[default]
    Honest,
    /// `alg` none, no signature.
    None,
    /// HMAC with the public key as the secret.
    Confused,
    /// With another key under the published key's name.
    Forged,
    /// With a key that is not published.
    Unpublished,
}

type Alter = Box<dyn Fn(&mut Value) + Send>;

struct State {
    key: SigningKey,
    kid: String,
    published: Vec<(String, SigningKey)>,
    grants: BTreeMap<String, Grant>,
    signing: Signing,
    alter: Option<Alter>,
    metadata: Map<String, Value>,
    email_by_userinfo: bool,
    userinfo_subject: Option<String>,
    down: bool,
    requests: Vec<String>,
    made: u8,
}

struct Grant {
    nonce: Value,
    challenge: String,
    redirect_uri: String,
    claims: Value,
    access_token: String,
    used: bool,
}

/// What the provider adds to the redirect URI.
#[derive(Debug, Clone)]
pub struct Redirect {
    pub code: String,
    pub state: String,
    pub iss: String,
}

/// One provider.
pub struct FakeProvider {
    pub issuer: String,
    clock: SharedClock,
    state: Mutex<State>,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

impl FakeProvider {
    /// Its tokens are made by this clock.
    pub fn new(issuer: &str, clock: SharedClock) -> Arc<Self> {
        let first = (format!("{issuer}#1"), key(1));
        Arc::new(Self {
            issuer: issuer.to_owned(),
            clock,
            state: Mutex::new(State {
                key: first.1.clone(),
                kid: first.0.clone(),
                published: vec![first],
                grants: BTreeMap::new(),
                signing: Signing::Honest,
                alter: None,
                metadata: Map::new(),
                email_by_userinfo: false,
                userinfo_subject: None,
                down: false,
                requests: Vec::new(),
                made: 1,
            }),
        })
    }

    /// On a free port of this machine, by its clock.
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    pub async fn serve() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let provider = Self::new(&issuer, Arc::new(SystemClock));
        let answering = Arc::clone(&provider);
        let router = axum::Router::new().fallback(move |uri: http::Uri, headers: HeaderMap, body: Bytes| {
            let (status, body) = answering.answer(uri.path(), &headers, &body);
            async move { (status, axum::Json(body)) }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn sign(&self, signing: Signing) {
        self.state().signing = signing;
    }
    /// Changes the claims of every ID token from now on.
    pub fn alter(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.state().alter = Some(Box::new(change));
    }
    /// Honest again.
    pub fn behave(&self) {
        let mut state = self.state();
        state.alter = None;
        state.signing = Signing::Honest;
    }
    /// A member of the discovery document; null takes it out.
    pub fn declare(&self, name: &str, value: Value) {
        self.state().metadata.insert(name.to_owned(), value);
    }
    /// The ID token says nothing of the address, the UserInfo endpoint does.
    pub fn tell_by_userinfo(&self) {
        self.state().email_by_userinfo = true;
    }
    pub fn userinfo_speaks_of(&self, subject: &str) {
        self.state().userinfo_subject = Some(subject.to_owned());
    }
    pub fn go_down(&self, down: bool) {
        self.state().down = down;
    }
    /// Signs with a new key from now on; the former stays published.
    pub fn rotate(&self) {
        let mut state = self.state();
        state.made += 1;
        let next = (format!("{}#{}", self.issuer, state.made), key(state.made));
        (state.kid, state.key) = next.clone();
        state.published.push(next);
    }
    /// Requests whose path ends so.
    pub fn asked(&self, end: &str) -> usize {
        self.state().requests.iter().filter(|path| path.ends_with(end)).count()
    }

    /// The person signs in and consents; `claims` say who it is.
    pub fn authorize(&self, authorization_url: &str, claims: Value) -> Redirect {
        let url = Url::parse(authorization_url).expect("a URL");
        assert!(
            authorization_url.starts_with(&self.issuer),
            "sent to another provider: {authorization_url}"
        );
        let pair = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(pair("response_type").as_deref(), Some("code"));
        assert_eq!(pair("client_id").as_deref(), Some(CLIENT_ID));
        assert_eq!(pair("code_challenge_method").as_deref(), Some("S256"));
        assert!(pair("scope").expect("scopes").split(' ').any(|scope| scope == "openid"));
        let mut state = self.state();
        let code = format!("code-{}", state.grants.len());
        let grant = Grant {
            nonce: Value::from(pair("nonce")),
            challenge: pair("code_challenge").expect("PKCE"),
            redirect_uri: pair("redirect_uri").expect("a redirect URI"),
            claims,
            access_token: format!("access-{code}"),
            used: false,
        };
        state.grants.insert(code.clone(), grant);
        Redirect {
            code,
            state: pair("state").expect("a state"),
            iss: self.issuer.clone(),
        }
    }

    fn answer(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.state();
        state.requests.push(path.to_owned());
        if state.down {
            return (StatusCode::BAD_GATEWAY, json!({ "oops": true }));
        }
        match path {
            "/.well-known/openid-configuration" => (StatusCode::OK, self.document(&state)),
            "/jwks" => {
                let keys: Vec<Value> = state.published.iter().map(|(kid, key)| public(kid, key)).collect();
                (StatusCode::OK, json!({ "keys": keys }))
            }
            "/token" => self.token(&mut state, headers, body),
            "/me" => userinfo(&state, headers),
            _ => (StatusCode::NOT_FOUND, json!({})),
        }
    }

    fn document(&self, state: &State) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/me"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        });
        for (name, value) in &state.metadata {
            document[name] = value.clone();
        }
        if let Some(members) = document.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        document
    }

    fn token(&self, state: &mut State, headers: &HeaderMap, body: &[u8]) -> (StatusCode, Value) {
        let refuse = |error: &str| (StatusCode::BAD_REQUEST, json!({ "error": error }));
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = BASE64.encode(format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET)).as_bytes());
        if headers
            .get(AUTHORIZATION)
            .is_none_or(|value| value != &format!("Basic {credentials}"))
        {
            return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }));
        }
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if field("grant_type") != "authorization_code" {
            return refuse("unsupported_grant_type");
        }
        let Some(grant) = state.grants.get_mut(field("code")) else {
            return refuse("invalid_grant");
        };
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(field("code_verifier")));
        if std::mem::replace(&mut grant.used, true) || challenge != grant.challenge || field("redirect_uri") != grant.redirect_uri {
            return refuse("invalid_grant");
        }
        let now = self.clock.now().as_seconds();
        let hash = Sha512::digest(&grant.access_token);
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "nonce": grant.nonce, "iat": now, "exp": now + 300,
            "at_hash": BASE64URL_NOPAD.encode(&hash[..32]),
        });
        for (name, value) in grant.claims.as_object().expect("claims") {
            if name == "sub" || !state.email_by_userinfo {
                claims[name] = value.clone();
            }
        }
        let access_token = grant.access_token.clone();
        if let Some(alter) = &state.alter {
            alter(&mut claims);
        }
        let answer = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 60, "id_token": signed(state, &claims) });
        (StatusCode::OK, answer)
    }
}

fn userinfo(state: &State, headers: &HeaderMap) -> (StatusCode, Value) {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = state
        .grants
        .values()
        .find(|grant| format!("Bearer {}", grant.access_token) == bearer);
    let Some(grant) = found else {
        return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_token" }));
    };
    let mut claims = grant.claims.clone();
    if let Some(subject) = &state.userinfo_subject {
        claims["sub"] = json!(subject);
    }
    (StatusCode::OK, claims)
}

fn public(kid: &str, key: &SigningKey) -> Value {
    let x = BASE64URL_NOPAD.encode(key.verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
}

fn signed(state: &State, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let (algorithm, kid, key) = match state.signing {
        Signing::Honest => ("EdDSA", state.kid.clone(), state.key.clone()),
        Signing::None => ("none", state.kid.clone(), state.key.clone()),
        Signing::Confused => ("HS256", state.kid.clone(), state.key.clone()),
        Signing::Forged => ("EdDSA", state.kid.clone(), key(200)),
        Signing::Unpublished => ("EdDSA", "unpublished".to_owned(), key(201)),
    };
    let message = format!(
        "{}.{}",
        encode(&json!({ "alg": algorithm, "typ": "JWT", "kid": kid })),
        encode(claims)
    );
    let signature = match algorithm {
        "none" => Vec::new(),
        "HS256" => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.verifying_key().as_bytes()).expect("any length");
            mac.update(message.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        _ => key.sign(message.as_bytes()).to_bytes().to_vec(),
    };
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// All that can be reached: providers by their issuers, in memory.
pub struct FakeNetwork(pub Vec<Arc<FakeProvider>>);

#[async_trait]
impl Egress for FakeNetwork {
    async fn check(&self, _: &str) -> Result<(), EgressError> {
        Ok(())
    }
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let found = self.0.iter().find_map(|provider| {
            let path = request.url.strip_prefix(&provider.issuer).filter(|path| path.starts_with('/'))?;
            Some((provider, path))
        });
        let (provider, path) = found.ok_or(EgressError::Connect)?;
        let (status, body) = provider.answer(path, &request.headers, &request.body);
        Ok(EgressResponse {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_string()),
            truncated: false,
        })
    }
}
