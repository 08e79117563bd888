//! The real binary as a process.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::PATIENCE_MS;

use crate::support::Client;

/// A command line of the binary under test, without the variables of the test run.
pub fn guildhall() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_guildhall")))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GUILDHALL_")) {
        command.env_remove(name);
    }
    command
}

/// The real binary on a database of its own.
pub struct Server {
    child: Child,
    pub base: String,
}

impl Server {
    pub fn start(database: &testkit::TestServer, port: u16) -> Self {
        Self::start_with(database, port, |command| {
            command.env("GUILDHALL_LOG__LEVEL", "error");
        })
    }

    /// `adjust` may add flags and variables.
    pub fn start_with(database: &testkit::TestServer, port: u16, adjust: impl FnOnce(&mut Command)) -> Self {
        let config = database.config();
        Self::start_at(database.folder(), config.url.as_deref(), port, |command| {
            command.env("GUILDHALL_DATABASE__SCHEMA_PREFIX", &config.schema_prefix);
            adjust(command);
        })
    }

    /// On a data folder, and on the database of a URL.
    pub fn start_at(data_dir: &std::path::Path, url: Option<&str>, port: u16, adjust: impl FnOnce(&mut Command)) -> Self {
        Self::start_as(guildhall(), data_dir, url, port, adjust)
    }

    /// By a command that becomes the binary, such as one that enters a namespace.
    pub fn start_as(command: Command, data_dir: &std::path::Path, url: Option<&str>, port: u16, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = without_settings(command);
        command
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}"), "--metrics-listen", "off"])
            .arg("--data-dir")
            .arg(data_dir)
            .env("GUILDHALL_HTTP__RATE_LIMITS__ENABLED", "false")
            .env("GUILDHALL_DATABASE__ACQUIRE_TIMEOUT_MS", PATIENCE_MS.to_string())
            .env("GUILDHALL_DATABASE__CONNECT_TIMEOUT_MS", PATIENCE_MS.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(url) = url {
            command.arg("--database-url").arg(url);
        }
        adjust(&mut command);
        let child = command.spawn().expect("the server starts");
        Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
        }
    }

    /// Nobody in particular, speaking with this server.
    pub fn anonymous(&self, http: &reqwest::Client) -> Client {
        Client::anonymous(&self.base, http)
    }

    pub async fn ready(&mut self, http: &reqwest::Client) {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("the server's state") {
                panic!("the server ended by itself: {status}");
            }
            let answer = http
                .get(format!("{}/readyz", self.base))
                .timeout(Duration::from_secs(2))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not become ready within 30 s");
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and how the process ended.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(status.success());
        self.child.wait().expect("the server's end")
    }

    /// SIGKILL: no chance to finish anything.
    pub fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("the server's end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
