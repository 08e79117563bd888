//! Heavy outside libraries behind the platform's traits.

pub mod smtp;
