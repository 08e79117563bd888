//! For tests only: fresh migrated databases on the engine under test, and a clock that stands still.
//!
//! `GUILDHALL_TEST_ENGINE` chooses the engine (`sqlite`, the default, `postgres` or `mysql`); the servers are named by
//! `GUILDHALL_TEST_POSTGRES_URL` and `GUILDHALL_TEST_MYSQL_URL`. A server that is missing fails the test: nothing is skipped.

mod clock;
mod db;
pub mod fakes;
pub mod fuzz;
pub mod oidc;
mod server;
mod store;

pub use clock::FixedClock;
pub use db::{PATIENCE_MS, TestDb, TestServer, engine};
pub use store::prepare_store;
