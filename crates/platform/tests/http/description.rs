//! What the OpenAPI document says of every answer.

use platform::http::openapi::complete;
use serde_json::{Value, json};

fn answers(document: &Value, path: &str, method: &str, status: &str) -> Vec<String> {
    let mut response = &document["paths"][path][method]["responses"][status];
    if let Some(name) = response["$ref"].as_str().and_then(|name| name.strip_prefix("#")) {
        response = document.pointer(name).expect("a named answer");
    }
    response["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

#[track_caller]
fn has(document: &Value, (path, method, status): (&str, &str, &str), names: &[&str]) {
    let found = answers(document, path, method, status);
    for name in names {
        assert!(
            found.iter().any(|other| other == name),
            "{method} {path} {status}: {name} in {found:?}"
        );
    }
}

#[test]
fn every_header_that_is_sent_is_described() {
    let done = json!({ "description": "Done" });
    let public = json!([{}]);
    let document = complete(json!({ "components": { "schemas": {} }, "paths": {
        "/v1/things": {
            "get": { "tags": ["tasks"], "responses": { "200": done, "403": { "description": "Not yours" } } },
            "patch": { "tags": ["tasks"], "requestBody": { "content": { "application/json": { "schema": { "type": "object" } } } },
                "responses": { "200": done } },
            "delete": { "tags": ["tasks"], "responses": { "204": done } },
        },
        "/v1/things/export": { "get": { "tags": ["tasks"], "responses": { "200": done } } },
        "/v1/auth/sign-in": { "post": { "tags": ["auth"], "security": public, "responses": { "200": done, "401": { "description": "No" } } } },
        "/v1/auth/sign-out": { "post": { "tags": ["auth"], "security": public, "responses": { "204": done } } },
        "/v1/auth/refresh": { "post": { "tags": ["auth"], "security": public, "responses": { "200": done, "401": { "description": "No" } } } },
        "/v1/auth/password/forgot": { "post": { "tags": ["auth"], "security": public, "responses": { "202": done } } },
    } }));
    let everywhere = ["X-Request-Id", "Cache-Control", "traceparent", "RateLimit", "RateLimit-Policy"];
    for status in ["200", "400", "401", "403", "429", "500"] {
        has(&document, ("/v1/things", "get", status), &everywhere);
    }
    has(&document, ("/v1/things", "get", "401"), &["WWW-Authenticate"]);
    has(&document, ("/v1/things", "get", "403"), &["WWW-Authenticate"]);
    has(&document, ("/v1/things", "patch", "415"), &["Accept", "Accept-Patch"]);
    has(&document, ("/v1/things", "delete", "412"), &everywhere);
    has(&document, ("/v1/things/export", "get", "200"), &["Content-Disposition"]);
    for (path, status) in [
        ("/v1/auth/sign-in", "200"),
        ("/v1/auth/sign-out", "204"),
        ("/v1/auth/refresh", "200"),
        ("/v1/auth/refresh", "401"),
    ] {
        has(&document, (path, "post", status), &["Set-Cookie"]);
    }
    let other = answers(&document, "/v1/auth/password/forgot", "post", "202");
    assert!(other.iter().all(|name| name != "Set-Cookie"), "{other:?}");
    // Each is one that the document explains.
    let known = document["components"]["headers"].as_object().expect("headers");
    for (_, response) in document["components"]["responses"].as_object().expect("answers") {
        for (name, _) in response["headers"].as_object().expect("headers") {
            assert!(known.contains_key(name), "{name}");
        }
    }
}
