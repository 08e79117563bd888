//! The Model Context Protocol: the same workspaces, projects and tasks as tools and resources for assistants.
//!
//! There is no second way to the data. A tool is an operation of the REST API ([`catalog`]), its schemas come from the OpenAPI
//! document ([`schema`]), and a call is a request to that operation which never leaves the process ([`call`]): token, scopes,
//! rates, roles and validation are those of REST, and so are the errors.
//!
//! Streamable HTTP without sessions: one message is one POST with one JSON answer, so nothing is kept between two messages
//! and any replica answers any of them.

mod call;
mod catalog;
mod config;
mod endpoint;
mod resources;
mod schema;
mod server;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use endpoint::{Mcp, router};
