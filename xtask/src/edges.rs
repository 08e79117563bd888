//! Who may know whom: the dependency rules between the workspace's crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::layers;

/// What a leaf crate must not even reach: runtimes, HTTP and SQL.
const HEAVY: &[&str] = &[
    "tokio",
    "axum",
    "hyper",
    "sea-query",
    "rusqlite",
    "tokio-postgres",
    "mysql_async",
    "reqwest",
];
/// Database drivers are named by the platform, by the test kit, which makes databases, and by the benchmark, which compares
/// the product with the bare driver.
const DRIVERS: &[&str] = &["rusqlite", "tokio-postgres", "deadpool-postgres", "mysql_async"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Crate,
    Service,
    Chore,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    room: Room,
    /// Direct normal and build dependencies.
    uses: BTreeSet<String>,
    /// Direct development dependencies.
    tests_with: BTreeSet<String>,
    /// Everything reachable over normal and build dependencies.
    reaches: BTreeSet<String>,
    inherits_lints: bool,
}

pub fn run(root: &Path) -> Result<String, String> {
    let members = members(root)?;
    let mut problems = check(&members);
    problems.extend(layers::check_tree(root)?);
    if problems.is_empty() {
        Ok(format!("edges: {} crates keep the rules", members.len()))
    } else {
        Err(format!("edges: {} broken\n  {}", problems.len(), problems.join("\n  ")))
    }
}

fn check(members: &[Member]) -> Vec<String> {
    let workspace: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut problems = Vec::new();
    for member in members {
        let Some(allowed) = allowed(member) else {
            problems.push(format!("{}: a new crate needs its row in xtask/src/edges.rs", member.name));
            continue;
        };
        let everything = allowed.contains(&"*");
        for used in member.uses.iter().filter(|used| workspace.contains(used.as_str())) {
            if used == "testkit" {
                problems.push(format!("{} -> testkit: only as a dev-dependency", member.name));
            } else if !everything && !allowed.contains(&used.as_str()) {
                problems.push(format!("{} -> {used}: it may use only [{}]", member.name, allowed.join(", ")));
            }
        }
        for used in member.tests_with.iter().filter(|used| workspace.contains(used.as_str())) {
            if !everything && used != "testkit" && !allowed.contains(&used.as_str()) {
                problems.push(format!("{} -> {used} (dev): its tests may add only testkit", member.name));
            }
        }
        if ["kernel", "contracts"].contains(&member.name.as_str()) {
            for heavy in HEAVY.iter().filter(|heavy| member.reaches.contains(**heavy)) {
                problems.push(format!("{} reaches {heavy}: no runtime, HTTP or SQL in a leaf", member.name));
            }
        }
        if !["platform", "testkit", "bench"].contains(&member.name.as_str()) {
            for driver in DRIVERS.iter().filter(|driver| member.uses.contains(**driver)) {
                problems.push(format!("{} -> {driver}: drivers are the platform's", member.name));
            }
        }
        if !member.inherits_lints && member.name != "sandbox" {
            problems.push(format!("{}: Cargo.toml lacks `[lints] workspace = true`", member.name));
        }
    }
    problems
}

/// The workspace crates a member may use; `*` is every one.
fn allowed(member: &Member) -> Option<&'static [&'static str]> {
    Some(match (member.room, member.name.as_str()) {
        (Room::Service, _) | (_, "adapters") => &["kernel", "contracts", "platform"],
        (_, "kernel" | "sandbox" | "xtask") => &[],
        (_, "contracts") => &["kernel"],
        (_, "platform") => &["kernel", "contracts"],
        (_, "testkit") => &["kernel", "contracts", "platform", "adapters"],
        (_, "guildhall") => &["*"],
        (_, "bench") => &["kernel", "platform", "guildhall"],
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}
#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
}
#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}
#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}
#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}
#[derive(Deserialize)]
struct EdgeKind {
    /// `null` is a normal dependency.
    kind: Option<String>,
}

impl Edge {
    fn is_dev_only(&self) -> bool {
        self.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"))
    }
    fn has_dev(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() == Some("dev"))
    }
}

fn members(root: &Path) -> Result<Vec<Member>, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(graph(&metadata, |path| std::fs::read_to_string(path).unwrap_or_default()))
}

fn graph(metadata: &Metadata, manifest: impl Fn(&str) -> String) -> Vec<Member> {
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package.name.as_str()))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let name = |id: &str| names.get(id).map_or_else(|| id.to_owned(), |name| (*name).to_owned());
    let mut members = Vec::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
    {
        let edges = nodes.get(package.id.as_str()).map(|node| node.deps.as_slice()).unwrap_or_default();
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![package.id.as_str()];
        while let Some(id) = open.pop() {
            for edge in nodes
                .get(id)
                .into_iter()
                .flat_map(|node| &node.deps)
                .filter(|edge| !edge.is_dev_only())
            {
                if reached.insert(edge.pkg.as_str()) {
                    open.push(edge.pkg.as_str());
                }
            }
        }
        let path = package.manifest_path.replace('\\', "/");
        members.push(Member {
            name: package.name.clone(),
            room: if path.contains("/services/") {
                Room::Service
            } else if path.contains("/crates/") {
                Room::Crate
            } else {
                Room::Chore
            },
            uses: edges
                .iter()
                .filter(|edge| !edge.is_dev_only())
                .map(|edge| name(&edge.pkg))
                .collect(),
            tests_with: edges.iter().filter(|edge| edge.has_dev()).map(|edge| name(&edge.pkg)).collect(),
            reaches: reached.into_iter().map(name).collect(),
            inherits_lints: inherits_lints(&manifest(&package.manifest_path)),
        });
    }
    members
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]")
        && lines
            .take_while(|line| !line.starts_with('['))
            .any(|line| line.replace(' ', "") == "workspace=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, room: Room, uses: &[&str]) -> Member {
        let uses: BTreeSet<String> = uses.iter().map(|&used| used.to_owned()).collect();
        Member {
            name: name.into(),
            room,
            reaches: uses.clone(),
            uses,
            tests_with: BTreeSet::new(),
            inherits_lints: true,
        }
    }

    fn house() -> Vec<Member> {
        vec![
            member("kernel", Room::Crate, &["uuid"]),
            member("contracts", Room::Crate, &["kernel", "serde"]),
            member("platform", Room::Crate, &["kernel", "contracts", "rusqlite", "axum"]),
            member("adapters", Room::Crate, &["platform"]),
            member("testkit", Room::Crate, &["platform"]),
            member("guildhall", Room::Crate, &["platform", "adapters", "tasks", "identity"]),
            member("tasks", Room::Service, &["kernel", "contracts", "platform", "sea-query"]),
            member("identity", Room::Service, &["platform"]),
            member("xtask", Room::Chore, &["serde"]),
        ]
    }

    /// The house with one more dependency must break exactly one rule that names it.
    fn broken_by(name: &str, added: &str) -> String {
        let mut house = house();
        for member in house.iter_mut().filter(|member| member.name == name) {
            member.uses.insert(added.to_owned());
            member.reaches.insert(added.to_owned());
        }
        let problems = check(&house);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    #[test]
    fn the_plan_itself_is_clean() {
        assert_eq!(check(&house()), Vec::<String>::new());
    }

    #[test]
    fn a_service_never_knows_another_service() {
        assert!(broken_by("tasks", "identity").starts_with("tasks -> identity"));
    }

    #[test]
    fn a_service_never_knows_adapters() {
        assert!(broken_by("tasks", "adapters").starts_with("tasks -> adapters"));
    }

    #[test]
    fn a_service_never_names_a_driver() {
        assert!(broken_by("tasks", "rusqlite").contains("drivers are the platform's"));
    }

    #[test]
    fn leaves_reach_no_runtime_http_or_sql() {
        assert!(broken_by("contracts", "axum").contains("contracts reaches axum"));
        assert!(broken_by("kernel", "tokio").contains("kernel reaches tokio"));
    }

    #[test]
    fn only_guildhall_names_everything() {
        assert!(broken_by("platform", "tasks").starts_with("platform -> tasks"));
        assert!(broken_by("adapters", "guildhall").starts_with("adapters -> guildhall"));
        assert!(broken_by("xtask", "kernel").starts_with("xtask -> kernel"));
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert!(broken_by("guildhall", "testkit").contains("only as a dev-dependency"));
        let mut house = house();
        house[6].tests_with.insert("testkit".into());
        assert_eq!(check(&house), Vec::<String>::new());
        house[6].tests_with.insert("identity".into());
        assert!(check(&house)[0].contains("(dev)"));
    }

    #[test]
    fn a_new_crate_or_one_without_lints_is_noticed() {
        let mut house = house();
        house.push(member("surprise", Room::Crate, &[]));
        house[0].inherits_lints = false;
        let problems = check(&house);
        assert!(problems[0].contains("kernel: Cargo.toml lacks"));
        assert!(problems[1].contains("surprise: a new crate needs its row"));
    }

    #[test]
    fn the_graph_is_read_from_cargo_metadata() {
        let text = r#"{"packages":[{"id":"t","name":"tasks","manifest_path":"/r/services/tasks/Cargo.toml"},{"id":"p","name":"platform","manifest_path":"/r/crates/platform/Cargo.toml"},
            {"id":"x","name":"axum","manifest_path":"/registry/axum/Cargo.toml"},{"id":"k","name":"testkit","manifest_path":"/r/crates/testkit/Cargo.toml"}],
            "workspace_members":["t","p","k"],"resolve":{"nodes":[{"id":"t","deps":[{"pkg":"p","dep_kinds":[{"kind":null}]},{"pkg":"k","dep_kinds":[{"kind":"dev"}]}]},
            {"id":"p","deps":[{"pkg":"x","dep_kinds":[{"kind":null}]}]},{"id":"x","deps":[]},{"id":"k","deps":[]}]}}"#;
        let members = graph(&serde_json::from_str(text).unwrap(), |_| {
            "[package]\n[lints]\nworkspace = true\n[dependencies]\n".into()
        });
        let tasks = &members[0];
        assert_eq!(tasks.room, Room::Service);
        assert!(tasks.reaches.contains("axum") && !tasks.uses.contains("axum"));
        assert!(tasks.tests_with.contains("testkit") && !tasks.reaches.contains("testkit"));
        assert!(tasks.inherits_lints);
    }
}
