//! Service and store on a real database; the engine comes from the environment (see `testkit`).

mod batches;
mod boards;
mod comments;
mod feeds;
mod lifecycle;
mod lists;
mod pages;
mod prepare;
mod reactions;
mod recurrence;
mod relations;
mod search;
mod settings;
mod support;
mod takeout;
mod tasks;
mod transfer;
mod trash;
mod views;
