//! Reads JSON more strictly than serde does by default.
//!
//! Two readers that understand one body differently are an attack (RFC 8259, 4 leaves duplicate names open), so a name
//! given twice is refused. Depth is bounded before anything walks the tree. U+0000 is refused for all engines, because
//! PostgreSQL cannot store it. And where an object is meant an array is not taken, although serde would.

use kernel::{Error, FieldError, Result};
use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Map, Number, Value};

/// No body of ours comes near.
const MAX_DEPTH: usize = 32;
/// Fields of another shape that one answer names.
const MAX_FIELD_ERRORS: usize = 20;

/// 400 for what is no JSON, 422 with a JSON Pointer for JSON of another shape.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let value = parse_value(bytes)?;
    read_shape(&value).map_err(|first| {
        let mut errors = vec![first];
        // serde stops at the first thing that is wrong. That is taken away and serde is asked again, so that one answer
        // names all that is to be mended. A field that is now missing is one that was named already.
        let mut rest = value;
        while errors.len() < MAX_FIELD_ERRORS && errors.last().is_some_and(|wrong| remove(&mut rest, &wrong.pointer)) {
            match read_shape::<T>(&rest) {
                Err(next) if errors.iter().all(|named| named.pointer != next.pointer) => errors.push(next),
                _ => break,
            }
        }
        Error::invalid(errors)
    })
}

fn read_shape<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| shape_error(&pointer_of(error.path()), &error.inner().to_string()))
}

/// Takes the member away that a JSON Pointer names; false when it is not there.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return false;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let Some(Value::Object(map)) = value.pointer_mut(parent) else {
        return false;
    };
    map.remove(&name).is_some()
}

fn parse_value(bytes: &[u8]) -> Result<Value> {
    let mut scan = Scan::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = Node { scan: &mut scan, depth: 0 }.deserialize(&mut reader);
    if let Some(refused) = scan.refused {
        return Err(refused);
    }
    parsed
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| Error::malformed("request.malformed_json", format!("The body is not valid JSON: {error}.")))
}

/// Names the field as a client sees it; serde's wording names our structs at most by accident.
fn shape_error(at: &str, text: &str) -> FieldError {
    let mut pointer = at.to_owned();
    let (code, detail) = if let Some(field) = quoted(text, "unknown field `") {
        // serde_path_to_error names sometimes the object, sometimes the field; the pointer should name the field.
        let field = escape(field);
        if !pointer.ends_with(&format!("/{field}")) {
            pointer = format!("{pointer}/{field}");
        }
        ("unknown_field", "is not a known field".to_owned())
    } else if let Some(field) = quoted(text, "missing field `") {
        pointer = format!("{pointer}/{}", escape(field));
        ("required", "is required".to_owned())
    } else {
        if text.starts_with("invalid type: null,") {
            return FieldError::not_null(pointer);
        }
        ("invalid", text.to_owned())
    };
    FieldError::new(pointer, code, detail)
}

pub(super) fn quoted<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = text.split_once(prefix)?.1;
    Some(&rest[..rest.find('`')?])
}

/// RFC 6901, 3.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

pub(super) fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Where the reader is, and why it stopped.
#[derive(Default)]
struct Scan {
    pointer: String,
    refused: Option<Error>,
}

impl Scan {
    /// serde errors carry text only, so the real one waits here while a dummy unwinds the parser.
    fn refuse<E: serde::de::Error>(&mut self, error: Error) -> E {
        self.refused = Some(error);
        E::custom("refused")
    }

    fn text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if !text.contains('\0') {
            return Ok(());
        }
        let pointer = self.pointer.clone();
        Err(self.refuse(Error::invalid_field(
            pointer,
            "control_character",
            "must not contain the character U+0000",
        )))
    }
}

/// One value of the tree.
struct Node<'a> {
    scan: &'a mut Scan,
    depth: usize,
}

impl Node<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.depth < MAX_DEPTH {
            return Ok(self.depth + 1);
        }
        let detail = format!("The body is nested more than {MAX_DEPTH} levels deep.");
        Err(self.scan.refuse(Error::malformed("request.body_too_deep", detail)))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.scan.text(value)?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let (mut values, length) = (Vec::new(), self.scan.pointer.len());
        loop {
            self.scan.pointer.push_str(&format!("/{}", values.len()));
            let item = items.next_element_seed(Node {
                scan: &mut *self.scan,
                depth,
            })?;
            self.scan.pointer.truncate(length);
            match item {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let (mut map, length) = (Map::new(), self.scan.pointer.len());
        while let Some(key) = entries.next_key::<String>()? {
            self.scan.text(&key)?;
            self.scan.pointer.push_str(&format!("/{}", escape(&key)));
            if map.contains_key(&key) {
                let field = FieldError::new(self.scan.pointer.clone(), "duplicate", "must be given once");
                let error = Error::malformed("request.duplicate_name", "A name is given twice in one object; see errors.");
                return Err(self.scan.refuse(Error {
                    fields: vec![field],
                    ..error
                }));
            }
            let value = entries.next_value_seed(Node {
                scan: &mut *self.scan,
                depth,
            })?;
            self.scan.pointer.truncate(length);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A parsed value that a struct is read from: objects only by name, whole numbers also as `1.0` (JSON Schema calls
/// that an integer).
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, serde_json::Error> for Strict<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl Strict<'_> {
    /// The whole number that was written as a fraction. Beyond 2^53 a float no longer says which one was meant.
    fn whole(self) -> Option<i64> {
        let float = self.0.as_f64().filter(|_| self.0.is_f64())?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the filter")]
        (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Strict));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(map) => {
                let mut entries = MapDeserializer::new(map.iter().map(|(key, value)| (key.as_str(), Strict(value))));
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
            // Also for those who ask for anything, such as an enum of a text or a number.
            simple => match self.whole() {
                Some(whole) => visitor.visit_i64(whole),
                None => simple.deserialize_any(visitor),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Self::Error> {
        let found = match self.0 {
            Value::Object(_) => return self.deserialize_any(visitor),
            Value::Array(_) => Unexpected::Seq,
            Value::String(text) => Unexpected::Str(text),
            Value::Number(_) => Unexpected::Other("number"),
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Null => Unexpected::Unit,
        };
        Err(serde_json::Error::invalid_type(found, &"an object"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        #[serde(default)]
        count: Option<u8>,
        #[serde(default)]
        inner: Vec<Inner>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        label: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }

    /// Kind, code, pointer and field code of the refusal.
    fn refusal(body: impl AsRef<[u8]>) -> (u16, String, String, String) {
        let error = parse_json::<Outer>(body.as_ref()).expect_err("a refusal");
        let field = error
            .fields
            .first()
            .map(|f| (f.pointer.clone(), f.code.to_string()))
            .unwrap_or_default();
        (error.kind.http_status(), error.code.to_string(), field.0, field.1)
    }

    fn is(status: u16, code: &str, pointer: &str, field: &str) -> (u16, String, String, String) {
        (status, code.into(), pointer.into(), field.into())
    }

    #[test]
    fn what_is_no_json_is_400() {
        let lone_surrogate = r#"{"name":"\ud800"}"#.as_bytes();
        let not_utf8: &[u8] = b"{\"name\":\"\xff\"}";
        for body in [
            b"".as_slice(),
            b"{",
            b"{\"name\":\"a\"} x",
            b"\xef\xbb\xbf{\"name\":\"a\"}",
            b"NaN",
            lone_surrogate,
            not_utf8,
            b"{\"count\":1e999}",
        ] {
            assert_eq!(refusal(body), is(400, "request.malformed_json", "", ""), "{body:?}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused_at_any_depth() {
        assert_eq!(
            refusal(r#"{"name":"a","name":"b"}"#),
            is(400, "request.duplicate_name", "/name", "duplicate")
        );
        // The same name in another spelling.
        assert_eq!(
            refusal(r#"{"name":"a","\u006eame":"b"}"#),
            is(400, "request.duplicate_name", "/name", "duplicate")
        );
        let deep = r#"{"name":"a","inner":[{"label":"x"},{"label":"x","label":"y"}]}"#;
        assert_eq!(refusal(deep), is(400, "request.duplicate_name", "/inner/1/label", "duplicate"));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(refusal(nested(MAX_DEPTH + 1)), is(400, "request.body_too_deep", "", ""));
        assert_eq!(refusal(nested(100_000)), is(400, "request.body_too_deep", "", ""));
        assert_eq!(refusal(nested(MAX_DEPTH)).0, 422);
    }

    #[test]
    fn nul_is_refused_in_values_and_names() {
        assert_eq!(
            refusal(r#"{"name":"a\u0000b"}"#),
            is(422, "request.invalid", "/name", "control_character")
        );
        assert_eq!(refusal(r#"{"name":"a","inner":[{"label":"\u0000"}]}"#).2, "/inner/0/label");
        assert_eq!(refusal(r#"{"a\u0000":1}"#).3, "control_character");
    }

    #[test]
    fn another_shape_is_422_with_a_pointer() {
        assert_eq!(
            refusal(r#"{"name":"a","x/y":1}"#),
            is(422, "request.invalid", "/x~1y", "unknown_field")
        );
        assert_eq!(refusal("{}"), is(422, "request.invalid", "/name", "required"));
        assert_eq!(refusal(r#"{"name":7}"#), is(422, "request.invalid", "/name", "invalid"));
        assert_eq!(refusal(r#"{"name":"a","count":-1}"#).2, "/count");
        assert_eq!(refusal(r#"{"name":"a","count":300}"#).2, "/count");
        assert_eq!(refusal(r#"{"name":"a","inner":[{"label":"x"},{"labl":"x"}]}"#).2, "/inner/1/labl");
    }

    #[test]
    fn one_answer_names_all_that_is_wrong() {
        let all = |body: &str| {
            let error = parse_json::<Outer>(body.as_bytes()).expect_err("a refusal");
            error
                .fields
                .iter()
                .map(|field| format!("{} {}", field.pointer, field.code))
                .collect::<Vec<_>>()
        };
        let body = r#"{"x":1,"y/z":2,"inner":[{"label":"a","labl":"b"}],"count":-1}"#;
        assert_eq!(
            all(body),
            [
                "/count invalid",
                "/inner/0/labl unknown_field",
                "/x unknown_field",
                "/y~1z unknown_field",
                "/name required"
            ]
        );
        assert_eq!(all(r#"{"name":7}"#), ["/name invalid"]);
        let many = (0..100).map(|n| format!(r#""f{n}":1"#)).collect::<Vec<_>>().join(",");
        assert_eq!(all(&format!("{{{many}}}")).len(), MAX_FIELD_ERRORS);
    }

    #[test]
    fn null_has_one_code() {
        assert_eq!(refusal(r#"{"name":null}"#), is(422, "request.invalid", "/name", "not_null"));
        assert_eq!(refusal(r#"{"name":"a","inner":[{"label":null}]}"#).3, "not_null");
        assert_eq!(refusal("null").3, "not_null");
    }

    #[test]
    fn an_array_is_no_object() {
        assert_eq!(refusal(r#"["a"]"#), is(422, "request.invalid", "", "invalid"));
        assert_eq!(
            refusal(r#"{"name":"a","inner":[["x"]]}"#),
            is(422, "request.invalid", "/inner/0", "invalid")
        );
    }

    #[test]
    fn whole_numbers_may_be_written_as_fractions() {
        let parsed: Outer = parse_json(br#"{"name":"a","count":2.0}"#).expect("acceptable");
        assert_eq!(parsed.count, Some(2));
        assert_eq!(
            parse_json::<Vec<Either>>(br#"[7.0,"7"]"#).expect("acceptable"),
            [Either::Number(7), Either::Text("7".into())]
        );
        assert_eq!(refusal(r#"{"name":"a","count":2.5}"#).2, "/count");
        assert_eq!(refusal(r#"{"name":"a","count":1e300}"#).2, "/count");
    }
}
