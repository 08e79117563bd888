//! Entity tags of what has no version.

use std::hash::{DefaultHasher, Hasher};

use serde::Serialize;

/// For the `ETag` of what is put together from several rows, services and defaults: it changes with the JSON that is shown.
///
/// At most 53 bits, so that clients which read it as a number do not round it. Between two versions of the program it may
/// differ for the same content; a client then reads once more.
pub(crate) fn tag(view: &impl Serialize) -> i64 {
    let mut hasher = DefaultHasher::new();
    // What cannot be written as JSON cannot be answered either.
    hasher.write(&serde_json::to_vec(view).unwrap_or_default());
    (hasher.finish() >> 11).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_content_and_fits_into_a_double() {
        assert_eq!(tag(&["a", "b"]), tag(&["a", "b"]));
        assert_ne!(tag(&["a", "b"]), tag(&["ab", ""]));
        for number in 0..1_000 {
            assert!((0..1 << 53).contains(&tag(&number)));
        }
    }
}
