//! Configuration: defaults < TOML file < environment < flags.
//!
//! Environment names are `GUILDHALL_<SECTION>__<KEY>`, a double underscore between the parts of the key, such as
//! `GUILDHALL_HTTP__RATE_LIMITS__ENABLED` for `http.rate_limits.enabled`. A single underscore does where only one key
//! can be meant (`GUILDHALL_DATABASE_URL`); in a table with names of the operator's own the name is a part like any other,
//! in lower case. With `_FILE` appended the value is read from the file of that name. All problems are reported at once,
//! each with the place it comes from; an unknown key is one of them.
//!
//! This is the only place that reads the environment; everything else receives its section.

mod schema;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use schema::{Kind, Node};
pub use schema::{json_schema, markdown_reference};
pub use value::{HumanDuration, InvalidDuration, REDACTED, Secret};

/// All environment names start so.
pub const ENV_PREFIX: &str = "GUILDHALL_";

/// Names under the prefix that are no keys: the path of the config file, and what tests are told.
const RESERVED: [&str; 2] = ["GUILDHALL_CONFIG", "GUILDHALL_TEST_"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Default,
    File(PathBuf),
    Env(String),
    /// A `_FILE` variable and the file it names.
    EnvFile(String, PathBuf),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::EnvFile(name, path) => write!(f, "environment {name}, file {}", path.display()),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing wrong with the configuration. Never holds the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Dotted; empty when the problem is not about a key.
    pub key: String,
    pub source: Source,
    pub message: String,
}

impl ConfigProblem {
    pub fn new(key: impl Into<String>, source: Source, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            source,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{} ({})", self.message, self.source)
    }
}

/// Which source set which key.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    sources: BTreeMap<String, Source>,
}

impl Provenance {
    /// The source of a dotted key, or of the nearest table above it that was set as a whole.
    pub fn of(&self, key: &str) -> Source {
        let mut key = key;
        loop {
            if let Some(source) = self.sources.get(key) {
                return source.clone();
            }
            match key.rfind('.') {
                Some(dot) => key = &key[..dot],
                None => return Source::Default,
            }
        }
    }
}

/// `GUILDHALL_HTTP__LISTEN` for `["http", "listen"]`.
pub fn env_name(path: &[&str]) -> String {
    format!("{ENV_PREFIX}{}", path.join("__").to_uppercase())
}

/// The process environment, for [`load`].
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn process_env() -> Vec<(String, String)> {
    // Not `vars`: that panics on a value that is not Unicode.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads a config of type `T`, whose every table is `#[serde(default, deny_unknown_fields)]`.
/// `overrides` are flags: dotted key → text, read like an environment value. `validate` holds the rules that types cannot
/// express and answers `key: what is wrong` for each; it is asked even when other keys are bad, so that one run names all.
pub fn load<T>(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: &BTreeMap<String, String>,
    validate: impl FnOnce(&T) -> Vec<String>,
) -> Result<(T, Provenance), Vec<ConfigProblem>>
where
    T: DeserializeOwned + Serialize + Default + JsonSchema,
{
    let schema = json_schema::<T>();
    let mut loader = Loader::new(Node(&schema));
    if let Some(path) = file {
        loader.read_file(path);
    }
    loader.read_env(env);
    for (key, text) in overrides {
        let path: Vec<&str> = key.split('.').collect();
        loader.set_text(&path, text, &Source::Flag(key.clone()));
    }
    loader.finish(validate)
}

struct Loader<'a> {
    root: Node<'a>,
    leaves: Vec<Vec<&'a str>>,
    tree: Map<String, Value>,
    provenance: Provenance,
    problems: Vec<ConfigProblem>,
}

impl<'a> Loader<'a> {
    fn new(root: Node<'a>) -> Self {
        Self {
            root,
            leaves: root.leaves().into_iter().map(|(path, _)| path).collect(),
            tree: Map::new(),
            provenance: Provenance::default(),
            problems: Vec::new(),
        }
    }

    fn read_file(&mut self, path: &Path) {
        let source = Source::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self
                    .problems
                    .push(ConfigProblem::new("", source, format!("cannot be read: {error}")));
            }
        };
        match toml::from_str::<Value>(&text) {
            Ok(Value::Object(table)) => self.merge_table(&mut Vec::new(), table, self.root, &source),
            Ok(_) => self.problems.push(ConfigProblem::new("", source, "is not a table")),
            // The message without the excerpt: the line might hold a secret.
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
                let message = format!("is not valid TOML at line {line}: {}", error.message());
                self.problems.push(ConfigProblem::new("", source, message));
            }
        }
    }

    /// Takes over the known values of a file's table, recursively.
    fn merge_table(&mut self, path: &mut Vec<String>, table: Map<String, Value>, node: Node<'a>, source: &Source) {
        for (name, value) in table {
            path.push(name);
            let name = path.last().map_or("", String::as_str);
            match (node.child(name), value) {
                (None, _) => {
                    let key = path.join(".");
                    let message = self.unknown_key(&key);
                    self.problems.push(ConfigProblem::new(key, source.clone(), message));
                }
                (Some(child), Value::Object(inner)) if matches!(child.kind(), Kind::Section | Kind::Map) => {
                    self.merge_table(path, inner, child, source);
                }
                (Some(_), value) => self.put(&path.clone(), value, source.clone()),
            }
            path.pop();
        }
    }

    fn read_env(&mut self, env: impl IntoIterator<Item = (String, String)>) {
        let ours = |name: &str| name.starts_with(ENV_PREFIX) && !RESERVED.iter().any(|reserved| name.starts_with(reserved));
        // Sorted, so that problems come in the same order every time.
        let env: BTreeMap<String, String> = env.into_iter().filter(|(name, _)| ours(name)).collect();
        for (name, text) in &env {
            let short = name[ENV_PREFIX.len()..].to_lowercase();
            if let Some(path) = self.path_of_env(&short) {
                self.set_text(&path, text, &Source::Env(name.clone()));
            } else if let Some(path) = short.strip_suffix("_file").and_then(|base| self.path_of_env(base)) {
                let plain = name[..name.len() - "_FILE".len()].to_owned();
                if env.contains_key(&plain) {
                    let message = format!("is set by {plain} as well; keep one of them");
                    self.problems
                        .push(ConfigProblem::new(path.join("."), Source::Env(name.clone()), message));
                } else {
                    self.set_from_file(&path, name, text);
                }
            } else {
                let key = short.replace("__", ".");
                let message = self.unknown_key(&key);
                self.problems.push(ConfigProblem::new(key, Source::Env(name.clone()), message));
            }
        }
    }

    /// `http__listen`, or `http_listen` where only one key can be meant.
    fn path_of_env<'b>(&self, short: &'b str) -> Option<Vec<&'b str>>
    where
        'a: 'b,
    {
        let exact = self.leaves.iter().find(|path| path.join("__") == short);
        let mut flat = self.leaves.iter().filter(|path| path.join("_") == short);
        let leaf = exact.or_else(|| flat.next().filter(|_| flat.next().is_none()));
        leaf.cloned().or_else(|| self.path_in_map(short))
    }

    /// The path of a value inside a table with free names, where it is a value and no table.
    fn path_in_map<'b>(&self, short: &'b str) -> Option<Vec<&'b str>> {
        let path: Vec<&str> = short.split("__").collect();
        let node = path
            .iter()
            .try_fold(self.root, |node, name| node.child(name).filter(|_| !name.is_empty()))?;
        (!matches!(node.kind(), Kind::Section | Kind::Map)).then_some(path)
    }

    fn set_from_file(&mut self, path: &[&str], name: &str, file: &str) {
        let source = Source::EnvFile(name.to_owned(), PathBuf::from(file));
        match std::fs::read_to_string(file) {
            Ok(text) => self.set_text(path, text.trim_end_matches(['\r', '\n']), &source),
            Err(error) => {
                let message = format!("the file cannot be read: {error}");
                self.problems.push(ConfigProblem::new(path.join("."), source, message));
            }
        }
    }

    fn set_text(&mut self, path: &[&str], text: &str, source: &Source) {
        let key = path.join(".");
        let Some(node) = path.iter().try_fold(self.root, |node, name| node.child(name)) else {
            let message = self.unknown_key(&key);
            return self.problems.push(ConfigProblem::new(key, source.clone(), message));
        };
        match read_text(node, text) {
            Ok(value) => {
                let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
                self.put(&path, value, source.clone());
            }
            Err(message) => self.problems.push(ConfigProblem::new(key, source.clone(), message)),
        }
    }

    fn put(&mut self, path: &[String], value: Value, source: Source) {
        let Some((last, above)) = path.split_last() else { return };
        let mut table = &mut self.tree;
        for name in above {
            let slot = table.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(inner) = slot else { return };
            table = inner;
        }
        table.insert(last.clone(), value);
        self.provenance.sources.insert(path.join("."), source);
    }

    fn unknown_key(&self, key: &str) -> String {
        let distance = |path: &[&str]| strsim::damerau_levenshtein(&path.join("."), key);
        let nearest = self
            .leaves
            .iter()
            .min_by_key(|path| distance(path))
            .filter(|path| distance(path) <= 3 + key.len() / 8);
        nearest.map_or_else(
            || "there is no such key".to_owned(),
            |path| format!("there is no such key; did you mean {}?", path.join(".")),
        )
    }

    /// Reads `T`. serde stops at the first bad value, so each bad one is noted, taken out, and the rest read again.
    fn finish<T: DeserializeOwned>(mut self, validate: impl FnOnce(&T) -> Vec<String>) -> Result<(T, Provenance), Vec<ConfigProblem>> {
        let mut tree = Value::Object(std::mem::take(&mut self.tree));
        let config = loop {
            let error = match serde_path_to_error::deserialize::<_, T>(&tree) {
                Ok(config) => break config,
                Err(error) => error,
            };
            let key = error.path().to_string();
            let key = if key == "." { String::new() } else { key };
            let message = without_value(&error.inner().to_string());
            self.problems
                .push(ConfigProblem::new(key.clone(), self.provenance.of(&key), message));
            if !remove(&mut tree, &key) {
                return Err(self.problems);
            }
        };
        for finding in validate(&config) {
            let (key, message) = finding.split_once(": ").unwrap_or(("", &finding));
            // A bad value was taken out above, so what is said of its default says nothing about what was written.
            if !self.problems.iter().any(|known| known.key == key) {
                self.problems.push(ConfigProblem::new(key, self.provenance.of(key), message));
            }
        }
        if self.problems.is_empty() {
            Ok((config, self.provenance))
        } else {
            Err(self.problems)
        }
    }
}

/// serde repeats the offending value in some messages; it may be a secret.
fn without_value(message: &str) -> String {
    let Some(rest) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
    else {
        return message.to_owned();
    };
    rest.rsplit_once(", expected ")
        .map_or_else(|| message.to_owned(), |(_, expected)| format!("expected {expected}"))
}

/// Takes the value at a dotted key out, or the nearest table or list above it that exists.
fn remove(tree: &mut Value, key: &str) -> bool {
    let Value::Object(table) = tree else { return false };
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    // `list[3]`: the whole list goes.
    let first = first.split('[').next().unwrap_or(first);
    if let (Some(rest), Some(inner @ Value::Object(_))) = (rest, table.get_mut(first))
        && remove(inner, rest)
    {
        return true;
    }
    table.remove(first).is_some()
}

/// A text from the environment or a flag as the type that the schema wants.
fn read_text(node: Node<'_>, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() && node.nullable() {
        return Ok(Value::Null);
    }
    match node.kind() {
        Kind::Text => Ok(Value::from(text)),
        Kind::Integer => {
            let signed = trimmed.parse::<i64>().map(Value::from);
            signed
                .or_else(|_| trimmed.parse::<u64>().map(Value::from))
                .map_err(|_| "expected a whole number".to_owned())
        }
        Kind::Number => trimmed.parse::<f64>().map(Value::from).map_err(|_| "expected a number".to_owned()),
        Kind::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err("expected true or false".to_owned()),
        },
        Kind::List if trimmed.starts_with('[') => {
            serde_json::from_str(trimmed).map_err(|_| "expected a JSON array or a comma-separated list".to_owned())
        }
        Kind::List => {
            let parts = trimmed.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts
                .map(|part| node.item().map_or_else(|| Ok(Value::from(part)), |item| read_text(item, part)))
                .collect()
        }
        Kind::Section | Kind::Map => serde_json::from_str(trimmed).map_err(|_| "expected a JSON object".to_owned()),
        Kind::Any => Ok(serde_json::from_str(trimmed).unwrap_or_else(|_| Value::from(text))),
    }
}

/// The effective configuration as TOML, secrets redacted, with the source of every value that is not a default.
pub fn print<T: Serialize>(config: &T, provenance: &Provenance) -> Result<String, toml::ser::Error> {
    let mut out = String::new();
    let table = toml::Table::try_from(config)?;
    print_table(&mut out, &[], &table, provenance);
    Ok(out)
}

fn print_table(out: &mut String, path: &[&str], table: &toml::Table, provenance: &Provenance) {
    let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    if !path.is_empty() && !values.is_empty() {
        out.push_str(&format!("\n[{}]\n", path.join(".")));
    }
    for (name, value) in values {
        let key = path.iter().copied().chain([name.as_str()]).collect::<Vec<_>>().join(".");
        let from = match provenance.of(&key) {
            Source::Default => String::new(),
            source => format!("  # {source}"),
        };
        out.push_str(&format!("{name} = {value}{from}\n"));
    }
    for (name, value) in tables {
        if let toml::Value::Table(inner) = value {
            let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            print_table(out, &path, inner, provenance);
        }
    }
}

#[cfg(test)]
mod tests;
