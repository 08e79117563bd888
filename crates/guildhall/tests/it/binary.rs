//! The command line and the process around the API: exit codes, documents, logs, the end.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::{Server, free_port, guildhall};
use crate::support::{PASSWORD, SCHEMAS, TestApp};

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output as JSON; fails with what the command said otherwise.
fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

#[test]
fn wrong_configuration_names_every_mistake_and_ends_with_2() {
    let output = run(guildhall()
        .args([
            "config",
            "check",
            "--json",
            "--set",
            "server.listen=nowhere",
            "--set",
            "identity.registration=perhaps",
        ])
        .env("GUILDHALL_HTTP__MAX_BODY_BYTE", "5"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let problems = json_of(&output)["problems"].to_string();
    for key in ["server.listen", "identity.registration", "max_body_byte"] {
        assert!(problems.to_lowercase().contains(key), "{key} is missing in {problems}");
    }
    let output = run(guildhall().args(["config", "check", "--set", "server.listen=nowhere", "--set", "server.public_url=::"]));
    let said = text(&output.stderr);
    assert!(said.contains("server.listen") && said.contains("server.public_url"), "{said}");
    assert_eq!(run(guildhall().args(["config", "check"])).status.code(), Some(0));
}

/// One rule of each section: a section whose rules nobody asks would start with nonsense.
#[test]
fn every_section_has_its_rules_asked() {
    let nonsense = [
        "server.metrics_listen=nowhere",
        "database.url=gopher://x",
        "http.timeout_seconds=0",
        "log.level=info,tasks=loud",
        "mail.smtp.timeout_seconds=0",
        "egress.connect_timeout_seconds=0",
        "events.lease=1ms",
        "due.concurrency=0",
        "identity.access_token_seconds=5",
        "workspaces.restore_days=0",
        "tasks.due_soon_hours=0",
        "notifications.heartbeat_seconds=0",
        "webhooks.timeout_seconds=0",
    ];
    let mut command = guildhall();
    command.args(["config", "check", "--json"]);
    for pair in nonsense {
        command.args(["--set", pair]);
    }
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let problems = json_of(&output)["problems"].to_string();
    for (key, _) in nonsense.iter().filter_map(|pair| pair.split_once('=')) {
        assert!(problems.contains(&format!("{key}: ")), "{key} is missing in {problems}");
    }
}

#[test]
fn printed_configuration_hides_secrets_and_names_sources() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2-from-a-file\n").expect("written");
    let output = run(guildhall()
        .args(["config", "print"])
        .env("GUILDHALL_MAIL__SMTP__USERNAME", "mailer")
        .env("GUILDHALL_MAIL__SMTP__PASSWORD_FILE", &file)
        .env("GUILDHALL_DATABASE__URL", "postgres://app:hunter3@db.example/guildhall"));
    assert!(output.status.success(), "{output:?}");
    let printed = text(&output.stdout);
    assert!(printed.contains("GUILDHALL_MAIL__SMTP__USERNAME"), "{printed}");
    assert!(!printed.contains("hunter"), "{printed}");
}

#[test]
fn documents_are_complete() {
    let output = run(guildhall().arg("openapi"));
    let document = json_of(&output);
    assert_eq!(document["openapi"], "3.1.0");
    let findings = platform::http::openapi::lint(&document);
    assert!(findings.is_empty(), "{findings:#?}");
    let yaml = run(guildhall().args(["openapi", "--yaml"]));
    assert!(text(&yaml.stdout).contains("openapi: 3.1.0"));
    assert_eq!(json_of(&run(guildhall().arg("asyncapi")))["asyncapi"], "3.0.0");
    assert!(json_of(&run(guildhall().args(["config", "schema"])))["properties"]["http"].is_object());
    assert!(text(&run(guildhall().arg("roles")).stdout).contains("task.write"));
    let targets = json_of(&run(guildhall().args(["targets", "--json"])));
    assert_eq!(targets["targets"].as_array().map(Vec::len), Some(SCHEMAS.len()));
    assert!(text(&run(guildhall().args(["completions", "bash"])).stdout).contains("_guildhall"));
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    for (arguments, reason) in [
        (vec!["serve", "--target", "tasks"], "remote clients"),
        (vec!["serve", "--target", "kitchen"], "unknown"),
        (vec!["serve", "--roles", "api"], "SQLite"),
        (vec!["serve", "--set", "nonsense"], "KEY=VALUE"),
    ] {
        let output = run(guildhall().args(&arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains(reason), "{arguments:?}: {output:?}");
    }
    let url = format!("http://127.0.0.1:{}", free_port());
    assert_eq!(run(guildhall().args(["healthcheck", "--url", &url])).status.code(), Some(3));
    let output = run(guildhall().args(["healthcheck", "--json", "--url", &url]));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = json_of(&output);
    assert_eq!(said["status"], "unreachable", "{said}");
    assert!(said["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{said}");
}

/// A folder cannot lie in a file.
#[test]
fn a_data_folder_that_cannot_be_made_is_named_with_the_reason() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let folder = file.path().join("data");
    let name = folder.to_str().expect("UTF-8");
    for arguments in [
        vec!["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"],
        vec!["migrate"],
        vec!["user", "lock", "--email", "nobody@example.com"],
    ] {
        let output = run(guildhall().args(&arguments).args(["--data-dir", name]));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = text(&output.stderr);
        assert!(said.contains(name) && said.contains("os error"), "{arguments:?}: {said}");
        assert!(!said.contains("Something went wrong"), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_sqlite_folder_is_refused_until_the_first_is_gone() {
    let place = tempfile::tempdir().expect("a folder");
    let (folder, http) = (place.path().join("data"), reqwest::Client::new());
    let quiet = |command: &mut Command| {
        command.env("GUILDHALL_LOG__LEVEL", "error");
    };
    let mut first = Server::start_at(&folder, None, free_port(), quiet);
    first.ready(&http).await;

    let mut second = guildhall()
        .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off", "--data-dir"])
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut ended = None;
    for _ in 0..600 {
        ended = second.try_wait().expect("its state");
        if ended.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = second.kill();
    let output = second.wait_with_output().expect("its end");
    assert_eq!(ended.and_then(|status| status.code()), Some(4), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("another server") && said.contains(folder.to_str().expect("UTF-8")),
        "{said}"
    );

    // What may be done beside a server still may.
    let archive = place.path().join("copy.tar.zst");
    for arguments in [
        ["backup", "--to", archive.to_str().expect("UTF-8")].as_slice(),
        ["verify"].as_slice(),
    ] {
        let output = run(guildhall().args(arguments).arg("--data-dir").arg(&folder));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    first.kill();
    let mut next = Server::start_at(&folder, None, free_port(), quiet);
    next.ready(&http).await;
    next.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_manage_accounts_and_nothing_secret_is_logged() {
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let (port, http) = (free_port(), reqwest::Client::new());
    let log_path = database.folder().join("server.log");
    let log = std::fs::File::create(&log_path).expect("a log file");
    let mut server = Server::start_with(&database, port, |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "trace")
            .env("GUILDHALL_LOG__FORMAT", "json")
            .stderr(log);
    });
    server.ready(&http).await;
    let operator = |arguments: &[&str]| {
        let mut command = guildhall();
        command.args(arguments).arg("--json").arg("--data-dir").arg(database.folder());
        command.arg("--database-url").arg(database.config().url.as_deref().expect("a URL"));
        json_of(&run(&mut command))
    };
    let made = operator(&["user", "create", "--email", "ops@example.com", "--name", "Ops", "--admin"]);
    let password = made["generated_password"]
        .as_str()
        .or(made["password"].as_str())
        .unwrap_or_else(|| panic!("no password in {made}"))
        .to_owned();
    let nobody = server.anonymous(&http);
    let credentials = json!({ "email": "ops@example.com", "password": password });
    let signed_in = nobody.post("/v1/auth/sign-in", credentials).await.expect(StatusCode::OK);
    let secrets = [
        password.clone(),
        signed_in.body["access_token"].to_string(),
        signed_in.body["refresh_token"].to_string(),
    ];

    let registered = json!({ "email": "eve@example.com", "password": PASSWORD, "name": "Eve" });
    let eve = nobody.post("/v1/auth/register", registered).await.expect(StatusCode::CREATED);
    let refreshed = nobody
        .post("/v1/auth/refresh", json!({ "refresh_token": eve.body["refresh_token"] }))
        .await
        .expect(StatusCode::OK);
    nobody.post("/v1/auth/password/forgot", json!({ "email": "eve@example.com" })).await;
    nobody
        .post(
            "/v1/auth/sign-in",
            json!({ "email": "eve@example.com", "password": "a-wrong-pass-phrase-7" }),
        )
        .await;
    nobody
        .post(
            "/v1/auth/password/reset",
            json!({ "token": "guessed-reset-token-123456", "password": "new-pass-phrase-word-8" }),
        )
        .await;

    let locked = operator(&["user", "lock", "--email", "eve@example.com"]);
    assert_eq!(locked["email"], "eve@example.com");
    let credentials = json!({ "email": "eve@example.com", "password": PASSWORD });
    nobody.post("/v1/auth/sign-in", credentials).await.expect(StatusCode::UNAUTHORIZED);
    assert!(server.terminate().success(), "a stop that was asked for is no failure");

    let log = std::fs::read_to_string(&log_path).expect("the log");
    assert!(
        log.contains("/v1/auth/sign-in") && log.contains("request_id"),
        "the log says what happened"
    );
    let more = [
        refreshed.body["access_token"].to_string(),
        refreshed.body["refresh_token"].to_string(),
    ];
    let plain = [
        PASSWORD,
        "a-wrong-pass-phrase-7",
        "guessed-reset-token-123456",
        "new-pass-phrase-word-8",
    ]
    .map(str::to_owned);
    for secret in secrets.iter().chain(&more).chain(&plain) {
        let secret = secret.trim_matches('"');
        // The end of a token is its secret part; a log that cuts tokens short must not pass by accident.
        assert!(!log.contains(&secret[secret.len() - 16..]), "a secret is in the log");
    }
    for mail in mailbox(database.folder()) {
        for word in mail
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .filter(|word| word.len() >= 32)
        {
            assert!(!log.contains(word), "a token from a mail is in the log");
        }
    }
}

/// Texts of the mails that lie in the data folder.
pub fn mailbox(folder: &std::path::Path) -> Vec<String> {
    let bytes = std::fs::read(folder.join("mailbox.json")).expect("a mailbox");
    let mails: Vec<Value> = serde_json::from_slice(&bytes).expect("JSON");
    assert!(!mails.is_empty(), "no mail was sent");
    mails.iter().filter_map(|mail| mail["text"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_finishes_what_runs_and_takes_nothing_new() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Last orders").await;
    let project = ada.project(&workspace, "END").await;
    let path = format!("/v1/projects/{project}/tasks");
    let running: Vec<_> = (0..16)
        .map(|number| {
            let (ada, path) = (ada.clone(), path.clone());
            tokio::task::spawn(async move {
                ada.request(Method::POST, &path)
                    .json(&json!({ "title": format!("t{number}") }))
                    .send()
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let base = app.base.clone();
    app.stop().await;
    for request in running {
        // Taken before the stop: answered. Too late: refused without an answer. Never half.
        if let Ok(answer) = request.await.expect("no panic") {
            let status = answer.status();
            assert_eq!(status, StatusCode::CREATED, "{:?}", answer.text().await);
        }
    }
    assert!(reqwest::get(format!("{base}/livez")).await.is_err(), "the listener is closed");
}
