//! The tool runs from start to end. Nothing is timed: whether a number is good, a shared machine cannot tell.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
#[expect(clippy::disallowed_methods, reason = "the suite runs once per engine, and this test once in all")]
fn a_tiny_benchmark_reports_every_case() {
    if std::env::var("GUILDHALL_TEST_ENGINE").is_ok_and(|engine| engine != "sqlite") {
        return;
    }
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    // Built beside it by every build of the workspace.
    let guildhall = bench.with_file_name("guildhall");
    let out = tempfile::tempdir().expect("a folder");
    let status = Command::new(bench)
        .arg("run")
        .args([
            "--engines",
            "sqlite",
            "--tasks",
            "60",
            "--rounds",
            "1",
            "--seconds",
            "0.1",
            "--connections",
            "1,2",
        ])
        .args(["--listeners", "3", "--starts", "1", "--idle-seconds", "0"])
        .arg("--bin")
        .arg(guildhall)
        .arg("--out")
        .arg(out.path())
        .status()
        .expect("the tool starts");
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(out.path().join("latest.json")).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let rows = report["engines"][0]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 10, "five cases at one and two connections");
    for row in rows {
        assert!(row["product"]["per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{row}");
        let replayed = ["read", "page", "create"].iter().any(|case| row["case"] == *case);
        assert_eq!(row["of_bare"].is_number(), replayed, "{row}");
    }
    assert_eq!(report["engines"][0]["listeners"]["listeners"], 3);
    let markdown = std::fs::read_to_string(out.path().join("latest.md")).expect("a report for people");
    assert!(markdown.contains("| Read a task | 2 |"), "{markdown}");
}
