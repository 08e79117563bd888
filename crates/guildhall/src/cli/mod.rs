//! The command line. Exit codes: 0 success, 1 the work failed, 2 wrong usage or configuration,
//! 3 something it needs (database, server) cannot be reached, 4 another server works on the data folder.

mod chores;
mod config;
mod installation;
mod lock;
mod outbox;
mod serve;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use platform::config::Provenance;

use crate::config::Config;

/// The backend for a team's whole work: one binary, one data folder.
#[derive(Debug, Parser)]
#[command(name = "guildhall", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// TOML file with configuration sections.
    #[arg(long, global = true, value_name = "FILE", env = "GUILDHALL_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for databases, keys and the mailbox.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// `postgres://…` or `mysql://…`; embedded SQLite in the data folder when absent.
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Any configuration key, such as `--set http.rate_limits.enabled=false`. Repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    Serve(ServeArgs),
    /// Bring the databases up to date, under a lock.
    Migrate(MigrateArgs),
    /// Write everything to an archive, while the server runs or not.
    Backup(installation::BackupArgs),
    /// Bring an archive back into an empty data folder or database.
    Restore(installation::RestoreArgs),
    /// Check the invariants of the data, or of an archive; exit code 1 when one is broken.
    Verify(installation::VerifyArgs),
    /// Move the SQLite data to the empty PostgreSQL or MariaDB/MySQL database that --database-url names.
    ExportTo(installation::ExportArgs),
    /// Show events that were given up, or send them on their way again.
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// List the services this binary can run and the roles a process can have.
    Targets(Json),
    /// Check, print or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI 3.1 description of the REST API.
    Openapi(OpenapiArgs),
    /// Print the AsyncAPI 3.0 description of the live events.
    Asyncapi,
    /// Print the role × permission tables as Markdown.
    Roles,
    /// Ask a running server whether it is ready; exit code 0 when it is.
    Healthcheck(HealthcheckArgs),
    /// Manage accounts without the API.
    #[command(subcommand)]
    User(UserCommand),
    /// Print a completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address of the API.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of the Prometheus metrics; `off` for none.
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<String>,
    /// Services to run: `all`, or a comma-separated list from `guildhall targets`.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    target: Vec<String>,
    /// What this process does for them.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "api,worker")]
    roles: Vec<ProcessRole>,
}

/// What a process does for its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessRole {
    /// Answers HTTP requests.
    Api,
    /// Relays events, runs due work and sweeps.
    Worker,
}

#[derive(Debug, Args)]
pub struct Json {
    /// Machine-readable output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only say what is pending; exit code 1 when something is.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
pub struct OpenapiArgs {
    /// YAML instead of JSON.
    #[arg(long)]
    yaml: bool,
}

#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Base address of the server; the configured listener when absent.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report every mistake at once.
    Check(Json),
    /// Print the configuration in force, secrets redacted, with where each value came from.
    Print(Json),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print the reference as Markdown.
    Reference,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create an account; the password is read from standard input or made and printed.
    Create {
        #[arg(long)]
        email: String,
        #[arg(long, default_value = "")]
        name: String,
        /// May manage the installation.
        #[arg(long)]
        admin: bool,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: Json,
    },
    /// Set a new password and end all sessions.
    ResetPassword {
        #[arg(long)]
        email: String,
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: Json,
    },
    /// Take away the second factor of somebody who lost it, and end all sessions.
    ResetMfa {
        #[arg(long)]
        email: String,
        #[command(flatten)]
        output: Json,
    },
    /// Bar an account from signing in and end its sessions.
    Lock {
        #[arg(long)]
        email: String,
        /// Lift the bar again.
        #[arg(long)]
        unlock: bool,
        #[command(flatten)]
        output: Json,
    },
}

/// Why a command ended badly, with its exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The work failed: exit code 1.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }
    /// Wrong usage or configuration: exit code 2.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }
    /// Something it needs cannot be reached: exit code 3.
    pub fn unreachable(message: impl std::fmt::Display) -> Self {
        Self {
            code: 3,
            message: message.to_string(),
        }
    }
    /// Another server works on the data folder: exit code 4.
    pub fn in_use(message: impl std::fmt::Display) -> Self {
        Self {
            code: 4,
            message: message.to_string(),
        }
    }
}

/// An error with all that caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Self {
        let text = match (error.kind, &error.cause) {
            // What is kept from callers of the API is what an operator asks for.
            (kernel::ErrorKind::Internal, Some(cause)) => chain(&**cause),
            (_, Some(cause)) => format!("{error} ({cause})"),
            (_, None) => error.to_string(),
        };
        match error.kind {
            kernel::ErrorKind::Unavailable | kernel::ErrorKind::Timeout => Self::unreachable(text),
            _ => Self::failed(text),
        }
    }
}

impl From<platform::db::DbError> for Failure {
    fn from(error: platform::db::DbError) -> Self {
        kernel::Error::from(error).into()
    }
}

type CliResult = Result<(), Failure>;

/// Runs the command line and says how it ended.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::failed(format!("cannot start the async runtime: {error}"))),
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    eprintln!("guildhall: {}", failure.message);
    ExitCode::from(failure.code)
}

async fn dispatch(cli: Cli) -> CliResult {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(args) => serve::serve(&global, args).await,
        Command::Migrate(args) => chores::migrate(&load(&global, &[])?, &args).await,
        Command::Backup(args) => installation::backup(&load(&global, &[])?, &args).await,
        Command::Restore(args) => installation::restore(&load(&global, &[])?, &args).await,
        Command::Verify(args) => installation::verify(&load(&global, &[])?, &args).await,
        Command::ExportTo(args) => installation::export_to(&global, &args).await,
        Command::Outbox(command) => outbox::run(&load(&global, &[])?, &command).await,
        Command::Targets(output) => chores::targets(output.json),
        Command::Config(command) => config::run(&global, &command),
        Command::Openapi(args) => chores::openapi(args.yaml).await,
        Command::Asyncapi => chores::asyncapi(),
        Command::Roles => print(&kernel::roles::markdown_tables()),
        Command::Healthcheck(args) => chores::healthcheck(&load(&global, &[])?, &args).await,
        Command::User(command) => users::run(&load(&global, &[])?, command).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "guildhall", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// The configuration in force for this command line; every mistake at once otherwise.
fn load(global: &Global, extra: &[(String, String)]) -> Result<Config, Failure> {
    load_with_sources(global, extra).map(|(config, _)| config)
}

fn load_with_sources(global: &Global, extra: &[(String, String)]) -> Result<(Config, Provenance), Failure> {
    let mut overrides = Vec::new();
    if let Some(dir) = &global.data_dir {
        overrides.push(("server.data_dir".to_owned(), dir.display().to_string()));
    }
    if let Some(url) = &global.database_url {
        overrides.push(("database.url".to_owned(), url.clone()));
    }
    for pair in &global.set {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--set {pair}: expected KEY=VALUE")))?;
        overrides.push((key.to_owned(), value.to_owned()));
    }
    overrides.extend_from_slice(extra);
    Config::load_with_sources(global.config.as_deref(), &overrides).map_err(|problems| Failure::usage(problems.join("\n")))
}

/// Writes to standard output; a reader that went away (`| head`) is not an error.
fn print(text: &str) -> CliResult {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

fn print_json(value: &impl serde::Serialize) -> CliResult {
    print(&serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}
