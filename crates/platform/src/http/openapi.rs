//! Completes the OpenAPI 3.1 document that utoipa collects from the handlers with all that holds for every route:
//! error answers, headers, conditional requests, `Idempotency-Key`, examples. And a lint that finds what is missing.

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use super::openapi_shapes::{describe_parameters, etag_where_read, has_version, name_items, take_both_patches};
use super::problem::{PROBLEM_TYPES, ProblemDocument, problem_type};
use super::router::COLLISIONS;
use super::scopes::Opening;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// Schemas may refer to themselves; examples end here.
const MAX_EXAMPLE_DEPTH: usize = 16;

/// Adds what the HTTP kit does for every operation. Idempotent.
#[must_use]
pub fn complete(mut document: Value) -> Value {
    document["openapi"] = json!("3.1.0");
    let components = &mut document["components"];
    components["securitySchemes"]["bearer"] = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "Access token from `/v1/auth/sign-in`, `/v1/auth/register` or `/v1/auth/refresh`; valid for 15 minutes."
    });
    components["securitySchemes"]["api_key"] = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "ghl_<id>_<secret><checksum>",
        "description": "API key from `POST /v1/api-keys`, in the same header. The scope that a route needs stands beside the scheme's name; routes without one are closed to keys."
    });
    components["schemas"]["Problem"] = schema_of::<ProblemDocument>();
    components["schemas"]["FieldError"] = schema_of::<kernel::FieldError>();
    add_error_responses(components);
    add_headers(components);
    name_items(components);
    document["security"] = json!([{ "bearer": [] }]);
    let schemas = document["components"]["schemas"].clone();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete_operation(path, method, operation, &schemas);
                }
            }
        }
    }
    etag_where_read(&mut document);
    document
}

fn schema_of<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap_or_default()
}

/// One reusable answer per problem kind, `#/components/responses/Problem404`.
fn add_error_responses(components: &mut Value) {
    for (kind, text) in PROBLEM_TYPES {
        let status = kind.http_status();
        let headers: Map<String, Value> = sent_with(status).map(|name| (name.to_owned(), header(name))).collect();
        let code = match status {
            400 => "request.query_invalid",
            401 => "auth.required",
            404 => "request.not_found",
            408 => "request.body_timeout",
            413 => "request.too_large",
            414 => "request.uri_too_long",
            431 => "request.headers_too_large",
            412 => "request.version_mismatch",
            415 => "request.unsupported_media_type",
            422 => "request.invalid",
            428 => "request.if_match_required",
            429 => "request.rate_limited",
            503 => "service.unavailable",
            500 => "internal",
            _ => "request.refused",
        };
        let mut example = json!({
            "type": format!("/problems/{}", problem_type(*kind)), "title": kind.title(), "status": status,
            "detail": text, "instance": "/v1/tasks", "code": code, "request_id": "0198c1f2a7c47d0b9a35e3a1c4f0b6d2"
        });
        if status == 422 {
            example["errors"] = json!([{ "pointer": "/title", "code": "required", "detail": "is required" }]);
        }
        components["responses"][format!("Problem{status}")] = json!({
            "description": format!("{}. {text}", kind.title()),
            "headers": headers,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "example": example } }
        });
    }
}

fn add_headers(components: &mut Value) {
    let headers = [
        (
            "X-Request-Id",
            "string",
            "Id of this request; accepted from the client when it matches `[A-Za-z0-9._-]{1,64}`.",
        ),
        (
            "ETag",
            "string",
            "Strong entity tag of the returned version; send it back in `If-Match`.",
        ),
        ("Location", "string", "Path of what was created."),
        ("Retry-After", "integer", "Seconds to wait."),
        (
            "RateLimit",
            "string",
            "Policy name, remaining requests `r` and seconds until more are allowed `t`.",
        ),
        ("RateLimit-Policy", "string", "Policy name, quota `q` and window `w` in seconds."),
        (
            "WWW-Authenticate",
            "string",
            "The Bearer challenge (RFC 6750); on 403 only where an API key lacks a scope.",
        ),
        ("Allow", "string", "Methods that the route has."),
        ("Accept", "string", "Content types that the route takes."),
        (
            "Accept-Patch",
            "string",
            "Content types that the route takes as a patch (RFC 5789); on PATCH only.",
        ),
        (
            "Cache-Control",
            "string",
            "`no-store` where nothing may be kept, otherwise `private, no-cache`: a copy is asked about before it is used.",
        ),
        ("Content-Disposition", "string", "The name to save the file under."),
        (
            "Set-Cookie",
            "string",
            "With `delivery: cookie`, or where a cookie was sent: a `__Host-` cookie is set, or cleared by `Max-Age=0`.",
        ),
        ("traceparent", "string", "The request's place in its trace (W3C Trace Context)."),
        (
            "Idempotency-Replayed",
            "string",
            "`true` when the answer is the stored one of an earlier request with the same key.",
        ),
    ];
    for (name, kind, text) in headers {
        components["headers"][name] = json!({ "description": text, "schema": { "type": kind } });
    }
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The headers that an answer with this status may have on any route. What is refused before the rates are asked does not
/// say them.
fn sent_with(status: u16) -> impl Iterator<Item = &'static str> {
    let rates: &[&str] = match status {
        406 | 408 | 413 | 414 | 431 | 504 => &[],
        _ => &["RateLimit", "RateLimit-Policy"],
    };
    let own: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        415 => &["Accept", "Accept-Patch"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    ["X-Request-Id", "traceparent", "Cache-Control"]
        .into_iter()
        .chain(rates.iter().copied())
        .chain(own.iter().copied())
}

/// Routes that may put a secret into a cookie, or clear it.
fn sets_cookie(path: &str, method: &str) -> bool {
    match path.strip_prefix("/v1/auth/") {
        Some("register" | "sign-in" | "second-factor" | "setup" | "refresh" | "sign-out" | "sign-out-all") => true,
        Some(rest) => rest.ends_with("/authorization") || rest.ends_with("/callback"),
        None => path == "/v1/me/external-identities" && method == "post",
    }
}

/// Routes that answer with a file.
fn is_file(path: &str) -> bool {
    path.ends_with("/export") || path.starts_with("/v1/calendar/")
}

fn complete_operation(path: &str, method: &str, operation: &mut Value, schemas: &Value) {
    let public = operation
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|one| one.as_object().is_some_and(Map::is_empty)));
    if !public {
        let tag = operation["tags"].get(0).and_then(Value::as_str).unwrap_or_default();
        operation["security"] = match super::scopes::opening(tag, method, path) {
            Opening::Scope(scope) => json!([{ "bearer": [] }, { "api_key": [scope] }]),
            Opening::AnyKey => json!([{ "bearer": [] }, { "api_key": [] }]),
            Opening::People => json!([{ "bearer": [] }]),
        };
    }
    let has_body = operation.get("requestBody").is_some();
    let mut statuses = vec!["400", "406", "414", "429", "431", "500", "503", "504"];
    if has_body {
        statuses.extend(["408", "413", "415", "422"]);
    }
    if !public {
        statuses.extend(["401", "403"]);
    }
    if path.contains('{') {
        statuses.push("404");
    }
    // Routes under /v1/auth answer with credentials, which are never stored; those outside /v1 keep nothing of their own.
    let idempotency = matches!(method, "post" | "patch") && !public && path.starts_with("/v1/") && !path.starts_with("/v1/auth/");
    if idempotency {
        statuses.extend(["409", "413", "422"]);
        add_parameter(
            operation,
            "Idempotency-Key",
            "Makes a repeated request safe for 24 hours: it answers what the first one answered.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }),
        );
    }
    let declared = |operation: &Value, status: &str| operation["responses"].get(status).is_some();
    if declared(operation, "412") || declared(operation, "428") {
        statuses.push("412");
    }
    // A POST to a path that names nothing has no one version; a batch carries the versions in its body.
    let one_version = method != "post" || path.contains('{');
    if one_version && statuses.contains(&"412") {
        add_parameter(
            operation,
            "If-Match",
            "ETag of the version you read; the change is refused with 412 when there is a newer one.",
            json!({ "type": "string" }),
        );
    }
    if method == "patch" {
        take_both_patches(operation);
    }
    // A change takes no `If-None-Match`.
    if matches!(method, "put" | "patch" | "delete") && !public {
        statuses.push("412");
    }
    describe_parameters(path, operation);
    if has_version(operation, schemas) {
        operation["responses"]["200"]["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
    }
    if method == "get" && success_has_etag(operation) {
        add_parameter(
            operation,
            "If-None-Match",
            "ETag of the copy you hold; 304 when it is current.",
            json!({ "type": "string" }),
        );
        operation["responses"]["304"] =
            json!({ "description": "Your copy is current.", "headers": { "ETag": { "$ref": "#/components/headers/ETag" } } });
    }
    for status in statuses {
        if !declared(operation, status) {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/Problem{status}") });
        }
    }
    complete_responses((path, method), operation, idempotency, schemas);
    if let Some(content) = operation.get_mut("requestBody").and_then(|body| body.get_mut("content")) {
        add_examples(content, schemas);
    }
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation.get("parameters").and_then(Value::as_array).into_iter().flatten()
}

fn add_parameter(operation: &mut Value, name: &str, text: &str, schema: Value) {
    if parameters(operation).any(|parameter| parameter["name"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name))) {
        return;
    }
    if !operation.get("parameters").is_some_and(Value::is_array) {
        operation["parameters"] = json!([]);
    }
    if let Some(list) = operation["parameters"].as_array_mut() {
        list.push(json!({ "name": name, "in": "header", "required": false, "description": text, "schema": schema }));
    }
}

/// A handler says so by declaring the `ETag` header on its success, or by answering with a `version`.
fn success_has_etag(operation: &Value) -> bool {
    operation["responses"]["200"]["headers"].get("ETag").is_some()
}

fn complete_responses((path, method): (&str, &str), operation: &mut Value, idempotency: bool, schemas: &Value) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses {
        if response.get("$ref").is_some() {
            continue;
        }
        let code = status.parse::<u16>().unwrap_or(500);
        let headers = &mut response["headers"];
        for name in sent_with(code) {
            // A route may say more of its own.
            if headers.get(name).is_none() {
                headers[name] = header(name);
            }
        }
        // A refresh token that is no good is taken away, and a sign-in that failed at its provider ends.
        if sets_cookie(path, method) && (code < 400 || code == 401 || path.ends_with("/callback")) {
            response["headers"]["Set-Cookie"] = header("Set-Cookie");
        }
        if status.starts_with('2') {
            if is_file(path) {
                response["headers"]["Content-Disposition"] = header("Content-Disposition");
            }
            // A session is no resource that could be read again.
            if status == "201" && !path.starts_with("/v1/auth/") {
                response["headers"]["Location"] = header("Location");
            }
            if idempotency {
                response["headers"]["Idempotency-Replayed"] = header("Idempotency-Replayed");
            }
        }
        let is_error = status.starts_with('4') || status.starts_with('5');
        if is_error {
            let description = response["description"].clone();
            let title = PROBLEM_TYPES
                .iter()
                .find(|(kind, _)| kind.http_status() == code)
                .map_or("Problem", |(kind, _)| kind.title());
            let slug = PROBLEM_TYPES
                .iter()
                .find(|(kind, _)| kind.http_status() == code)
                .map_or("internal-error", |(kind, _)| problem_type(*kind));
            // A handler may describe a form of its own, where a protocol demands it; a layer before it still answers ours.
            if let Some(content) = response.get_mut("content") {
                add_examples(content, schemas);
            }
            response["content"]["application/problem+json"] = json!({
                "schema": { "$ref": "#/components/schemas/Problem" },
                "example": { "type": format!("/problems/{slug}"), "title": title, "status": code, "detail": description, "code": "see.description", "request_id": "0198c1f2a7c47d0b9a35e3a1c4f0b6d2" }
            });
        } else if let Some(content) = response.get_mut("content") {
            add_examples(content, schemas);
        }
    }
}

/// Gives every JSON body an example, made from the examples of its fields.
fn add_examples(content: &mut Value, schemas: &Value) {
    let Some(kinds) = content.as_object_mut() else { return };
    for (kind, media) in kinds {
        if kind.contains("json") && media.get("example").is_none() && media.get("examples").is_none() {
            let example = example_of(&media["schema"], schemas, 0);
            media["example"] = example;
        }
    }
}

fn example_of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(example) = schema.get("examples").and_then(|all| all.get(0)) {
        return example.clone();
    }
    if depth > MAX_EXAMPLE_DEPTH {
        return Value::Null;
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return example_of(&schemas[name], schemas, depth + 1);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        let mut merged = Map::new();
        for part in all {
            if let Value::Object(map) = example_of(part, schemas, depth + 1) {
                merged.extend(map);
            }
        }
        return Value::Object(merged);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(options) = schema.get(choice).and_then(Value::as_array) {
            let chosen = options.iter().find(|option| option["type"] != "null");
            return chosen.map_or(Value::Null, |option| example_of(option, schemas, depth + 1));
        }
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ => "object",
    };
    match kind {
        "string" => json!(match schema["format"].as_str() {
            Some("uuid") => "0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2",
            Some("date-time") => "2026-11-21T09:30:00Z",
            Some("date") => "2026-11-21",
            Some("email") => "ada@example.com",
            Some("uri") => "https://guildhall.example.com",
            _ => "text",
        }),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "array" => json!([example_of(&schema["items"], schemas, depth + 1)]),
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(
                properties
                    .map(|(name, field)| (name.clone(), example_of(field, schemas, depth + 1)))
                    .collect(),
            )
        }
        _ => Value::Null,
    }
}

/// What a reader or a generator of clients would miss; empty when the document is complete.
pub fn lint(document: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let mut miss = |what: &str| findings.push(format!("{} {path}: {what}", method.to_uppercase()));
            match operation["operationId"].as_str() {
                Some(id) if !ids.insert(id.to_owned()) => miss("operationId is used twice"),
                Some(_) => {}
                None => miss("no operationId"),
            }
            if operation["tags"].as_array().is_none_or(Vec::is_empty) {
                miss("no tag");
            }
            if operation["summary"].as_str().is_none_or(str::is_empty) {
                miss("no summary");
            }
            let responses = operation["responses"].as_object();
            if !responses.is_some_and(|all| all.keys().any(|status| status.starts_with('2') || status.starts_with('3'))) {
                miss("no success response");
            }
            let declared: Vec<&str> = parameters(operation)
                .filter(|p| p["in"] == "path")
                .filter_map(|p| p["name"].as_str())
                .collect();
            for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                if !declared.contains(&name) {
                    miss(&format!("path parameter {name} is not described"));
                }
            }
        }
    }
    for name in document[COLLISIONS].as_array().into_iter().flatten().filter_map(Value::as_str) {
        findings.push(format!("schema {name}: two of this name"));
    }
    find_dangling(document, document, "#", &mut findings);
    findings
}

fn find_dangling(node: &Value, document: &Value, place: &str, findings: &mut Vec<String>) {
    match node {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str)
                && reference
                    .strip_prefix('#')
                    .is_none_or(|pointer| document.pointer(pointer).is_none())
            {
                findings.push(format!("{place}: {reference} leads nowhere"));
            }
            for (key, value) in map {
                find_dangling(value, document, &format!("{place}/{key}"), findings);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                find_dangling(value, document, &format!("{place}/{index}"), findings);
            }
        }
        _ => {}
    }
}
