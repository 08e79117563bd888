//! `guildhall outbox …`: events that were given up for a consumer.

use clap::{Args, Subcommand};
use kernel::{Clock, SystemClock};
use platform::Caller;
use platform::db::Db;
use platform::events::{ParkedEvent, list_parked, requeue_parked};
use serde_json::json;

use super::{CliResult, Failure, Json, print, print_json};
use crate::backup;
use crate::compose::Databases;
use crate::config::Config;

/// Events shown per service.
const SHOWN: u64 = 100;

#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// Show events that were given up, with who failed to take them and why.
    List(Json),
    /// Send them on their way again, after the cause is mended; a consumer that has one already is not handed it twice.
    Requeue(RequeueArgs),
}

#[derive(Debug, Args)]
pub struct RequeueArgs {
    /// Only events of this service; all services otherwise.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    output: Json,
}

pub async fn run(config: &Config, command: &OutboxCommand) -> CliResult {
    backup::check_present(config).await?;
    let databases = Databases::connect(config).await?;
    match command {
        OutboxCommand::List(output) => list(&databases, output.json).await,
        OutboxCommand::Requeue(args) => requeue(&databases, args).await,
    }
}

async fn list(databases: &Databases, json: bool) -> CliResult {
    let mut services = Vec::new();
    for db in databases.all() {
        services.push((db.service(), list_parked(db, SHOWN).await?));
    }
    if json {
        let services: Vec<_> = services
            .iter()
            .map(|(service, parked)| json!({ "service": service, "parked": parked }))
            .collect();
        return print_json(&json!({ "services": services }));
    }
    if services.iter().all(|(_, parked)| parked.is_empty()) {
        return print("no event was given up");
    }
    for (service, parked) in &services {
        for event in parked {
            print(&page(service, event))?;
        }
        if parked.len() as u64 == SHOWN {
            print(&format!("{service}: the first {SHOWN} are shown"))?;
        }
    }
    Ok(())
}

fn page(service: &str, event: &ParkedEvent) -> String {
    let mut text = format!(
        "{service} {} {} of {}, given up {}\n",
        event.id, event.event_type, event.subject, event.parked_at
    );
    for failure in &event.failures {
        text.push_str(&format!(
            "    {} failed {} times: {}\n",
            failure.consumer, failure.attempts, failure.error
        ));
    }
    text
}

async fn requeue(databases: &Databases, args: &RequeueArgs) -> CliResult {
    let wanted: Vec<&Db> = databases
        .all()
        .into_iter()
        .filter(|db| args.service.as_deref().is_none_or(|name| name == db.service()))
        .collect();
    if wanted.is_empty() {
        return Err(Failure::usage(
            "--service: there is no such service; `guildhall targets` lists them",
        ));
    }
    let caller = Caller::system(&SystemClock as &dyn Clock, "cli-outbox-requeue");
    let mut services = Vec::new();
    for db in wanted {
        requeue_parked(db, &caller).await?;
        services.push(db.service());
    }
    if args.output.json {
        print_json(&json!({ "requeued": services }))
    } else {
        print(&format!(
            "given-up events of {} are on their way again; a running server takes them up within seconds",
            services.join(", ")
        ))
    }
}
