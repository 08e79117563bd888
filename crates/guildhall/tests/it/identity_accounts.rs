//! Accounts over HTTP: from registration to deletion.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Client, PASSWORD, TestApp, eventually};

const NEW: &str = "eighteen dry herons flew";

fn token_in(text: &str) -> String {
    let (_, rest) = text.split_once("token=").expect("a link with a token");
    rest.split_whitespace().next().expect("a token").to_owned()
}

/// Sessions are looked up through a cache, which forgets within an instant here and within five seconds elsewhere.
async fn soon(client: &Client, path: &str, status: StatusCode) {
    eventually("the change", || async { (client.get(path).await.status == status).then_some(()) }).await;
}

async fn delete_with(client: &Client, path: &str, body: serde_json::Value) -> crate::support::Answer {
    client.send(client.request(Method::DELETE, path).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_from_registration_to_deletion() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let me = ada.get("/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me.header("etag"), Some("\"1\""));
    assert_eq!((&me.body["email_verified"], &me.body["status"]), (&json!(false), &json!("active")));
    assert_eq!(me.body.get("password_hash"), None);

    let mail = app.mail(&ada.email, |mail| mail.text.contains("token=")).await;
    let token = token_in(&mail.text);
    let verified = app.anonymous().post("/v1/auth/verify-email", json!({ "token": token })).await;
    assert_eq!(
        verified.expect(StatusCode::OK).body,
        json!({ "email": ada.email, "email_verified": true })
    );
    app.anonymous()
        .post("/v1/auth/verify-email", json!({ "token": token }))
        .await
        .expect_problem(StatusCode::GONE, "identity.link.invalid");

    let patched = ada
        .patch(
            "/v1/me",
            json!({ "name": " Ada King ", "time_zone": "Europe/London", "locale": "en-GB" }),
        )
        .await
        .expect(StatusCode::OK);
    assert_eq!(patched.body["name"], "Ada King");
    let version: i64 = patched
        .header("etag")
        .expect("an ETag")
        .trim_matches('"')
        .parse()
        .expect("a number");
    ada.patch_if("/v1/me", version - 1, json!({ "name": "Stale" }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    ada.patch_if("/v1/me", version, json!({ "name": "Ada" }))
        .await
        .expect(StatusCode::OK);

    let laptop = app.sign_in(&ada.email).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    ada.put("/v1/me/password", body).await.expect(StatusCode::NO_CONTENT);
    soon(&laptop, "/v1/me", StatusCode::UNAUTHORIZED).await;
    ada.get("/v1/me").await.expect(StatusCode::OK);

    delete_with(&ada, "/v1/me", json!({ "current_password": "wrong" }))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    delete_with(&ada, "/v1/me", json!({ "current_password": NEW }))
        .await
        .expect(StatusCode::NO_CONTENT);
    soon(&ada, "/v1/me", StatusCode::UNAUTHORIZED).await;
    let gone = json!({ "email": ada.email, "password": NEW });
    app.anonymous()
        .post("/v1/auth/sign-in", gone)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.credentials.invalid");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_registrations_name_every_field() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let body = json!({ "email": "nobody", "password": "password", "name": "" });
    let answer = nobody.post("/v1/auth/register", body).await;
    let answer = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let mut pointers: Vec<_> = answer.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/email", "/name", "/password"]);

    let assignment = json!({ "email": "eve@example.com", "password": PASSWORD, "name": "Eve", "instance_admin": true });
    let answer = nobody.post("/v1/auth/register", assignment).await;
    let answer = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    assert_eq!(answer.body["errors"][0]["pointer"], "/instance_admin");

    app.register("ada").await;
    let taken = json!({ "email": "ADA@example.com", "password": PASSWORD, "name": "Ada" });
    let answer = nobody.post("/v1/auth/register", taken).await;
    let answer = answer.expect_problem(StatusCode::CONFLICT, "identity.email.taken");
    assert_eq!(answer.body["errors"][0]["pointer"], "/email");
    for path in [
        "/v1/auth/sign-in",
        "/v1/auth/refresh",
        "/v1/auth/password/forgot",
        "/v1/auth/verify-email",
    ] {
        let odd = nobody
            .post(path, json!({ "email": "a\u{0}b", "password": "\u{0}", "token": "\u{0}" }))
            .await;
        assert!(odd.status.is_client_error(), "{path}: {odd:#?}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_reset_on_the_page_behind_the_link() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let nobody = app.anonymous();
    app.mail(&ada.email, |mail| mail.text.contains("verify-email")).await;
    let form = "email=ada%40example.com".to_owned();
    let post = |path: &str, form: String| {
        nobody
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    };
    nobody.get("/account/forgot-password").await.expect(StatusCode::OK);
    nobody.send(post("/account/forgot-password", form)).await.expect(StatusCode::OK);
    let mail = app.mail(&ada.email, |mail| mail.text.contains("/account/reset-password")).await;
    let token = token_in(&mail.text);
    let page = nobody
        .get(&format!("/account/reset-password?token={token}"))
        .await
        .expect(StatusCode::OK);
    assert!(page.text.contains(&token) && page.text.contains("<form"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    ada.get("/v1/me").await.expect(StatusCode::OK);

    let weak = nobody
        .send(post("/account/reset-password", format!("token={token}&password=password")))
        .await;
    weak.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let done = format!("token={token}&password={}", NEW.replace(' ', "+"));
    nobody
        .send(post("/account/reset-password", done.clone()))
        .await
        .expect(StatusCode::OK);
    nobody.send(post("/account/reset-password", done)).await.expect(StatusCode::GONE);
    soon(&ada, "/v1/me", StatusCode::UNAUTHORIZED).await;
    let body = json!({ "email": ada.email, "password": NEW });
    nobody.post("/v1/auth/sign-in", body).await.expect(StatusCode::OK);

    let markup = nobody
        .get("/account/verify-email?token=%22%3E%3Cscript%3E")
        .await
        .expect(StatusCode::OK);
    assert!(!markup.text.contains("<script>"), "{}", markup.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_counts_once_it_is_proven() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    ada.patch("/v1/me", json!({ "email": "new@example.com" }))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let change = json!({ "email": "new@example.com", "current_password": PASSWORD });
    let answer = ada.patch("/v1/me", change).await.expect(StatusCode::OK);
    assert_eq!(answer.body["pending_email"], "new@example.com");
    assert_eq!(answer.body["email"], "ada@example.com");
    let mail = app.mail("new@example.com", |mail| mail.text.contains("token=")).await;
    let body = json!({ "token": token_in(&mail.text) });
    app.anonymous().post("/v1/auth/verify-email", body).await.expect(StatusCode::OK);
    let me = ada.get("/v1/me").await.expect(StatusCode::OK);
    assert_eq!(
        (&me.body["email"], &me.body["pending_email"]),
        (&json!("new@example.com"), &json!(null))
    );
    app.mail("ada@example.com", |mail| mail.subject.contains("changed")).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_and_coming_back() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    ada.post("/v1/me/disable", json!({ "current_password": PASSWORD }))
        .await
        .expect(StatusCode::NO_CONTENT);
    soon(&ada, "/v1/me", StatusCode::UNAUTHORIZED).await;
    app.anonymous()
        .post("/v1/auth/password/forgot", json!({ "email": ada.email }))
        .await
        .expect(StatusCode::ACCEPTED);
    let mail = app.mail(&ada.email, |mail| mail.text.contains("reset-password?")).await;
    let body = json!({ "token": token_in(&mail.text), "password": NEW });
    app.anonymous()
        .post("/v1/auth/password/reset", body)
        .await
        .expect(StatusCode::NO_CONTENT);
    let body = json!({ "email": ada.email, "password": NEW });
    app.anonymous().post("/v1/auth/sign-in", body).await.expect(StatusCode::OK);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_and_what_it_may_do() {
    let app = TestApp::start_with(|config| config.identity.registration = identity::Registration::Closed).await;
    let nobody = app.anonymous();
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
    nobody
        .post("/v1/auth/register", body.clone())
        .await
        .expect_problem(StatusCode::FORBIDDEN, "identity.registration.closed");
    let code = app.app.identity.ensure_setup_code().await.expect("a database").expect("a code");
    let set_up = |code: &str| json!({ "code": code, "email": "root@example.com", "password": PASSWORD, "name": "Root" });
    nobody
        .post("/v1/auth/setup", set_up("AAAAA-BBBBB"))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "identity.setup.code_invalid");
    let answer = nobody.post("/v1/auth/setup", set_up(&code)).await.expect(StatusCode::CREATED);
    assert_eq!(answer.body["user"]["instance_admin"], true);
    nobody
        .post("/v1/auth/setup", set_up(&code))
        .await
        .expect_problem(StatusCode::CONFLICT, "identity.setup.done");
    let root = app.sign_in("root@example.com").await;

    let command = identity::CreateUser {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        password: Some(PASSWORD.into()),
        instance_admin: false,
    };
    app.app.identity.create_user(command).await.expect("created");
    let ada = app.sign_in("ada@example.com").await;
    let user = format!("/v1/users/{}", ada.user_id);
    ada.get("/v1/users")
        .await
        .expect_problem(StatusCode::FORBIDDEN, "identity.admin.required");
    ada.get(&user).await.expect(StatusCode::FORBIDDEN);
    let found = root.get("/v1/users?q=ADA&status=active").await.expect(StatusCode::OK);
    assert_eq!(found.items().len(), 1);
    root.get("/v1/users?color=red").await.expect(StatusCode::BAD_REQUEST);
    root.get("/v1/users?limit=0").await.expect(StatusCode::BAD_REQUEST);
    root.get("/v1/users/not-an-id").await.expect(StatusCode::NOT_FOUND);
    root.get("/v1/users/019a0000-0000-7000-8000-000000000000")
        .await
        .expect_problem(StatusCode::NOT_FOUND, "identity.user.not_found");

    root.mark(&format!("{user}/lock")).await.expect(StatusCode::NO_CONTENT);
    soon(&ada, "/v1/me", StatusCode::UNAUTHORIZED).await;
    root.delete(&format!("{user}/lock")).await.expect(StatusCode::NO_CONTENT);
    let ada = app.sign_in("ada@example.com").await;
    root.delete(&format!("{user}/sessions")).await.expect(StatusCode::NO_CONTENT);
    soon(&ada, "/v1/me", StatusCode::UNAUTHORIZED).await;
    let ada = app.sign_in("ada@example.com").await;
    root.mark(&format!("{user}/administrator")).await.expect(StatusCode::NO_CONTENT);
    soon(&ada, "/v1/users", StatusCode::OK).await;
    ada.delete(&format!("/v1/users/{}/administrator", root.user_id))
        .await
        .expect(StatusCode::NO_CONTENT);
    soon(&root, "/v1/users", StatusCode::FORBIDDEN).await;
    ada.delete(&format!("{user}/administrator"))
        .await
        .expect_problem(StatusCode::CONFLICT, "identity.admin.last");
    app.stop().await;
}
