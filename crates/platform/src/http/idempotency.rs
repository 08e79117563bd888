//! `Idempotency-Key`: the reply is stored in the unit of its effect.

/// What the first unit of a request with an `Idempotency-Key` stores.
#[derive(Debug)]
pub struct IdempotencySlot {}
