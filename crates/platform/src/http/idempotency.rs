//! `Idempotency-Key`: the reply is stored in the unit of its effect.

use std::sync::atomic::AtomicBool;

/// What the first unit of a request with an `Idempotency-Key` stores.
#[derive(Debug)]
pub struct IdempotencySlot {
    /// SHA-256 of principal, method, route and key.
    pub scope_hash: [u8; 32],
    /// SHA-256 of the body: the same key with another body is a mistake of the client.
    pub body_hash: [u8; 32],
    /// The reply was committed; later units of the same request do not store theirs.
    pub stored: AtomicBool,
}
