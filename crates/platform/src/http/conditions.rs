//! Conditions of requests (RFC 9110, 13.1), read by the letter: what only resembles an entity tag names nothing, and whoever
//! sends it learns so, instead of a condition that is never met or always.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use kernel::{Error, ErrorKind, Result};

/// What `If-Match` or `If-None-Match` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// `*`, whatever there is.
    Anything,
    Tags(Vec<EntityTag>),
}

/// RFC 9110, 8.8.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntityTag {
    pub weak: bool,
    /// What stands between the quotes.
    pub opaque: Vec<u8>,
}

/// `None` without the header; 400 for what is neither `*` nor a list of entity tags.
pub(super) fn condition(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Condition>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    // Several lines are one list (RFC 9110, 5.3).
    let whole = lines.join(&b',');
    if whole.trim_ascii() == b"*" {
        return Ok(Some(Condition::Anything));
    }
    entity_tags(&whole).map(|tags| Some(Condition::Tags(tags))).ok_or_else(|| {
        let name = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
        let detail = format!("{name} must be `*` or entity tags as they came, in their quotes, such as \"3\".");
        Error::malformed("request.entity_tag_invalid", detail)
    })
}

fn entity_tags(list: &[u8]) -> Option<Vec<EntityTag>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii_start();
    loop {
        // Empty elements of a list count for nothing (RFC 9110, 5.6.1.2).
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Some(tags);
        }
        let weak = rest.starts_with(b"W/");
        let quoted = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (opaque, after) = quoted.split_at(end);
        if !opaque.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
            return None;
        }
        tags.push(EntityTag {
            weak,
            opaque: opaque.to_vec(),
        });
        rest = after.strip_prefix(b"\"")?.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// Refuses `If-None-Match` where something is changed, before anything is: what is addressed there exists, so that `*` is not
/// met (RFC 9110, 13.1.2), and a tag would make the change only if it is not the version that the client knows.
pub(super) fn refuse_if_none_match(method: &Method, headers: &HeaderMap) -> Result<()> {
    let changes = matches!(*method, Method::PUT | Method::PATCH | Method::DELETE);
    if !changes || condition(headers, &header::IF_NONE_MATCH)?.is_none() {
        return Ok(());
    }
    let detail = "A change takes no If-None-Match; send If-Match with the ETag you read.";
    Err(Error::new(ErrorKind::Precondition, "request.if_none_match_refused", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&'static str]) -> Result<Option<Condition>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_static(line));
        }
        condition(&headers, &header::IF_MATCH)
    }

    fn tags(names: &[(bool, &str)]) -> Condition {
        let tag = |(weak, name): &(bool, &str)| EntityTag {
            weak: *weak,
            opaque: name.as_bytes().to_vec(),
        };
        Condition::Tags(names.iter().map(tag).collect())
    }

    #[test]
    fn entity_tags_are_read_by_the_letter() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[" * "]).unwrap(), Some(Condition::Anything));
        assert_eq!(read(&["\"3\""]).unwrap(), Some(tags(&[(false, "3")])));
        assert_eq!(read(&["\"*\""]).unwrap(), Some(tags(&[(false, "*")])));
        assert_eq!(
            read(&["W/\"a,b\" ,, \"\"", "\"c\""]).unwrap(),
            Some(tags(&[(true, "a,b"), (false, ""), (false, "c")]))
        );
        assert_eq!(read(&[""]).unwrap(), Some(tags(&[])));
        for wrong in [
            "1",
            "\"1",
            "1\"",
            "w/\"1\"",
            "W/1",
            "\"1\" \"2\"",
            "\"a b\"",
            "*, \"1\"",
            "**",
            "\"1\"x",
            "'1'",
        ] {
            let error = read(&[wrong]).expect_err(wrong);
            assert_eq!(error.kind, ErrorKind::Malformed, "{wrong}");
            assert!(error.detail.contains("If-Match"), "{error}");
        }
        assert!(read(&["*", "\"1\""]).is_err());
    }
}
