//! The Postman collection: the flows of `xtask/postman/*.http`, every route of the API description once, and one script
//! that holds each answer to that description.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::files_below;
use crate::http_file::{self, Flow, Request};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
const COLLECTION: &str = "docs/api/postman/guildhall.postman_collection.json";
const ENVIRONMENT: &str = "docs/api/postman/guildhall.postman_environment.json";
const BASE_URL: &str = "http://127.0.0.1:8080";
/// Stands for what no earlier request has made: well-formed, and nobody's.
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";
const METHODS: [&str; 5] = ["post", "get", "patch", "put", "delete"];
/// They end the session or the account that the other requests need.
const LAST: [&str; 3] = ["/v1/auth/", "/v1/me", "/v1/sessions"];
/// What a schema says beyond its meaning for validation.
const WORDS: [&str; 5] = ["description", "example", "examples", "title", "default"];

/// One operation of the document.
struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    value: &'a Value,
}

pub fn pages(root: &Path, openapi: &Value) -> Result<Vec<(PathBuf, String)>, String> {
    let folder = root.join("xtask/postman");
    let check = read(&folder.join("check.js"))?;
    let mut flows = Vec::new();
    for file in files_below(&folder, "http") {
        flows.push(http_file::parse(&read(&file)?).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    let environment = json!({
        "name": "Guildhall on this machine",
        "_postman_variable_scope": "environment",
        "values": [{ "key": "base_url", "value": BASE_URL, "type": "default", "enabled": true }],
    });
    Ok(vec![
        (PathBuf::from(COLLECTION), pretty(&collection(openapi, &flows, &check))?),
        (PathBuf::from(ENVIRONMENT), pretty(&environment)?),
    ])
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn pretty(value: &Value) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn collection(openapi: &Value, flows: &[Flow], check: &str) -> Value {
    let operations = operations(openapi);
    let variables: BTreeSet<String> = operations
        .iter()
        .flat_map(|operation| path_variables(operation.path).into_iter().map(|(_, variable)| variable))
        .collect();
    let mut items: Vec<Value> = flows.iter().map(flow_folder).collect();
    items.extend(route_folders(openapi, &operations, &variables));
    let mut script = contract(openapi, &operations);
    script.extend(check.lines().map(str::to_owned));
    let mut variable = vec![
        json!({ "key": "base_url", "value": BASE_URL }),
        json!({ "key": "access_token", "value": "" }),
    ];
    variable.extend(variables.iter().map(|name| json!({ "key": name, "value": NOBODY })));
    json!({
        "info": {
            "name": openapi["info"]["title"],
            "description": "Flows first: each can be run from its first request on. Then every route once. Generated from the API \
                description by `cargo xtask docs`; the flows are in `xtask/postman`.",
            "schema": SCHEMA,
        },
        "auth": { "type": "bearer", "bearer": [{ "key": "token", "value": "{{access_token}}", "type": "string" }] },
        "protocolProfileBehavior": { "followRedirects": false },
        "event": [event("test", script)],
        "variable": variable,
        "item": items,
    })
}

fn event(listen: &str, script: impl IntoIterator<Item = String>) -> Value {
    json!({ "listen": listen, "script": { "type": "text/javascript", "exec": script.into_iter().collect::<Vec<_>>() } })
}

fn operations(openapi: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, item) in openapi["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if let Some(value) = item.get(method) {
                found.push(Operation { method, path, value });
            }
        }
    }
    found
}

/// `{id}` below `/notifications` is the variable `notification_id`; a name that says whose id it is stays.
fn path_variables(path: &str) -> Vec<(String, String)> {
    let segments: Vec<&str> = path.split('/').collect();
    let mut found = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            continue;
        };
        let thing = index.checked_sub(1).and_then(|before| segments.get(before)).unwrap_or(&"");
        let variable = if name.ends_with("_id") {
            name.to_owned()
        } else {
            format!("{}_{name}", thing.strip_suffix('s').unwrap_or(thing))
        };
        found.push((name.to_owned(), variable));
    }
    found
}

fn flow_folder(flow: &Flow) -> Value {
    json!({ "name": flow.title, "description": flow.description, "item": flow.requests.iter().map(flow_request).collect::<Vec<_>>() })
}

fn flow_request(request: &Request) -> Value {
    let mut headers = Vec::new();
    let mut described = Map::new();
    for (name, value) in &request.headers {
        if name == "Authorization" {
            described.insert("auth".into(), json!({ "type": "noauth" }));
        }
        if name != "Authorization" || value != "none" {
            headers.push(json!({ "key": name, "value": value }));
        }
    }
    if !request.body.is_empty() {
        if !request.headers.iter().any(|(name, _)| name == "Content-Type") {
            headers.push(json!({ "key": "Content-Type", "value": "application/json" }));
        }
        described.insert("body".into(), raw_body(&request.body));
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query: Vec<Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    described.insert("method".into(), json!(request.method));
    described.insert("header".into(), json!(headers));
    described.insert("url".into(), url(path, &query, &[]));
    described.insert("description".into(), json!(request.description));
    let mut events = Vec::new();
    if !request.before.is_empty() {
        events.push(event("prerequest", request.before.clone()));
    }
    if !request.after.is_empty() {
        events.push(event("test", request.after.clone()));
    }
    json!({ "name": request.name, "event": events, "request": described })
}

fn raw_body(text: &str) -> Value {
    json!({ "mode": "raw", "raw": text, "options": { "raw": { "language": "json" } } })
}

fn url(path: &str, query: &[Value], variables: &[Value]) -> Value {
    let shown: Vec<String> = query
        .iter()
        .filter(|pair| pair["disabled"] != true)
        .map(|pair| format!("{}={}", text(&pair["key"]), text(&pair["value"])))
        .collect();
    let raw = format!(
        "{{{{base_url}}}}{path}{}{}",
        if shown.is_empty() { "" } else { "?" },
        shown.join("&")
    );
    let mut url = json!({ "raw": raw, "host": ["{{base_url}}"], "path": path.trim_start_matches('/').split('/').collect::<Vec<_>>() });
    for (name, list) in [("query", query), ("variable", variables)] {
        if !list.is_empty() {
            url[name] = json!(list);
        }
    }
    url
}

/// What makes, reads and changes things; then what ends them, the inner before the outer; then what ends the session itself.
fn route_folders(openapi: &Value, operations: &[Operation<'_>], variables: &BTreeSet<String>) -> Vec<Value> {
    let last = |operation: &Operation<'_>| LAST.iter().any(|prefix| operation.path.starts_with(prefix));
    let folder = |name: &str, description: &str, chosen: Vec<&Operation<'_>>| {
        let items: Vec<Value> = chosen
            .into_iter()
            .map(|operation| route_request(openapi, operation, variables))
            .collect();
        json!({ "name": name, "description": description, "item": items })
    };
    let mut tags: BTreeMap<(usize, &str), Vec<&Operation<'_>>> = BTreeMap::new();
    for operation in operations
        .iter()
        .filter(|operation| operation.method != "delete" && !last(operation))
    {
        let tag = operation.value["tags"][0].as_str().unwrap_or("other");
        tags.entry((dependency(operations, tag), tag)).or_default().push(operation);
    }
    let mut used: Vec<Value> = Vec::new();
    for ((_, tag), mut chosen) in tags {
        chosen.sort_by_key(|operation| rank(operation));
        used.push(folder(tag, "", chosen));
    }
    let mut ended: Vec<_> = operations
        .iter()
        .filter(|operation| operation.method == "delete" && !last(operation))
        .collect();
    ended.sort_by_key(|operation| std::cmp::Reverse(operation.path.matches('/').count()));
    let mut account: Vec<_> = operations.iter().filter(|operation| last(operation)).collect();
    account.sort_by_key(|operation| (operation.method == "delete", rank(operation)));
    vec![
        json!({ "name": "Every route", "description": "Each route once, with the example of its description and the ids that were made on the \
            way. What a single request answers depends on what is there; that its answer is a described one does not.", "item": used }),
        folder("Every route: deletions", "", ended),
        folder("Every route: account", "They end the session, so they come last.", account),
    ]
}

/// Tags whose things live in others come after them: the fewest parameters that a creation needs.
fn dependency(operations: &[Operation<'_>], tag: &str) -> usize {
    operations
        .iter()
        .filter(|operation| operation.value["tags"][0] == tag && operation.value["responses"].get("201").is_some())
        .map(|operation| {
            let body = operation.value["requestBody"]["content"].to_string();
            operation.path.matches('{').count() + body.matches("_id\"").count()
        })
        .min()
        .unwrap_or(usize::MAX)
}

/// Make, read, change, and the verbs.
fn rank(operation: &Operation<'_>) -> (usize, usize) {
    let makes = operation.value["responses"].get("201").is_some();
    let order = METHODS
        .iter()
        .position(|method| *method == operation.method)
        .unwrap_or(METHODS.len());
    let order = if operation.method == "post" && !makes {
        METHODS.len()
    } else {
        order
    };
    (order, operation.path.matches('/').count())
}

fn route_request(openapi: &Value, operation: &Operation<'_>, variables: &BTreeSet<String>) -> Value {
    let Operation { method, path, value } = operation;
    let parameters: Vec<&Value> = value["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|found| resolve(openapi, found))
        .collect();
    let (query, headers) = (query_of(openapi, value, &parameters, variables), headers_of(&parameters));
    let describe = |name: &str| {
        parameters
            .iter()
            .find(|parameter| parameter["name"] == name)
            .map_or(Value::Null, |found| found["description"].clone())
    };
    let mut shown = (*path).to_owned();
    let mut path_values = Vec::new();
    for (name, variable) in path_variables(path) {
        shown = shown.replace(&format!("{{{name}}}"), &format!(":{name}"));
        path_values.push(json!({ "key": name, "value": format!("{{{{{variable}}}}}"), "description": describe(&name) }));
    }
    let words = [&value["summary"], &value["description"]].map(text).join("\n\n");
    let mut request = json!({
        "method": method.to_uppercase(),
        "description": words.trim(),
        "header": headers,
        "url": url(&shown, &query, &path_values),
    });
    let content = value["requestBody"]["content"].as_object();
    if let Some((kind, media)) = content.and_then(|content| content.get_key_value("application/json").or_else(|| content.iter().next())) {
        let example = media.get("example").cloned().or_else(|| first_example(media));
        let body = match example {
            Some(Value::String(plain)) => plain,
            Some(example) => serde_json::to_string_pretty(&with_variables(example, variables)).unwrap_or_default(),
            None => String::new(),
        };
        request["body"] = raw_body(&body);
        if let Some(list) = request["header"].as_array_mut() {
            list.push(json!({ "key": "Content-Type", "value": kind }));
        }
    }
    let security = value.get("security").or_else(|| openapi.get("security")).and_then(Value::as_array);
    if !security.into_iter().flatten().any(|one| one.get("bearer").is_some()) {
        request["auth"] = json!({ "type": "noauth" });
    }
    json!({ "name": format!("{} {path}", method.to_uppercase()), "request": request })
}

fn first_example(media: &Value) -> Option<Value> {
    Some(media["examples"].as_object()?.values().next()?["value"].clone())
}

fn query_of(openapi: &Value, operation: &Value, parameters: &[&Value], variables: &BTreeSet<String>) -> Vec<Value> {
    let streams = is_stream(operation);
    let listed = parameters.iter().filter(|parameter| parameter["in"] == "query");
    listed
        .map(|parameter| {
            let name = text(&parameter["name"]);
            let required = parameter["required"] == true;
            // An endless answer would end no run: it is asked for something that is not there.
            let value = if streams && required {
                "{{$guid}}".to_owned()
            } else if variables.contains(name) {
                format!("{{{{{name}}}}}")
            } else {
                sample(openapi, parameter)
            };
            let mut pair = json!({ "key": name, "value": value, "description": parameter["description"] });
            if !required {
                pair["disabled"] = json!(true);
            }
            pair
        })
        .collect()
}

fn is_stream(operation: &Value) -> bool {
    operation["responses"]["200"]["content"].get("text/event-stream").is_some()
}

/// A value that the parameter takes, as text.
fn sample(openapi: &Value, parameter: &Value) -> String {
    let mut schema = resolve(openapi, &parameter["schema"]);
    if let Some(item) = schema.get("items") {
        schema = resolve(openapi, item);
    }
    let value = [
        &parameter["example"],
        &schema["example"],
        &schema["examples"][0],
        &schema["default"],
        &schema["enum"][0],
        &schema["minimum"],
    ]
    .into_iter()
    .find(|value| !value.is_null());
    match (value, schema["format"].as_str()) {
        (Some(Value::String(plain)), _) => plain.clone(),
        (Some(value), _) => value.to_string(),
        (None, Some("uuid")) => "{{$guid}}".to_owned(),
        (None, Some("date-time")) => "2026-11-21T09:30:00Z".to_owned(),
        (None, Some("date")) => "2026-11-21".to_owned(),
        (None, _) => String::new(),
    }
}

fn headers_of(parameters: &[&Value]) -> Vec<Value> {
    let listed = parameters.iter().filter(|parameter| parameter["in"] == "header");
    listed
        .map(|parameter| {
            let name = text(&parameter["name"]);
            let required = parameter["required"] == true;
            let value = match name {
                "If-Match" => "*",
                "Idempotency-Key" => "{{$guid}}",
                _ => "",
            };
            let mut header = json!({ "key": name, "value": value, "description": parameter["description"] });
            // A workspace may demand both with every change.
            if !required && value.is_empty() {
                header["disabled"] = json!(true);
            }
            header
        })
        .collect()
}

/// Ids in examples become those that were made on the way.
fn with_variables(example: Value, variables: &BTreeSet<String>) -> Value {
    match example {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let known = value.is_string() && variables.contains(&name);
                    let value = if known {
                        json!(format!("{{{{{name}}}}}"))
                    } else {
                        with_variables(value, variables)
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| with_variables(item, variables)).collect()),
        other => other,
    }
}

/// `const CONTRACT`: a line per route with its answers, and a line per schema that they use.
fn contract(openapi: &Value, operations: &[Operation<'_>]) -> Vec<String> {
    let mut lines = vec!["const CONTRACT = { routes: {".to_owned()];
    let mut wanted = BTreeSet::new();
    for operation in operations {
        let mut answers = Map::new();
        for (status, response) in operation.value["responses"].as_object().into_iter().flatten() {
            let response = resolve(openapi, response);
            let content: Map<String, Value> = response["content"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(kind, media)| (kind.clone(), pruned(&media["schema"])))
                .collect();
            content.values().for_each(|schema| names(schema, &mut wanted));
            answers.insert(status.clone(), json!({ "headers": promised(status, response), "content": content }));
        }
        lines.push(format!(
            "{}: {},",
            json!(format!("{} {}", operation.method.to_uppercase(), operation.path)),
            Value::Object(answers)
        ));
    }
    lines.push("}, schemas: {".to_owned());
    let mut done = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        if done.insert(name.clone()) {
            let schema = pruned(&openapi["components"]["schemas"][&name]);
            names(&schema, &mut wanted);
            lines.push(format!("{}: {schema},", json!(name)));
        }
    }
    lines.push("} };".to_owned());
    lines
}

/// The described headers that every such answer has, whatever the configuration.
fn promised(status: &str, response: &Value) -> Vec<String> {
    let always: &[&str] = match status {
        "201" => &["Location", "ETag"],
        "304" => &["ETag"],
        "401" => &["WWW-Authenticate"],
        "405" => &["Allow"],
        "429" | "503" => &["Retry-After"],
        _ => &[],
    };
    let headers = response["headers"].as_object().into_iter().flatten();
    headers
        .map(|(name, _)| name.clone())
        .filter(|name| always.contains(&name.as_str()))
        .collect()
}

fn pruned(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(name, _)| !WORDS.contains(&name.as_str()))
                .map(|(name, value)| match (name.as_str(), value) {
                    // Their names are not words of the schema language.
                    ("properties", Value::Object(fields)) => {
                        let fields = fields.iter().map(|(field, schema)| (field.clone(), pruned(schema)));
                        (name.clone(), Value::Object(fields.collect()))
                    }
                    _ => (name.clone(), pruned(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

fn names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|path| path.strip_prefix("#/components/schemas/"))
            {
                found.insert(name.to_owned());
            }
            fields.values().for_each(|value| names(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

fn resolve<'a>(openapi: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => openapi.pointer(pointer).unwrap_or(node),
        None => node,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
