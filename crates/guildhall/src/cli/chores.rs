//! Commands that print or check something and end.

use std::time::Duration;

use super::{CliResult, Failure, HealthcheckArgs, MigrateArgs, ProcessRole, chain, print, print_json};
use crate::compose::{self, Databases};
use crate::config::Config;

pub async fn migrate(config: &Config, args: &MigrateArgs) -> CliResult {
    let mut config = config.clone();
    // A check makes no databases: where there are none, an empty folder has the same migrations pending.
    let empty = tempfile::tempdir().map_err(Failure::failed)?;
    if args.check && !config.server.data_dir.exists() {
        empty.path().clone_into(&mut config.server.data_dir);
    }
    let databases = Databases::connect(&config).await?;
    let mut rows = Vec::new();
    let bar = indicatif::ProgressBar::new(databases.all().len() as u64);
    for db in databases.all() {
        let names = if args.check {
            db.pending_migrations().await?
        } else {
            db.migrate().await?.applied
        };
        rows.push(serde_json::json!({ "service": db.service(), "migrations": names }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let total: usize = rows.iter().filter_map(|row| row["migrations"].as_array()).map(Vec::len).sum();
    if args.output.json {
        print_json(&serde_json::json!({ "applied": !args.check, "total": total, "services": rows }))?;
    } else {
        for row in &rows {
            let names: Vec<&str> = row["migrations"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str())
                .collect();
            let what = if names.is_empty() {
                "up to date".to_owned()
            } else {
                names.join(", ")
            };
            print(&format!("{:<14} {what}", row["service"].as_str().unwrap_or_default()))?;
        }
    }
    if args.check && total > 0 {
        Err(Failure::failed(format!("{total} migrations are pending; run `guildhall migrate`")))
    } else {
        Ok(())
    }
}

pub fn targets(json: bool) -> CliResult {
    if json {
        return print_json(&serde_json::json!({
            "targets": compose::TARGETS.iter().map(|(name, about)| serde_json::json!({ "name": name, "about": about })).collect::<Vec<_>>(),
            "roles": [ProcessRole::Api, ProcessRole::Worker],
        }));
    }
    let mut text = String::from("Targets (--target), all of them by default:\n");
    for (name, about) in compose::TARGETS {
        text.push_str(&format!("  {name:<14} {about}\n"));
    }
    text.push_str("\nRoles (--roles), both by default:\n  api            answers HTTP requests\n  worker         relays events, runs due work and sweeps\n");
    print(&text)
}

pub async fn openapi(yaml: bool) -> CliResult {
    let document = crate::openapi::document().await?;
    if yaml {
        print(&serde_yaml_ng::to_string(&document).map_err(Failure::failed)?)
    } else {
        print_json(&document)
    }
}

pub fn asyncapi() -> CliResult {
    print_json(&contracts::asyncapi::document(env!("CARGO_PKG_VERSION")))
}

pub async fn healthcheck(config: &Config, args: &HealthcheckArgs) -> CliResult {
    let base = args
        .url
        .clone()
        .unwrap_or_else(|| format!("http://{}", config.server.listen.replace("0.0.0.0", "127.0.0.1")));
    let base = base.trim_end_matches('/');
    let url = format!("{}/readyz", base.strip_suffix("/readyz").unwrap_or(base));
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(Failure::failed)?;
    let response = match client.get(&url).send().await {
        Ok(response) => response,
        Err(error) => {
            let detail = chain(&error.without_url());
            if args.output.json {
                print_json(&serde_json::json!({ "status": "unreachable", "checks": [], "detail": detail }))?;
            }
            return Err(Failure::unreachable(format!("{url}: {detail}")));
        }
    };
    let (ready, status) = (response.status().is_success(), response.status());
    // Something else than our server may have answered, such as a proxy.
    let body: serde_json::Value = response.json().await.unwrap_or_else(|_| {
        let said = if ready { "ready" } else { "not_ready" };
        serde_json::json!({ "status": said, "checks": [], "detail": format!("answered {status} without JSON") })
    });
    if args.output.json {
        print_json(&body)?;
    } else {
        print(if ready { "ready" } else { "not ready" })?;
    }
    if ready {
        Ok(())
    } else {
        Err(Failure::failed(format!("{url} says it is not ready")))
    }
}
