//! Message authentication, for cursors, derived keys and derived tokens.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 (RFC 2104) over `parts`, ready to be finished or verified.
///
/// Each part goes in behind its length, so that two lists of parts never read the same.
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // Padding a short key with zeros to the block size is what HMAC does first; done here it cannot fail.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&[7; 32], parts).finalize().into_bytes().into()
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(tag(&[b"ab", b"c"]), tag(&[b"a", b"bc"]));
        assert_ne!(tag(&[b"abc"]), tag(&[b"abc", b""]));
        assert_eq!(tag(&[b"ab", b"c"]), tag(&[b"ab", b"c"]));
    }

    #[test]
    fn is_hmac_with_the_key_as_it_is() {
        let mut reference = <Hmac<Sha256> as KeyInit>::new_from_slice(&[7; 32]).expect("any length will do");
        reference.update(&1_u64.to_be_bytes());
        reference.update(b"x");
        assert_eq!(tag(&[b"x"]), <[u8; 32]>::from(reference.finalize().into_bytes()));
    }
}
