//! Use cases on a real database (the engine under test), with a clock that stands still.

mod administration;
mod api_keys;
mod enumeration;
mod keys;
mod mails;
mod oidc;
mod oidc_accounts;
mod oidc_links;
mod passwords;
mod prepare;
mod refresh;
mod registration;
mod second_factor;
mod sessions;
mod support;
mod throttling;
mod tokens;
mod trail;
