//! What every service stands on.
//!
//! | module | what |
//! |---|---|
//! | [`db`] | one query language (sea-query) on three engines, the [`db::Unit`], migrations |
//! | [`events`] | outbox, relay, inbox |
//! | [`due`] | due work: mails, reminders, sweeps |
//! | [`check`] | invariants as data, for `guildhall verify` |
//! | [`http`] | problem+json, authentication, paging, idempotency, limits, OpenAPI |
//! | [`service`] | the [`service::Service`] trait that the binary composes |
//! | [`admission`], [`bulkhead`] | bounded places with a bounded queue |
//! | [`signals`], [`mail`] | lossy signals, mail, with their in-process versions |
//! | [`egress`] | requests to addresses that users name |
//! | [`takeout`] | what a service gives out as files, to people and owners |
//! | [`seal`] | secrets at rest |
//! | [`config`], [`telemetry`], [`trace`], [`lifecycle`] | sections, logs and metrics, traces, start and stop |

pub mod admission;
pub mod bulkhead;
pub mod check;
pub mod config;
pub mod context;
pub mod db;
pub mod due;
pub mod egress;
pub mod events;
pub mod http;
pub mod lifecycle;
pub mod mail;
pub mod seal;
pub mod service;
pub mod signals;
pub mod takeout;
pub mod telemetry;
pub mod trace;

pub use context::Caller;
pub use service::{Service, Toolkit};

/// Tables of the platform itself, made in every service's database before the service's own.
const MIGRATIONS: &[db::Migration] = migrations!["0001_platform", "0002_events"];
