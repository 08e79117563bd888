//! Signing in at another provider, as a browser and as a program, over HTTP on both sides.

use std::collections::BTreeMap;
use std::sync::Mutex;

use guildhall::config::Config;
use identity::OidcProvider;
use kernel::{Clock as _, SystemClock};
use platform::config::Secret;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::oidc::{CLIENT_ID, CLIENT_SECRET, FakeProvider, Redirect};
use url::Url;

use crate::support::{Answer, Client, PASSWORD, TestApp};

const ORIGIN: &str = "http://127.0.0.1:8080";

/// Lets people sign in at these providers, which lie on this machine.
pub fn configure(config: &mut Config, providers: &[(&str, &FakeProvider)]) {
    for (id, provider) in providers {
        let settings = OidcProvider {
            name: format!("The {id} provider"),
            issuer: provider.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Secret::new(CLIENT_SECRET),
            ..OidcProvider::default()
        };
        config.identity.oidc.providers.insert((*id).to_owned(), settings);
        config.identity.oidc.private_origins.push(provider.issuer.clone());
    }
}

fn lovelace() -> Value {
    json!({ "sub": "ada-1", "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace" })
}

/// Links the account `subject` of the provider `corp` to `client`.
pub async fn link(client: &Client, provider: &FakeProvider, subject: &str) -> Answer {
    let body = json!({ "provider": "corp", "current_password": PASSWORD });
    let begun = client.post("/v1/me/external-identities", body).await.expect(StatusCode::OK);
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    finish(client, &begun, provider, json!({ "sub": subject }))
        .await
        .expect(StatusCode::CREATED)
}

/// What a program does with what the provider sends back.
async fn finish(client: &Client, begun: &Answer, provider: &FakeProvider, claims: Value) -> Answer {
    let redirect = provider.authorize(begun.body["authorization_url"].as_str().expect("a URL"), claims);
    let body = json!({
        "state": redirect.state, "code": redirect.code, "iss": redirect.iss, "flow_token": begun.body["flow_token"],
        // Providers add what they like (RFC 6749, section 4.1.2).
        "session_state": "a.b",
    });
    client.post("/v1/auth/oidc/corp/callback", body).await
}

/// Keeps cookies, follows nothing by itself.
struct Browser {
    base: String,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    fn new(app: &TestApp) -> Self {
        Self {
            base: app.base.clone(),
            http: reqwest::Client::builder().redirect(Policy::none()).build().expect("a client"),
            cookies: Mutex::default(),
        }
    }

    fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().expect("lock").get(name).cloned()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .lock()
            .expect("lock")
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let response = request.header("cookie", cookies.join("; ")).send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        for line in headers.get_all("set-cookie") {
            let line = line.to_str().expect("text");
            assert!(
                line.contains("; HttpOnly; Secure; SameSite=") && line.ends_with("; Path=/"),
                "{line}"
            );
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            let mut jar = self.cookies.lock().expect("lock");
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = response.text().await.expect("a body");
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(
            self.http
                .get(format!("{}{path}", self.base))
                .header("accept", "text/html,*/*;q=0.8"),
        )
        .await
    }

    async fn post(&self, path: &str, body: Value, origin: &str) -> Answer {
        self.send(self.http.post(format!("{}{path}", self.base)).header("origin", origin).json(&body))
            .await
    }

    /// Begins a sign-in and lets the person through at the provider.
    async fn go(&self, provider: &FakeProvider, claims: Value) -> Redirect {
        let sent = self.get("/v1/auth/oidc/corp/authorization?return_to=/app?tab=1").await;
        let sent = sent.expect(StatusCode::SEE_OTHER);
        assert_eq!(sent.header("cache-control"), Some("no-store"));
        assert_eq!(sent.header("referrer-policy"), Some("no-referrer"));
        provider.authorize(sent.header("location").expect("a location"), claims)
    }

    async fn come_back(&self, redirect: &Redirect) -> Answer {
        self.get(&callback(redirect)).await
    }
}

fn callback(redirect: &Redirect) -> String {
    let mut url = Url::parse("http://x/v1/auth/oidc/corp/callback").expect("a URL");
    url.query_pairs_mut()
        .append_pair("code", &redirect.code)
        .append_pair("state", &redirect.state)
        .append_pair("iss", &redirect.iss)
        // Providers add what they like.
        .append_pair("session_state", "a.b");
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_sec_20_a_browser_signs_in_by_redirects_and_cookies_and_no_other_finishes_it() {
    let provider = FakeProvider::serve().await;
    let app = TestApp::start_with(|config| configure(config, &[("corp", &provider)])).await;
    let (browser, stranger) = (Browser::new(&app), Browser::new(&app));
    let listed = browser.get("/v1/auth/oidc/providers").await.expect(StatusCode::OK);
    assert_eq!(listed.body["items"], json!([{ "id": "corp", "name": "The corp provider" }]));

    let redirect = browser.go(&provider, lovelace()).await;
    // Login CSRF: in a browser that began nothing, and in one that began something else.
    let refused = stranger.come_back(&redirect).await;
    refused.expect_problem(StatusCode::UNAUTHORIZED, "identity.oidc.flow_invalid");
    stranger.go(&provider, lovelace()).await;
    let refused = stranger.come_back(&redirect).await;
    refused.expect_problem(StatusCode::UNAUTHORIZED, "identity.oidc.flow_invalid");
    assert!(stranger.cookie("__Host-oidc").is_some(), "its own sign-in goes on");

    let back = browser.come_back(&redirect).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(back.header("location"), Some("http://127.0.0.1:8080/app?tab=1&outcome=signed_in"));
    assert!(back.text.is_empty());
    assert!(browser.cookie("__Host-oidc").is_none() && browser.cookie("__Host-refresh").is_some());
    browser
        .come_back(&redirect)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.oidc.flow_invalid");
    let refreshed = browser.post("/v1/auth/refresh", json!({}), ORIGIN).await.expect(StatusCode::OK);
    assert_eq!(refreshed.body["user"]["email"], "ada@example.com");
    assert_eq!(refreshed.body["user"]["email_verified"], true);

    // What goes wrong at the provider is told to the page, by its code alone.
    let redirect = browser.go(&provider, lovelace()).await;
    let path = format!(
        "/v1/auth/oidc/corp/callback?error=access_denied&error_description=<b>&state={}&iss={}",
        redirect.state, redirect.iss
    );
    let back = browser.get(&path).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(
        back.header("location"),
        Some("http://127.0.0.1:8080/app?tab=1&outcome=failed&problem=identity.oidc.refused")
    );
    for (path, status, code) in [
        (
            "/v1/auth/oidc/corp/authorization?return_to=https://evil.example.com/",
            400,
            "request.query_invalid",
        ),
        (
            "/v1/auth/oidc/corp/authorization?return_to=//evil.example.com",
            400,
            "request.query_invalid",
        ),
        ("/v1/auth/oidc/corp/authorization?next=/", 400, "request.query_invalid"),
        ("/v1/auth/oidc/nobody/authorization", 404, "identity.oidc.provider_not_found"),
        (
            "/v1/auth/oidc/nobody/callback?state=a&code=b",
            404,
            "identity.oidc.provider_not_found",
        ),
        ("/v1/auth/oidc/corp/callback?code=b", 401, "identity.oidc.flow_invalid"),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        browser.get(path).await.expect_problem(status, code);
    }
    app.stop().await;
}

fn app_code(secret: &str) -> String {
    let seed = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let totp = totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 0, 30, seed, None, String::new()).expect("TOTP");
    totp.generate(u64::try_from(SystemClock.now().as_seconds()).expect("after 1970"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_18_sec_20_a_provider_does_not_replace_the_second_factor() {
    let provider = FakeProvider::serve().await;
    let app = TestApp::start_with(|config| configure(config, &[("corp", &provider)])).await;
    let ada = app.register("ada").await;
    link(&ada, &provider, "ada-1").await;
    let enrolment = ada.post("/v1/me/second-factor", json!({ "current_password": PASSWORD })).await;
    let secret = enrolment.expect(StatusCode::OK).body["secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
    let confirmed = ada
        .post("/v1/me/second-factor/confirmation", json!({ "code": app_code(&secret) }))
        .await;
    let confirmed = confirmed.expect(StatusCode::OK);
    let recovery = |n: usize| confirmed.body["recovery_codes"][n].as_str().expect("a code").to_owned();

    // A program is asked for the code as after a password.
    let begun = ada.post("/v1/auth/oidc/corp/authorization", json!({})).await.expect(StatusCode::OK);
    let asked = finish(&app.anonymous(), &begun, &provider, json!({ "sub": "ada-1" })).await;
    let asked = asked.expect(StatusCode::ACCEPTED);
    let body = json!({ "second_factor_token": asked.body["second_factor_token"], "code": recovery(0) });
    let done = app.anonymous().post("/v1/auth/second-factor", body).await.expect(StatusCode::OK);
    assert_eq!(done.body["user"]["id"], ada.user_id.as_str());

    // A browser holds the token in a cookie.
    for page in [false, true] {
        let browser = Browser::new(&app);
        let redirect = browser.go(&provider, json!({ "sub": "ada-1" })).await;
        let back = browser.come_back(&redirect).await.expect(StatusCode::SEE_OTHER);
        let location = back.header("location").expect("a location");
        assert_eq!(location, "http://127.0.0.1:8080/app?tab=1&outcome=second_factor", "no secret in it");
        assert!(browser.cookie("__Host-refresh").is_none() && browser.cookie("__Host-second-factor").is_some());
        let foreign = browser
            .post("/v1/auth/second-factor", json!({ "code": recovery(1) }), "https://evil.example.com")
            .await;
        foreign.expect_problem(StatusCode::FORBIDDEN, "auth.origin_refused");
        if page {
            let form = browser.get("/account/signed-in?outcome=second_factor").await.expect(StatusCode::OK);
            assert!(form.text.contains(r#"action="/account/second-factor""#));
            let request = browser.http.post(format!("{}/account/second-factor", app.base));
            let request = request
                .header("sec-fetch-site", "same-origin")
                .body(format!("code={}", recovery(3)));
            let done = browser.send(request).await.expect(StatusCode::OK);
            assert!(done.text.contains("You are signed in"), "{}", done.text);
        } else {
            let done = browser.post("/v1/auth/second-factor", json!({ "code": recovery(2) }), ORIGIN).await;
            assert!(done.expect(StatusCode::OK).body.get("refresh_token").is_none());
        }
        assert!(browser.cookie("__Host-refresh").is_some() && browser.cookie("__Host-second-factor").is_none());
        browser.post("/v1/auth/refresh", json!({}), ORIGIN).await.expect(StatusCode::OK);
    }
    let nobody = app.anonymous().post("/v1/auth/second-factor", json!({ "code": "123456" })).await;
    nobody.expect_problem(StatusCode::UNAUTHORIZED, "identity.second_factor.challenge_invalid");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_accounts_are_listed_and_unlinked_and_a_program_signs_in() {
    let provider = FakeProvider::serve().await;
    let app = TestApp::start_with(|config| configure(config, &[("corp", &provider)])).await;
    let ada = app.register("ada").await;
    let linked = link(&ada, &provider, "ada-1").await;
    let listed = ada.get("/v1/me/external-identities").await.expect(StatusCode::OK);
    assert_eq!(listed.items().len(), 1);
    assert_eq!(listed.items()[0]["provider"], "The corp provider");
    assert_eq!(listed.items()[0]["issuer"], provider.issuer.as_str());
    let begun = app
        .anonymous()
        .post("/v1/auth/oidc/corp/authorization", json!({}))
        .await
        .expect(StatusCode::OK);
    assert!(begun.header("set-cookie").is_none());
    let done = finish(&app.anonymous(), &begun, &provider, json!({ "sub": "ada-1" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(done.body["user"]["id"], ada.user_id.as_str());
    assert!(done.body["refresh_token"].is_string());

    let path = format!("/v1/me/external-identities/{}", linked.id());
    ada.delete(&path).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let with_password = ada.request(Method::DELETE, &path).json(&json!({ "current_password": PASSWORD }));
    ada.send(with_password).await.expect(StatusCode::NO_CONTENT);
    ada.delete(&path).await.expect(StatusCode::NOT_FOUND);
    // No address came with it, so it opens nothing now.
    let begun = app
        .anonymous()
        .post("/v1/auth/oidc/corp/authorization", json!({}))
        .await
        .expect(StatusCode::OK);
    let refused = finish(&app.anonymous(), &begun, &provider, json!({ "sub": "ada-1" })).await;
    refused.expect_problem(StatusCode::FORBIDDEN, "identity.oidc.email_unverified");

    // The cookie is for our pages only.
    let browser = Browser::new(&app);
    let begin = json!({ "delivery": "cookie", "return_to": "/app" });
    let foreign = browser
        .post("/v1/auth/oidc/corp/authorization", begin.clone(), "https://evil.example.com")
        .await;
    foreign.expect_problem(StatusCode::FORBIDDEN, "auth.origin_refused");
    let begun = browser
        .post("/v1/auth/oidc/corp/authorization", begin, ORIGIN)
        .await
        .expect(StatusCode::OK);
    assert!(begun.body.get("flow_token").is_none() && browser.cookie("__Host-oidc").is_some());
    let redirect = provider.authorize(begun.body["authorization_url"].as_str().expect("a URL"), lovelace());
    let body = json!({ "state": redirect.state, "code": redirect.code, "iss": redirect.iss, "delivery": "cookie" });
    let foreign = browser
        .post("/v1/auth/oidc/corp/callback", body.clone(), "https://evil.example.com")
        .await;
    foreign.expect_problem(StatusCode::FORBIDDEN, "auth.origin_refused");
    // The account of this address has not proven it.
    let refused = browser.post("/v1/auth/oidc/corp/callback", body, ORIGIN).await;
    refused.expect_problem(StatusCode::CONFLICT, "identity.oidc.link_first");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_20_sec_28_a_provider_leads_the_server_nowhere_but_to_itself() {
    let (named, inner) = (FakeProvider::serve().await, FakeProvider::serve().await);
    let app = TestApp::start_with(|config| configure(config, &[("corp", &named)])).await;
    let nobody = app.anonymous();
    let begin = async || nobody.post("/v1/auth/oidc/corp/authorization", json!({})).await;
    named.declare("jwks_uri", json!(format!("{}/jwks", inner.issuer)));
    begin()
        .await
        .expect_problem(StatusCode::SERVICE_UNAVAILABLE, "identity.oidc.provider_unavailable");
    assert_eq!(inner.asked(""), 0, "another port of this machine");

    let app = TestApp::start_with(|config| configure(config, &[("corp", &named)])).await;
    let nobody = app.anonymous();
    named.declare("jwks_uri", json!("https://169.254.169.254/latest/meta-data"));
    let begun = nobody
        .post("/v1/auth/oidc/corp/authorization", json!({}))
        .await
        .expect(StatusCode::OK);
    let refused = finish(&nobody, &begun, &named, lovelace()).await;
    let refused = refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "identity.oidc.provider_unavailable");
    assert!(refused.header("retry-after").is_some());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_07_sign_ins_at_providers_have_the_rate_of_sign_ins() {
    let provider = FakeProvider::serve().await;
    let app = TestApp::start_with(|config| {
        configure(config, &[("corp", &provider)]);
        config.http.rate_limits.enabled = true;
        config.http.rate_limits.auth.requests = 2;
    })
    .await;
    let browser = Browser::new(&app);
    let begin = "/v1/auth/oidc/corp/authorization";
    for _ in 0..2 {
        browser.get(begin).await.expect(StatusCode::SEE_OTHER);
    }
    browser
        .get(begin)
        .await
        .expect_problem(StatusCode::TOO_MANY_REQUESTS, "request.rate_limited");
    app.stop().await;
}
