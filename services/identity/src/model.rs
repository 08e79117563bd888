//! Pure rules: addresses, passwords, tokens, session life, throttling. No I/O.

pub(crate) mod api_key;
pub(crate) mod email;
pub(crate) mod external_identity;
pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod second_factor;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod throttle;
pub(crate) mod token;
pub(crate) mod user;
