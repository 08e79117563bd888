//! Real processes beside and after each other on one database: what holds across them.

use std::time::{Duration, Instant};

use platform::db::Engine;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::binary::mailbox;
use crate::process::{Server, free_port};
use crate::support::{Client, PASSWORD, SCHEMAS};

/// Both tell clients the same name of the installation, as behind one proxy.
const PUBLIC_URL: &str = "https://guildhall.example.org";

async fn start(database: &testkit::TestServer, http: &reqwest::Client, secret: &str) -> Server {
    let mut server = Server::start_with(database, free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "error")
            .env("GUILDHALL_SERVER__PUBLIC_URL", PUBLIC_URL)
            .env("GUILDHALL_SERVER__SECRET", secret);
    });
    server.ready(http).await;
    server
}

fn secret(byte: u8) -> String {
    data_encoding::BASE64.encode(&[byte; 32])
}

async fn register(server: &Server, http: &reqwest::Client) -> Value {
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
    server
        .anonymous(http)
        .post("/v1/auth/register", body)
        .await
        .expect(StatusCode::CREATED)
        .body
}

fn holder(server: &Server, http: &reqwest::Client, tokens: &Value) -> Client {
    Client {
        token: tokens["access_token"].as_str().map(str::to_owned),
        ..server.anonymous(http)
    }
}

async fn refresh(server: &Server, http: &reqwest::Client, token: &Value) -> crate::support::Answer {
    let body = json!({ "refresh_token": token });
    server.anonymous(http).post("/v1/auth/refresh", body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_13_sec_14_two_nodes_agree_on_the_life_of_sessions() {
    if testkit::engine() == Engine::Sqlite {
        // Embedded SQLite is for one process.
        return;
    }
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let one = start(&database, &http, &secret(1)).await;
    let two = start(&database, &http, &secret(1)).await;
    let tokens = register(&one, &http).await;
    // Twenty at once on both nodes: all get the same one successor.
    let calls = (0..20).map(|number| refresh(if number % 2 == 0 { &one } else { &two }, &http, &tokens["refresh_token"]));
    let answers = futures_util::future::join_all(calls).await;
    let successors: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect(StatusCode::OK).body["refresh_token"].to_string())
        .collect();
    assert_eq!(successors.len(), 1, "one live chain");
    let child: Value = serde_json::from_str(successors.first().expect("a token")).expect("JSON");
    let grandchild = refresh(&two, &http, &child).await.expect(StatusCode::OK).body;
    // The first token once more is a theft, wherever it shows up, and kills the newest one on the other node.
    refresh(&one, &http, &tokens["refresh_token"])
        .await
        .expect(StatusCode::UNAUTHORIZED);
    refresh(&two, &http, &grandchild["refresh_token"])
        .await
        .expect(StatusCode::UNAUTHORIZED);

    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let tokens = one
        .anonymous(&http)
        .post("/v1/auth/sign-in", body)
        .await
        .expect(StatusCode::OK)
        .body;
    let there = holder(&two, &http, &tokens);
    there.get("/v1/me").await.expect(StatusCode::OK);
    holder(&one, &http, &tokens)
        .post("/v1/auth/sign-out", json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let ended = Instant::now();
    while there.get("/v1/me").await.status != StatusCode::UNAUTHORIZED {
        assert!(
            ended.elapsed() < Duration::from_millis(5_500),
            "the other node must hear of it within 5 s"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    refresh(&two, &http, &tokens["refresh_token"])
        .await
        .expect(StatusCode::UNAUTHORIZED);
    assert!(one.terminate().success() && two.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_installation_secret_signs_everybody_out_and_voids_links() {
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let before = start(&database, &http, &secret(1)).await;
    let tokens = register(&before, &http).await;
    let forgot = json!({ "email": "ada@example.com" });
    let answer = before.anonymous(&http).post("/v1/auth/password/forgot", forgot).await;
    assert!(answer.status.is_success(), "{answer:#?}");
    let link = crate::support::eventually("the mail", || async {
        let text = database
            .folder()
            .join("mailbox.json")
            .exists()
            .then(|| mailbox(database.folder()))?;
        let mail = text.into_iter().find(|text| text.contains("/account/reset-password"))?;
        let token = mail.split_once("token=")?.1.split_whitespace().next()?.to_owned();
        Some(token)
    })
    .await;
    assert!(before.terminate().success());

    // The same secret again: a restart signs nobody out.
    let again = start(&database, &http, &secret(1)).await;
    holder(&again, &http, &tokens).get("/v1/me").await.expect(StatusCode::OK);
    assert!(again.terminate().success());

    let after = start(&database, &http, &secret(2)).await;
    holder(&after, &http, &tokens).get("/v1/me").await.expect(StatusCode::UNAUTHORIZED);
    refresh(&after, &http, &tokens["refresh_token"])
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "identity.refresh.invalid");
    let reset = json!({ "token": link, "password": "another-long-pass-phrase-9" });
    after
        .anonymous(&http)
        .post("/v1/auth/password/reset", reset)
        .await
        .expect_problem(StatusCode::GONE, "identity.link.invalid");
    let body = json!({ "email": "ada@example.com", "password": PASSWORD });
    let fresh = after
        .anonymous(&http)
        .post("/v1/auth/sign-in", body)
        .await
        .expect(StatusCode::OK)
        .body;
    holder(&after, &http, &fresh).get("/v1/me").await.expect(StatusCode::OK);
    assert!(after.terminate().success());
}
