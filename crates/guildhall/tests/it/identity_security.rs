//! Lines of the security checklist, over HTTP.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually};

fn sign_in_body(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "delivery": "cookie" })
}

/// Sessions are looked up through a cache of a few seconds.
async fn soon_refused(client: &Client) {
    eventually("the refusal", || async {
        (client.get("/v1/me").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

async fn post_with(client: &Client, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut builder = client.request(Method::POST, path).json(body);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    client.send(builder).await
}

fn cookie_of(answer: &Answer) -> String {
    let text = answer.header("set-cookie").expect("a cookie");
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(text.contains(attribute), "{text}");
    }
    assert!(text.starts_with("__Host-refresh=") && !text.contains("Domain"), "{text}");
    text.split(';').next().expect("a pair").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_browsers_hold_the_refresh_token_in_a_cookie_that_other_sites_cannot_use() {
    let app = TestApp::start_with(|config| {
        config.server.public_url = Some("https://guildhall.example.org".to_owned());
        config.identity.allowed_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    let ada = app.register("ada").await;
    let nobody = app.anonymous();
    let body = sign_in_body(&ada.email);
    post_with(&nobody, "/v1/auth/sign-in", &body, &[("origin", "https://evil.example")])
        .await
        .expect(StatusCode::FORBIDDEN);
    let same_origin = [("sec-fetch-site", "same-origin")];
    let answer = post_with(&nobody, "/v1/auth/sign-in", &body, &same_origin)
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer.body.get("refresh_token"), None, "not where a script could read it");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookie = cookie_of(&answer);

    let refresh = "/v1/auth/refresh";
    for foreign in [
        vec![("cookie", cookie.as_str())],
        vec![("cookie", &cookie), ("sec-fetch-site", "cross-site")],
        vec![
            ("cookie", &cookie),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example.org"),
        ],
        vec![("cookie", &cookie), ("origin", "https://evil.example")],
        vec![("cookie", &cookie), ("origin", "null")],
    ] {
        post_with(&nobody, refresh, &json!({}), &foreign)
            .await
            .expect(StatusCode::FORBIDDEN);
    }
    let own = [("cookie", cookie.as_str()), ("origin", "https://app.example.org")];
    let answer = post_with(&nobody, refresh, &json!({}), &own).await.expect(StatusCode::OK);
    assert_eq!(answer.body.get("refresh_token"), None);
    let newer = cookie_of(&answer);
    assert_ne!(newer, cookie);
    let browser = Client {
        token: answer.body["access_token"].as_str().map(str::to_owned),
        ..nobody.clone()
    };
    browser.get("/v1/me").await.expect(StatusCode::OK);

    let foreign = [("cookie", newer.as_str()), ("sec-fetch-site", "cross-site")];
    post_with(&nobody, "/v1/auth/sign-out", &json!({}), &foreign)
        .await
        .expect(StatusCode::FORBIDDEN);
    let own = [("cookie", newer.as_str()), ("sec-fetch-site", "same-origin")];
    let out = post_with(&nobody, "/v1/auth/sign-out", &json!({}), &own)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").expect("a cookie").contains("Max-Age=0"));
    soon_refused(&browser).await;
    let dead = post_with(&nobody, refresh, &json!({}), &own).await;
    let dead = dead.expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.invalid");
    assert!(
        dead.header("set-cookie").expect("a cookie").contains("Max-Age=0"),
        "a dead cookie is taken away"
    );
    nobody
        .post(refresh, json!({}))
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.missing");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_13_refresh_over_http_rotates_forgives_once_and_detects_replay() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let nobody = app.anonymous();
    let refresh = async |token: &str| nobody.post("/v1/auth/refresh", json!({ "refresh_token": token })).await;
    let token = |answer: &Answer| answer.body["refresh_token"].as_str().expect("a token").to_owned();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (client, token) = (nobody.clone(), ada.refresh.clone());
            tokio::spawn(async move { client.post("/v1/auth/refresh", json!({ "refresh_token": token })).await })
        })
        .collect();
    let mut children = std::collections::BTreeSet::new();
    for call in calls {
        let answer = call.await.expect("an answer").expect(StatusCode::OK);
        children.insert(token(&answer));
    }
    assert_eq!(children.len(), 1, "one live chain");
    let child = children.pop_first().expect("a child");
    let answer = refresh(&child).await.expect(StatusCode::OK);
    let grandchild = token(&answer);
    refresh(&ada.refresh)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.invalid");
    refresh(&grandchild)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.invalid");
    soon_refused(&ada).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_14_whatever_ends_a_session_ends_access_within_five_seconds() {
    let app = TestApp::start().await;
    let refused_soon = async |client: &Client, why: &str| {
        let started = Instant::now();
        while client.get("/v1/me").await.status != StatusCode::UNAUTHORIZED {
            assert!(started.elapsed() < Duration::from_secs(5), "{why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let body = json!({ "refresh_token": client.refresh });
        let answer = app.anonymous().post("/v1/auth/refresh", body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}");
    };
    let ada = app.register("ada").await;
    // The access token is in every cache by now.
    ada.get("/v1/me").await.expect(StatusCode::OK);
    ada.post("/v1/auth/sign-out", json!({})).await.expect(StatusCode::NO_CONTENT);
    refused_soon(&ada, "signed out").await;

    let (phone, laptop) = (app.sign_in(&ada.email).await, app.sign_in(&ada.email).await);
    let sessions = phone.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(sessions.items().len(), 2);
    let other = sessions
        .items()
        .iter()
        .find(|session| session["current"] == false)
        .expect("the other one");
    laptop.get("/v1/me").await.expect(StatusCode::OK);
    let path = format!("/v1/sessions/{}", other["id"].as_str().expect("an id"));
    app.register("bob")
        .await
        .delete(&path)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "identity.session.not_found");
    phone.delete(&path).await.expect(StatusCode::NO_CONTENT);
    refused_soon(&laptop, "ended from another device").await;

    let tablet = app.sign_in(&ada.email).await;
    tablet
        .send(tablet.request(Method::POST, "/v1/auth/sign-out-all"))
        .await
        .expect(StatusCode::NO_CONTENT);
    refused_soon(&tablet, "signed out everywhere").await;
    refused_soon(&phone, "signed out everywhere").await;

    let locked = app.sign_in(&ada.email).await;
    locked.get("/v1/me").await.expect(StatusCode::OK);
    app.app.identity.lock_user(&ada.email).await.expect("locked");
    refused_soon(&locked, "locked").await;
    app.stop().await;
}

/// What an observer sees of an answer, without what differs by chance.
fn visible(answer: &Answer) -> (StatusCode, Vec<String>, Value) {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "traceparent", "ratelimit"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
        .collect();
    headers.sort_unstable();
    let mut body = answer.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
        members.remove("instance");
    }
    (answer.status, headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_06_answers_do_not_tell_known_addresses_from_unknown_ones() {
    let app = TestApp::start_with(|config| config.identity.email_verification = identity::EmailVerification::Required).await;
    let nobody = app.anonymous();
    let register = |email: &str| json!({ "email": email, "password": PASSWORD, "name": "Somebody" });
    let first = nobody
        .post("/v1/auth/register", register("known@example.com"))
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!(first.body.get("access_token"), None);
    let mail = app.mail("known@example.com", |mail| mail.text.contains("token=")).await;
    let token = mail
        .text
        .split("token=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("a token")
        .to_owned();
    let body = json!({ "email": "known@example.com", "password": PASSWORD });
    nobody
        .post("/v1/auth/sign-in", body.clone())
        .await
        .expect_problem(StatusCode::FORBIDDEN, "identity.email.unverified");
    nobody
        .post("/v1/auth/verify-email", json!({ "token": token }))
        .await
        .expect(StatusCode::OK);
    nobody.post("/v1/auth/sign-in", body).await.expect(StatusCode::OK);

    for (path, body) in [
        ("/v1/auth/register", register("%@example.com")),
        ("/v1/auth/password/forgot", json!({ "email": "%@example.com" })),
        ("/v1/auth/verify-email/resend", json!({ "email": "%@example.com" })),
        ("/v1/auth/sign-in", json!({ "email": "%@example.com", "password": "not this one" })),
    ] {
        let with = |name: &str| serde_json::from_str::<Value>(&body.to_string().replace('%', name)).expect("JSON");
        let known = nobody.post(path, with("known")).await;
        let unknown = nobody.post(path, with("nobody")).await;
        assert_eq!(visible(&known), visible(&unknown), "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_07_throttled_sign_ins_say_when_to_come_back() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let body = json!({ "email": ada.email, "password": "not this one" });
    for _ in 0..5 {
        app.anonymous()
            .post("/v1/auth/sign-in", body.clone())
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    let answer = app.anonymous().post("/v1/auth/sign-in", body).await;
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "identity.sign_in.throttled");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    ada.get("/v1/me").await.expect(StatusCode::OK);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_11_keys_are_public_cacheable_and_hold_nothing_private() {
    let app = TestApp::start().await;
    app.register("ada").await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let keys = answer.body["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2, "current and next");
    for key in keys {
        let mut names: Vec<_> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"], "no d");
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_10_other_tokens_open_nothing() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let mail = app.mail(&ada.email, |mail| mail.text.contains("token=")).await;
    let verify = mail
        .text
        .split("token=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("a token");
    for token in [ada.refresh.as_str(), verify, "garbage"] {
        let client = Client {
            token: Some(token.to_owned()),
            ..app.anonymous()
        };
        let answer = client.get("/v1/me").await.expect(StatusCode::UNAUTHORIZED);
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|challenge| challenge.starts_with("Bearer"))
        );
    }
    let access = ada.token.clone().expect("a token");
    app.anonymous()
        .post("/v1/auth/refresh", json!({ "refresh_token": &access[..200.min(access.len())] }))
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.invalid");
    app.stop().await;
}
