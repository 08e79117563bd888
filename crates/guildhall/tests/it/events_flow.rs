//! Events and mails as an operator and a newcomer meet them.

use platform::db::Db;
use reqwest::StatusCode;
use sea_query::{Alias, Expr, Func, Query};
use serde_json::{Value, json};

use crate::support::{TestApp, eventually, join};

async fn count(db: &Db, table: &'static str) -> i64 {
    let select = Query::select()
        .expr(Func::count(Expr::col(sea_query::Asterisk)))
        .from(Alias::new(table))
        .to_owned();
    db.one::<(i64,)>(select).await.expect("counts").0
}

/// Whatever is announced is taken by everybody who wants it: nothing waits, nothing was given up.
#[tokio::test(flavor = "multi_thread")]
async fn every_outbox_runs_empty_and_no_consumer_gives_up() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Engine works").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let project = ada.project(&workspace, "ENG").await;
    let task = bob.task(&project, "Polish the gears").await;
    let path = format!("/v1/tasks/{}", task["id"].as_str().expect("an id"));
    ada.post(&format!("{path}/comments"), json!({ "body": "Which ones?" }))
        .await
        .expect(StatusCode::CREATED);
    ada.mark(&format!("{path}/completion")).await;
    ada.delete(&path).await.expect(StatusCode::NO_CONTENT);
    for db in app.app.databases.all() {
        eventually(&format!("the empty outbox of {}", db.service()), || async {
            (count(db, "outbox").await == 0).then_some(())
        })
        .await;
        assert_eq!(count(db, "outbox_failures").await, 0, "{}", db.service());
    }
    assert!(
        count(&app.app.databases.notifications, "inbox").await > 0,
        "the inbox remembers what was handled"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_reads_mails_on_a_page_and_nobody_else_does() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    ada.post("/v1/auth/password/forgot", json!({ "email": ada.email })).await;
    let mail = app.mail(&ada.email, |mail| mail.text.contains("http")).await;
    let link = mail.text.split_whitespace().find(|word| word.starts_with("http")).expect("a link");

    let nobody = app.anonymous();
    let list = nobody
        .get(&format!("/dev/mailbox.json?to={}", ada.email))
        .await
        .expect(StatusCode::OK);
    assert!(list.items().iter().any(|item| item["text"] == mail.text), "{list:#?}");
    let none = nobody.get("/dev/mailbox.json?to=bob@example.com").await.expect(StatusCode::OK);
    assert!(none.items().is_empty());

    let page = nobody.get("/dev/mailbox").await.expect(StatusCode::OK);
    assert!(
        page.text.contains(&format!("href=\"{}\"", link.replace('&', "&amp;"))),
        "{}",
        page.text
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policies: Vec<_> = page.headers.get_all("content-security-policy").iter().collect();
    assert_eq!(policies.len(), 1, "two policies would both hold");
    let policy = policies[0].to_str().expect("text");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("style-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(!page.text.contains("<script") && !page.text.contains("style="), "nothing inline");
    nobody.get("/dev/mailbox.css").await.expect(StatusCode::OK);

    for (name, value) in [("host", "evil.example.com"), ("x-forwarded-for", "192.0.2.7")] {
        let request = nobody.request(reqwest::Method::GET, "/dev/mailbox.json").header(name, value);
        nobody
            .send(request)
            .await
            .expect_problem(StatusCode::FORBIDDEN, "mailbox.local_only");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_are_described_in_a_document() {
    let app = TestApp::start().await;
    let document = app.anonymous().get("/asyncapi.json").await.expect(StatusCode::OK).body;
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_eq!(document["channels"]["workspaceEvents"]["address"], "/v1/events");
    let messages: &Value = &document["channels"]["workspaceEvents"]["messages"];
    // What the stream really sends must be among them.
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let project = ada.project(&workspace, "ENG").await;
    ada.task(&project, "Polish the gears").await;
    let log = Query::select()
        .column(Alias::new("event_type"))
        .from(Alias::new("event_log"))
        .to_owned();
    let db = &app.app.databases.notifications;
    let sent = eventually("a streamed event", || async {
        let sent: Vec<(String,)> = db.all(log.clone()).await.expect("reads");
        sent.iter().any(|(name,)| name == "task.created").then_some(sent)
    })
    .await;
    for (name,) in sent {
        assert!(messages[&name].is_object(), "{name} is streamed but not described");
    }
    app.stop().await;
}
