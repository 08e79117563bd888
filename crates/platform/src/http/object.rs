//! Objects inside tagged unions. serde reads a tagged union by way of a buffer of its own, behind which the rule "an object
//! is not written as an array" is lost; these put it back.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with = "platform::http::object")]`: a struct or tagged union, only from an object.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(ByName(PhantomData))
}

/// For `#[serde(deserialize_with = "platform::http::objects")]`: a list of structs or tagged unions, only from objects.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Named<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|item| item.0).collect())
}

struct Named<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

struct ByName<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse_json;
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        #[serde(deserialize_with = "objects")]
        shapes: Vec<Shape>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Shape {
        Circle {
            #[serde(deserialize_with = "object")]
            centre: Point,
        },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Point {
        x: i32,
        y: i32,
    }

    #[test]
    fn an_object_inside_a_tagged_union_is_read_by_name() {
        let body = br#"{"shapes":[{"kind":"circle","centre":{"x":1,"y":2}}]}"#;
        let request: Request = parse_json(body).expect("acceptable");
        let [Shape::Circle { centre }] = &request.shapes[..] else {
            panic!("one circle")
        };
        assert_eq!(*centre, Point { x: 1, y: 2 });
    }

    #[test]
    fn an_array_is_no_object_inside_a_tagged_union_either() {
        for (body, pointer) in [
            (r#"{"shapes":[["circle",{"x":1,"y":2}]]}"#, "/shapes/0"),
            (r#"{"shapes":[{"kind":"circle","centre":[1,2]}]}"#, "/shapes/0"),
            (r#"{"shapes":[{"kind":"circle","centre":"x"}]}"#, "/shapes/0"),
            (r#"{"shapes":{"kind":"circle","centre":{"x":1,"y":2}}}"#, "/shapes"),
        ] {
            let error = parse_json::<Request>(body.as_bytes()).expect_err("a refusal");
            assert_eq!(
                (error.kind.http_status(), error.fields[0].pointer.as_str()),
                (422, pointer),
                "{body}"
            );
        }
    }
}
