//! A small document becomes a collection.

use super::*;

fn document() -> Value {
    json!({
        "openapi": "3.1.0", "info": { "title": "Things" }, "security": [{ "bearer": [] }],
        "paths": {
            "/v1/boxes": { "post": { "tags": ["boxes"], "summary": "Make a box", "requestBody": { "content": { "application/json": { "example": { "name": "B" } } } },
                "responses": { "201": { "headers": { "Location": {}, "ETag": {}, "RateLimit": {} }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Box" } } } } } } },
            "/v1/boxes/{box_id}": { "delete": { "tags": ["boxes"], "responses": { "204": {} } } },
            "/v1/boxes/{box_id}/archive": { "put": { "tags": ["boxes"], "responses": { "200": {} } } },
            "/v1/boxes/{box_id}/things": { "post": { "tags": ["a things"], "parameters": [{ "in": "header", "name": "If-Match", "required": true }],
                "requestBody": { "content": { "application/json": { "example": { "box_id": "0", "name": "T" } } } }, "responses": { "201": {} } } },
            "/v1/things/{id}": { "get": { "tags": ["a things"], "security": [{}], "parameters": [{ "in": "path", "name": "id", "description": "Which." }],
                "responses": { "200": {}, "404": { "$ref": "#/components/responses/Problem404" } } }, "delete": { "tags": ["a things"], "responses": { "204": {} } } },
            "/v1/stream": { "get": { "tags": ["z"], "parameters": [{ "in": "query", "name": "box_id", "required": true }, { "in": "query", "name": "limit", "schema": { "minimum": 1 } }],
                "responses": { "200": { "content": { "text/event-stream": {} } } } } },
            "/v1/auth/refresh": { "post": { "tags": ["auth"], "requestBody": { "content": { "application/json": { "example": { "refresh_token": "r" } } } }, "responses": { "200": {} } } },
            "/v1/auth/sign-out": { "post": { "tags": ["auth"], "responses": { "204": {} } } },
            "/v1/me": { "get": { "tags": ["me"], "responses": { "200": {} } }, "delete": { "tags": ["me"], "responses": { "204": {} } } },
            "/v1/me/feeds/{feed_id}": { "delete": { "tags": ["me"], "responses": { "204": {} } } },
        },
        "components": {
            "schemas": { "Box": { "title": "Box", "properties": { "title": { "type": "string", "example": "x" }, "lid": { "$ref": "#/components/schemas/Lid" } } }, "Lid": { "type": "object" }, "Other": {} },
            "responses": { "Problem404": { "content": { "application/problem+json": { "schema": { "type": "object" } } } } },
        },
    })
}

/// Of `document`, without flows.
fn whole() -> Value {
    let start = http_file::parse("# S\n### Register\nPOST /v1/auth/register\n### Make a box\nPOST /v1/boxes\n").unwrap();
    collection(&document(), &start, &[], "check")
}

fn names_of(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| text(&item["name"])).collect()
}

fn item<'a>(collection: &'a Value, name: &str) -> &'a Value {
    fn find<'a>(items: &'a Value, name: &str) -> Option<&'a Value> {
        let items = items.as_array()?;
        items
            .iter()
            .find(|item| item["name"] == name && item.get("request").is_some())
            .or_else(|| items.iter().find_map(|item| find(&item["item"], name)))
    }
    find(&collection["item"], name).unwrap()
}

#[test]
fn every_route_is_there_once_in_an_order_that_can_work() {
    let collection = whole();
    assert_eq!(names_of(&collection["item"]), ["Every route"]);
    let folders = &collection["item"][0]["item"];
    assert_eq!(
        names_of(folders),
        [
            "Register",
            "Make a box",
            "boxes",
            "a things",
            "z",
            "deletions",
            "account",
            "goodbyes"
        ],
        "a box is needed for a thing"
    );
    assert_eq!(
        names_of(&folders[3]["item"]),
        ["POST /v1/boxes/{box_id}/things", "GET /v1/things/{id}"]
    );
    assert_eq!(
        names_of(&folders[5]["item"]),
        [
            "PUT /v1/boxes/{box_id}/archive",
            "DELETE /v1/things/{id}",
            "DELETE /v1/boxes/{box_id}"
        ],
        "what is archived takes no more things, and a thing is gone with its box"
    );
}

#[test]
fn what_ends_the_session_comes_last_and_a_new_one_after_it() {
    let collection = whole();
    let folders = &collection["item"][0]["item"];
    assert_eq!(
        names_of(&folders[6]["item"]),
        ["GET /v1/me", "POST /v1/auth/refresh", "DELETE /v1/me/feeds/{feed_id}"]
    );
    let goodbyes = &folders[7]["item"];
    assert_eq!(names_of(goodbyes), ["POST /v1/auth/sign-out", "Register", "DELETE /v1/me"]);
    assert_eq!(goodbyes[0]["event"][0]["script"]["exec"], json!([GONE]));
    assert_eq!(goodbyes[2]["event"][0]["script"]["exec"], json!([GONE]));
}

#[test]
fn a_request_is_filled_with_what_was_made_before() {
    let collection = whole();
    let make = &item(&collection, "POST /v1/boxes/{box_id}/things")["request"];
    assert_eq!(make["url"]["raw"], "{{base_url}}/v1/boxes/:box_id/things");
    assert_eq!(make["url"]["variable"][0]["value"], "{{box_id}}");
    assert_eq!(make["body"]["raw"], "{\n  \"box_id\": \"{{box_id}}\",\n  \"name\": \"T\"\n}");
    assert_eq!(make["header"][0]["value"], "*");
    assert_eq!(make.get("auth"), None);
    let read = &item(&collection, "GET /v1/things/{id}")["request"];
    assert_eq!(
        (&read["url"]["variable"][0]["value"], &read["auth"]["type"]),
        (&json!("{{thing_id}}"), &json!("noauth"))
    );
    let refresh = &item(&collection, "POST /v1/auth/refresh")["request"];
    assert_eq!(refresh["body"]["raw"], "{\n  \"refresh_token\": \"{{refresh_token}}\"\n}");
    let stream = &item(&collection, "GET /v1/stream")["request"]["url"];
    assert_eq!(stream["raw"], "{{base_url}}/v1/stream?box_id={{$guid}}", "a run must end");
    assert_eq!(stream["query"][1]["disabled"], true);
    assert!(
        collection["variable"]
            .as_array()
            .unwrap()
            .contains(&json!({ "key": "thing_id", "value": NOBODY }))
    );
}

#[test]
fn the_contract_holds_what_answers_need_and_no_more() {
    let document = document();
    let lines = contract(&document, &operations(&document)).join("\n");
    assert!(lines.contains(r##""POST /v1/boxes": {"201":{"content":{"application/json":{"$ref":"#/components/schemas/Box"}},"headers":["ETag","Location"]}},"##), "{lines}");
    assert!(
        lines.contains(r##""Box": {"properties":{"lid":{"$ref":"#/components/schemas/Lid"},"title":{"type":"string"}}},"##),
        "{lines}"
    );
    assert!(
        lines.contains(r#""404":{"content":{"application/problem+json":{"type":"object"}},"headers":[]}"#),
        "{lines}"
    );
    assert!(lines.contains("\"Lid\"") && !lines.contains("\"Other\""), "{lines}");
}

#[test]
fn a_flow_becomes_a_folder_that_can_be_run_alone() {
    let flow = http_file::parse("# F\nWhy.\n### Ask\nGET /v1/me?x={{x}}\nAuthorization: none\n\n> {%\npm.test;\n%}\n").unwrap();
    let folder = flow_folder(&[json!({ "name": "Register" })], &flow);
    assert_eq!((&folder["name"], &folder["description"]), (&json!("F"), &json!("Why.")));
    assert_eq!(names_of(&folder["item"]), ["Register", "Ask"]);
    let ask = &folder["item"][1];
    assert_eq!(ask["request"]["url"]["raw"], "{{base_url}}/v1/me?x={{x}}");
    assert_eq!(ask["request"]["auth"]["type"], "noauth");
    assert_eq!(ask["event"][0]["script"]["exec"], json!(["pm.test;"]));
}

#[test]
fn every_goodbye_is_a_route_of_the_description() {
    let openapi = read(&crate::repository_root().join("docs/api/openapi.json")).unwrap();
    let openapi: Value = serde_json::from_str(&openapi).unwrap();
    for (method, path) in GOODBYES {
        assert!(openapi["paths"][path].get(method).is_some(), "{method} {path}");
    }
}
