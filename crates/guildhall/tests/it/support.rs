//! Starts the whole application on a fresh database and speaks HTTP with it.

use std::time::Duration;

use guildhall::compose::{App, Parts};
use guildhall::config::Config;
use platform::lifecycle::Lifecycle;
use platform::mail::Mail;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// A password that passes every rule.
pub const PASSWORD: &str = "correct-horse-battery-staple-42";

/// The longest that an application in a test is waited for when it stops.
pub const DRAIN: Duration = Duration::from_secs(30);

/// Every service's database.
pub const SCHEMAS: [platform::db::Schema; 7] = [
    identity::SCHEMA,
    workspaces::SCHEMA,
    tasks::SCHEMA,
    notifications::SCHEMA,
    webhooks::SCHEMA,
    audit::SCHEMA,
    flags::SCHEMA,
];

/// The configuration of the suite on `database`.
pub fn config_for(database: &testkit::TestServer) -> Config {
    let mut config = Config::default();
    config.server.data_dir = database.folder().to_path_buf();
    config.database = database.config().clone();
    config.http.rate_limits.enabled = false;
    // Cheap hashing: the suite signs up hundreds of people.
    config.identity.password.argon2_memory_kib = 64;
    config.identity.password.argon2_iterations = 1;
    config
}

/// Causes of 5xx answers go to standard error; `GUILDHALL_TEST_LOG` asks for more.
fn init_logs() {
    let level = std::env::var("GUILDHALL_TEST_LOG").unwrap_or_else(|_| "error".into());
    let config = platform::telemetry::LogConfig {
        level,
        ..Default::default()
    };
    platform::telemetry::init_logs(&config, Vec::new()).expect("a log level");
}

/// One running application with a database of its own.
pub struct TestApp {
    pub base: String,
    pub app: App,
    http: reqwest::Client,
    _database: testkit::TestServer,
    lifecycle: Lifecycle,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// `adjust` changes the configuration before the start.
    pub async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::start_from(Parts::default(), adjust).await
    }

    /// With a clock that stands still until it is told otherwise.
    pub async fn start_at(clock: &testkit::FixedClock) -> Self {
        let parts = Parts {
            clock: std::sync::Arc::new(clock.clone()),
            ..Parts::default()
        };
        Self::start_from(parts, |_| {}).await
    }

    async fn start_from(parts: Parts, adjust: impl FnOnce(&mut Config)) -> Self {
        init_logs();
        let database = testkit::TestServer::new(&SCHEMAS).await;
        let mut config = config_for(&database);
        adjust(&mut config);
        let lifecycle = Lifecycle::new();
        let app = App::build(&config, parts).await.expect("the application builds");
        app.databases.migrate().await.expect("migrations run");
        app.start_workers(&lifecycle);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        app.spawn_http(listener, &lifecycle, true);
        Self {
            base,
            app,
            http: reqwest::Client::new(),
            _database: database,
            lifecycle,
        }
    }

    /// Somebody without an account.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(&self.base, &self.http)
    }

    /// Registers `<name>@example.com` and signs in.
    pub async fn register(&self, name: &str) -> Client {
        self.anonymous().register(name).await
    }

    /// The first administrator, made with the set-up code.
    pub async fn administrator(&self) -> Client {
        let code = self
            .app
            .identity
            .ensure_setup_code()
            .await
            .expect("a database")
            .expect("nobody is administrator yet");
        let email = "admin@example.com";
        let body = json!({ "code": code, "email": email, "password": PASSWORD, "name": "Admin" });
        let answer = self.anonymous().post("/v1/auth/setup", body).await.expect(StatusCode::CREATED);
        self.anonymous().with_session(&answer.body, email)
    }

    /// Signs in again: a second session of the same person.
    pub async fn sign_in(&self, email: &str) -> Client {
        let answer = self
            .anonymous()
            .post("/v1/auth/sign-in", json!({ "email": email, "password": PASSWORD }))
            .await
            .expect(StatusCode::OK);
        self.anonymous().with_session(&answer.body, email)
    }

    /// Waits (at most 60 s) for a mail to `to` that `wanted` accepts.
    pub async fn mail(&self, to: &str, wanted: impl Fn(&Mail) -> bool) -> Mail {
        eventually("a mail", || async {
            self.mails().into_iter().find(|mail| mail.to == to && wanted(mail))
        })
        .await
    }

    /// Every mail so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.app
            .mailbox()
            .expect("no SMTP in tests")
            .mails()
            .into_iter()
            .map(|kept| kept.mail)
            .collect()
    }

    pub async fn stop(self) {
        self.lifecycle.stop("test");
        self.lifecycle.wait(DRAIN).await;
        self.app.databases.disconnect().await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.lifecycle.stop("test");
    }
}

/// Asks until there is an answer; fails after 60 s.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    for _ in 0..2_400 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} did not appear within 60 s");
}

/// A person (or nobody) with an HTTP client.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub http: reqwest::Client,
    pub token: Option<String>,
    pub refresh: String,
    pub user_id: String,
    pub email: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null when the body is empty or no JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// Fails with the whole answer when the status differs.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "unexpected answer: {self:#?}");
        self
    }

    /// Also checks that it is a problem document with this code.
    #[track_caller]
    pub fn expect_problem(self, status: StatusCode, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:#?}");
        assert_eq!(answer.body["code"], code, "{answer:#?}");
        assert_eq!(answer.body["status"], status.as_u16(), "{answer:#?}");
        assert!(answer.body["request_id"].is_string(), "{answer:#?}");
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `body.id`.
    #[track_caller]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:#?}")).to_owned()
    }

    #[track_caller]
    pub fn items(&self) -> &Vec<Value> {
        self.body["items"].as_array().unwrap_or_else(|| panic!("no items in {self:#?}"))
    }
}

impl Client {
    /// Somebody without an account, speaking with the server at `base`.
    pub fn anonymous(base: &str, http: &reqwest::Client) -> Self {
        Self {
            base: base.to_owned(),
            http: http.clone(),
            token: None,
            refresh: String::new(),
            user_id: String::new(),
            email: String::new(),
        }
    }

    /// Registers `<name>@example.com` there and signs in.
    pub async fn register(&self, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "password": PASSWORD, "name": name });
        let answer = self.post("/v1/auth/register", body).await.expect(StatusCode::CREATED);
        self.with_session(&answer.body, &email)
    }

    /// Who was signed in by an answer with tokens.
    fn with_session(&self, body: &Value, email: &str) -> Self {
        Self {
            token: Some(body["access_token"].as_str().expect("an access token").to_owned()),
            refresh: body["refresh_token"].as_str().unwrap_or_default().to_owned(),
            user_id: body["user"]["id"].as_str().expect("a user id").to_owned(),
            email: email.to_owned(),
            ..self.clone()
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let builder = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => builder.bearer_auth(token),
            None => builder,
        }
    }

    pub async fn send(&self, builder: reqwest::RequestBuilder) -> Answer {
        let response = builder.send().await.expect("an HTTP answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }
    /// PUT without a body, for state verbs.
    pub async fn mark(&self, path: &str) -> Answer {
        self.send(self.request(Method::PUT, path)).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }
    /// With `If-Match: "<version>"`.
    pub async fn patch_if(&self, path: &str, version: i64, body: Value) -> Answer {
        self.send(
            self.request(Method::PATCH, path)
                .header("if-match", format!("\"{version}\""))
                .json(&body),
        )
        .await
    }
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }
    pub async fn delete_if(&self, path: &str, version: i64) -> Answer {
        self.send(self.request(Method::DELETE, path).header("if-match", format!("\"{version}\"")))
            .await
    }

    /// A workspace of one's own; its id.
    pub async fn workspace(&self, name: &str) -> String {
        self.post("/v1/workspaces", json!({ "name": name }))
            .await
            .expect(StatusCode::CREATED)
            .id()
    }

    /// A project in it; its id.
    pub async fn project(&self, workspace_id: &str, key: &str) -> String {
        let body = json!({ "workspace_id": workspace_id, "key": key, "name": format!("Project {key}") });
        self.post("/v1/projects", body).await.expect(StatusCode::CREATED).id()
    }

    pub async fn task(&self, project_id: &str, title: &str) -> Value {
        self.post(&format!("/v1/projects/{project_id}/tasks"), json!({ "title": title }))
            .await
            .expect(StatusCode::CREATED)
            .body
    }
}

/// Makes `guest` a member of the workspace with `role`, through invitation and acceptance.
pub async fn join(app: &TestApp, owner: &Client, workspace_id: &str, guest: &Client, role: &str) {
    let path = format!("/v1/workspaces/{workspace_id}/invitations");
    owner
        .post(&path, json!({ "email": guest.email, "role": role }))
        .await
        .expect(StatusCode::CREATED);
    let needle = "/invitations/";
    let mail = app.mail(&guest.email, |mail| mail.text.contains(needle)).await;
    let start = mail.text.rfind(needle).expect("a link") + needle.len();
    let token: String = mail.text[start..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    let answer = guest
        .send(guest.request(Method::POST, &format!("/v1/invitations/{token}/acceptance")))
        .await;
    assert!(answer.status.is_success(), "{answer:#?}");
}
