//! Heavy outside libraries behind the platform's traits, each behind a cargo feature.

#[cfg(feature = "egress")]
mod collector;
#[cfg(feature = "egress")]
pub mod egress;
#[cfg(feature = "traces")]
pub mod otlp;
#[cfg(feature = "sentry")]
pub mod sentry;
#[cfg(feature = "smtp")]
pub mod smtp;
