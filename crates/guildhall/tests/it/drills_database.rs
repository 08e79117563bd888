//! A database server that stops, dies, hangs and comes back while people work: they are told to wait, nothing they were promised is
//! lost, and nobody restarts anything. Each drill has a server of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;

use crate::load::{Load, probe, within};
use crate::process::{Server, free_port};

/// A private server, by scripts/backends.sh.
struct Backend {
    folder: tempfile::TempDir,
    url: String,
}

impl Backend {
    fn start(name: &'static str) -> Self {
        // The server's account must be able to enter it.
        let everybody = std::fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(everybody).tempdir().expect("a folder");
        let mut backend = Self {
            folder,
            url: String::new(),
        };
        let said = backend.script(&["up", name]);
        let value = |line: &str| Some(line.strip_prefix("export ")?.split_once("_URL=")?.1.to_owned());
        backend.url = said.lines().find_map(value).unwrap_or_else(|| panic!("no address in {said:?}"));
        backend
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/backends.sh");
        let mut command = std::process::Command::new(script);
        command.args(arguments).env("GUILDHALL_TEST_BACKENDS_DIR", self.folder.path());
        // What was promised must outlive this server.
        command.env("GUILDHALL_TEST_BACKENDS_DURABLE", "1");
        command.output().expect("the script runs")
    }

    fn script(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Off the runtime: the script waits for the server.
    fn tell(&self, arguments: &[&str]) {
        tokio::task::block_in_place(|| self.script(arguments));
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

async fn drill(name: &'static str, ends: &[&'static str]) {
    let backend = tokio::task::block_in_place(|| Backend::start(name));
    let data = backend.folder.path().join("guildhall");
    let migrated = crate::backup::run_at(&data, &backend.url, &["migrate"]);
    assert!(migrated.status.success(), "{migrated:?}");
    let log = backend.folder.path().join("guildhall.log");
    let said = std::fs::File::create(&log).expect("a file");
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(40))
        .build()
        .expect("a client");
    let mut server = Server::start_at(&data, Some(&backend.url), free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "warn")
            // All are opened anew after each round, which costs a debug build much of a second each.
            .env("GUILDHALL_DATABASE__MAX_CONNECTIONS", "4")
            // What hangs is given up after this and five seconds.
            .env("GUILDHALL_DATABASE__STATEMENT_TIMEOUT_MS", "2000")
            .stderr(said);
    });
    server.ready(&http).await;
    let load = Load::start(&server, &http).await;

    for end in ends {
        load.goes_on(20).await;
        load.longest();
        let refused = load.ledger().refused.len();
        let unread = load.ledger().unread.len();
        backend.tell(&["signal", name, end]);
        within(10, "not being ready", || async {
            assert_eq!(probe(&server, &http, "/livez").await, StatusCode::OK);
            (probe(&server, &http, "/readyz").await == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        within(30, "refusals", || async {
            let ledger = load.ledger();
            (ledger.refused.len() >= refused + 6 && ledger.unread.len() >= unread + 2).then_some(())
        })
        .await;
        let told = load.longest();
        let back: &[&str] = if *end == "STOP" {
            &["signal", name, "CONT"]
        } else {
            &["start", name]
        };
        backend.tell(back);
        within(30, "being ready again", || async {
            (probe(&server, &http, "/readyz").await == StatusCode::OK).then_some(())
        })
        .await;
        load.goes_on(20).await;
        eprintln!(
            "{name} {end}: the slowest refusal took {told:?}, the slowest answer after it {:?}",
            load.longest()
        );
        // Once for the session and once for the work, and well below the limit of a request.
        assert!(told < Duration::from_secs(25), "{told:?}");
    }

    let codes: std::collections::BTreeSet<String> = load.ledger().refused.iter().cloned().collect();
    assert_eq!(codes, ["service.unavailable".to_owned()].into(), "what the refusals say");
    eprintln!("{name}: {} tasks, each once", load.settle().await);
    assert!(server.terminate().success());
    let report = crate::backup::json_of(&crate::backup::run_at(&data, &backend.url, &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    let said = std::fs::read_to_string(&log).expect("the log");
    assert!(!said.contains("panicked") && !said.contains("ERROR"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_stops_dies_and_hangs_and_nothing_is_lost() {
    drill("postgres", &["INT", "QUIT", "KILL", "STOP"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_stops_dies_and_hangs_and_nothing_is_lost() {
    drill("mariadb", &["TERM", "KILL", "STOP"]).await;
}
