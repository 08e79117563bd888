//! Rules inside the source tree: the layers of a service, `unsafe`, and the length of files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files_below;

/// Longer files are split, or listed in `xtask/long-files.txt` with a reason.
const MAX_LINES: usize = 600;

pub fn check_tree(root: &Path) -> Result<Vec<String>, String> {
    let exceptions =
        std::fs::read_to_string(root.join("xtask/long-files.txt")).map_err(|error| format!("xtask/long-files.txt: {error}"))?;
    let mut files = BTreeMap::new();
    for room in ["crates", "services", "xtask"] {
        for path in files_below(&root.join(room), "rs") {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            files.insert(path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/"), text);
        }
    }
    Ok(check(&files, &exceptions))
}

fn check(files: &BTreeMap<String, String>, exceptions: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut excepted: BTreeMap<&str, bool> = exceptions
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter_map(|line| Some((line.split_whitespace().next()?, false)))
        .collect();
    for (path, text) in files {
        let lines = text.lines().count();
        if lines > MAX_LINES && !path.contains("/tests/") {
            match excepted.get_mut(path.as_str()) {
                Some(used) => *used = true,
                None => problems.push(format!(
                    "{path}: {lines} lines; split it below {MAX_LINES} or list it in xtask/long-files.txt with a reason"
                )),
            }
        }
        let code = code_only(text);
        if !path.starts_with("crates/sandbox/") && words(&code).any(|word| word == "unsafe") {
            problems.push(format!("{path}: `unsafe` may appear only in crates/sandbox"));
        }
        if let Some((service, module)) = service_module(path) {
            for used in crate_modules(&code, &module) {
                if let Some(reason) = forbidden(&module[0], &used) {
                    problems.push(format!("{path}: {} uses crate::{used} of {service}: {reason}", module[0]));
                }
            }
        }
    }
    for (path, _) in excepted.into_iter().filter(|(_, used)| !used) {
        problems.push(format!("xtask/long-files.txt: {path} is no longer too long; drop the line"));
    }
    problems
}

/// `services/tasks/src/store/labels.rs` -> (`tasks`, [`store`, `labels`]); `lib.rs` wires everything and has no layer.
fn service_module(path: &str) -> Option<(String, Vec<String>)> {
    let rest = path.strip_prefix("services/")?;
    let (service, rest) = rest.split_once("/src/")?;
    let mut module: Vec<String> = rest.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    (module != ["lib"] && module != ["main"] && !module.is_empty()).then(|| (service.to_owned(), module))
}

fn forbidden(layer: &str, used: &str) -> Option<&'static str> {
    match (layer, used) {
        ("model", "store" | "http" | "service" | "api" | "jobs" | "events") => Some("a model is pure and knows only kernel"),
        ("http", _) => None,
        (_, "http") => Some("only http and lib.rs know http"),
        _ => None,
    }
}

/// Source without comments, string literals and the test module at its end.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let Some((open, close)) = raw_string(rest) {
            rest = rest[open..].find(&close).map_or("", |end| &rest[open + end + close.len()..]);
            code.push(' ');
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            rest = end.map_or("", |end| &rest[end + 2..]);
            code.push(' ');
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if rest.starts_with("'\\\"'") {
            rest = &rest[4..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// At `r"..` or `r#"..`: the length of the opening and the text that closes it.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..]
        .starts_with('"')
        .then(|| (hashes + 2, format!("\"{}", "#".repeat(hashes))))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// Top-level modules of its own crate that the code names: `crate::a::b`, `use crate::{a, b::c}`, and `super::..` that climbs to the root.
fn crate_modules(code: &str, module: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut prefixes = vec!["crate::".to_owned()];
    prefixes.push("super::".repeat(module.len()));
    for prefix in prefixes {
        for (start, _) in code.match_indices(&prefix) {
            let before = code[..start].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':' || letter == '$') {
                continue;
            }
            found.extend(first_segments(&code[start + prefix.len()..]));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| words(text.trim_start()).next().unwrap_or_default().to_owned();
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut start, mut segments) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                segments.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                segments.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&BTreeMap::from([(path.to_owned(), text.to_owned())]), "")
    }

    #[test]
    fn a_model_is_pure() {
        assert!(problems("services/crm/src/model.rs", "use crate::store::leads;")[0].contains("a model is pure"));
        assert!(problems("services/crm/src/model/lead.rs", "fn a() -> crate::service::X { todo() }")[0].contains("a model is pure"));
        assert!(problems("services/crm/src/model/lead.rs", "use super::super::store::X;")[0].contains("a model is pure"));
        assert!(
            problems(
                "services/crm/src/model.rs",
                "use kernel::ids::UserId;\nuse crate::error::LeadError;"
            )
            .is_empty()
        );
    }

    #[test]
    fn only_http_knows_http() {
        for path in ["service/leads.rs", "store/leads.rs", "jobs.rs", "api.rs"] {
            assert!(
                problems(&format!("services/crm/src/{path}"), "use crate::{model::Lead, http::LeadView};")[0].contains("only http"),
                "{path}"
            );
        }
        assert!(
            problems(
                "services/crm/src/http/leads.rs",
                "use crate::http::common;\nuse crate::service::Leads;"
            )
            .is_empty()
        );
        assert!(problems("services/crm/src/lib.rs", "use crate::http::routes;").is_empty());
    }

    #[test]
    fn groups_and_neighbours_are_told_apart() {
        assert_eq!(first_segments("{model::{Lead, http}, store::leads}"), ["model", "store"]);
        assert_eq!(first_segments("{\n    model::Lead,\n    service,\n}"), ["model", "service"]);
        // `http` the crate, and a path that only ends in the word, are not the layer.
        assert!(
            problems(
                "services/crm/src/service/leads.rs",
                "use http::StatusCode;\nuse platform::http::Etag;"
            )
            .is_empty()
        );
        assert!(problems("services/crm/src/service/leads.rs", "use platform_crate::http::X;").is_empty());
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        let text = "// crate::http\n/* unsafe */ let a = \"crate::http \\\" unsafe\"; let b = r#\"unsafe \" \"#; let c = '\"';\n#[cfg(test)]\nmod tests { use crate::http::X; }";
        assert_eq!(problems("services/crm/src/service.rs", text), Vec::<String>::new());
    }

    #[test]
    fn unsafe_lives_only_in_the_sandbox() {
        assert!(problems("crates/platform/src/db.rs", "fn a() { unsafe { b() } }")[0].contains("only in crates/sandbox"));
        assert!(problems("crates/sandbox/src/lib.rs", "fn a() { unsafe { b() } }").is_empty());
        assert!(problems("crates/platform/src/lib.rs", "#![forbid(unsafe_code)]").is_empty());
    }

    #[test]
    fn long_files_need_a_reason_that_is_still_true() {
        let long = "\n".repeat(MAX_LINES + 1);
        let path = "crates/platform/src/db.rs";
        assert!(problems(path, &long)[0].contains("split it"));
        let listed = format!("# why\n{path} one table of types\n");
        assert!(check(&BTreeMap::from([(path.to_owned(), long.clone())]), &listed).is_empty());
        assert!(check(&BTreeMap::from([(path.to_owned(), String::new())]), &listed)[0].contains("drop the line"));
        assert!(problems("crates/guildhall/tests/it/tasks.rs", &long).is_empty());
    }
}
