//! Line coverage from LLVM profiles, read in Rust: a plain toolchain has no llvm-profdata and llvm-cov.
//!
//! A line counts when a region of instrumented code touches it. Its count is the highest among the
//! regions that start on it and the innermost one that reaches into it from above, which is how
//! llvm-cov counts. Only `crates/*/src` and `services/*/src` without the test kit are measured;
//! test modules at the end of a file are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use llvm_profparser::coverage::SourceLocation;
use llvm_profparser::coverage::coverage_mapping::CoverageMapping;

use crate::files_below;

struct Options {
    profiles: PathBuf,
    floor: f64,
    lcov: Option<PathBuf>,
    objects: Vec<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let (mut profiles, mut floor, mut lcov, mut objects) = (None, 0.0, None, Vec::new());
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || words.next().copied().ok_or(format!("{word} needs a value"));
            match word {
                "--profiles" => profiles = Some(PathBuf::from(value()?)),
                "--floor" => floor = value()?.parse().map_err(|error| format!("--floor: {error}"))?,
                "--lcov" => lcov = Some(PathBuf::from(value()?)),
                _ => objects.push(PathBuf::from(word)),
            }
        }
        Ok(Self {
            profiles: profiles.ok_or("coverage: --profiles is missing")?,
            floor,
            lcov,
            objects,
        })
    }
}

/// Hits of each measured line of each file.
type Lines = BTreeMap<String, BTreeMap<usize, usize>>;

pub fn run(root: &Path, words: &[&str]) -> Result<String, String> {
    let options = Options::parse(words)?;
    let profiles = files_below(&options.profiles, "profraw");
    if profiles.is_empty() {
        return Err(format!("coverage: no .profraw in {}", options.profiles.display()));
    }
    let profile = llvm_profparser::merge_profiles(&profiles).map_err(|error| format!("coverage: {error}"))?;
    let mapping = CoverageMapping::new(&options.objects, &profile, false).map_err(|error| format!("coverage: {error}"))?;
    let report = mapping
        .generate_subreport(|paths| paths.iter().any(|path| measured(root, path).is_some()))
        .map_err(|error| format!("coverage: {error}"))?;
    let mut lines = Lines::new();
    for (path, result) in &report.files {
        let Some(name) = measured(root, path) else { continue };
        let source = std::fs::read_to_string(root.join(&name)).unwrap_or_default();
        let end = first_test_line(&source);
        let counted: BTreeMap<usize, usize> = line_hits(&result.hits).into_iter().filter(|(line, _)| *line < end).collect();
        let file = lines.entry(name).or_default();
        for (line, hits) in counted {
            let known = file.entry(line).or_default();
            *known = (*known).max(hits);
        }
    }
    if let Some(path) = &options.lcov {
        std::fs::write(path, lcov(&lines)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let (table, percent) = table(&lines);
    if percent + 1e-9 < options.floor {
        return Err(format!(
            "{table}\ncoverage: {percent:.2} % of lines is below the floor of {} %",
            options.floor
        ));
    }
    Ok(format!("{table}\ncoverage: {percent:.2} % of lines (floor {} %)", options.floor))
}

/// The path below the root, when the file is one that is measured.
fn measured(root: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
    let counts =
        (name.starts_with("crates/") || name.starts_with("services/")) && name.contains("/src/") && !name.starts_with("crates/testkit/");
    let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
    (counts && !is_test).then_some(name)
}

/// Number of the line on which the test module at the end of the file begins; past the end without one.
fn first_test_line(source: &str) -> usize {
    let lines: Vec<&str> = source.lines().collect();
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'))
        .map_or(usize::MAX, |at| at + 1)
}

fn line_hits(regions: &BTreeMap<SourceLocation, usize>) -> BTreeMap<usize, usize> {
    let mut hits: BTreeMap<usize, usize> = BTreeMap::new();
    // Regions come sorted by start, so on lines below its first the last one written is the innermost.
    for (region, count) in regions {
        for line in region.line_start + 1..=region.line_end {
            hits.insert(line, *count);
        }
    }
    let mut starting: BTreeMap<usize, usize> = BTreeMap::new();
    for (region, count) in regions {
        let known = starting.entry(region.line_start).or_default();
        *known = (*known).max(*count);
    }
    for (line, count) in starting {
        let known = hits.entry(line).or_default();
        *known = (*known).max(count);
    }
    hits
}

fn lcov(lines: &Lines) -> String {
    let mut text = String::new();
    for (name, lines) in lines {
        let _ = writeln!(text, "SF:{name}");
        for (line, hits) in lines {
            let _ = writeln!(text, "DA:{line},{hits}");
        }
        let hit = lines.values().filter(|hits| **hits > 0).count();
        let _ = writeln!(text, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
    }
    text
}

fn table(lines: &Lines) -> (String, f64) {
    let mut crates: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut files = Vec::new();
    for (name, lines) in lines {
        let hit = lines.values().filter(|hits| **hits > 0).count();
        let owner = name.split('/').take(2).collect::<Vec<_>>().join("/");
        let sum = crates.entry(owner).or_default();
        *sum = (sum.0 + hit, sum.1 + lines.len());
        files.push((lines.len() - hit, name, hit, lines.len()));
    }
    let total = crates.values().fold((0, 0), |sum, (hit, all)| (sum.0 + hit, sum.1 + all));
    let mut text = String::from("coverage by crate (lines hit / lines):\n");
    for (owner, (hit, all)) in &crates {
        let _ = writeln!(text, "  {owner:<28} {hit:>6} / {all:>6}  {:>6.2} %", percent(*hit, *all));
    }
    files.sort();
    text.push_str("files with the most lines missed:\n");
    for (missed, name, hit, all) in files.iter().rev().filter(|file| file.0 > 0).take(15) {
        let _ = writeln!(text, "  {missed:>5} missed  {:>6.2} %  {name}", percent(*hit, *all));
    }
    (text.trim_end().to_owned(), percent(total.0, total.1))
}

#[expect(clippy::cast_precision_loss, reason = "line counts are far below 2^52")]
fn percent(hit: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { hit as f64 * 100.0 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(line_start: usize, column_start: usize, line_end: usize, column_end: usize) -> SourceLocation {
        SourceLocation {
            line_start,
            column_start: column_start as _,
            line_end,
            column_end: column_end as _,
        }
    }

    #[test]
    fn an_inner_region_that_never_ran_is_a_missed_line() {
        // fn a(b: bool) {      1
        //     if b {           2
        //         c();         3   never
        //     }                4
        // }                    5
        let regions = BTreeMap::from([(region(1, 1, 2, 9), 4), (region(2, 10, 4, 6), 0), (region(5, 1, 5, 2), 4)]);
        assert_eq!(line_hits(&regions), BTreeMap::from([(1, 4), (2, 4), (3, 0), (4, 0), (5, 4)]));
    }

    #[test]
    fn only_the_product_is_measured() {
        let root = Path::new("/r");
        assert!(measured(root, Path::new("/r/services/tasks/src/model.rs")).is_some());
        for path in [
            "/r/crates/testkit/src/lib.rs",
            "/r/xtask/src/main.rs",
            "/r/crates/guildhall/tests/it/a.rs",
            "/r/crates/platform/src/db/tests.rs",
            "/x/lib.rs",
        ] {
            assert!(measured(root, Path::new(path)).is_none(), "{path}");
        }
    }

    #[test]
    fn tests_at_the_end_of_a_file_are_left_out() {
        assert_eq!(first_test_line("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 3);
        assert_eq!(first_test_line("#[cfg(test)]\nmod tests;\nfn a() {}\n"), usize::MAX);
    }

    #[test]
    fn percentages_and_reports() {
        let lines = Lines::from([("crates/a/src/lib.rs".to_owned(), BTreeMap::from([(1, 1), (2, 0), (3, 7), (4, 1)]))]);
        let (text, total) = table(&lines);
        assert!((total - 75.0).abs() < 1e-9);
        assert!(text.contains("1 missed"));
        assert!(lcov(&lines).contains("DA:2,0\nDA:3,7\nDA:4,1\nLF:4\nLH:3"));
    }
}
