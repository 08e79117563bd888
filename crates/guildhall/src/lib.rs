//! The one place that names every service: composition, configuration, command line.

pub mod backup;
pub mod cli;
pub mod compose;
pub mod config;
mod late;
pub mod mcp;
pub mod openapi;
mod pages;
mod secret;
pub mod takeout;
