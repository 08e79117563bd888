//! Small helpers around JSON values and the terminal.

use std::io::Write as _;

use serde_json::Value;

use crate::{Outcome, fail};

/// A line for who waits, on standard error.
pub fn say(text: &str) {
    // Nobody reads it: not worth ending a benchmark for.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The text member `name`.
pub fn text(value: &Value, name: &str) -> Outcome<String> {
    match value[name].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => fail(format!("no {name} in {value}")),
    }
}
