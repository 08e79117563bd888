//! The second factor over HTTP and on the command line.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually, join};

const PATH: &str = "/v1/me/second-factor";
const NEW_PASSWORD: &str = "eighteen dry herons flew";
/// Looks like a recovery code, which only the database can tell from a right one.
const WRONG: &str = "AAAA-BBBB-CCCC-DDDD";

/// The code that an app shows at `step` of 30 seconds from now.
fn app_code(secret: &Value, step: i64) -> String {
    let seed = data_encoding::BASE32_NOPAD
        .decode(secret.as_str().expect("a secret").as_bytes())
        .expect("base32");
    let totp = totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 0, 30, seed, None, String::new()).expect("a seed");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    totp.generate(now.saturating_add_signed(step * 30))
}

/// Turns a second factor on; gives the recovery codes.
async fn turn_on(client: &Client) -> Vec<Value> {
    let begun = client
        .post(PATH, json!({ "current_password": PASSWORD }))
        .await
        .expect(StatusCode::OK);
    let first = json!({ "code": app_code(&begun.body["secret"], 0) });
    let confirmed = client.post(&format!("{PATH}/confirmation"), first).await.expect(StatusCode::OK);
    confirmed.body["recovery_codes"].as_array().expect("codes").clone()
}

/// Refused without a code and with a wrong one; the answer with a good one.
async fn asks_for_a_code(client: &Client, method: Method, path: &str, body: &Value, good: &Value) -> Answer {
    let send = async |code: Option<&Value>| {
        let mut body = body.clone();
        if let Some(code) = code {
            body["code"] = code.clone();
        }
        client.send(client.request(method.clone(), path).json(&body)).await
    };
    let wrong = json!(WRONG);
    for (code, reason) in [(None, "required"), (Some(&wrong), "wrong_code")] {
        let refused = send(code).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["pointer"], &error["code"]),
            (&json!("/code"), &json!(reason)),
            "{method} {path}"
        );
    }
    send(Some(good)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_18_from_setting_up_a_second_factor_to_giving_it_up() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let other = app.sign_in(&ada.email).await;
    let path = PATH;
    let state = ada.get(path).await.expect(StatusCode::OK);
    assert_eq!(state.body, json!({ "enabled": false, "recovery_codes_left": 0 }));
    let begun = ada.post(path, json!({ "current_password": PASSWORD })).await.expect(StatusCode::OK);
    let secret = begun.body["secret"].clone();
    assert!(begun.body["otpauth_uri"].as_str().expect("a URI").starts_with("otpauth://totp/"));
    let confirm = format!("{path}/confirmation");
    let wrong = ada.post(&confirm, json!({ "code": "000000" })).await;
    let wrong = wrong.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    assert_eq!(wrong.body["errors"][0]["pointer"], "/code");
    // One step early, which is within the window, so that the present one is still good afterwards.
    let confirmed = ada
        .post(&confirm, json!({ "code": app_code(&secret, -1) }))
        .await
        .expect(StatusCode::OK);
    let recovery = confirmed.body["recovery_codes"].as_array().expect("codes").clone();
    assert_eq!(recovery.len(), 10);
    eventually("the end of the other session", || async {
        (other.get("/v1/me").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;

    let nobody = app.anonymous();
    let credentials = json!({ "email": ada.email, "password": PASSWORD });
    let first = nobody.post("/v1/auth/sign-in", credentials).await.expect(StatusCode::ACCEPTED);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let token = first.body["second_factor_token"].clone();
    for name in ["access_token", "refresh_token", "user"] {
        assert_eq!(first.body.get(name), None);
    }
    let impostor = Client {
        token: token.as_str().map(str::to_owned),
        ..nobody.clone()
    };
    impostor
        .get("/v1/me")
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.token_invalid");
    nobody
        .post("/v1/auth/refresh", json!({ "refresh_token": token }))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let step = |code: Value| json!({ "second_factor_token": token, "code": code });
    nobody
        .post("/v1/auth/second-factor", step(json!("000000")))
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.second_factor.code_wrong");
    let signed_in = nobody
        .post("/v1/auth/second-factor", step(recovery[0].clone()))
        .await
        .expect(StatusCode::OK);
    let ada = Client {
        token: signed_in.body["access_token"].as_str().map(str::to_owned),
        ..ada
    };
    let state = ada.get(path).await.expect(StatusCode::OK);
    assert_eq!(
        (&state.body["enabled"], &state.body["recovery_codes_left"]),
        (&json!(true), &json!(9))
    );
    assert!(!state.text.contains(secret.as_str().expect("a secret")));

    let key = json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD });
    let refused = ada.post("/v1/api-keys", key.clone()).await;
    let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    assert_eq!(refused.body["errors"][0]["pointer"], "/code");
    let both = |code: &Value| json!({ "current_password": PASSWORD, "code": code });
    let renewed = ada
        .post(&format!("{path}/recovery-codes"), both(&recovery[1]))
        .await
        .expect(StatusCode::OK);
    let fresh = renewed.body["recovery_codes"][0].clone();
    let off = |code: &Value| ada.request(Method::DELETE, path).json(&both(code));
    ada.send(off(&recovery[2])).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    ada.send(off(&fresh)).await.expect(StatusCode::NO_CONTENT);
    app.sign_in(&ada.email).await;
    app.stop().await;
}

/// Whoever has session and password must not get round the second factor by way of the address, nor shut the owner out.
#[tokio::test(flavor = "multi_thread")]
async fn sec_18_changes_of_the_account_ask_for_a_code() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.register("ada").await, app.register("ben").await);
    let codes = turn_on(&ada).await;
    ada.patch("/v1/me", json!({ "name": "Ada King" })).await.expect(StatusCode::OK);
    let email = json!({ "email": "new@example.com", "current_password": PASSWORD });
    let moved = asks_for_a_code(&ada, Method::PATCH, "/v1/me", &email, &codes[0])
        .await
        .expect(StatusCode::OK);
    assert_eq!(moved.body["pending_email"], "new@example.com");
    let password = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    asks_for_a_code(&ada, Method::PUT, "/v1/me/password", &password, &codes[1])
        .await
        .expect(StatusCode::NO_CONTENT);
    let delete = json!({ "current_password": NEW_PASSWORD });
    asks_for_a_code(&ada, Method::DELETE, "/v1/me", &delete, &codes[2])
        .await
        .expect(StatusCode::NO_CONTENT);

    let codes = turn_on(&ben).await;
    let password = json!({ "current_password": PASSWORD });
    asks_for_a_code(&ben, Method::POST, "/v1/me/disable", &password, &codes[0])
        .await
        .expect(StatusCode::NO_CONTENT);
    app.stop().await;
}

/// Who is told first that others work in their workspaces still has the code to go on with.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deletion_does_not_use_the_code_up() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.register("ada").await, app.register("ben").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &ben, "viewer").await;
    let codes = turn_on(&ada).await;
    let delete = async |body: Value| ada.send(ada.request(Method::DELETE, "/v1/me").json(&body)).await;
    let body = json!({ "current_password": PASSWORD, "code": codes[0] });
    delete(body).await.expect_problem(StatusCode::CONFLICT, "identity.user.sole_owner");
    let body = json!({ "current_password": PASSWORD, "code": codes[0], "sole_owned_workspaces": "transfer" });
    delete(body).await.expect(StatusCode::NO_CONTENT);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_18_sec_24_wrong_codes_of_either_kind_are_in_the_security_log() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    turn_on(&ada).await;
    let both = |code: &str| json!({ "current_password": PASSWORD, "code": code });
    let key = json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD, "code": WRONG });
    let renewal = format!("{PATH}/recovery-codes");
    // Fewer than slow down.
    for (method, path, body) in [
        (Method::DELETE, PATH, both("000000")),
        (Method::DELETE, PATH, both(WRONG)),
        (Method::POST, renewal.as_str(), both(WRONG)),
        (Method::POST, "/v1/api-keys", key),
    ] {
        let refused = ada.send(ada.request(method, path).json(&body)).await;
        let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], "/code", "{path}");
    }
    eventually("an entry for each", || async {
        let failed = ada.get("/v1/me/security-log?action=second_factor.failed").await;
        (failed.expect(StatusCode::OK).items().len() == 4).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_18_neither_seed_nor_recovery_codes_are_kept_for_an_idempotency_key() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let send = async |path: &str, body: &Value| {
        let request = ada.request(Method::POST, path).header("idempotency-key", "one-key").json(body);
        let answer = ada.send(request).await;
        assert_eq!(answer.header("idempotency-replayed"), None, "{answer:#?}");
        answer
    };
    let password = json!({ "current_password": PASSWORD });
    let first = send(PATH, &password).await.expect(StatusCode::OK).body;
    let second = send(PATH, &password).await.expect(StatusCode::OK).body;
    assert_ne!(first["secret"], second["secret"]);

    let (confirmation, code) = (format!("{PATH}/confirmation"), json!({ "code": app_code(&second["secret"], 0) }));
    let confirmed = send(&confirmation, &code).await.expect(StatusCode::OK).body;
    send(&confirmation, &code)
        .await
        .expect_problem(StatusCode::CONFLICT, "identity.second_factor.not_begun");

    let renewal = format!("{PATH}/recovery-codes");
    let both = |codes: &Value| json!({ "current_password": PASSWORD, "code": codes["recovery_codes"][0] });
    let renewed = send(&renewal, &both(&confirmed)).await.expect(StatusCode::OK).body;
    let again = send(&renewal, &both(&renewed)).await.expect(StatusCode::OK).body;
    assert_ne!(renewed["recovery_codes"], again["recovery_codes"]);
    app.stop().await;
}
