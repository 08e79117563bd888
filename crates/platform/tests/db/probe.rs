//! What the three engines must agree on.
