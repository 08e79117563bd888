//! SQL of identity, one module per aggregate: free functions over `&Db` to read and `&mut Unit` to write.

pub(crate) mod api_keys;
pub(crate) mod checks;
pub(crate) mod external_identities;
pub(crate) mod keys;
pub(crate) mod mail_tokens;
pub(crate) mod second_factors;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod throttles;
pub(crate) mod users;
