//! Mermaid ER diagrams from the SQLite migrations: what the tables are after the last migration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::files_below;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
    primary: bool,
    unique: bool,
    required: bool,
    references: Option<String>,
}

type Tables = BTreeMap<String, Vec<Column>>;

/// One page per service that has migrations, and one for the platform's own tables.
pub fn pages(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut owners = vec![("platform".to_owned(), root.join("crates/platform"))];
    let mut services: Vec<PathBuf> = std::fs::read_dir(root.join("services"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    services.sort();
    owners.extend(
        services
            .into_iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path.clone()))),
    );
    let mut pages = Vec::new();
    for (owner, folder) in owners {
        let files = files_below(&folder.join("src/migrations/sqlite"), "sql");
        if files.is_empty() {
            continue;
        }
        let mut tables = Tables::new();
        for file in files {
            let sql = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            apply(&mut tables, &sql);
        }
        pages.push((PathBuf::from(format!("docs/er/{owner}.md")), page(&owner, &tables)));
    }
    Ok(pages)
}

fn page(owner: &str, tables: &Tables) -> String {
    let mut text =
        format!("# Tables of {owner}\n\nGenerated from the migrations by `cargo xtask er`; do not edit.\n\n```mermaid\nerDiagram\n");
    for (table, columns) in tables {
        let _ = writeln!(text, "    {table} {{");
        for column in columns {
            let mut keys = Vec::new();
            if column.primary {
                keys.push("PK");
            }
            if column.references.is_some() {
                keys.push("FK");
            }
            if column.unique {
                keys.push("UK");
            }
            let keys = if keys.is_empty() {
                String::new()
            } else {
                format!(" {}", keys.join(", "))
            };
            let note = if column.required || column.primary { "" } else { " \"optional\"" };
            let _ = writeln!(text, "        {} {}{keys}{note}", column.kind.to_lowercase(), column.name);
        }
        text.push_str("    }\n");
    }
    for (table, columns) in tables {
        for column in columns {
            if let Some(target) = &column.references {
                let one = if column.required || column.primary { "||" } else { "|o" };
                let _ = writeln!(text, "    {target} {one}--o{{ {table} : {}", column.name);
            } else if let Some(target) = implied(tables, table, &column.name) {
                let one = if column.required || column.primary { "||" } else { "|o" };
                let _ = writeln!(text, "    {target} {one}..o{{ {table} : {}", column.name);
            }
        }
    }
    text.push_str("```\n\nA solid line is a declared foreign key; a dotted one follows from a column's name.\n");
    text
}

/// `project_id` points at `projects` when the same owner has such a table.
fn implied<'a>(tables: &'a Tables, table: &str, column: &str) -> Option<&'a str> {
    let stem = column.strip_suffix("_id")?;
    let plural = if let Some(root) = stem.strip_suffix('y') {
        format!("{root}ies")
    } else {
        format!("{stem}s")
    };
    tables
        .keys()
        .find(|name| **name == plural && name.as_str() != table)
        .map(String::as_str)
}

fn apply(tables: &mut Tables, sql: &str) {
    let sql: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    for statement in split(&sql, ';') {
        let words: Vec<String> = statement.split_whitespace().map(str::to_owned).collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        match upper.as_slice() {
            ["CREATE", "TABLE", ..] => {
                let Some((head, body)) = statement.split_once('(') else { continue };
                let Some(name) = head.split_whitespace().last() else { continue };
                let body = body.rfind(')').map_or(body, |end| &body[..end]);
                tables.insert(unquote(name), columns(body));
            }
            ["CREATE", "UNIQUE", "INDEX", ..] => {
                let Some((head, body)) = statement.split_once('(') else { continue };
                let body = body.split(')').next().unwrap_or_default();
                let table = head.split_whitespace().last().map(unquote).unwrap_or_default();
                if !body.contains(',')
                    && let Some(column) = tables
                        .get_mut(&table)
                        .and_then(|columns| columns.iter_mut().find(|column| column.name == unquote(body)))
                {
                    column.unique = true;
                }
            }
            ["DROP", "TABLE", ..] => {
                tables.remove(&words.last().map(|name| unquote(name)).unwrap_or_default());
            }
            ["ALTER", "TABLE", _, "ADD", ..] => {
                let rest = words
                    .iter()
                    .skip(if upper.get(4) == Some(&"COLUMN") { 5 } else { 4 })
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ");
                tables.entry(unquote(&words[2])).or_default().extend(columns(&rest));
            }
            ["ALTER", "TABLE", _, "DROP", ..] => {
                let gone = words.last().map(|name| unquote(name)).unwrap_or_default();
                tables.entry(unquote(&words[2])).or_default().retain(|column| column.name != gone);
            }
            ["ALTER", "TABLE", _, "RENAME", "TO", _] => {
                if let Some(columns) = tables.remove(&unquote(&words[2])) {
                    tables.insert(unquote(&words[5]), columns);
                }
            }
            ["ALTER", "TABLE", _, "RENAME", ..] => {
                let (old, new) = (words.len() - 3, words.len() - 1);
                for column in tables
                    .entry(unquote(&words[2]))
                    .or_default()
                    .iter_mut()
                    .filter(|column| column.name == unquote(&words[old]))
                {
                    column.name = unquote(&words[new]);
                }
            }
            _ => {}
        }
    }
}

fn columns(body: &str) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for part in split(body, ',') {
        let words: Vec<&str> = part.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        let upper = part.to_uppercase();
        let keyword = first.split('(').next().unwrap_or_default().to_uppercase();
        match keyword.as_str() {
            "PRIMARY" | "UNIQUE" | "FOREIGN" | "CONSTRAINT" | "CHECK" => {
                let named: Vec<String> = inner(&part).iter().map(|name| unquote(name)).collect();
                for column in columns.iter_mut().filter(|column| named.contains(&column.name)) {
                    if upper.contains("PRIMARY KEY") {
                        column.primary = true;
                    } else if upper.contains("FOREIGN KEY") {
                        column.references = references(&words);
                    } else if upper.contains("UNIQUE") && named.len() == 1 {
                        column.unique = true;
                    }
                }
            }
            _ => columns.push(Column {
                name: unquote(first),
                kind: words
                    .get(1)
                    .map(|kind| {
                        kind.split('(')
                            .next()
                            .unwrap_or_default()
                            .chars()
                            .filter(|letter| letter.is_alphanumeric())
                            .collect()
                    })
                    .filter(|kind: &String| !kind.is_empty())
                    .unwrap_or_else(|| "any".into()),
                primary: upper.contains("PRIMARY KEY"),
                unique: upper.contains(" UNIQUE"),
                required: upper.contains("NOT NULL"),
                references: references(&words),
            }),
        }
    }
    columns
}

fn references(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("references"))?;
    words
        .get(at + 1)
        .map(|target| unquote(target.split('(').next().unwrap_or_default()))
}

/// The names in the first parentheses.
fn inner(text: &str) -> Vec<&str> {
    let Some((_, rest)) = text.split_once('(') else { return Vec::new() };
    rest.split(')').next().unwrap_or_default().split(',').collect()
}

/// Splits outside parentheses and quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_i32, false);
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if letter == separator && depth == 0 && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn unquote(name: &str) -> String {
    name.trim()
        .trim_matches(|letter| matches!(letter, '"' | '`' | '[' | ']'))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_shows_the_tables_after_the_last_migration() {
        let mut tables = Tables::new();
        apply(
            &mut tables,
            "-- a comment; with a semicolon
             CREATE TABLE IF NOT EXISTS projects (id BLOB NOT NULL PRIMARY KEY, key TEXT NOT NULL CHECK (length(key) IN (2, 3)), state TEXT NOT NULL DEFAULT 'a,b;c') STRICT;
             CREATE UNIQUE INDEX ux_projects_key ON projects (key);
             CREATE TABLE tasks (id BLOB NOT NULL, project_id BLOB NOT NULL, parent BLOB REFERENCES tasks (id), n NUMERIC(10, 2), PRIMARY KEY (id));
             CREATE TABLE gone (id BLOB);",
        );
        apply(
            &mut tables,
            "DROP TABLE gone; ALTER TABLE tasks ADD COLUMN title TEXT NOT NULL DEFAULT ''; ALTER TABLE tasks RENAME COLUMN n TO amount;",
        );
        let page = page("tasks", &tables);
        assert!(!page.contains("gone"), "{page}");
        for line in [
            "        blob id PK\n",
            "        text key UK\n",
            "        text title\n",
            "        numeric amount \"optional\"\n",
            "        blob parent FK \"optional\"\n",
            "    projects ||..o{ tasks : project_id\n",
            "    tasks |o--o{ tasks : parent\n",
        ] {
            assert!(page.contains(line), "{line:?} is missing in\n{page}");
        }
    }

    #[test]
    fn table_constraints_are_read() {
        let mut tables = Tables::new();
        apply(
            &mut tables,
            "CREATE TABLE a (x BLOB NOT NULL, y TEXT, z BLOB, PRIMARY KEY (x, y), CONSTRAINT ux UNIQUE (z), FOREIGN KEY (z) REFERENCES b (id) ON DELETE CASCADE)",
        );
        let columns = &tables["a"];
        assert!(columns[0].primary && columns[1].primary && !columns[2].primary);
        assert!(columns[2].unique);
        assert_eq!(columns[2].references.as_deref(), Some("b"));
    }
}
