//! Everything in the repository that a program writes, and the check that it is up to date.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{er, postman, security};

const OPENAPI: &str = "docs/api/openapi.json";

/// What the guildhall binary prints -> where the committed copy lives.
const PRINTED: &[(&[&str], &str)] = &[
    (&["openapi"], OPENAPI),
    (&["asyncapi"], "docs/api/asyncapi.json"),
    (&["config", "schema"], "docs/operations/config.schema.json"),
    (&["config", "reference"], "docs/operations/config-reference.md"),
];

#[derive(Debug, Default)]
pub struct Options {
    /// Compare only; a difference is an error.
    pub check: bool,
    /// A built binary; without it, `cargo run` builds one.
    pub binary: Option<PathBuf>,
    pub only_er: bool,
}

impl Options {
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--check" => options.check = true,
                "--bin" => options.binary = Some(words.next().ok_or("--bin needs a path")?.into()),
                other => return Err(format!("docs: unknown option {other}")),
            }
        }
        Ok(options)
    }
}

pub fn run(root: &Path, options: &Options) -> Result<String, String> {
    let mut pages = er::pages(root)?;
    if !options.only_er {
        pages.push(security::page(root)?);
        for (arguments, output) in PRINTED {
            pages.push((PathBuf::from(output), printed(root, options.binary.as_deref(), arguments)?));
        }
        let openapi = pages
            .iter()
            .find(|(path, _)| path == Path::new(OPENAPI))
            .map_or("", |(_, text)| text);
        let openapi = serde_json::from_str(openapi).map_err(|error| format!("{OPENAPI}: {error}"))?;
        pages.extend(postman::pages(root, &openapi)?);
    }
    let unproved = pages
        .iter()
        .find(|(path, _)| path == Path::new(security::OUTPUT))
        .map(|(_, page)| security::unproved(page))
        .unwrap_or_default();
    if options.check && !unproved.is_empty() {
        return Err(format!(
            "docs: lines {} of the security checklist have no test named sec_NN_..",
            unproved.join(", ")
        ));
    }
    let mut stale = Vec::new();
    for (path, text) in &pages {
        let file = root.join(path);
        if std::fs::read_to_string(&file).is_ok_and(|found| found == *text) {
            continue;
        }
        stale.push(path.display().to_string());
        if !options.check {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    match (stale.is_empty(), options.check) {
        (true, _) => Ok(format!("docs: {} generated files are up to date", pages.len())),
        (false, false) => Ok(format!("docs: wrote {}", stale.join(", "))),
        (false, true) => Err(format!(
            "docs: out of date, run `cargo xtask docs` and commit:\n  {}",
            stale.join("\n  ")
        )),
    }
}

fn printed(root: &Path, binary: Option<&Path>, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary.unwrap_or(Path::new("cargo")));
    if binary.is_none() {
        command.args(["run", "--quiet", "--locked", "--package", "guildhall", "--"]);
    }
    let output = command
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("guildhall {}: {error}", arguments.join(" ")))?;
    if !output.status.success() {
        return Err(format!(
            "guildhall {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut text = String::from_utf8(output.stdout).map_err(|error| format!("guildhall {}: {error}", arguments.join(" ")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let options = Options::parse(&["--check", "--bin", "target/debug/guildhall"]).unwrap();
        assert!(options.check && options.binary == Some("target/debug/guildhall".into()));
        assert!(Options::parse(&["--chekc"]).is_err());
        assert!(Options::parse(&["--bin"]).is_err());
    }

    #[test]
    fn every_generated_file_has_one_source() {
        let mut outputs: Vec<&str> = PRINTED.iter().map(|(_, output)| *output).collect();
        outputs.sort_unstable();
        outputs.dedup();
        assert_eq!(outputs.len(), PRINTED.len());
    }
}
