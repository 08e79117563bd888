//! JSON Schemas of tools out of those of the OpenAPI 3.1 document, which speaks the same language (JSON Schema 2020-12).

use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/schemas/";
/// Nothing in the document comes near; a schema that refers to itself ends here.
const MAX_DEPTH: usize = 12;

/// An argument: without references, which many hosts do not follow, and without what a model cannot use.
pub fn argument(schema: &Value, document: &Value, description: Option<&str>) -> Value {
    let mut schema = inline(schema, document, 0, true);
    if let (Some(text), Value::Object(map)) = (description, &mut schema) {
        map.insert("description".into(), json!(text));
    }
    schema
}

/// The schema of an answer, for programs: without words, which would be most of it.
pub fn whole(schema: &Value, document: &Value) -> Value {
    let mut whole = inline(schema, document, 0, false);
    // A tool's schema says that it is about an object.
    if let Value::Object(map) = &mut whole {
        map.entry("type").or_insert_with(|| json!("object"));
    }
    whole
}

fn inline(schema: &Value, document: &Value, depth: usize, for_model: bool) -> Value {
    match schema {
        Value::Object(map) if depth < MAX_DEPTH => {
            if let Some(name) = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|path| path.strip_prefix(COMPONENTS))
            {
                let mut found = inline(&document["components"]["schemas"][name], document, depth + 1, for_model);
                // What stands beside a reference says more about this place.
                if let (Some(text), Value::Object(found)) = (map.get("description"), &mut found) {
                    found.insert("description".into(), text.clone());
                }
                return found;
            }
            let kept = map.iter().filter(|(key, value)| keep(key, value, for_model));
            let inlined: Map<String, Value> = kept
                .map(|(key, value)| (key.clone(), inline(value, document, depth + 1, for_model)))
                .collect();
            Value::Object(inlined)
        }
        Value::Object(_) => json!({}),
        Value::Array(items) => Value::Array(items.iter().map(|item| inline(item, document, depth, for_model)).collect()),
        other => other.clone(),
    }
}

/// `example` is no word of JSON Schema. Patterns that only forbid characters tell a model nothing, and look-arounds are
/// refused by some hosts; the server checks them anyway.
fn keep(key: &str, value: &Value, for_model: bool) -> bool {
    match (key, value) {
        ("example" | "examples" | "xml" | "externalDocs" | "discriminator", _) => false,
        ("description" | "title", Value::String(_)) => for_model,
        ("pattern", Value::String(pattern)) => for_model && !(pattern.contains("\\x") || pattern.contains("(?")),
        _ => true,
    }
}
