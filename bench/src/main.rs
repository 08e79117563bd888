//! Measures the product as it is served, beside two yardsticks in the same run:
//!
//! - **fixed**: an axum handler that answers a body of the same size and does nothing else;
//! - **bare**: the statements of the same request, as the product sent them, on the database's driver alone.
//!
//! Product and yardsticks take turns, round after round, and what counts is the median of the ratios: a machine that is busy with
//! something else slows all of them. `scripts/bench.sh` starts it; `docs/performance.md` says what the numbers mean.

mod bare;
mod cases;
mod engine;
mod fixed;
mod json;
mod listeners;
mod load;
mod machine;
mod process;
mod recording;
mod report;
mod run;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use platform::db::Engine;

/// Whatever ends a benchmark early; nothing here can be mended by the program.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Outcome<T> = Result<T, Failure>;

pub fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(message.into().into())
}

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures a build of Guildhall")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything, with a report as JSON and Markdown.
    Run(Box<Options>),
    /// The yardstick: an HTTP server whose every answer is the same.
    Fixed {
        /// Bytes of the body.
        #[arg(long)]
        size: usize,
        #[arg(long, default_value_t = 200)]
        status: u16,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The program to measure.
    #[arg(long)]
    bin: PathBuf,
    /// Where `latest.json` and `latest.md` go.
    #[arg(long)]
    out: PathBuf,
    /// Any of sqlite, postgres, mysql.
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgres,mysql", value_parser = engine::parse)]
    engines: Vec<Engine>,
    /// Any of read, page, create, sign-in, refresh.
    #[arg(long, value_delimiter = ',', default_value = "read,page,create,sign-in,refresh", value_parser = cases::Case::parse)]
    cases: Vec<cases::Case>,
    /// Connections at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    connections: Vec<usize>,
    /// Seconds that each of product and yardsticks is measured for in a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tasks in the project that is listed.
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Listeners of live events; 0 leaves them out.
    #[arg(long, default_value_t = 1_000)]
    listeners: usize,
    /// Starts of the program that the time to readiness is the median of.
    #[arg(long, default_value_t = 7)]
    starts: usize,
    /// Seconds the program is left alone before its memory is read. The allocator gives pages back after some.
    #[arg(long, default_value_t = 30.0)]
    idle_seconds: f64,
    /// Folder for data; a temporary one when absent.
    #[arg(long)]
    work_dir: Option<PathBuf>,
    /// What is written into the report as the commit.
    #[arg(long, default_value = "unknown")]
    commit: String,
    #[arg(long, default_value = "unknown")]
    rustc: String,
    /// A PostgreSQL server on which databases may be made.
    #[arg(long, env = "GUILDHALL_TEST_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// A MariaDB or MySQL server on which databases may be made.
    #[arg(long, env = "GUILDHALL_TEST_MYSQL_URL", hide_env_values = true)]
    mysql_url: Option<String>,
    /// Runs this shell command, with `BENCH_PID`, `BENCH_CASE` and `BENCH_ENGINE` set, while each case is measured at the most
    /// connections; for a profiler.
    #[arg(long)]
    profile: Option<String>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Fixed { size, status } => fixed::serve(size, status),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut text = format!("bench: {failure}");
            let mut source = failure.source();
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            json::say(&text);
            ExitCode::FAILURE
        }
    }
}
