//! The tools, held to the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::catalog;
use super::schema;

async fn document() -> Value {
    crate::openapi::document().await.expect("a document")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_is_an_operation_and_says_what_it_needs() {
    let document = document().await;
    let tools = catalog::tools(&document);
    let made: Vec<&str> = tools.iter().map(|tool| tool.described.name.as_ref()).collect();
    assert_eq!(made, catalog::names(), "an operation that the document does not have");
    for tool in &tools {
        let name = &tool.described.name;
        let input = &tool.described.input_schema;
        let text = serde_json::to_string(input).expect("JSON");
        assert!(
            !text.contains("$ref") && !text.contains("\\x00") && !text.contains("(?"),
            "{name}: {text}"
        );
        let properties: BTreeSet<&str> = input["properties"]
            .as_object()
            .expect("properties")
            .keys()
            .map(String::as_str)
            .collect();
        for needed in input["required"].as_array().expect("a list") {
            assert!(
                properties.contains(needed.as_str().expect("a name")),
                "{name}: {needed} is required and not there"
            );
        }
        // One name has one meaning.
        let in_query = tool.in_query.iter().map(|parameter| &parameter.name);
        let all: Vec<&String> = tool.in_path.iter().chain(in_query).chain(&tool.in_body).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{name}: {all:?}");
        for (argument, described) in input["properties"].as_object().expect("properties") {
            let told = described.get("description").is_some() || described.get("enum").is_some() || tool.in_body.contains(argument);
            assert!(told, "{name}: {argument} is not described");
        }
        assert_eq!(
            tool.described.output_schema.as_ref().expect("an output schema")["type"],
            "object",
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_change_say_so_and_take_the_version_that_was_read() {
    let tools = catalog::tools(&document().await);
    for tool in &tools {
        let hints = tool.described.annotations.as_ref().expect("annotations");
        assert_eq!(
            hints.read_only_hint,
            Some(tool.method == http::Method::GET),
            "{}",
            tool.described.name
        );
        assert_eq!(hints.open_world_hint, Some(false));
    }
    let find = |name: &str| tools.iter().find(|tool| tool.described.name == name).expect("a tool");
    let update = find("update_task");
    assert!(update.versioned && update.described.input_schema["properties"]["version"].is_object());
    assert_eq!(
        update.described.annotations.as_ref().expect("annotations").destructive_hint,
        Some(true)
    );
    let complete = find("complete_task").described.annotations.clone().expect("annotations");
    assert_eq!((complete.destructive_hint, complete.idempotent_hint), (Some(false), Some(true)));
    assert_eq!(
        find("create_task").described.input_schema["required"],
        json!(["project_id", "title"])
    );
    assert_eq!(find("search_tasks").described.input_schema["required"], json!(["q"]));
    assert!(find("list_tasks").described.input_schema["properties"].get("fields").is_none());
}

#[test]
fn schemas_lose_references_and_what_a_model_cannot_use() {
    let document = json!({ "components": { "schemas": {
        "Id": { "type": "string", "format": "uuid", "description": "Any id." },
        "Loop": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Loop" } } },
    } } });
    let given = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Id" }, "example": ["x"] });
    let wanted =
        json!({ "type": "array", "items": { "type": "string", "format": "uuid", "description": "Any id." }, "description": "These." });
    assert_eq!(schema::argument(&given, &document, Some("These.")), wanted);
    let text = json!({ "type": "string", "pattern": "^[^\\x00]*$" });
    assert!(schema::argument(&text, &document, None).get("pattern").is_none());
    // A member may be called as a word of JSON Schema is.
    let task = json!({ "type": "object", "properties": { "description": { "type": "string", "description": "Markdown." } } });
    let wanted = json!({ "type": "object", "properties": { "description": { "type": "string" } } });
    assert_eq!(schema::whole(&task, &document), wanted);
    // Ends.
    assert!(schema::whole(&json!({ "$ref": "#/components/schemas/Loop" }), &document)["properties"]["next"].is_object());
}
