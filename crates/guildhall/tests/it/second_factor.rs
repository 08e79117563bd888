//! The second factor over HTTP and on the command line.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, TestApp, eventually};

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

#[tokio::test(flavor = "multi_thread")]
async fn sec_18_from_setting_up_a_second_factor_to_giving_it_up() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let other = app.sign_in(&ada.email).await;
    let path = "/v1/me/second-factor";
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
