//! The HTTP kit as a client meets it: one small router behind the whole stack.

mod support;

mod authentication;
mod bodies;
mod connections;
mod description;
mod edge;
mod idempotency;
mod limits;
