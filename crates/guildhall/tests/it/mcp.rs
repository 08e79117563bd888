//! The Model Context Protocol, spoken by the client of the crate that the server stands on, and by hand.

use reqwest::{Method, StatusCode};
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, CallToolResult, ReadResourceRequestParams, ResourceContents};
use rmcp::service::{RunningService, ServiceError, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually, join};

type Assistant = RunningService<RoleClient, ()>;

async fn key(owner: &Client, scopes: &[&str]) -> (String, Client) {
    let body = json!({ "name": "Assistant", "scopes": scopes, "current_password": PASSWORD });
    let made = owner.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
    let token = made.body["key"].as_str().map(str::to_owned);
    (made.id(), Client { token, ..owner.clone() })
}

async fn assistant(program: &Client) -> Assistant {
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", program.base));
    let config = config.auth_header(program.token.clone().expect("a token"));
    let transport = StreamableHttpClientTransport::with_client(program.http.clone(), config);
    ().serve(transport).await.expect("a handshake")
}

async fn call(assistant: &Assistant, tool: &str, arguments: Value) -> CallToolResult {
    let arguments = arguments.as_object().expect("an object").clone();
    let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    assistant.call_tool(request).await.expect("a result")
}

/// The structured content of a call that worked.
#[track_caller]
fn done(result: CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(false), "{result:#?}");
    let text = result.content[0].as_text().expect("text").text.clone();
    let content = result.structured_content.expect("structured content");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), content, "the text is the same");
    content
}

/// The problem of a call that did not.
#[track_caller]
fn refused(result: CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(true), "{result:#?}");
    assert!(result.structured_content.is_none(), "{result:#?}");
    serde_json::from_str(&result.content[0].as_text().expect("text").text).expect("a problem")
}

async fn read(assistant: &Assistant, uri: &str) -> Result<Value, ServiceError> {
    let result = assistant.read_resource(ReadResourceRequestParams::new(uri)).await?;
    match &result.contents[0] {
        ResourceContents::TextResourceContents { text, mime_type, .. } => {
            assert_eq!(mime_type.as_deref(), Some("application/json"));
            Ok(serde_json::from_str(text).expect("JSON"))
        }
        other => panic!("no text: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_finds_makes_changes_and_completes_tasks() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let project = ada.project(&workspace, "ABC").await;
    let (_, program) = key(&ada, &["workspaces:read", "members:read", "projects:read", "tasks:write"]).await;
    let assistant = assistant(&program).await;
    let about = assistant.peer_info().expect("the server's word");
    assert_eq!(about.server_info.as_ref().expect("a name").name, "guildhall");
    assert!(about.instructions.as_ref().is_some_and(|text| text.contains("next_cursor")));

    let tools = assistant.list_all_tools().await.expect("tools");
    assert!(tools.len() >= 15, "{}", tools.len());
    let found = done(call(&assistant, "list_workspaces", json!({})).await);
    assert_eq!(found["items"][0]["id"], workspace);
    let members = done(call(&assistant, "list_members", json!({ "workspace_id": workspace })).await);
    assert_eq!(members["items"].as_array().expect("members").len(), 2);
    let found = done(call(&assistant, "list_projects", json!({ "q": "abc" })).await);
    assert_eq!(found["items"][0]["id"], project);
    assert_eq!(
        done(call(&assistant, "get_project", json!({ "project_id": project })).await)["key"],
        "ABC"
    );
    done(call(&assistant, "list_labels", json!({ "workspace_id": workspace })).await);
    let states = done(call(&assistant, "list_states", json!({ "workspace_id": workspace })).await);
    assert!(!states["items"].as_array().expect("states").is_empty());

    let new =
        json!({ "project_id": project, "title": "Write the release notes", "description": "For **1.0**.", "assignee_ids": [bob.user_id] });
    let task = done(call(&assistant, "create_task", new).await);
    assert_eq!((&task["key"], &task["creator_id"]), (&json!("ABC-1"), &json!(ada.user_id)));
    // The colleague hears of it as of any other task.
    eventually("bob's notification", || async {
        let inbox = bob.get("/v1/notifications").await;
        inbox.items().iter().any(|item| item["kind"] == "task.assigned").then_some(())
    })
    .await;
    let changed =
        json!({ "task_id": "ABC-1", "version": task["version"], "priority": "high", "due_date": "2030-12-24", "description": null });
    let changed = done(call(&assistant, "update_task", changed).await);
    assert_eq!((&changed["priority"], &changed["description"]), (&json!("high"), &json!("")));
    let stale = json!({ "task_id": "ABC-1", "version": task["version"], "priority": "low" });
    assert_eq!(
        refused(call(&assistant, "update_task", stale).await)["code"],
        "request.version_mismatch"
    );

    let listed = json!({ "assignee": [bob.user_id], "priority": ["high", "urgent"], "status": ["open", "in_progress"] });
    let listed = done(call(&assistant, "list_tasks", listed).await);
    assert_eq!(listed["items"][0]["id"], task["id"]);
    assert!(listed["items"][0].get("description").is_none(), "lists are brief: {listed}");
    let found = done(call(&assistant, "search_tasks", json!({ "q": "release no" })).await);
    assert_eq!(found["items"][0]["key"], "ABC-1");
    let read_by_key = done(call(&assistant, "get_task", json!({ "task_id": "abc-1" })).await);
    assert_eq!(read_by_key["id"], task["id"]);
    done(call(&assistant, "add_comment", json!({ "task_id": task["id"], "body": "On it." })).await);
    let comments = done(call(&assistant, "list_comments", json!({ "task_id": "ABC-1" })).await);
    assert_eq!(comments["items"][0]["body"], "On it.");
    assert_eq!(
        done(call(&assistant, "complete_task", json!({ "task_id": "ABC-1" })).await)["status"],
        "done"
    );
    assert_eq!(
        done(call(&assistant, "reopen_task", json!({ "task_id": "ABC-1" })).await)["status"],
        "open"
    );

    // Pages.
    for number in 0..4 {
        done(
            call(
                &assistant,
                "create_task",
                json!({ "project_id": project, "title": format!("Task {number}") }),
            )
            .await,
        );
    }
    let first = done(call(&assistant, "list_tasks", json!({ "limit": 3, "sort": ["created_at"] })).await);
    assert_eq!(first["items"].as_array().expect("items").len(), 3);
    let next = json!({ "limit": 3, "sort": ["created_at"], "cursor": first["next_cursor"] });
    let second = done(call(&assistant, "list_tasks", next).await);
    assert_eq!(second["items"].as_array().expect("items").len(), 2);
    assert!(second.get("next_cursor").is_none());
    let lost = json!({ "limit": 3, "sort": ["title"], "cursor": first["next_cursor"] });
    assert_eq!(
        refused(call(&assistant, "list_tasks", lost).await)["code"],
        "request.cursor_invalid"
    );

    assistant.cancel().await.expect("an end");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_and_read_by_uri() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let project = ada.project(&workspace, "ABC").await;
    let task = ada.task(&project, "Turn").await;
    let (_, program) = key(&ada, &["workspaces:read", "projects:read", "tasks:write"]).await;
    let assistant = assistant(&program).await;
    let listed = assistant.list_all_resources().await.expect("resources");
    assert_eq!(listed[0].uri, format!("guildhall://projects/{project}"));
    assert_eq!(listed[0].name, "ABC");
    let templates = assistant.list_all_resource_templates().await.expect("templates");
    assert!(templates.iter().any(|template| template.uri_template == "guildhall://tasks/{task}"));
    assert_eq!(read(&assistant, &listed[0].uri).await.expect("a project")["key"], "ABC");
    let found = read(&assistant, "guildhall://tasks/ABC-1").await.expect("a task");
    assert_eq!((&found["id"], &found["title"]), (&task["id"], &json!("Turn")));
    done(call(&assistant, "add_comment", json!({ "task_id": "ABC-1", "body": "Round" })).await);
    let comments = read(&assistant, "guildhall://tasks/ABC-1/comments").await.expect("comments");
    assert_eq!(comments["items"][0]["body"], "Round");
    assert_eq!(
        read(&assistant, &format!("guildhall://workspaces/{workspace}"))
            .await
            .expect("a workspace")["name"],
        "Acme"
    );
    for uri in [
        "guildhall://tasks/ABC-99",
        "guildhall://tasks/0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2",
        "guildhall://users/me",
        "guildhall://tasks/",
        "guildhall://tasks/../users",
        "file:///etc/passwd",
    ] {
        let error = read(&assistant, uri).await.expect_err(uri);
        let ServiceError::McpError(error) = error else {
            panic!("{uri}: {error}")
        };
        assert!(matches!(error.code.0, -32002 | -32602), "{uri}: {error:?}");
    }
    // Many others that name the key do not hide its task.
    let content: String = (0..60).map(|n| format!("see ABC-1 again {n}\n")).collect();
    let import = json!({ "format": "csv", "content": format!("title\n{content}") });
    ada.post(&format!("/v1/projects/{project}/tasks/import"), import)
        .await
        .expect(StatusCode::OK);
    done(call(&assistant, "get_task", json!({ "task_id": "ABC-1" })).await);
    // The same key of another workspace is not guessed.
    let other = ada.workspace("Other").await;
    let twin = ada.project(&other, "ABC").await;
    let twin = ada.task(&twin, "Turn too").await;
    let problem = refused(call(&assistant, "get_task", json!({ "task_id": "ABC-1" })).await);
    assert_eq!(problem["errors"][0]["code"], "ambiguous");
    let named = problem["errors"][0]["detail"].as_str().expect("a detail");
    assert!(named.contains(task["id"].as_str().expect("an id")) && named.contains(twin["id"].as_str().expect("an id")));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_a_key_does_through_mcp_what_it_may_and_no_more() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.register("ada").await, app.register("eve").await);
    let workspace = ada.workspace("Acme").await;
    let project = ada.project(&workspace, "ABC").await;
    let task = ada.task(&project, "Secret").await;

    // Another workspace's task is not there, by whatever name.
    let (_, stranger) = key(&eve, &["workspaces:write", "members:write", "projects:write", "tasks:write"]).await;
    let foreign = assistant(&stranger).await;
    for name in [task["id"].clone(), json!("ABC-1")] {
        for tool in ["get_task", "complete_task", "list_comments"] {
            let problem = refused(call(&foreign, tool, json!({ "task_id": name })).await);
            assert_eq!(problem["status"], 404, "{tool} {name}: {problem}");
        }
    }
    let problem = refused(call(&foreign, "create_task", json!({ "project_id": project, "title": "No" })).await);
    assert_eq!(problem["status"], 404, "{problem}");
    let nothing = done(call(&foreign, "list_tasks", json!({ "project_id": [project] })).await);
    assert_eq!(nothing["items"], json!([]));
    read(&foreign, "guildhall://tasks/ABC-1").await.expect_err("not hers");
    read(&foreign, &format!("guildhall://projects/{project}"))
        .await
        .expect_err("not hers");

    // Scopes.
    let (_, reader) = key(&ada, &["tasks:read"]).await;
    let reading = assistant(&reader).await;
    done(call(&reading, "get_task", json!({ "task_id": "ABC-1" })).await);
    let problem = refused(call(&reading, "complete_task", json!({ "task_id": "ABC-1" })).await);
    assert_eq!(
        (&problem["code"], &problem["scope"]),
        (&json!("auth.scope_missing"), &json!("tasks:write"))
    );
    let problem = refused(call(&reading, "list_projects", json!({})).await);
    assert_eq!(problem["scope"], "projects:read");
    assert!(
        reading.list_all_resources().await.expect("none").is_empty(),
        "no project that it may read"
    );

    // Arguments are held to what the tool says.
    let problem = refused(call(&reading, "list_tasks", json!({ "fields": ["description"] })).await);
    assert_eq!(problem["errors"][0]["code"], "unknown_field");
    let problem = refused(call(&reading, "list_tasks", json!({ "assignee": [{}] })).await);
    assert_eq!(problem["errors"][0]["pointer"], "/assignee");
    let problem = refused(call(&reading, "get_task", json!({ "task_id": "../users" })).await);
    assert_eq!(problem["status"], 404, "{problem}");
    let problem = refused(call(&reading, "get_task", json!({})).await);
    assert_eq!(problem["errors"][0]["pointer"], "/task_id");
    let request = CallToolRequestParams::new("drop_database");
    reading.call_tool(request).await.expect_err("no such tool");

    // A viewer's key.
    let vic = app.register("vic").await;
    join(&app, &ada, &workspace, &vic, "viewer").await;
    let (_, viewer) = key(&vic, &["tasks:write"]).await;
    let viewing = assistant(&viewer).await;
    done(call(&viewing, "get_task", json!({ "task_id": "ABC-1" })).await);
    let problem = refused(call(&viewing, "add_comment", json!({ "task_id": "ABC-1", "body": "No" })).await);
    assert_eq!(problem["status"], 403, "{problem}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_a_revoked_key_and_an_ended_session_stop_at_once() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let (id, program) = key(&ada, &["tasks:read"]).await;
    let assistant = assistant(&program).await;
    done(call(&assistant, "list_tasks", json!({})).await);
    ping(&ada).await.expect(StatusCode::OK);
    ada.delete(&format!("/v1/api-keys/{id}")).await.expect(StatusCode::NO_CONTENT);
    // As soon as the signal has come round.
    let refused = async |client: &Client| {
        eventually("a refusal", || async {
            let answer = ping(client).await;
            (answer.status == StatusCode::UNAUTHORIZED).then_some(answer)
        })
        .await
    };
    let answer = refused(&program)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.token_invalid");
    assert!(answer.header("www-authenticate").expect("a challenge").contains("invalid_token"));
    let request = CallToolRequestParams::new("list_tasks");
    assistant.call_tool(request).await.expect_err("revoked");
    ada.send(ada.request(Method::POST, "/v1/auth/sign-out-all")).await;
    refused(&ada).await;
    app.stop().await;
}

fn message(client: &Client, body: &Value) -> reqwest::RequestBuilder {
    client.request(Method::POST, "/mcp").json(body)
}

async fn ping(client: &Client) -> Answer {
    client
        .send(message(client, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transport_keeps_the_rules_of_every_route() {
    let app = TestApp::start_with(|config| config.http.cors_origins = vec!["https://app.example.com".into()]).await;
    let (ada, nobody) = (app.register("ada").await, app.anonymous());
    let refused = ping(&nobody).await.expect_problem(StatusCode::UNAUTHORIZED, "auth.required");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"guildhall\""));

    // Plain curl is enough; the answer is one JSON object.
    let answer = ping(&ada).await.expect(StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    assert!(answer.header("mcp-session-id").is_none(), "nothing is kept between two messages");
    assert!(answer.header("x-content-type-options").is_some());
    let text = |accept: &str| message(&ada, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).header("accept", accept);
    ada.send(text("text/html")).await.expect(StatusCode::NOT_ACCEPTABLE);
    ada.send(text("application/json, text/event-stream")).await.expect(StatusCode::OK);

    for method in [Method::GET, Method::DELETE] {
        let answer = ada.send(ada.request(method, "/mcp")).await;
        let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "request.method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    ada.send(ada.request(Method::POST, "/mcp?token=x").json(&json!({})))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");

    // Pages.
    let from = |origin: &str| message(&ada, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).header("origin", origin);
    ada.send(from("https://app.example.com")).await.expect(StatusCode::OK);
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "",
    ] {
        ada.send(from(origin))
            .await
            .expect_problem(StatusCode::FORBIDDEN, "mcp.origin_refused");
    }

    // What is no message.
    for body in [
        json!({}),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": { "a": 1 }, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 1 }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1] }),
    ] {
        let answer = ada.send(message(&ada, &body)).await;
        let refused = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            refused && answer.header("content-type") == Some("application/problem+json"),
            "{body}: {answer:#?}"
        );
    }
    ada.send(message(&ada, &json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }])))
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    let request = ada
        .request(Method::POST, "/mcp")
        .header("content-type", "application/json")
        .body("{");
    ada.send(request)
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.malformed_json");
    let request = ada.request(Method::POST, "/mcp").header("content-type", "text/plain").body("{}");
    ada.send(request).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = json!({ "name": "search_tasks", "arguments": { "q": "x".repeat(70_000) } });
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": long });
    let refused = ada.send(message(&ada, &long)).await.expect(StatusCode::OK);
    assert!(refused.text.contains("request.uri_too_long"), "{refused:#?}");
    let huge = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": "y".repeat(8 << 20) } });
    ada.send(message(&ada, &huge)).await.expect(StatusCode::PAYLOAD_TOO_LARGE);

    // Versions of the protocol.
    let versioned = |version: &str| {
        message(&ada, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).header("mcp-protocol-version", version)
    };
    ada.send(versioned("2025-06-18")).await.expect(StatusCode::OK);
    let refused = ada.send(versioned("1999-01-01")).await;
    let refused = refused.expect_problem(StatusCode::BAD_REQUEST, "mcp.message_refused");
    assert!(refused.body["detail"].as_str().expect("a detail").contains("1999-01-01"));
    let unknown = ada
        .send(message(&ada, &json!({ "jsonrpc": "2.0", "id": 7, "method": "no/such" })))
        .await
        .expect(StatusCode::OK);
    assert_eq!((&unknown.body["id"], &unknown.body["error"]["code"]), (&json!(7), &json!(-32601)));
    let notified = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(ada.send(message(&ada, &notified)).await.expect(StatusCode::ACCEPTED).text, "");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_costs_what_the_request_it_stands_for_costs() {
    let app = TestApp::start_with(|config| {
        config.http.rate_limits.enabled = true;
        config.http.rate_limits.api_key = platform::http::config::Rate {
            requests: 8,
            per_seconds: 3_600,
        };
    })
    .await;
    let ada = app.register("ada").await;
    let (_, program) = key(&ada, &["tasks:read"]).await;
    let tool = |name: &str, arguments: Value| {
        let params = json!({ "name": name, "arguments": arguments });
        message(
            &program,
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }),
        )
    };
    let left = |answer: &Answer| answer.header("ratelimit").expect("a rate").to_owned();
    let answer = program.send(tool("list_tasks", json!({}))).await.expect(StatusCode::OK);
    assert!(left(&answer).starts_with("\"api_key\";r=7;"), "{}", left(&answer));
    // A search costs five.
    let answer = program.send(tool("search_tasks", json!({ "q": "x" }))).await.expect(StatusCode::OK);
    assert_eq!(answer.body["result"]["isError"], false, "{answer:#?}");
    let answer = program.send(tool("list_tasks", json!({}))).await.expect(StatusCode::OK);
    assert!(left(&answer).starts_with("\"api_key\";r=1;"), "{}", left(&answer));
    let answer = program.send(tool("search_tasks", json!({ "q": "x" }))).await.expect(StatusCode::OK);
    let text = answer.body["result"]["content"][0]["text"].as_str().expect("text");
    let problem: Value = serde_json::from_str(text).expect("a problem");
    assert_eq!(problem["code"], "request.rate_limited");
    assert!(
        problem["retry_after_seconds"].as_u64().is_some_and(|seconds| seconds > 0),
        "{problem}"
    );
    ping(&program).await.expect(StatusCode::TOO_MANY_REQUESTS);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let app = TestApp::start_with(|config| config.mcp.enabled = false).await;
    let ada = app.register("ada").await;
    ping(&ada).await.expect_problem(StatusCode::NOT_FOUND, "request.route_unknown");
    let document = ada.get("/openapi.json").await.expect(StatusCode::OK).body;
    assert!(document["paths"].get("/mcp").is_none());
    app.stop().await;
}
