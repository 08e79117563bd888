//! Every statement of a service's store, prepared by the engine under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kernel::SystemClock;
use platform::Caller;
use platform::db::{Db, Recorded, Schema, Unit, record_statements};

use crate::TestDb;

/// The methods that take a statement, by the name of the variable they are called on.
const METHODS: [(&str, &[&str]); 3] = [
    ("db", &["all", "one", "opt"]),
    (
        "unit",
        &["delete", "delete_guarded", "insert", "read", "require", "update", "update_guarded"],
    ),
    ("reads", &["add"]),
];

/// Lets the engine under test prepare every statement in `src/store` of the crate in `crate_dir` (`env!("CARGO_MANIFEST_DIR")`).
///
/// `calls` calls every function of the store, those that build different SQL from different arguments once for each. The
/// reads run on an empty migrated database, the unit is never applied; what they answer does not matter.
///
/// # Panics
/// Names each statement that the engine refuses, and each line of the store that hands a statement to `db`, `unit` or `reads` and
/// was not reached, so that a query cannot be forgotten. SQL outside of `src/store` is refused as well.
pub async fn prepare_store(schema: Schema, crate_dir: &str, calls: impl AsyncFnOnce(&Db, &mut Unit)) {
    let db = TestDb::new(schema).await;
    let mut unit = Unit::new(&Caller::system(&SystemClock, "prepare"));
    let ((), recorded) = record_statements(calls(&db, &mut unit)).await;
    let mut wrong = refused(&db, &recorded).await;
    let reached: BTreeSet<String> = recorded
        .iter()
        .map(|one| format!("{}:{}", one.site.file(), one.site.line()))
        .collect();
    for file in rust_files(&Path::new(crate_dir).join("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        // Locations are relative to the workspace.
        let name = file.display().to_string().replace('\\', "/");
        if file.components().any(|part| part.as_os_str() == "store") {
            wrong.extend(misnamed(&text).map(|line| format!("{name}:{line}: call a `&Db` db, a `&mut Unit` unit and `Reads` reads")));
            let missed = sites(&text).filter(|line| !reached.iter().any(|site| format!("{name}:{line}").ends_with(&format!("/{site}"))));
            wrong.extend(missed.map(|line| format!("{name}:{line}: this statement is not prepared by the test")));
        } else if !is_test(&file) && program(&text).contains("sea_query") {
            wrong.push(format!("{name}: SQL belongs into src/store"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} things are wrong with the store:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn refused(db: &Db, recorded: &[Recorded]) -> Vec<String> {
    // One site may have many texts, and many sites one.
    let mut texts = BTreeMap::new();
    for one in recorded {
        texts.entry(format!("{:?}", one.statement)).or_insert(one);
    }
    let mut refused = Vec::new();
    for one in texts.into_values() {
        if let Err(error) = db.prepare(one.statement.clone()).await {
            refused.push(format!("{}: the engine refuses this statement: {error}", one.site));
        }
    }
    refused
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests") || file.file_stem().is_some_and(|stem| stem == "tests")
}

/// The program without the tests at the end of the file.
fn program(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// Lines on which `db`, `unit` or `reads` is given a statement. The line is that of the method's name, as the compiler counts it.
fn sites(text: &str) -> impl Iterator<Item = usize> {
    let program = program(text);
    program.match_indices('.').filter_map(move |(dot, _)| {
        let receiver = last_word(program[..dot].trim_end());
        let after = &program[dot + 1..];
        let gap = after.len() - after.trim_start().len();
        let method = first_word(&after[gap..]);
        let called = after[gap + method.len()..].starts_with(['(', ':']);
        let taken = METHODS.iter().any(|(name, methods)| *name == receiver && methods.contains(&method));
        (taken && called).then(|| 1 + program[..dot + 1 + gap].matches('\n').count())
    })
}

/// Lines with a database, a unit or reads under another name, where [`sites`] would not see it.
fn misnamed(text: &str) -> impl Iterator<Item = usize> {
    let lines = program(text).lines().enumerate();
    lines.filter_map(|(index, line)| {
        let wrong = [(": &Db", "db"), (": &mut Unit", "unit"), (" = Reads", "reads")]
            .into_iter()
            .any(|(kind, name)| {
                line.match_indices(kind)
                    .any(|(at, _)| !line[at + kind.len()..].starts_with(is_word) && last_word(&line[..at]) != name)
            });
        wrong.then_some(index + 1)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> &str {
    text.split(|c| !is_word(c)).next().unwrap_or_default()
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c| !is_word(c)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{misnamed, sites};

    const STORE: &str = "
pub async fn find(db: &Db) { db.opt(q()).await }
pub async fn list(db: &Db) {
    let mut map = HashMap::new();
    map.insert(1, 2);
    db
        .all::<Row>(q())
        .await
}
pub fn put(unit: &mut Unit) { unit.insert(q()); unit.schedule(due) }
pub async fn both(db: &Db) {
    let mut reads = Reads::default();
    let slot = reads.add::<Row>(q());
    db.read(reads).await
}
#[cfg(test)]
mod tests { fn t() { db.all() } }
";

    #[test]
    fn a_site_is_the_line_of_the_methods_name() {
        assert_eq!(sites(STORE).collect::<Vec<_>>(), vec![2, 7, 10, 13]);
    }

    #[test]
    fn other_names_for_the_same_are_found() {
        assert_eq!(misnamed(STORE).count(), 0);
        let other = "fn find(database: &Db, u: &mut Unit) {}\nlet mut others = Reads::default();\nfn fine(unit: &mut Unit, dbs: &DbSet) {}";
        assert_eq!(misnamed(other).collect::<Vec<_>>(), vec![1, 2]);
    }
}
