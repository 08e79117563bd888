//! What changes with the configuration of identity, and the end of accounts on which others depend.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually, join};

async fn delete_me(client: &Client, chosen: Value) -> Answer {
    let mut body = json!({ "current_password": PASSWORD });
    if !chosen.is_null() {
        body["sole_owned_workspaces"] = chosen;
    }
    client.send(client.request(Method::DELETE, "/v1/me").json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_sole_owned_workspaces_goes_only_with_a_decision() {
    let app = TestApp::start().await;
    for (name, chosen) in [("ada", "transfer"), ("eve", "delete")] {
        let (owner, bob) = (app.register(name).await, app.register(&format!("friend-of-{name}")).await);
        owner.workspace("Alone").await;
        let shared = owner.workspace(&format!("Shared by {name}")).await;
        join(&app, &owner, &shared, &bob, "collaborator").await;
        let answer = delete_me(&owner, Value::Null).await;
        let answer = answer.expect_problem(StatusCode::CONFLICT, "identity.user.sole_owner");
        let listed = json!([{ "id": shared, "name": format!("Shared by {name}"), "other_members": 1 }]);
        assert_eq!(answer.body["workspaces"], listed, "not the one nobody else is in");
        delete_me(&owner, json!("keep")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        owner.get("/v1/me").await.expect(StatusCode::OK);

        delete_me(&owner, json!(chosen)).await.expect(StatusCode::NO_CONTENT);
        let path = format!("/v1/workspaces/{shared}");
        eventually("what becomes of the workspace", || async {
            let member = bob.get(&format!("{path}/members/{}", bob.user_id)).await;
            let settled = match chosen {
                "transfer" => member.body["role"] == "owner",
                _ => member.status == StatusCode::NOT_FOUND,
            };
            settled.then_some(())
        })
        .await;
    }
    // Handed over before, nothing is asked.
    let (carl, bob) = (app.register("carl").await, app.register("friend-of-carl").await);
    let shared = carl.workspace("Handed over").await;
    join(&app, &carl, &shared, &bob, "owner").await;
    delete_me(&carl, Value::Null).await.expect(StatusCode::NO_CONTENT);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_02_the_hardened_mode_demands_fifteen_characters_wherever_a_password_is_set() {
    let app = TestApp::start_with(|config| config.identity.password.hardened = true).await;
    let (short, long) = ("seven wet hrns", "seven wet herons");
    assert_eq!((short.len(), long.len()), (14, 16));
    let register = |password: &str| json!({ "email": "ada@example.com", "password": password, "name": "Ada" });
    let refused = |answer: Answer, pointer: &str| {
        let answer = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:#?}");
        assert_eq!(answer.body["errors"][0]["code"], "too_short", "{answer:#?}");
    };
    let nobody = app.anonymous();
    refused(nobody.post("/v1/auth/register", register(short)).await, "/password");
    let made = nobody.post("/v1/auth/register", register(long)).await.expect(StatusCode::CREATED);
    let ada = Client {
        token: made.body["access_token"].as_str().map(str::to_owned),
        ..nobody.clone()
    };
    let change = json!({ "current_password": long, "new_password": short });
    refused(ada.put("/v1/me/password", change).await, "/new_password");

    nobody.post("/v1/auth/password/forgot", json!({ "email": "ada@example.com" })).await;
    let mail = app
        .mail("ada@example.com", |mail| mail.text.contains("/account/reset-password"))
        .await;
    let (_, token) = mail.text.split_once("token=").expect("a token");
    let token = token.split_whitespace().next().expect("a token");
    let reset = |password: &str| json!({ "token": token, "password": password });
    refused(nobody.post("/v1/auth/password/reset", reset(short)).await, "/password");
    nobody
        .post("/v1/auth/password/reset", reset("eight wet herons fly"))
        .await
        .expect(StatusCode::NO_CONTENT);
    app.stop().await;
}

async fn try_sign_in(app: &TestApp, email: &str, from: &str) -> Answer {
    let nobody = app.anonymous();
    let request = nobody
        .request(Method::POST, "/v1/auth/sign-in")
        .header("x-forwarded-for", from)
        .json(&json!({ "email": email, "password": "not this one" }));
    nobody.send(request).await
}

#[track_caller]
fn throttled(answer: Answer) {
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "identity.sign_in.throttled");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_07_one_address_cannot_try_many_accounts() {
    let app = TestApp::start_with(|config| {
        config.identity.throttle.ip_free_failures = 3;
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    for number in 0..3 {
        try_sign_in(&app, &format!("p{number}@example.com"), "192.0.2.7")
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    throttled(try_sign_in(&app, "p3@example.com", "192.0.2.7").await);
    try_sign_in(&app, "p3@example.com", "192.0.2.8")
        .await
        .expect(StatusCode::UNAUTHORIZED);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_07_many_addresses_together_meet_the_limit_of_the_process() {
    let app = TestApp::start_with(|config| {
        config.identity.throttle.global_per_minute = 4;
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    for number in 0..4 {
        try_sign_in(&app, &format!("p{number}@example.com"), &format!("192.0.2.{number}"))
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    throttled(try_sign_in(&app, "p4@example.com", "192.0.2.44").await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_09_es256_tokens_are_published_and_accepted() {
    let app = TestApp::start_with(|config| config.identity.signing_algorithm = identity::SigningAlgorithm::Es256).await;
    let ada = app.register("ada").await;
    ada.get("/v1/me").await.expect(StatusCode::OK);
    let answer = app.anonymous().get("/.well-known/jwks.json").await.expect(StatusCode::OK);
    for key in answer.body["keys"].as_array().expect("keys") {
        let mut names: Vec<_> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"], "no d");
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("EC"), &json!("P-256"), &json!("ES256"))
        );
    }
    app.stop().await;
}
