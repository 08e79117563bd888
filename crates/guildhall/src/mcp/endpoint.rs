//! `POST /mcp`: the Streamable HTTP transport behind the rules of every route.

use std::sync::Arc;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, header};
use kernel::{Error, Result};
use platform::Caller;
use platform::http::inside::Inside;
use platform::http::unasked::{self, QueryFree};
use platform::http::{Body, OpenApiRouter, Problem};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::catalog;
use super::server::Server;

/// What the protocol's own words for a refusal may take.
const MAX_REFUSAL_BYTES: usize = 4_096;

/// The server of the protocol.
pub struct Mcp {
    service: StreamableHttpService<Server, NeverSessionManager>,
    /// Pages that may ask.
    origins: Vec<String>,
}

impl Mcp {
    /// `document` describes the routes of `api`. Pages of `origins` may ask, those of others may not.
    pub fn new(document: &Value, api: Inside, origins: Vec<String>, max_body_bytes: usize) -> Arc<Self> {
        let server = Server::new(catalog::tools(document), api);
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            // The body has been read within bounds, and the origin checked, before this service sees the request.
            .with_max_request_body_bytes(max_body_bytes)
            .disable_allowed_hosts();
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config);
        Arc::new(Self { service, origins })
    }

    /// A page that the person never asked for must not speak for them, not even one whose name leads to this machine (DNS
    /// rebinding). Programs send no `Origin`.
    fn check_origin(&self, headers: &HeaderMap) -> Result<()> {
        let mut given = headers.get_all(header::ORIGIN).iter();
        if given.all(|origin| self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes())) {
            return Ok(());
        }
        Err(Error::forbidden("mcp.origin_refused", "Pages of this origin may not ask here."))
    }
}

/// The route and its description.
pub fn router() -> OpenApiRouter<Arc<Mcp>> {
    let described = OpenApiRouter::new().routes(routes!(send_message));
    let query_free = QueryFree::new(described.get_openapi());
    described.layer(from_fn_with_state(query_free, unasked::layer))
}

/// A number or a text, chosen by the client.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RpcId {
    Number(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for RpcId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Text(text)),
            other => {
                let number = other.as_i64().map(Self::Number);
                number.ok_or_else(|| D::Error::custom("must be text or a whole number, and no floating point number"))
            }
        }
    }
}

/// What is there must not be null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A message of JSON-RPC 2.0.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": { "name": "search_tasks", "arguments": { "q": "release notes" } }
}))]
pub(super) struct RpcMessage {
    #[schema(pattern = r"^2\.0$")]
    jsonrpc: String,
    /// Left out in notifications, which get no answer.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = RpcId, required = false)]
    id: Option<RpcId>,
    /// Such as `initialize`, `tools/list`, `tools/call`, `resources/read`.
    method: String,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    params: Option<Map<String, Value>>,
}

/// The answer to a message: `result` or `error`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [{ "type": "text", "text": "{}" }], "structuredContent": {}, "isError": false } }))]
pub(super) struct RpcAnswer {
    jsonrpc: String,
    id: Option<RpcId>,
    #[schema(value_type = Object, required = false)]
    result: Option<Value>,
    /// `code` and `message` by JSON-RPC; `data` is the problem document of the API where there is one.
    #[schema(value_type = Object, required = false)]
    error: Option<Value>,
}

/// Send a message of the Model Context Protocol
///
/// Tools and resources for assistants, over Streamable HTTP without sessions: each message is one request, and its answer is JSON. An
/// API key is enough; what a tool does needs the scope of the route it stands for.
#[utoipa::path(post, path = "/mcp", tag = "mcp", operation_id = "sendMcpMessage", request_body = RpcMessage,
    responses(
        (status = 200, description = "The answer. Errors of a tool are results with `isError`", body = RpcAnswer),
        (status = 202, description = "Taken: a notification gets no answer"),
        (status = 400, description = "No message of the protocol that can be answered, or of a version that is not spoken here"),
        (status = 403, description = "The page that asks is not of an allowed origin")))]
async fn send_message(
    State(mcp): State<Arc<Mcp>>,
    _: Caller,
    mut parts: Parts,
    Body(message): Body<RpcMessage>,
) -> Result<Response, Problem> {
    mcp.check_origin(&parts.headers)?;
    let body = Bytes::from(serde_json::to_vec(&message).map_err(Error::internal)?);
    if let Err(error) = serde_json::from_slice::<ClientJsonRpcMessage>(&body) {
        return Err(refused(&error.to_string()).into());
    }
    // Whoever takes JSON gets JSON; the protocol wants both kinds to be named.
    parts
        .headers
        .insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    parts.headers.remove(header::CONTENT_LENGTH);
    // Nobody prints it by accident.
    if let Some(token) = parts.headers.get_mut(header::AUTHORIZATION) {
        token.set_sensitive(true);
    }
    let request = Request::from_parts(parts, http_body_util::Full::new(body));
    let response = mcp.service.handle(request).await;
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let (status, response) = (response.status(), response.map(HttpBody::new));
    if status.is_client_error() && plain {
        let words = to_bytes(response.into_body(), MAX_REFUSAL_BYTES).await.unwrap_or_default();
        return Err(refused(&String::from_utf8_lossy(&words)).into());
    }
    Ok(response.into_response())
}

fn refused(words: &str) -> Error {
    Error::malformed(
        "mcp.message_refused",
        format!("This is no message of the protocol that can be answered: {words}"),
    )
}
