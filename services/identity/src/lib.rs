//! identity: who people are, how they prove it, and whether their sessions live.
//!
//! Rules that hold everywhere in here:
//! - A refresh token is good for one use; its successor is derived, so two nodes agree on it. Replaying an older one
//!   ends the whole session.
//! - What lies in the database lets nobody in: passwords are Argon2id, tokens HMAC-SHA-256; the key of that, signing keys and
//!   the set-up code are derived from the installation secret, which lies elsewhere.
//! - An access token says who, never what they may do. Every request asks whether its session is still live.
//! - People of other providers are known by issuer and subject, never by address; the provider's word replaces the
//!   password and nothing else.
//! - Where verification is required, answers, writes and work are the same for known and unknown addresses; mails are
//!   decided on later, by the due handler.
//!
//! Events out: [`contracts::identity::events`]. Events in: none.

mod api;
mod config;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[expect(
    unused_qualifications,
    reason = "the path macro of utoipa names parameter types by a longer path than it needs"
)]
mod http;
mod jobs;
mod model;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use platform::Service;
use platform::db::Db;
use platform::due::{DueHandler, Sweep};
use platform::http::OpenApiRouter;

use crate::jobs::{CleanUp, RotateKeys, SendMail};

pub use crate::http::DISCLOSED;
pub use config::{
    ApiKeyConfig, Config, EmailVerification, IdTokenAlgorithm, OidcConfig, OidcProvider, PasswordConfig, Registration, SigningAlgorithm,
    ThrottleConfig,
};
pub use service::{CreateUser, CreatedUser, IdentityService, Installation};
pub use store::checks::CHECKS;

/// The database of identity.
pub const SCHEMA: platform::db::Schema = platform::db::Schema {
    service: "identity",
    migrations: platform::migrations![
        "0001_init",
        "0002_signing_algorithm",
        "0003_api_keys",
        "0004_second_factor",
        "0005_external_identities"
    ],
    unique_rules: &[platform::db::UniqueRule {
        constraint: "users_email_key",
        columns: "users.email",
        pointer: "/email",
        code: "identity.email.taken",
        detail: "An account with this e-mail address exists already.",
    }],
};

impl Service for IdentityService {
    fn name(&self) -> &'static str {
        SCHEMA.service
    }
    fn db(&self) -> &Db {
        &self.db
    }
    fn routes(self: Arc<Self>) -> OpenApiRouter {
        http::routes(self)
    }
    fn due_handlers(self: Arc<Self>) -> Vec<Arc<dyn DueHandler>> {
        vec![Arc::new(SendMail(self))]
    }
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn platform::takeout::Takeout>> {
        Some(self)
    }
    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(RotateKeys(Arc::clone(&self))), Arc::new(CleanUp(self))]
    }
}
