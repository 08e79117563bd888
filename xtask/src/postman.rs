//! The Postman collection: the flows of `xtask/postman/*.http`, every route of the API description once, and one script
//! that holds each answer to that description. All of them begin with the requests of `start.http`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::files_below;
use crate::http_file::{self, Flow, Request};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// How every flow begins; its first request signs somebody up.
const START: &str = "start.http";
const COLLECTION: &str = "docs/api/postman/guildhall.postman_collection.json";
const ENVIRONMENT: &str = "docs/api/postman/guildhall.postman_environment.json";
const BASE_URL: &str = "http://127.0.0.1:8080";
/// Stands for what no earlier request has made: well-formed, and nobody's.
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";
const METHODS: [&str; 5] = ["post", "get", "patch", "put", "delete"];
/// The account and the session that all other requests need.
const ACCOUNT: [&str; 3] = ["/v1/auth/", "/v1/me", "/v1/sessions"];
/// They end the session, the account, or what proves it, so nothing can come after them but a new start.
const GOODBYES: [(&str, &str); 6] = [
    ("put", "/v1/me/password"),
    ("delete", "/v1/sessions/{session_id}"),
    ("post", "/v1/auth/sign-out"),
    ("post", "/v1/auth/sign-out-all"),
    ("post", "/v1/me/disable"),
    ("delete", "/v1/me"),
];
/// Or the next start would hide that nothing was ended.
const GONE: &str = r#"pm.test("it is ended", () => pm.response.to.have.status(204));"#;
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
    let start = flow(&folder.join(START))?;
    let mut flows = Vec::new();
    for file in files_below(&folder, "http") {
        if !file.ends_with(START) {
            flows.push(flow(&file)?);
        }
    }
    let environment = json!({
        "name": "Guildhall on this machine",
        "_postman_variable_scope": "environment",
        "values": [{ "key": "base_url", "value": BASE_URL, "type": "default", "enabled": true }],
    });
    Ok(vec![
        (PathBuf::from(COLLECTION), pretty(&collection(openapi, &start, &flows, &check))?),
        (PathBuf::from(ENVIRONMENT), pretty(&environment)?),
    ])
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn flow(file: &Path) -> Result<Flow, String> {
    http_file::parse(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))
}

fn pretty(value: &Value) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn collection(openapi: &Value, start: &Flow, flows: &[Flow], check: &str) -> Value {
    let operations = operations(openapi);
    let start: Vec<Value> = start.requests.iter().map(flow_request).collect();
    let mut variables: BTreeSet<String> = operations
        .iter()
        .flat_map(|operation| path_variables(operation.path).into_iter().map(|(_, variable)| variable))
        .collect();
    // No path names it, but the start makes it.
    variables.insert("refresh_token".to_owned());
    let mut items: Vec<Value> = flows.iter().map(|flow| flow_folder(&start, flow)).collect();
    items.push(routes_folder(openapi, &operations, &variables, &start));
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
            "description": "Flows first, then every route once. Each folder can be run alone: it begins with somebody who signs up. \
                Generated from the API description by `cargo xtask docs`; the flows are in `xtask/postman`.",
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

fn flow_folder(start: &[Value], flow: &Flow) -> Value {
    let mut items = start.to_vec();
    items.extend(flow.requests.iter().map(flow_request));
    json!({ "name": flow.title, "description": flow.description, "item": items })
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

/// What makes, reads and changes things; then what ends them, the inner before the outer; then the account, and its end last of all.
fn routes_folder(openapi: &Value, operations: &[Operation<'_>], variables: &BTreeSet<String>, start: &[Value]) -> Value {
    let request = |operation: &Operation<'_>| route_request(openapi, operation, variables);
    let folder = |name: &str, description: &str, items: Vec<Value>| json!({ "name": name, "description": description, "item": items });
    let of_account = |operation: &Operation<'_>| ACCOUNT.iter().any(|prefix| operation.path.starts_with(prefix));
    let says_goodbye = |operation: &Operation<'_>| GOODBYES.contains(&(operation.method, operation.path));
    // What is archived takes no more changes.
    let ends = |operation: &Operation<'_>| operation.method == "delete" || operation.path.ends_with("/archive");
    let mut tags: BTreeMap<(usize, &str), Vec<&Operation<'_>>> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| !ends(operation) && !of_account(operation)) {
        let tag = tag(operation);
        tags.entry((dependency(operations, tag), tag)).or_default().push(operation);
    }
    let mut items = start.to_vec();
    for ((_, tag), mut chosen) in tags {
        chosen.sort_by_key(|operation| rank(operation));
        items.push(folder(tag, "", chosen.into_iter().map(request).collect()));
    }
    let mut ended: Vec<_> = operations
        .iter()
        .filter(|operation| ends(operation) && !of_account(operation))
        .collect();
    ended.sort_by_key(|operation| {
        let depth = operation.path.matches('/').count();
        std::cmp::Reverse((depth, dependency(operations, tag(operation))))
    });
    items.push(folder("deletions", "", ended.into_iter().map(request).collect()));
    let mut account: Vec<_> = operations
        .iter()
        .filter(|operation| of_account(operation) && !says_goodbye(operation))
        .collect();
    account.sort_by_key(|operation| (operation.method == "delete", rank(operation)));
    items.push(folder("account", "", account.into_iter().map(request).collect()));
    let mut goodbyes: Vec<Value> = Vec::new();
    for (method, path) in GOODBYES {
        for operation in operations
            .iter()
            .filter(|operation| (operation.method, operation.path) == (method, path))
        {
            if !goodbyes.is_empty() {
                goodbyes.extend(start.first().cloned());
            }
            let mut item = request(operation);
            item["event"] = json!([event("test", [GONE.to_owned()])]);
            goodbyes.push(item);
        }
    }
    let words = "Each ends the session or the account, or changes its password, so that somebody new signs up for the next.";
    items.push(folder("goodbyes", words, goodbyes));
    let words = "Each route once, with the example of its description and the ids that were made on the way. What a single request answers \
        depends on what is there; that its answer is a described one does not, and nothing that is sent with an access token may be \
        answered as if it had none. Run it as a whole: the folders in it need those before them.";
    folder("Every route", words, items)
}

fn tag<'a>(operation: &Operation<'a>) -> &'a str {
    operation.value["tags"][0].as_str().unwrap_or("other")
}

/// Tags whose things live in others come after them: the fewest parameters that a creation needs, where an id in the path says more
/// about where a thing lives than one in the body.
fn dependency(operations: &[Operation<'_>], name: &str) -> usize {
    operations
        .iter()
        .filter(|operation| tag(operation) == name && operation.value["responses"].get("201").is_some())
        .map(|operation| {
            let body = operation.value["requestBody"]["content"].to_string();
            2 * operation.path.matches('{').count() + body.matches("_id\"").count()
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
