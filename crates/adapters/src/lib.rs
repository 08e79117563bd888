//! Heavy outside libraries behind the platform's traits, each behind a cargo feature.

#[cfg(feature = "egress")]
pub mod egress;
#[cfg(feature = "smtp")]
pub mod smtp;
