//! Requests to addresses that users name, safe against server-side request forgery.
//!
//! A URL is refused when it is not https (unless allowed), names another port than the allowed ones, or holds a user name
//! or a fragment. Its host is looked up, **every** address found is held against [`addresses::is_public`], and the
//! connection goes to one of exactly these addresses: a name that leads elsewhere a moment later gains nothing (DNS
//! rebinding). No redirects are followed, no proxy of the environment is used, one request is one connection, and time,
//! headers and body of the answer are bounded.

mod addresses;
mod client;
mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod target;

use std::net::IpAddr;

use async_trait::async_trait;

pub use client::EgressClient;
pub use config::EgressConfig;

/// How names become addresses; tests replace it.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect())
    }
}
