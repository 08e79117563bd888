//! The leaf every other room stands on: ids, time, actors, roles, pages, error kinds, cells of tables and message authentication.
//!
//! No I/O, no async runtime, no HTTP, no SQL. An edit here rebuilds everything, so only
//! what at least two services share lives here.

pub mod actor;
pub mod api_key;
pub mod cell;
pub mod cursor;
pub mod error;
pub mod ids;
pub mod mac;
pub mod roles;
pub mod scopes;
pub mod time;

pub use actor::{Actor, CallContext};
pub use error::{Error, ErrorKind, FieldError, Result};
pub use time::{Clock, SystemClock, Timestamp};
