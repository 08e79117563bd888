//! Opaque list cursors: base64url(payload ‖ HMAC), bound to filter, sort and principal.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::mac::hmac_sha256;

const TAG_BYTES: usize = 16;
/// No cursor we make comes near; bounds the work a hostile one can cause.
const MAX_CURSOR_CHARS: usize = 2_048;

/// A page of a list. `next_cursor` is absent on the last page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Only when asked for with `include_total=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

/// Size and start of a page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    pub limit: u32,
    pub cursor: Option<String>,
}

impl PageRequest {
    /// One more row than asked for tells whether a next page exists.
    pub fn rows(&self) -> u64 {
        u64::from(self.limit) + 1
    }
}

/// Seals and opens cursors with a server-side key.
#[derive(Clone)]
pub struct CursorCodec {
    key: [u8; 32],
}

impl std::fmt::Debug for CursorCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorCodec")
    }
}

impl CursorCodec {
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// `position` is the sort key and id of the last row; `binding` is the canonical text of
    /// filter, sort and principal, so a cursor cannot be carried over to another list.
    pub fn seal<T: Serialize>(&self, position: &T, binding: &str) -> Result<String> {
        let mut bytes = serde_json::to_vec(position).map_err(Error::internal)?;
        let tag = self.tag(&bytes, binding);
        bytes.extend_from_slice(&tag);
        Ok(BASE64URL_NOPAD.encode(&bytes))
    }

    /// 400 when the cursor was not made by us, or was made for another filter, sort or person.
    pub fn open<T: DeserializeOwned>(&self, cursor: &str, binding: &str) -> Result<T> {
        let invalid = || {
            Error::malformed(
                "request.cursor_invalid",
                "The cursor is not valid for this list; start again without it.",
            )
        };
        if cursor.len() > MAX_CURSOR_CHARS {
            return Err(invalid());
        }
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| invalid())?;
        let split = bytes.len().checked_sub(TAG_BYTES).ok_or_else(invalid)?;
        let (payload, tag) = bytes.split_at(split);
        self.mac(payload, binding).verify_truncated_left(tag).map_err(|_| invalid())?;
        serde_json::from_slice(payload).map_err(|_| invalid())
    }

    /// Where a page starts; `None`: at the beginning. Refuses as [`Self::open`] does.
    pub fn start<T: DeserializeOwned>(&self, cursor: Option<&str>, binding: &str) -> Result<Option<T>> {
        cursor.map(|cursor| self.open(cursor, binding)).transpose()
    }

    /// Cuts the one row too many that was read to see whether more follow, and seals where the next page starts.
    pub fn page<R, P: Serialize>(
        &self,
        mut rows: Vec<R>,
        limit: impl Into<u64>,
        binding: &str,
        position: impl Fn(&R) -> P,
    ) -> Result<Page<R>> {
        let limit = usize::try_from(limit.into()).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(self.seal(&position(last), binding)?),
            _ => None,
        };
        Ok(Page {
            items: rows,
            next_cursor,
            total: None,
        })
    }

    fn mac(&self, payload: &[u8], binding: &str) -> Hmac<Sha256> {
        hmac_sha256(&self.key, &[payload, binding.as_bytes()])
    }

    fn tag(&self, payload: &[u8], binding: &str) -> [u8; TAG_BYTES] {
        let full = self.mac(payload, binding).finalize().into_bytes();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&full[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec() -> CursorCodec {
        CursorCodec::new([7; 32])
    }

    #[test]
    fn a_page_loses_the_row_too_many_and_the_next_one_starts_behind_its_last() {
        let page = codec().page(vec![1, 2, 3], 2_u32, "b", |row| *row).expect("a page");
        assert_eq!(page.items, [1, 2]);
        let start = codec().start::<i32>(page.next_cursor.as_deref(), "b").expect("a place");
        assert_eq!(start, Some(2));
        let last = codec().page(vec![3], 2_u64, "b", |row| *row).expect("a page");
        assert_eq!((last.items, last.next_cursor), (vec![3], None));
        assert_eq!(codec().start::<i32>(None, "b").expect("the beginning"), None);
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed(key in ".{0,40}", id in any::<i64>(), binding in ".{0,40}") {
            let cursor = codec().seal(&(key.clone(), id), &binding).expect("sealed");
            prop_assert_eq!(codec().open::<(String, i64)>(&cursor, &binding).expect("opened"), (key, id));
        }

        #[test]
        fn refuses_another_list_and_another_key(id in any::<i64>(), binding in ".{0,20}", other in ".{0,20}") {
            let cursor = codec().seal(&id, &binding).expect("sealed");
            prop_assert!(CursorCodec::new([8; 32]).open::<i64>(&cursor, &binding).is_err());
            if binding != other {
                prop_assert!(codec().open::<i64>(&cursor, &other).is_err());
            }
        }

        #[test]
        fn refuses_every_changed_byte(id in any::<i64>(), place in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut bytes = BASE64URL_NOPAD.decode(codec().seal(&id, "b").expect("sealed").as_bytes()).expect("base64");
            let index = place.index(bytes.len());
            bytes[index] ^= flip;
            prop_assert!(codec().open::<i64>(&BASE64URL_NOPAD.encode(&bytes), "b").is_err());
        }

        #[test]
        fn rubbish_is_a_client_error(text in ".{0,300}") {
            let error = codec().open::<i64>(&text, "b").expect_err("rubbish");
            prop_assert_eq!(error.kind, crate::ErrorKind::Malformed);
        }
    }
}
