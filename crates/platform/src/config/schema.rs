//! The keys of a config type, read from its JSON Schema: for typed environment values, unknown-key checks and docs.

use std::fmt::Write as _;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// JSON Schema (draft 2020-12) of a config type, without `$ref`, so that editors and the code below read it alike.
pub fn json_schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// What a value may be, as far as reading it from text needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List,
    Section,
    Map,
    /// Several of the above; text is tried as JSON first.
    Any,
}

/// One node of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a>(pub &'a Value);

impl<'a> Node<'a> {
    /// The schema of the value when present: `Option<T>` is a union with null.
    fn variants(self) -> Vec<Node<'a>> {
        for word in ["anyOf", "oneOf"] {
            if let Some(list) = self.0.get(word).and_then(Value::as_array) {
                return list
                    .iter()
                    .flat_map(|schema| Node(schema).variants())
                    .filter(|node| !node.is_null())
                    .collect();
            }
        }
        vec![self]
    }

    fn is_null(self) -> bool {
        self.0.get("type").and_then(Value::as_str) == Some("null")
    }

    pub fn nullable(self) -> bool {
        let has_null = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|t| t == "null"));
        self.0.get("type").is_some_and(has_null)
            || ["anyOf", "oneOf"].iter().any(|word| {
                let list = self.0.get(*word).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|schema| Node(schema).is_null()))
            })
    }

    pub fn kind(self) -> Kind {
        let mut kinds = self.variants().into_iter().map(Self::own_kind);
        let first = kinds.next().unwrap_or(Kind::Any);
        if kinds.all(|kind| kind == first) { first } else { Kind::Any }
    }

    fn own_kind(self) -> Kind {
        let types: Vec<&str> = match self.0.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
            _ if self
                .0
                .get("const")
                .or_else(|| self.0.pointer("/enum/0"))
                .is_some_and(Value::is_string) =>
            {
                vec!["string"]
            }
            _ => Vec::new(),
        };
        match types.as_slice() {
            ["string"] => Kind::Text,
            ["integer"] => Kind::Integer,
            ["number"] => Kind::Number,
            ["boolean"] => Kind::Boolean,
            ["array"] => Kind::List,
            ["object"] if self.0.get("properties").is_some() => Kind::Section,
            ["object"] => Kind::Map,
            _ => Kind::Any,
        }
    }

    pub fn properties(self) -> Vec<(&'a str, Node<'a>)> {
        let mut found = Vec::new();
        for node in self.variants() {
            if let Some(map) = node.0.get("properties").and_then(Value::as_object) {
                found.extend(map.iter().map(|(name, schema)| (name.as_str(), Node(schema))));
            }
        }
        found
    }

    /// The schema below `name`: a property, or the value of a map with free keys.
    pub fn child(self, name: &str) -> Option<Node<'a>> {
        let property = self.properties().into_iter().find(|(key, _)| *key == name).map(|(_, node)| node);
        property.or_else(|| {
            let free = |node: Node<'a>| {
                node.0
                    .get("additionalProperties")
                    .filter(|schema| schema.is_object() || **schema == Value::Bool(true))
            };
            self.variants().into_iter().find_map(free).map(Node)
        })
    }

    /// The section that each name of a table with free names holds.
    fn named_section(self) -> Option<Node<'a>> {
        let section = (self.kind() == Kind::Map).then(|| self.child("<name>")).flatten();
        section.filter(|node| node.kind() == Kind::Section)
    }

    pub fn item(self) -> Option<Node<'a>> {
        self.variants().into_iter().find_map(|node| node.0.get("items")).map(Node)
    }

    /// Every value that can be set, by its path.
    pub fn leaves(self) -> Vec<(Vec<&'a str>, Node<'a>)> {
        let mut found = Vec::new();
        for (name, node) in self.properties() {
            if node.kind() == Kind::Section {
                found.extend(node.leaves().into_iter().map(|(mut path, leaf)| {
                    path.insert(0, name);
                    (path, leaf)
                }));
            } else {
                found.push((vec![name], node));
            }
        }
        found
    }

    fn text(self, word: &str) -> &'a str {
        self.0.get(word).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_secret(self) -> bool {
        self.variants()
            .iter()
            .any(|node| node.0.get("writeOnly") == Some(&Value::Bool(true)))
    }

    fn type_text(self) -> String {
        let variants = self.variants();
        let mut choices: Vec<String> = Vec::new();
        for node in &variants {
            let listed = node
                .0
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .chain(node.0.get("const"));
            choices.extend(listed.filter(|value| !value.is_null()).map(|value| format!("`{}`", plain(value))));
        }
        if !choices.is_empty() {
            return choices.join(", ");
        }
        let format = variants.first().map_or("", |node| node.text("format"));
        match self.kind() {
            Kind::Text if self.is_secret() => "secret".to_owned(),
            Kind::Text if format == "human-duration" => "duration".to_owned(),
            Kind::Text if !format.is_empty() => format!("text ({format})"),
            Kind::Text => "text".to_owned(),
            Kind::Integer => "integer".to_owned(),
            Kind::Number => "number".to_owned(),
            Kind::Boolean => "true or false".to_owned(),
            Kind::List => "list".to_owned(),
            Kind::Section | Kind::Map => "table".to_owned(),
            Kind::Any => "any".to_owned(),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reference of every key as Markdown: one table per section, from the doc comments of the config types.
pub fn markdown_reference<T: JsonSchema>() -> String {
    let schema = json_schema::<T>();
    let mut out = String::new();
    section_reference(&mut out, &[], Node(&schema), schema.get("default"));
    out
}

fn section_reference(out: &mut String, path: &[&str], node: Node<'_>, defaults: Option<&Value>) {
    let properties = node.properties();
    let default_of = |name: &str, child: Node<'_>| -> Option<Value> {
        let outer = defaults
            .and_then(Value::as_object)
            .and_then(|map: &Map<String, Value>| map.get(name));
        outer.or_else(|| child.0.get("default")).cloned()
    };
    let named: Vec<_> = properties
        .iter()
        .filter_map(|(name, child)| Some((*name, child.named_section()?)))
        .collect();
    let leaves: Vec<_> = properties
        .iter()
        .filter(|(_, child)| child.kind() != Kind::Section && child.named_section().is_none())
        .collect();
    if !path.is_empty() {
        let _ = writeln!(out, "## `{}`\n", path.join("."));
        if !node.text("description").is_empty() {
            let _ = writeln!(out, "{}\n", node.text("description"));
        }
    }
    if !leaves.is_empty() {
        out.push_str("| key | environment | type | default | meaning |\n|---|---|---|---|---|\n");
        for (name, child) in leaves {
            let full: Vec<&str> = path.iter().copied().chain([*name]).collect();
            let default = default_of(name, *child).filter(|value| !value.is_null() && value != "");
            let default = default.map(|value| format!("`{}`", plain(&value))).unwrap_or_default();
            let meaning = child
                .text("description")
                .replace("\n\n", "<br>")
                .replace('\n', " ")
                .replace('|', "\\|");
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {} | {default} | {meaning} |",
                full.join("."),
                super::env_name(&full),
                child.type_text()
            );
        }
        out.push('\n');
    }
    for (name, child) in properties.iter().filter(|(_, child)| child.kind() == Kind::Section) {
        let full: Vec<&str> = path.iter().copied().chain([*name]).collect();
        section_reference(out, &full, *child, default_of(name, *child).as_ref());
    }
    for (name, section) in named {
        let full: Vec<&str> = path.iter().copied().chain([name, "<name>"]).collect();
        section_reference(out, &full, section, None);
    }
}
