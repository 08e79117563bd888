//! Relay and due work on a real database of the engine under test.

mod support;

mod due;
mod relay;
