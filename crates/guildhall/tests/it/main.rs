//! The HTTP suite: every request goes through a real listener. One binary, so it links once.
//! `GUILDHALL_TEST_ENGINE` chooses sqlite (default), postgres or mysql.

#![expect(
    clippy::disallowed_methods,
    reason = "a test has no lifecycle to track its tasks, and reads its settings from the environment"
)]

mod support;

mod api_keys;
mod audit;
mod backup;
mod backup_drill;
mod binary;
mod clocks;
mod collector;
mod crash;
mod drills_database;
#[cfg(target_os = "linux")]
mod drills_disk;
#[cfg(target_os = "linux")]
mod drills_receivers;
mod events_flow;
mod export;
mod flags;
mod identity_accounts;
mod identity_modes;
mod identity_security;
mod load;
mod matrix;
mod mcp;
mod notifications_events;
mod notifications_inbox;
mod notifications_subscriptions;
mod oidc;
mod outbox;
mod process;
mod races;
mod receiver;
mod replicas;
mod second_factor;
mod smoke;
mod strictness;
mod takeout;
mod tasks_details;
mod tasks_features;
mod tasks_http;
mod tasks_transfer;
mod traces;
mod trash;
mod webhooks;
mod workspaces_flow;
mod workspaces_security;
