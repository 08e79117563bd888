//! Who may do what, over **all** routes: no token, a stranger's token, each role. A route without its row here fails
//! the suite, and so does a row without its route.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use testkit::oidc::FakeProvider;

use crate::oidc;
use crate::support::{Answer, Client, PASSWORD, TestApp, eventually, join};

/// The least that a caller must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Nobody in particular.
    Public,
    /// Any account; nothing of others is reachable by it.
    SignedIn,
    /// Any account, in a state that the rows do not make: let in, and answered 409.
    Pending,
    /// The person the object belongs to; 404 for everybody else.
    Own,
    Viewer,
    Collaborator,
    Owner,
    /// Manages the installation.
    Admin,
}
use Access::{Admin, Collaborator, Own, Owner, Pending, Public, SignedIn, Viewer};

struct Row {
    method: &'static str,
    path: &'static str,
    access: Access,
    /// `$name` stands for the id of that object.
    body: Option<Value>,
    /// What to do first: `METHOD path` by the owner.
    before: Option<&'static str>,
    query: &'static str,
}

fn row(method: &'static str, path: &'static str, access: Access) -> Row {
    Row {
        method,
        path,
        access,
        body: None,
        before: None,
        query: "",
    }
}

impl Row {
    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
    fn after(mut self, before: &'static str) -> Self {
        self.before = Some(before);
        self
    }
    fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }
}

fn rows() -> Vec<Row> {
    [
        account_rows(),
        workspace_rows(),
        project_rows(),
        task_rows(),
        notification_rows(),
        webhook_rows(),
        audit_rows(),
        // Whom a tool lets in is decided where its operation is.
        vec![row("POST", "/mcp", SignedIn).body(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))],
        flag_rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn account_rows() -> Vec<Row> {
    let password = json!({ "current_password": PASSWORD });
    vec![
        row("GET", "/.well-known/jwks.json", Public),
        row("POST", "/v1/auth/register", Public).body(json!({})),
        row("POST", "/v1/auth/setup", Public).body(json!({})),
        row("POST", "/v1/auth/sign-in", Public).body(json!({})),
        row("POST", "/v1/auth/refresh", Public).body(json!({ "refresh_token": 1 })),
        row("POST", "/v1/auth/verify-email", Public).body(json!({})),
        row("POST", "/v1/auth/verify-email/resend", Public).body(json!({})),
        row("POST", "/v1/auth/password/forgot", Public).body(json!({})),
        row("POST", "/v1/auth/password/reset", Public).body(json!({})),
        row("GET", "/v1/me", SignedIn),
        row("PATCH", "/v1/me", SignedIn).body(json!({ "name": "Somebody" })),
        row("GET", "/v1/sessions", SignedIn),
        row("POST", "/v1/auth/sign-out", SignedIn).body(json!({})),
        row("POST", "/v1/auth/sign-out-all", SignedIn),
        row("DELETE", "/v1/me", SignedIn).body(password.clone()),
        row("POST", "/v1/me/disable", SignedIn).body(password.clone()),
        row("PUT", "/v1/me/password", SignedIn).body(json!({ "current_password": PASSWORD, "new_password": "another-long-pass-phrase-9" })),
        row("DELETE", "/v1/sessions/{session_id}", Own),
        row("POST", "/v1/auth/second-factor", Public).body(json!({})),
        row("GET", "/v1/me/second-factor", SignedIn),
        row("POST", "/v1/me/second-factor", SignedIn).body(password.clone()),
        // Without a second factor there is nothing to confirm, renew or give up; their own tests do it.
        row("POST", "/v1/me/second-factor/confirmation", Pending).body(json!({ "code": "287082" })),
        row("POST", "/v1/me/second-factor/recovery-codes", Pending).body(json!({ "current_password": PASSWORD, "code": "287082" })),
        row("DELETE", "/v1/me/second-factor", Pending).body(json!({ "current_password": PASSWORD, "code": "287082" })),
        row("GET", "/v1/auth/oidc/providers", Public),
        row("GET", "/v1/auth/oidc/{provider}/authorization", Public),
        row("POST", "/v1/auth/oidc/{provider}/authorization", Public).body(json!({})),
        row("GET", "/v1/auth/oidc/{provider}/callback", Public),
        row("POST", "/v1/auth/oidc/{provider}/callback", Public).body(json!({})),
        row("GET", "/v1/me/external-identities", SignedIn),
        row("POST", "/v1/me/external-identities", SignedIn).body(json!({ "provider": "corp", "current_password": PASSWORD })),
        row("DELETE", "/v1/me/external-identities/{external_identity_id}", Own).body(password.clone()),
        row("GET", "/v1/api-keys", SignedIn),
        row("POST", "/v1/api-keys", SignedIn).body(json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD })),
        row("GET", "/v1/api-keys/{key_id}", Own),
        row("PATCH", "/v1/api-keys/{key_id}", Own).body(json!({ "name": "Renamed" })),
        row("DELETE", "/v1/api-keys/{key_id}", Own),
        row("GET", "/v1/users", Admin),
        row("GET", "/v1/users/{user_id}", Admin),
        row("PUT", "/v1/users/{user_id}/lock", Admin),
        row("DELETE", "/v1/users/{user_id}/lock", Admin),
        row("DELETE", "/v1/users/{user_id}/sessions", Admin),
        row("PUT", "/v1/users/{user_id}/administrator", Admin),
        row("DELETE", "/v1/users/{user_id}/administrator", Admin),
    ]
}

fn workspace_rows() -> Vec<Row> {
    let w = "/v1/workspaces/{workspace_id}";
    vec![
        row("GET", "/v1/workspaces", SignedIn),
        row("POST", "/v1/workspaces", SignedIn).body(json!({ "name": "Another" })),
        row("GET", w, Viewer),
        row("PATCH", w, Owner).body(json!({ "name": "Renamed" })),
        row("DELETE", w, Owner),
        row("POST", "/v1/workspaces/{workspace_id}/restore", Owner).after("DELETE /v1/workspaces/{workspace_id}"),
        row("POST", "/v1/workspaces/{workspace_id}/transfer", Owner).body(json!({ "user_id": "$collaborator" })),
        row("POST", "/v1/workspaces/{workspace_id}/leave", Viewer),
        row("GET", "/v1/workspaces/{workspace_id}/members", Viewer),
        row("GET", "/v1/workspaces/{workspace_id}/members/{user_id}", Viewer),
        row("PATCH", "/v1/workspaces/{workspace_id}/members/{user_id}", Owner).body(json!({ "role": "viewer" })),
        row("DELETE", "/v1/workspaces/{workspace_id}/members/{user_id}", Owner),
        row("GET", "/v1/workspaces/{workspace_id}/invitations", Owner),
        row("POST", "/v1/workspaces/{workspace_id}/invitations", Owner).body(json!({ "email": "new@example.com", "role": "viewer" })),
        row("GET", "/v1/workspaces/{workspace_id}/invitations/{invitation_id}", Owner),
        row("DELETE", "/v1/workspaces/{workspace_id}/invitations/{invitation_id}", Owner),
        row("POST", "/v1/workspaces/{workspace_id}/invitations/{invitation_id}/resend", Owner),
        row("GET", "/v1/invitations/{token}", Public),
        row("POST", "/v1/invitations/{token}/acceptance", SignedIn),
        row("POST", "/v1/invitations/{token}/decline", Public),
        row("GET", "/v1/workspaces/{workspace_id}/labels", Viewer),
        row("POST", "/v1/workspaces/{workspace_id}/labels", Collaborator).body(json!({ "name": "chore", "color": "#cc3333" })),
        row("GET", "/v1/workspaces/{workspace_id}/labels/{label_id}", Viewer),
        row("PATCH", "/v1/workspaces/{workspace_id}/labels/{label_id}", Collaborator).body(json!({ "color": "#3366cc" })),
        row("DELETE", "/v1/workspaces/{workspace_id}/labels/{label_id}", Collaborator),
        row("GET", "/v1/workspaces/{workspace_id}/states", Viewer),
        row("POST", "/v1/workspaces/{workspace_id}/states", Collaborator).body(json!({ "name": "Waiting", "status": "in_progress" })),
        row("GET", "/v1/workspaces/{workspace_id}/states/{state_id}", Viewer),
        row("PATCH", "/v1/workspaces/{workspace_id}/states/{state_id}", Collaborator).body(json!({ "name": "Checked" })),
        row("DELETE", "/v1/workspaces/{workspace_id}/states/{state_id}", Collaborator),
        row("GET", "/v1/workspaces/{workspace_id}/tasks/{key}", Viewer),
        row("GET", "/v1/workspaces/{workspace_id}/views", Viewer),
        row("POST", "/v1/workspaces/{workspace_id}/views", Viewer).body(json!({ "name": "Mine", "query": "assignee=me" })),
        row("GET", "/v1/workspaces/{workspace_id}/views/{view_id}", Viewer),
        row("GET", "/v1/workspaces/{workspace_id}/views/{view_id}/tasks", Viewer),
        row("PATCH", "/v1/workspaces/{workspace_id}/views/{view_id}", Collaborator).body(json!({ "name": "Ours" })),
        row("DELETE", "/v1/workspaces/{workspace_id}/views/{view_id}", Collaborator),
        row("GET", "/v1/events", Viewer).query("?workspace_id=$workspace"),
    ]
}

fn project_rows() -> Vec<Row> {
    vec![
        row("GET", "/v1/projects", SignedIn),
        row("POST", "/v1/projects", Collaborator).body(json!({ "workspace_id": "$workspace", "key": "NEW", "name": "New" })),
        row("GET", "/v1/projects/{project_id}", Viewer),
        row("PATCH", "/v1/projects/{project_id}", Owner).body(json!({ "name": "Renamed" })),
        row("DELETE", "/v1/projects/{project_id}", Owner),
        row("DELETE", "/v1/trash/projects/{project_id}", Owner).after("DELETE /v1/projects/{project_id}"),
        row("POST", "/v1/projects/{project_id}/restore", Owner).after("DELETE /v1/projects/{project_id}"),
        row("PUT", "/v1/projects/{project_id}/archive", Owner),
        row("DELETE", "/v1/projects/{project_id}/archive", Owner).after("PUT /v1/projects/{project_id}/archive"),
        row("GET", "/v1/projects/{project_id}/members", Viewer),
        row("GET", "/v1/projects/{project_id}/members/{user_id}", Viewer),
        row("PUT", "/v1/projects/{project_id}/members/{user_id}", Owner).body(json!({ "role": "viewer" })),
        row("PATCH", "/v1/projects/{project_id}/members/{user_id}", Owner).body(json!({ "role": "viewer" })),
        row("DELETE", "/v1/projects/{project_id}/members/{user_id}", Owner),
    ]
}

fn task_rows() -> Vec<Row> {
    vec![
        row("GET", "/v1/tasks", SignedIn),
        row("GET", "/v1/me/calendar-feeds", SignedIn),
        row("POST", "/v1/me/calendar-feeds", SignedIn).body(json!({ "name": "Mine" })),
        row("DELETE", "/v1/me/calendar-feeds/{feed_id}", Own),
        row("GET", "/v1/calendar/{token}", Public),
        row("POST", "/v1/tasks/batch", Collaborator).body(json!({ "operations": [{ "op": "complete", "task_id": "$task" }] })),
        row("GET", "/v1/projects/{project_id}/tasks", Viewer),
        row("POST", "/v1/projects/{project_id}/tasks", Collaborator).body(json!({ "title": "New" })),
        row("GET", "/v1/projects/{project_id}/tasks/export", Viewer),
        row("POST", "/v1/projects/{project_id}/tasks/import", Collaborator).body(json!({ "format": "csv", "content": "title\nImported" })),
        row("GET", "/v1/tasks/{task_id}", Viewer),
        row("PATCH", "/v1/tasks/{task_id}", Collaborator).body(json!({ "title": "Renamed" })),
        row("DELETE", "/v1/tasks/{task_id}", Collaborator),
        row("GET", "/v1/me/export", SignedIn),
        row("GET", "/v1/workspaces/{workspace_id}/export", Owner),
        row("GET", "/v1/workspaces/{workspace_id}/trash", Viewer),
        row("DELETE", "/v1/trash/tasks/{task_id}", Owner).after("DELETE /v1/tasks/{task_id}"),
        row("POST", "/v1/tasks/{task_id}/restore", Collaborator).after("DELETE /v1/tasks/{task_id}"),
        row("PUT", "/v1/tasks/{task_id}/completion", Collaborator),
        row("DELETE", "/v1/tasks/{task_id}/completion", Collaborator),
        row("PUT", "/v1/tasks/{task_id}/archive", Collaborator),
        row("DELETE", "/v1/tasks/{task_id}/archive", Collaborator),
        row("PUT", "/v1/tasks/{task_id}/position", Collaborator).body(json!({ "state_id": "$state" })),
        row("PUT", "/v1/tasks/{task_id}/assignees/{user_id}", Collaborator),
        row("DELETE", "/v1/tasks/{task_id}/assignees/{user_id}", Collaborator),
        row("GET", "/v1/tasks/{task_id}/activity", Viewer),
        row("GET", "/v1/tasks/{task_id}/recurrence", Viewer),
        row("PUT", "/v1/tasks/{task_id}/recurrence", Collaborator).body(json!({ "rule": "FREQ=DAILY" })),
        row("DELETE", "/v1/tasks/{task_id}/recurrence", Collaborator),
        row("POST", "/v1/tasks/{task_id}/recurrence/skip", Collaborator),
        row("GET", "/v1/tasks/{task_id}/relations", Viewer),
        row("PUT", "/v1/tasks/{task_id}/relations/{relation}/{other_id}", Collaborator),
        row("DELETE", "/v1/tasks/{task_id}/relations/{relation}/{other_id}", Collaborator),
        row("GET", "/v1/tasks/{task_id}/comments", Viewer),
        row("POST", "/v1/tasks/{task_id}/comments", Collaborator).body(json!({ "body": "Hear, hear" })),
        row("GET", "/v1/comments/{comment_id}", Viewer),
        // The owner's own comment: another collaborator may not touch it.
        row("PATCH", "/v1/comments/{comment_id}", Owner).body(json!({ "body": "Changed" })),
        row("DELETE", "/v1/comments/{comment_id}", Owner),
    ]
}

fn notification_rows() -> Vec<Row> {
    vec![
        row("GET", "/v1/notifications", SignedIn),
        row("GET", "/v1/notifications/unread-count", SignedIn),
        row("POST", "/v1/notifications/read-all", SignedIn).body(json!({})),
        row("GET", "/v1/notifications/preferences", SignedIn),
        row("PATCH", "/v1/notifications/preferences", SignedIn).body(json!({ "task.created": { "in_app": true } })),
        row("GET", "/v1/notifications/settings", SignedIn),
        row("PATCH", "/v1/notifications/settings", SignedIn).body(json!({ "email_mode": "daily" })),
        row("GET", "/v1/notifications/subscriptions", SignedIn),
        row("GET", "/v1/notifications/subscriptions/projects/{project_id}", Viewer),
        row("PUT", "/v1/notifications/subscriptions/projects/{project_id}", Viewer).body(json!({ "level": "muted" })),
        row("DELETE", "/v1/notifications/subscriptions/projects/{project_id}", Viewer),
        row("GET", "/v1/notifications/subscriptions/tasks/{task_id}", Viewer),
        row("PUT", "/v1/notifications/subscriptions/tasks/{task_id}", Viewer).body(json!({ "level": "subscribed" })),
        row("DELETE", "/v1/notifications/subscriptions/tasks/{task_id}", Viewer),
        row("GET", "/v1/notifications/{id}", Own),
        row("PUT", "/v1/notifications/{id}/read", Own),
        row("DELETE", "/v1/notifications/{id}/read", Own),
        row("DELETE", "/v1/notifications/{id}", Own),
    ]
}

fn audit_rows() -> Vec<Row> {
    vec![
        row("GET", "/v1/workspaces/{workspace_id}/audit-log", Owner),
        row("GET", "/v1/workspaces/{workspace_id}/audit-log/export", Owner),
        row("GET", "/v1/me/security-log", SignedIn),
        row("GET", "/v1/audit-log", Admin),
        row("GET", "/v1/audit-log/export", Admin),
    ]
}

fn flag_rows() -> Vec<Row> {
    vec![
        row("GET", "/v1/flags", Admin),
        row("POST", "/v1/flags", Admin).body(json!({ "key": "another", "kind": "boolean" })),
        row("GET", "/v1/flags/{flag_key}", Admin),
        row("PATCH", "/v1/flags/{flag_key}", Admin).body(json!({ "description": "Changed" })),
        row("POST", "/ofrep/v1/evaluate/flags/{flag_key}", SignedIn).body(json!({})),
        row("POST", "/ofrep/v1/evaluate/flags", SignedIn).body(json!({ "context": { "targetingKey": "ada" } })),
        row("DELETE", "/v1/flags/{flag_key}", Admin),
    ]
}

fn webhook_rows() -> Vec<Row> {
    // An address that needs no look-up; nothing is sent there before the row has its answer.
    let webhook = json!({ "url": "https://93.184.215.14/hook", "event_types": ["member.added"] });
    vec![
        row("GET", "/v1/workspaces/{workspace_id}/webhooks", Owner),
        row("POST", "/v1/workspaces/{workspace_id}/webhooks", Owner).body(webhook),
        row("GET", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", Owner),
        row("PATCH", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", Owner).body(json!({ "description": "Changed" })),
        row("DELETE", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", Owner),
        row("POST", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/secret-rotation", Owner),
        row("POST", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/test", Owner),
        row("GET", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries", Owner),
        row(
            "GET",
            "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries/{delivery_id}",
            Owner,
        ),
        row(
            "POST",
            "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
            Owner,
        ),
        row("POST", "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/replay-failed", Owner)
            .body(json!({ "since": "2026-01-01T00:00:00Z" })),
    ]
}

/// A workspace with one object of each kind and a person of each role.
struct World {
    ids: Vec<(&'static str, String)>,
    stranger: Client,
    viewer: Client,
    collaborator: Client,
    owner: Client,
}

impl World {
    async fn new(app: &TestApp, provider: &FakeProvider, number: usize) -> Self {
        let person = async |role: &str| app.register(&format!("{role}{number}")).await;
        let (owner, collaborator) = (person("owner").await, person("collaborator").await);
        let (viewer, stranger) = (person("viewer").await, person("stranger").await);
        // Whom rows are about: removing oneself would be leaving.
        let other = person("other").await;
        let workspace = owner.workspace(&format!("World {number}")).await;
        join(app, &owner, &workspace, &collaborator, "collaborator").await;
        join(app, &owner, &workspace, &viewer, "viewer").await;
        join(app, &owner, &workspace, &other, "viewer").await;
        let project = owner.project(&workspace, "WRLD").await;
        let base = format!("/v1/workspaces/{workspace}");
        let create = async |path: &str, body: Value| owner.post(path, body).await.expect(StatusCode::CREATED);
        let task = create(
            &format!("/v1/projects/{project}/tasks"),
            json!({ "title": "Turn", "assignee_ids": [viewer.user_id], "due_date": "2030-01-01" }),
        )
        .await;
        let recurrence = format!("/v1/tasks/{}/recurrence", task.id());
        owner
            .put(&recurrence, json!({ "rule": "FREQ=WEEKLY" }))
            .await
            .expect(StatusCode::OK);
        let second = owner.task(&project, "Return").await;
        let comment = create(&format!("/v1/tasks/{}/comments", task.id()), json!({ "body": "Round and round" })).await;
        let label = create(&format!("{base}/labels"), json!({ "name": "bug", "color": "#cc3333" })).await;
        let state = create(&format!("{base}/states"), json!({ "name": "In review", "status": "in_progress" })).await;
        let view = json!({ "name": "Open", "query": "status=open", "visibility": "shared" });
        let view = create(&format!("{base}/views"), view).await;
        let feed = viewer.post("/v1/me/calendar-feeds", json!({ "name": "Mine" })).await;
        let feed = feed.expect(StatusCode::CREATED);
        let invitation = create(&format!("{base}/invitations"), json!({ "role": "viewer" })).await;
        let webhook = create(
            &format!("{base}/webhooks"),
            json!({ "url": "https://93.184.215.14/hook", "event_types": ["member.added"] }),
        )
        .await;
        let test = owner
            .send(owner.request(Method::POST, &format!("{base}/webhooks/{}/test", webhook.id())))
            .await
            .expect(StatusCode::ACCEPTED);
        let member = json!({ "role": "viewer" });
        let answer = owner
            .put(&format!("/v1/projects/{project}/members/{}", other.user_id), member)
            .await;
        assert!(answer.status.is_success(), "{answer:#?}");
        let notification = eventually("the viewer's notification", || async {
            let inbox = viewer.get("/v1/notifications").await;
            inbox
                .items()
                .iter()
                .find(|item| item["kind"] == "task.assigned")
                .and_then(|item| item["id"].as_str().map(str::to_owned))
        })
        .await;
        let body = json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD });
        let api_key = viewer.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
        let linked = oidc::link(&viewer, provider, &format!("viewer-{number}")).await;
        let sessions = viewer.get("/v1/sessions").await.expect(StatusCode::OK);
        let ids = vec![
            ("key_id", api_key.id()),
            ("external_identity", linked.id()),
            ("provider", "corp".to_owned()),
            ("session", sessions.items()[0]["id"].as_str().expect("an id").to_owned()),
            ("workspace", workspace),
            ("project", project),
            ("task", task.id()),
            ("other", second["id"].as_str().expect("an id").to_owned()),
            ("relation", "blocks".to_owned()),
            ("comment", comment.id()),
            ("feed", feed.id()),
            ("view", view.id()),
            ("label", label.id()),
            ("state", state.id()),
            ("invitation", invitation.id()),
            ("webhook", webhook.id()),
            ("delivery", test.id()),
            ("token", invitation.body["token"].as_str().expect("a token").to_owned()),
            ("id", notification),
            ("user", other.user_id.clone()),
            ("collaborator", collaborator.user_id.clone()),
            ("flag_key", flag_of(number)),
            ("key", task.body["key"].as_str().expect("a key").to_owned()),
        ];
        Self {
            ids,
            stranger,
            viewer,
            collaborator,
            owner,
        }
    }

    fn fill(&self, text: &str) -> String {
        // The longest names first, so that `$id` does not eat `$invitation`.
        let mut text = text.to_owned();
        for (name, id) in &self.ids {
            text = text
                .replace(&format!("{{{name}_id}}"), id)
                .replace(&format!("{{{name}}}"), id)
                .replace(&format!("\"${name}\""), &format!("\"{id}\""))
                .replace(&format!("=${name}"), &format!("={id}"));
        }
        text
    }

    async fn ask(&self, row: &Row, client: &Client) -> Answer {
        let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
        let mut request = client
            .request(method, &self.fill(&format!("{}{}", row.path, row.query)))
            .header("if-match", "*");
        if let Some(body) = &row.body {
            request = request
                .header("content-type", "application/json")
                .body(self.fill(&body.to_string()));
        }
        if row.path == "/v1/events" {
            // A stream has no end: the status line is the answer.
            let response = request.send().await.expect("an answer");
            return Answer {
                status: response.status(),
                headers: response.headers().clone(),
                body: Value::Null,
                text: String::new(),
            };
        }
        client.send(request).await
    }
}

/// The flag of a world. Flags belong to the installation: only its administrator makes them.
fn flag_of(number: usize) -> String {
    format!("flag-{number}")
}

async fn make_flag(administrator: &Client, number: usize) {
    let flag = json!({ "key": flag_of(number), "kind": "boolean" });
    administrator.post("/v1/flags", flag).await.expect(StatusCode::CREATED);
}

/// What a caller below the needed access gets; `None` when the caller is let in.
fn refusal(access: Access, who: &str) -> Option<StatusCode> {
    let rank = |name: &str| ["viewer", "collaborator", "owner"].iter().position(|role| *role == name);
    let needed = match access {
        Public => return None,
        _ if who == "nobody" => return Some(StatusCode::UNAUTHORIZED),
        SignedIn | Pending => return None,
        // Notification, session, API key and calendar feed are the viewer's.
        Own => return (who != "viewer").then_some(StatusCode::NOT_FOUND),
        Admin => return (who != "administrator").then_some(StatusCode::FORBIDDEN),
        Viewer => 0,
        Collaborator => 1,
        Owner => 2,
    };
    match rank(who) {
        None => Some(StatusCode::NOT_FOUND),
        Some(has) => (has < needed).then_some(StatusCode::FORBIDDEN),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_has_its_row() {
    let app = TestApp::start().await;
    let document = app.anonymous().get("/openapi.json").await.expect(StatusCode::OK).body;
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let listed: BTreeSet<String> = rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let missing: Vec<_> = routes.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&routes).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "routes without a row: {missing:#?}\nrows without a route: {stale:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_21_every_route_refuses_whom_it_must_and_admits_whom_it_should() {
    let provider = FakeProvider::serve().await;
    let app = TestApp::start_with(|config| oidc::configure(config, &[("corp", &provider)])).await;
    let administrator = app.administrator().await;
    // Reading changes nothing, so those rows share a world.
    let library = World::new(&app, &provider, usize::MAX).await;
    make_flag(&administrator, usize::MAX).await;
    let rows = rows();
    let findings: Vec<String> = stream::iter(rows.iter().enumerate())
        .map(|(number, row)| {
            let (app, provider, administrator, library) = (&app, &provider, &administrator, &library);
            async move {
                if row.method == "GET" {
                    return findings_of(row, library, &app.anonymous(), administrator).await;
                }
                let own = World::new(app, provider, number).await;
                if row.path.contains("{flag_key}") {
                    make_flag(administrator, number).await;
                }
                findings_of(row, &own, &app.anonymous(), administrator).await
            }
        })
        // Making worlds is most of the work: several at a time keep the server busy.
        .buffer_unordered(6)
        .flat_map(stream::iter)
        .collect()
        .await;
    assert!(findings.is_empty(), "{findings:#?}");
}

/// What is wrong with a row: who is let in without right, or refused in spite of it.
async fn findings_of(row: &Row, world: &World, nobody: &Client, administrator: &Client) -> Vec<String> {
    let mut findings = Vec::new();
    if let Some(before) = row.before {
        let (method, path) = before.split_once(' ').expect("METHOD path");
        let request = world
            .owner
            .request(Method::from_bytes(method.as_bytes()).expect("a method"), &world.fill(path))
            .header("if-match", "*");
        let answer = world.owner.send(request).await;
        assert!(answer.status.is_success(), "{before}: {answer:#?}");
    }
    let callers = [
        ("nobody", nobody),
        ("stranger", &world.stranger),
        ("viewer", &world.viewer),
        ("collaborator", &world.collaborator),
        ("owner", &world.owner),
        // Manages the installation, which opens no workspace.
        ("administrator", administrator),
    ];
    let mut admitted = false;
    for (who, client) in callers {
        let place = format!("{} {} as {who}", row.method, row.path);
        let wanted = refusal(row.access, who);
        // Of those who may, only the least is asked: its effect must not have happened before.
        if wanted.is_none() && std::mem::replace(&mut admitted, true) {
            continue;
        }
        let answer = world.ask(row, client).await;
        let problem = answer.header("content-type") == Some("application/problem+json");
        let right = match wanted {
            Some(status) => {
                // A deleted object is not even there for those who may not restore it.
                let hidden = row.before.is_some_and(|before| before.starts_with("DELETE")) && answer.status == StatusCode::NOT_FOUND;
                // An id in the body that is not the caller's to know is a field error, the same as for an id of nothing.
                let in_body = row.body.is_some() && status == StatusCode::NOT_FOUND && answer.body["errors"][0]["code"] == "not_found";
                problem && (answer.status == status || hidden || in_body)
            }
            None if row.access == Public => answer.status.as_u16() < 500 && answer.body["code"] != "auth.required",
            None if row.access == Pending => answer.status == StatusCode::CONFLICT,
            None => answer.status.is_success(),
        };
        if !right {
            findings.push(format!("{place}: wanted {wanted:?}, got {} {}", answer.status, answer.text));
        }
    }
    findings
}
