//! What generators of clients need beyond a correct document: names instead of repeated shapes, words for every
//! parameter, and the truth about versions and patches in one place.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// `Page_TaskItem` repeats the whole `TaskItem`, because utoipa inlines the arguments of generic types; it gets a reference.
pub(super) fn name_items(components: &mut Value) {
    let Some(schemas) = components["schemas"].as_object_mut() else {
        return;
    };
    let pages: Vec<String> = schemas.keys().filter(|name| name.starts_with("Page_")).cloned().collect();
    for page in pages {
        let item = page.trim_start_matches("Page_");
        if schemas.contains_key(item) {
            let reference = json!({ "$ref": format!("#/components/schemas/{item}") });
            schemas[&page]["properties"]["items"]["items"] = reference;
        }
    }
}

/// Every patch is taken as merge patch and, which means the same, as plain JSON.
pub(super) fn take_both_patches(operation: &mut Value) {
    let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(described) = content.values().next().cloned() else {
        return;
    };
    for kind in ["application/json", "application/merge-patch+json"] {
        content.entry(kind).or_insert_with(|| described.clone());
    }
}

/// Words for the parameters that mean the same everywhere and are described nowhere.
pub(super) fn describe_parameters(path: &str, operation: &mut Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter["description"].as_str().is_some_and(|text| !text.is_empty()) {
            continue;
        }
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let text = match (parameter["in"].as_str(), name.as_str()) {
            (Some("query"), "limit") => "Entries on a page; 50 when absent.".to_owned(),
            (Some("query"), "cursor") => "`next_cursor` of the page before, with the same filter and sort.".to_owned(),
            (Some("path"), "id") => format!("Id of the {}.", singular(path)),
            (Some("path"), _) => match name.strip_suffix("_id") {
                Some(thing) => format!("Id of the {thing}."),
                None => format!("The {}.", name.replace('_', " ")),
            },
            _ => continue,
        };
        parameter["description"] = json!(text);
    }
}

/// `/v1/notifications/{id}/read` -> `notification`
fn singular(path: &str) -> &str {
    let before = path.split("/{id}").next().unwrap_or_default();
    before.rsplit('/').next().unwrap_or_default().trim_end_matches('s')
}

/// A view that shows its `version` has it as `ETag` too.
pub(super) fn has_version(operation: &Value, schemas: &Value) -> bool {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let shape = named.map_or(schema, |name| &schemas[name]);
    shape["properties"]
        .as_object()
        .is_some_and(|fields: &Map<String, Value>| fields.contains_key("version"))
}

/// What was made comes with an `ETag` when reading the same thing does.
pub(super) fn etag_where_read(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let reference = |response: &Value| {
        response["content"]["application/json"]["schema"]["$ref"]
            .as_str()
            .map(str::to_owned)
    };
    let versioned: BTreeSet<String> = paths
        .values()
        .map(|item| &item["get"]["responses"]["200"])
        .filter(|response| response["headers"].get("ETag").is_some())
        .filter_map(reference)
        .collect();
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for made in item.values_mut().filter_map(|operation| operation.pointer_mut("/responses/201")) {
            if reference(made).is_some_and(|name| versioned.contains(&name)) {
                made["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_items() {
        let mut components = json!({ "schemas": {
            "Thing": { "type": "object" },
            "Page_Thing": { "properties": { "items": { "type": "array", "items": { "type": "object" } } } },
            "Page_Gone": { "properties": { "items": { "type": "array", "items": { "type": "string" } } } },
        } });
        name_items(&mut components);
        assert_eq!(
            components["schemas"]["Page_Thing"]["properties"]["items"]["items"],
            json!({ "$ref": "#/components/schemas/Thing" })
        );
        assert_eq!(components["schemas"]["Page_Gone"]["properties"]["items"]["items"]["type"], "string");
    }

    #[test]
    fn a_patch_is_described_in_both_media_types() {
        let mut operation = json!({ "requestBody": { "content": { "application/json": { "schema": { "type": "object" } } } } });
        take_both_patches(&mut operation);
        let content = &operation["requestBody"]["content"];
        assert_eq!(content["application/json"], content["application/merge-patch+json"]);
        let mut bodyless = json!({ "responses": {} });
        take_both_patches(&mut bodyless);
        assert_eq!(bodyless, json!({ "responses": {} }));
    }

    #[test]
    fn parameters_get_the_words_they_lack() {
        let mut operation = json!({ "parameters": [
            { "in": "path", "name": "id" },
            { "in": "path", "name": "task_id" },
            { "in": "query", "name": "limit", "description": "At most 10." },
            { "in": "query", "name": "cursor" },
            { "in": "query", "name": "colour" },
        ] });
        describe_parameters("/v1/notifications/{id}/read", &mut operation);
        let words = |at: usize| operation["parameters"][at]["description"].as_str();
        assert_eq!(words(0), Some("Id of the notification."));
        assert_eq!(words(1), Some("Id of the task."));
        assert_eq!(words(2), Some("At most 10."));
        assert!(words(3).is_some_and(|text| text.contains("next_cursor")));
        assert_eq!(words(4), None);
    }

    #[test]
    fn what_was_made_has_the_etag_of_what_is_read() {
        let body = |name: &str| json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } });
        let mut document = json!({ "paths": {
            "/boxes": { "post": { "responses": { "201": { "content": body("Box") } } } },
            "/boxes/{id}": { "get": { "responses": { "200": { "content": body("Box"), "headers": { "ETag": {} } } } } },
            "/secrets": { "post": { "responses": { "201": { "content": body("Secret") } } }, "get": { "responses": { "200": { "content": body("Secret") } } } },
        } });
        etag_where_read(&mut document);
        assert!(document["paths"]["/boxes"]["post"]["responses"]["201"]["headers"]["ETag"].is_object());
        assert!(document["paths"]["/secrets"]["post"]["responses"]["201"].get("headers").is_none());
    }

    #[test]
    fn a_version_means_an_etag() {
        let schemas = json!({ "Task": { "properties": { "version": {} } }, "Page": { "properties": { "items": {} } } });
        let answering = |name: &str| json!({ "responses": { "200": { "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } } } } });
        assert!(has_version(&answering("Task"), &schemas));
        assert!(!has_version(&answering("Page"), &schemas));
    }
}
