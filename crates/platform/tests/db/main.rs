//! The storage layer on the engine under test (`GUILDHALL_TEST_ENGINE`).

mod support;

mod probe;
mod units;
