//! `guildhall config …`

use super::{CliResult, ConfigCommand, Failure, Global, load, load_with_sources, print, print_json};
use crate::config::Config;

pub fn run(global: &Global, command: &ConfigCommand) -> CliResult {
    match command {
        ConfigCommand::Check(output) => match load(global, &[]) {
            Ok(_) if output.json => print_json(&serde_json::json!({ "valid": true, "problems": [] })),
            Ok(_) => print("the configuration is valid"),
            Err(failure) if output.json => {
                let problems: Vec<&str> = failure.message.lines().collect();
                print_json(&serde_json::json!({ "valid": false, "problems": problems }))?;
                Err(failure)
            }
            Err(failure) => Err(failure),
        },
        ConfigCommand::Print(output) => {
            let (config, sources) = load_with_sources(global, &[])?;
            if output.json {
                print_json(&config)
            } else {
                print(&platform::config::print(&config, &sources).map_err(Failure::failed)?)
            }
        }
        ConfigCommand::Schema => print_json(&platform::config::json_schema::<Config>()),
        ConfigCommand::Reference => print(&platform::config::markdown_reference::<Config>()),
    }
}
