//! The AsyncAPI 3.0 document (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>), made from the code:
//! what `/v1/events` streams to people's programs, and the events that services exchange.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{EVENTS, EventKind};

/// The document, for `GET /asyncapi.json`. `version` is that of the program.
pub fn document(version: &str) -> Value {
    let mut schemas = BTreeMap::new();
    for event in EVENTS {
        (event.collect_schemas)(&mut schemas);
    }
    schemas.insert("PublicEnvelope".to_owned(), public_envelope());
    schemas.insert("Envelope".to_owned(), internal_envelope());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Guildhall events",
            "version": version,
            "description": "Live events of a workspace as server-sent events, and the events that services exchange. Every event is a \
                CloudEvents 1.0 object in its JSON format. Changes are additive only: ignore members and types you do not know. \
                Delivery is at least once: drop repeats by `id`. Events of one `subject` come in order.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": {
            "workspaceEvents": {
                "address": "/v1/events",
                "title": "Live events of a workspace",
                "description": "Server-sent events: `GET /v1/events?workspace_id=…` with `Authorization: Bearer …`. The event's name is its \
                    type; its `id` is a position to resume from with the header `Last-Event-ID`. A comment comes every few seconds \
                    when there is nothing to say.",
                "messages": references(public_messages().keys()),
                "bindings": { "http": {} },
            },
            "serviceEvents": {
                "address": null,
                "title": "Events between services",
                "description": "Written to the outbox of the service that announces them and relayed to consumers inside the installation. \
                    Not reachable from outside.",
                "messages": references(internal_messages().keys()),
            },
        },
        "operations": {
            "streamWorkspaceEvents": operation("workspaceEvents", public_messages().keys(),
                "The server sends what the caller may see in the workspace."),
            "relayServiceEvents": operation("serviceEvents", internal_messages().keys(),
                "The relay delivers each event to every consumer that wants its type."),
        },
        "components": {
            "messages": public_messages().into_iter().chain(internal_messages()).collect::<Map<_, _>>(),
            "schemas": schemas,
        },
    })
}

fn references<'a>(names: impl Iterator<Item = &'a String>) -> Value {
    names
        .map(|name| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") })))
        .collect::<Map<_, _>>()
        .into()
}

fn operation<'a>(channel: &str, names: impl Iterator<Item = &'a String>, summary: &str) -> Value {
    let messages: Vec<Value> = names
        .map(|name| json!({ "$ref": format!("#/channels/{channel}/messages/{name}") }))
        .collect();
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{channel}") },
        "summary": summary,
        "messages": messages,
    })
}

fn message(name: &str, envelope: &str, event: &EventKind) -> (String, Value) {
    let payload = json!({
        "allOf": [
            { "$ref": format!("#/components/schemas/{envelope}") },
            {
                "type": "object",
                "properties": {
                    "type": { "const": name },
                    "data": { "$ref": format!("#/components/schemas/{}", event.schema_name) },
                },
            },
        ],
    });
    let message = json!({ "name": name, "title": event.schema_name, "contentType": "application/json", "payload": payload });
    (name.to_owned(), message)
}

fn public_messages() -> Map<String, Value> {
    let mut messages: Map<String, Value> = EVENTS
        .iter()
        .filter_map(|event| event.public_type.map(|name| message(name, "PublicEnvelope", event)))
        .collect();
    let control =
        |name: &str, summary: &str, payload: Value| (name.to_owned(), json!({ "name": name, "summary": summary, "payload": payload }));
    let empty = || json!({ "type": "object" });
    messages.extend([
        control("ready", "The first message, when the stream stands.", empty()),
        control(
            "reset",
            "Instead of `ready`, when `Last-Event-ID` is unknown or too old: load everything again.",
            empty(),
        ),
        control(
            "end",
            "The last message; come back with a fresh token unless access was lost.",
            json!({
                "type": "object",
                "properties": { "reason": { "type": "string", "enum": ["access_lost", "expired", "restart"] } },
            }),
        ),
    ]);
    messages
}

fn internal_messages() -> Map<String, Value> {
    EVENTS.iter().map(|event| message(event.event_type, "Envelope", event)).collect()
}

/// Members that both envelopes share.
fn envelope(required: &[&str], extensions: Value) -> Value {
    let mut properties = json!({
        "specversion": { "type": "string", "const": "1.0" },
        "id": { "type": "string", "format": "uuid", "description": "The same fact always has the same id." },
        "source": { "type": "string", "format": "uri-reference", "examples": ["/services/tasks"] },
        "type": { "type": "string" },
        "subject": { "type": "string", "description": "Id of what the fact is about; facts about the same subject come in order." },
        "time": { "type": "string", "format": "date-time" },
        "datacontenttype": { "type": "string", "const": "application/json" },
        "data": { "type": "object", "description": "What happened; depends on `type`." },
    });
    if let (Value::Object(properties), Value::Object(extensions)) = (&mut properties, extensions) {
        properties.extend(extensions);
    }
    let mut all = vec!["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"];
    all.extend(required);
    json!({ "type": "object", "required": all, "properties": properties })
}

fn public_envelope() -> Value {
    envelope(
        &["workspaceid"],
        json!({
            "workspaceid": { "type": "string", "format": "uuid" },
            "actorid": { "type": "string", "format": "uuid", "description": "Who did it; absent when nobody in particular did." },
        }),
    )
}

fn internal_envelope() -> Value {
    envelope(
        &["actor"],
        json!({
            "workspaceid": { "type": "string", "format": "uuid", "description": "Absent for facts about a person alone." },
            "actor": {
                "oneOf": [
                    {
                        "type": "object",
                        "required": ["type", "user_id", "session_id"],
                        "properties": {
                            "type": { "const": "user" },
                            "user_id": { "type": "string", "format": "uuid" },
                            "session_id": { "type": "string", "format": "uuid" },
                        },
                    },
                    {
                        "type": "object",
                        "required": ["type", "user_id", "key_id"],
                        "properties": {
                            "type": { "const": "api_key" },
                            "user_id": { "type": "string", "format": "uuid" },
                            "key_id": { "type": "string", "format": "uuid" },
                        },
                    },
                    { "type": "object", "required": ["type"], "properties": { "type": { "enum": ["system", "anonymous"] } } },
                ],
            },
            "traceparent": { "type": "string", "description": "W3C trace context of the request that caused it." },
            "requestid": { "type": "string", "description": "Id of the request that caused it." },
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references_in(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|inner| references_in(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| references_in(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("1.2.3");
        let mut found = Vec::new();
        references_in(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("local");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn every_event_has_its_message_and_schema() {
        let document = document("1.2.3");
        assert_eq!(document["info"]["version"], "1.2.3");
        for event in EVENTS {
            let schema = &document["components"]["schemas"][event.schema_name];
            assert!(schema.is_object(), "{}", event.schema_name);
            let name = event.event_type;
            assert!(document["channels"]["serviceEvents"]["messages"][name].is_object(), "{name}");
            if let Some(name) = event.public_type {
                assert!(document["channels"]["workspaceEvents"]["messages"][name].is_object(), "{name}");
            }
        }
        assert_eq!(
            document["components"]["schemas"]["TaskDueSoon"]["allOf"][1]["properties"]["due_at"]["$ref"],
            "#/components/schemas/Timestamp"
        );
    }
}
