//! A disk that is full: people are told so, reading goes on, nothing breaks, and it heals when room is made.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::load::{Load, probe, within};
use crate::process::{Server, free_port};
use crate::support::PASSWORD;

/// Small enough to be filled in a moment. Besides the databases there must be room for each one's write-ahead log, which grows to 16 MiB
/// before it begins anew: on a disk of 32 MB two of them were all there was, and what the drill gave back was never enough.
const SIZE: &str = "size=256m";

/// A small file system that only processes in its namespace see, so that nothing is left of it whatever happens. It takes root, or a
/// kernel that lets everybody make namespaces.
struct SmallDisk {
    holder: Child,
    folder: tempfile::TempDir,
    as_user: bool,
}

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = |options: &[&str]| {
            let script = format!("mount -t tmpfs -o {SIZE} drill \"$0\" && echo mounted && exec sleep 600");
            let mut command = Command::new("unshare");
            command.args(options).args(["sh", "-c", &script]).arg(folder.path());
            let mut holder = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
            let mut said = String::new();
            let answer = holder.stdout.take().expect("a pipe");
            std::io::BufRead::read_line(&mut std::io::BufReader::new(answer), &mut said).ok()?;
            if said == "mounted\n" {
                return Some(holder);
            }
            let _ = holder.wait();
            None
        };
        let (holder, as_user) = mounted(&["--mount"])
            .map(|holder| (holder, false))
            .or_else(|| mounted(&["--user", "--map-root-user", "--mount"]).map(|holder| (holder, true)))
            .expect("a namespace for mounts: run as root, or allow unprivileged user namespaces");
        Self { holder, folder, as_user }
    }

    /// A command that sees the disk.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        if self.as_user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
            .args(["--mount", "--target", &self.holder.id().to_string(), "--"])
            .arg(program);
        command
    }

    /// Its files, as seen from outside.
    fn seen_from_outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.path().strip_prefix("/").expect("an absolute path"))
    }

    fn filler(&self) -> PathBuf {
        self.seen_from_outside().join("filler")
    }

    fn fill(&self) {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .expect("a file");
        for size in [1 << 20, 4_096, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_loses_nothing_and_heals() {
    let disk = SmallDisk::mount();
    let data = disk.folder.path().join("data");
    let log = tempfile::NamedTempFile::new().expect("a file");
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(40))
        .build()
        .expect("a client");
    let mut server = Server::start_as(
        disk.inside(Path::new(env!("CARGO_BIN_EXE_guildhall"))),
        &data,
        None,
        free_port(),
        |command| {
            command.env("GUILDHALL_LOG__LEVEL", "warn").stderr(log.reopen().expect("the file"));
        },
    );
    server.ready(&http).await;
    let load = Load::start(&server, &http).await;

    for round in 0..2 {
        load.goes_on(20).await;
        disk.fill();
        // There may be room left inside of the files.
        let refused = load.ledger().refused.len();
        within(20, "refusals", || async {
            (load.ledger().refused.len() >= refused + 60).then_some(())
        })
        .await;
        assert_eq!(probe(&server, &http, "/livez").await, StatusCode::OK);
        // Sent elsewhere nobody could read either: there is only this one.
        assert_eq!(probe(&server, &http, "/readyz").await, StatusCode::OK);
        let read = load.ledger().read;
        within(5, "reading", || async { (load.ledger().read >= read + 5).then_some(()) }).await;
        let body = json!({ "email": "owner@example.com", "password": PASSWORD });
        let answer = server.anonymous(&http).post("/v1/auth/sign-in", body).await;
        let answer = answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "service.storage_full");
        assert_eq!(answer.header("retry-after"), Some("30"));

        let acknowledged = load.ledger().acknowledged.len();
        disk.free();
        load.goes_on(20).await;
        println!("round {round}: {acknowledged} tasks when it was full");
    }

    assert_eq!(load.ledger().unread, Vec::<String>::new(), "reading went on");
    let codes: std::collections::BTreeSet<String> = load.ledger().refused.iter().cloned().collect();
    assert_eq!(codes, ["service.storage_full".to_owned()].into(), "what the refusals say");
    println!("{} tasks, each once", load.settle().await);
    assert!(server.terminate().success());
    let output = disk
        .inside(Path::new(env!("CARGO_BIN_EXE_guildhall")))
        .args(["verify", "--json", "--data-dir"])
        .arg(&data)
        .output();
    let report = crate::backup::json_of(&output.expect("it runs"), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    let said = std::fs::read_to_string(log.path()).expect("the log");
    assert!(!said.contains("panicked") && !said.contains("ERROR"), "{said}");
}
