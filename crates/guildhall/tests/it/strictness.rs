//! What no route lets pass, over **all** routes of the OpenAPI document: parameters, fields and content types that it does not
//! know. The ids in the paths are nobody's, so an answer other than 404 shows that the request was refused for its form.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp};

/// What a sign-in provider adds to the way back is its own business.
const OPEN_ENDED: &str = "GET /v1/auth/oidc/{provider}/callback";

/// An operation of the document: method, path with ids filled in, whether it takes a JSON body.
struct Operation {
    method: Method,
    path: String,
    takes_body: bool,
}

async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = app.anonymous().get("/openapi.json").await.expect(StatusCode::OK).body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item").iter().filter(|_| path.starts_with("/v1/")) {
            if format!("{} {path}", method.to_uppercase()) == OPEN_ENDED {
                continue;
            }
            operations.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
                path: fill(path),
                takes_body: operation["requestBody"]["content"]["application/json"].is_object(),
            });
        }
    }
    assert!(operations.len() > 50, "the document is read");
    operations
}

/// `{…}` → an id that nothing has.
fn fill(path: &str) -> String {
    let id = |segment: &str| match segment {
        segment if segment.starts_with('{') => "01900000-0000-7000-8000-000000000000".to_owned(),
        segment => segment.to_owned(),
    };
    path.split('/').map(id).collect::<Vec<_>>().join("/")
}

async fn send(client: &Client, operation: &Operation, query: &str, kind: &str, body: &str) -> Answer {
    let path = format!("{}{query}", operation.path);
    let mut request = client.request(operation.method.clone(), &path).header("if-match", "*");
    if operation.takes_body {
        request = request.header("content-type", kind).body(body.to_owned());
    }
    client.send(request).await
}

/// Says where `wanted` is not what came.
fn compare(findings: &mut Vec<String>, operation: &Operation, answer: &Answer, wanted: (u16, Option<(&str, &str)>)) {
    let error = &answer.body["errors"][0];
    let found = (
        answer.status.as_u16(),
        wanted.1.map(|_| (error["pointer"].as_str(), error["code"].as_str())),
    );
    let problem = answer.header("content-type") == Some("application/problem+json");
    let expected = (wanted.0, wanted.1.map(|(pointer, code)| (Some(pointer), Some(code))));
    if !problem || found != expected {
        findings.push(format!(
            "{} {}: {} {}",
            operation.method, operation.path, answer.status, answer.text
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_query_parameters_are_refused_everywhere() {
    let app = TestApp::start().await;
    let administrator = app.administrator().await;
    let mut findings = Vec::new();
    for operation in operations(&app).await {
        let answer = send(&administrator, &operation, "?no_such_parameter=1", "application/json", "{}").await;
        let wanted = (400, Some(("#query/no_such_parameter", "unknown_parameter")));
        compare(&mut findings, &operation, &answer, wanted);
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Who has no token learns that first, unless the route is open to all.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_of_the_token_before_the_parameter() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let mut refused = std::collections::BTreeMap::new();
    for operation in operations(&app).await {
        let answer = send(&nobody, &operation, "?no_such_parameter=1", "application/json", "{}").await;
        let open = ["/v1/auth/", "/v1/invitations/", "/v1/calendar/"]
            .iter()
            .any(|prefix| operation.path.starts_with(prefix));
        let public = open && !["sign-out-all", "acceptance"].iter().any(|verb| operation.path.ends_with(verb));
        if answer.status != if public { 400 } else { 401 } {
            refused.insert(format!("{} {}", operation.method, operation.path), answer.status.as_u16());
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_another_form_are_refused_everywhere() {
    let app = TestApp::start().await;
    let administrator = app.administrator().await;
    let unknown: Value = json!({ "no_such_field": 1 });
    let mut findings = Vec::new();
    for operation in operations(&app).await.iter().filter(|operation| operation.takes_body) {
        let mut ask = async |kind: &str, body: &str, wanted: u16| {
            let answer = send(&administrator, operation, "", kind, body).await;
            compare(&mut findings, operation, &answer, (wanted, None));
        };
        ask("application/json", &unknown.to_string(), 422).await;
        ask("application/json", "[]", 422).await;
        ask("application/json", "{\"a\":", 400).await;
        ask("application/json", "{\"a\":1,\"a\":1}", 400).await;
        ask("text/plain", "{}", 415).await;
        ask("application/x-www-form-urlencoded", "a=1", 415).await;
        ask("application/json; charset=iso-8859-1", "{}", 415).await;
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Before anything is looked for, as the ids here are nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_takes_if_none_match() {
    let app = TestApp::start().await;
    let administrator = app.administrator().await;
    let mut findings = Vec::new();
    let changes = [Method::PUT, Method::PATCH, Method::DELETE];
    for operation in operations(&app)
        .await
        .iter()
        .filter(|operation| changes.contains(&operation.method))
    {
        let request = administrator.request(operation.method.clone(), &operation.path);
        let answer = administrator.send(request.header("if-none-match", "*")).await;
        compare(&mut findings, operation, &answer, (412, None));
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_25_no_page_allows_inline_code_or_styles() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/api-docs/",
        "/api-docs/swagger-ui-bundle.js",
        "/dev/mailbox",
        "/openapi.json",
        "/v1/me",
        "/nowhere",
    ] {
        let page = app.anonymous().get(path).await;
        let policies: Vec<_> = page.headers.get_all("content-security-policy").iter().collect();
        let policy = policies.first().and_then(|policy| policy.to_str().ok()).unwrap_or_default();
        assert_eq!(policies.len(), 1, "{path}");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}
