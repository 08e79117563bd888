//! A tool's arguments as a request to the API, and its answer as the tool's.

use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, StatusCode, header};
use kernel::ids::Uuid;
use platform::http::inside::{Answer, Inside};
use serde_json::{Map, Value, json};
use url::Url;

use super::catalog::Tool;

/// Why there is no result, in the words of the API's problem documents.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub document: Value,
}

impl Refusal {
    fn argument(name: &str, code: &str, detail: &str) -> Self {
        let detail = json!({ "pointer": format!("/{name}"), "code": code, "detail": detail });
        let document = json!({
            "code": "request.invalid",
            "detail": "One or more arguments are not acceptable; see errors.",
            "status": 422,
            "errors": [detail],
        });
        Self { status: 422, document }
    }

    pub fn code(&self) -> &str {
        self.document["code"].as_str().unwrap_or_default()
    }

    pub fn detail(&self) -> &str {
        self.document["detail"].as_str().unwrap_or_default()
    }
}

/// Of a path with its query.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Our own failure; it is logged where it arises.
fn internal() -> Refusal {
    let document = json!({ "code": "internal", "detail": "Something went wrong on our side.", "status": 500 });
    Refusal { status: 500, document }
}

/// The API on behalf of one message.
pub struct Caller<'a> {
    pub api: &'a Inside,
    pub outer: &'a Parts,
}

impl Caller<'_> {
    /// Calls a tool; `null` where the API answers nothing.
    pub async fn tool(&self, tool: &Tool, mut arguments: Map<String, Value>) -> Result<Value, Refusal> {
        let known = |name: &str| tool.described.input_schema["properties"].get(name).is_some();
        if let Some(name) = arguments.keys().find(|name| !known(name)) {
            return Err(Refusal::argument(name, "unknown_field", "is not a known argument"));
        }
        let mut path = tool.path.clone();
        for name in &tool.in_path {
            let given = arguments.remove(name);
            let given = given
                .as_ref()
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Refusal::argument(name, "required", "is required, as text"))?;
            let id = if name == "task_id" {
                self.task_id(given).await?
            } else {
                given.to_owned()
            };
            path = path.replace(&format!("{{{name}}}"), &segment(&id));
        }
        let mut query = Vec::new();
        for parameter in &tool.in_query {
            match arguments.remove(&parameter.name) {
                Some(Value::Null) | None => query.extend(parameter.fixed.map(|fixed| (parameter.name.as_str(), fixed.to_owned()))),
                Some(given) => query.push((parameter.name.as_str(), query_text(&parameter.name, &given)?)),
            }
        }
        let version = tool.versioned.then(|| arguments.remove("version")).flatten();
        let mut request = Request::builder().method(tool.method.clone());
        match version {
            None | Some(Value::Null) => {}
            Some(version) => {
                let number = version
                    .as_i64()
                    .ok_or_else(|| Refusal::argument("version", "invalid", "is no integer"))?;
                request = request.header(header::IF_MATCH, format!("\"{number}\""));
            }
        }
        let body = if tool.in_body.is_empty() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(Value::Object(arguments).to_string())
        };
        let request = request.uri(target(&path, &query)?).body(body).map_err(|_| internal())?;
        self.ask(request).await
    }

    /// A GET of the API.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Refusal> {
        let request = Request::builder().method(Method::GET).uri(target(path, query)?).body(Body::empty());
        self.ask(request.map_err(|_| internal())?).await
    }

    async fn ask(&self, request: Request<Body>) -> Result<Value, Refusal> {
        let answer = self.api.ask(self.outer, request).await.map_err(|error| {
            tracing::error!(%error, "a tool could not ask the API");
            internal()
        })?;
        read(&answer)
    }

    /// The id of a task that is named by its id or by its key.
    pub async fn task_id(&self, named: &str) -> Result<String, Refusal> {
        if Uuid::try_parse(named).is_ok() || !is_key(named) {
            return Ok(named.to_owned());
        }
        let query = [
            ("key", named.to_owned()),
            ("fields", "id,key,workspace_id".to_owned()),
            ("archived", "any".to_owned()),
            ("limit", "50".to_owned()),
        ];
        let page = self.get("/v1/tasks", &query).await?;
        let found: Vec<&Value> = page["items"].as_array().into_iter().flatten().collect();
        match found.as_slice() {
            // The API says what it says of a task that is not there.
            [] => Ok(named.to_owned()),
            [task] => Ok(task["id"].as_str().unwrap_or(named).to_owned()),
            several => {
                let ids: Vec<&str> = several.iter().filter_map(|task| task["id"].as_str()).collect();
                let detail = format!("is the key of tasks in several workspaces; name one by its id: {}", ids.join(", "));
                Err(Refusal::argument("task_id", "ambiguous", &detail))
            }
        }
    }
}

/// `ABC-123`, as the API reads it.
fn is_key(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(project, number)| {
        (1..=16).contains(&project.len())
            && project.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && (1..=18).contains(&number.len())
            && !number.starts_with('0')
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn read(answer: &Answer) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if answer.status.is_success() {
        return Ok(body);
    }
    if !body.is_object() {
        return Err(internal());
    }
    let mut document = body;
    // Where to look it up means something at the API only; when to come back is a header there.
    if let Value::Object(map) = &mut document {
        for name in ["type", "title", "instance"] {
            map.remove(name);
        }
        if let Some(seconds) = answer
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        {
            map.insert("retry_after_seconds".into(), json!(seconds));
        }
        if answer.status == StatusCode::PRECONDITION_REQUIRED {
            map.insert(
                "detail".into(),
                json!("This workspace demands the `version` you read, so that you do not overwrite somebody else's change."),
            );
        }
    }
    Err(Refusal {
        status: answer.status.as_u16(),
        document,
    })
}

/// One segment of a path, percent-encoded.
pub fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn target(path: &str, query: &[(&str, String)]) -> Result<String, Refusal> {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        serializer.append_pair(name, value);
    }
    let query = serializer.finish();
    let target = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    // Longer ones the API refuses with the same words, and far longer ones are no URI at all.
    if target.len() > MAX_TARGET_BYTES {
        let detail = "What is asked for is too long.";
        let document = json!({ "code": "request.uri_too_long", "detail": detail, "status": 414 });
        return Err(Refusal { status: 414, document });
    }
    Ok(target)
}

/// Lists of the API are `a,b`.
fn query_text(name: &str, value: &Value) -> Result<String, Refusal> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    };
    let text = match value {
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| plain(item).filter(|text| !text.contains(','))).collect();
            items.map(|items| items.join(","))
        }
        other => plain(other),
    };
    text.ok_or_else(|| Refusal::argument(name, "invalid", "is neither text, number, truth value nor a list of them"))
}

/// What a `guildhall://` URI names: the kind and the rest.
pub fn resource(uri: &str) -> Option<(String, Vec<String>)> {
    let url = Url::parse(uri)
        .ok()
        .filter(|url| url.scheme() == "guildhall" && url.query().is_none() && url.fragment().is_none())?;
    let kind = url.host_str()?.to_owned();
    let rest: Vec<String> = url.path_segments()?.map(str::to_owned).collect();
    (!rest.iter().any(String::is_empty)).then_some((kind, rest))
}
