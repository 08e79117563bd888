//! Repo chores: `cargo xtask edges | er | docs [--check] [--bin PATH] | coverage`.
#![allow(clippy::print_stdout, reason = "a command line tool reports on its standard output")]

#[cfg(feature = "coverage")]
mod coverage;
mod edges;
mod er;
mod generated;
mod http_file;
mod layers;
mod postman;
mod security;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>
  edges                          check who may know whom, the layers inside services, unsafe code and file lengths
  er                             write docs/er/*.md from the SQLite migrations
  docs [--check] [--bin PATH]    write (or only compare) everything generated; PATH is a built guildhall binary
  coverage --profiles DIR --floor PERCENT [--lcov FILE] OBJECT..
                                 line coverage from LLVM profiles (needs --features coverage)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = repository_root();
    let outcome = match words.split_first() {
        Some((&"edges", [])) => edges::run(&root),
        Some((&"er", [])) => generated::run(
            &root,
            &generated::Options {
                only_er: true,
                ..Default::default()
            },
        ),
        Some((&"docs", options)) => generated::Options::parse(options).and_then(|options| generated::run(&root, &options)),
        #[cfg(feature = "coverage")]
        Some((&"coverage", options)) => coverage::run(&root, options),
        #[cfg(not(feature = "coverage"))]
        Some((&"coverage", _)) => Err("built without coverage: cargo run -p xtask --features coverage -- coverage ..".into()),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// All files below `folder` whose name ends in `.extension`, sorted; none when the folder is absent.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
