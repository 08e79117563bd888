//! The storage layer on the engine under test (`GUILDHALL_TEST_ENGINE`).

mod support;

mod abort;
mod contention;
mod migrations;
mod outage;
mod probe;
mod reads;
mod replies;
mod transfer;
mod units;
