//! A query string for serde: text, of which numbers and truth values are read where they are asked for.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::{CowStrDeserializer, Error, MapDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};

/// The decoded pairs of a query string.
pub(super) fn pairs(query: &str) -> MapDeserializer<'_, impl Iterator<Item = (Cow<'_, str>, Text<'_>)>, Error> {
    MapDeserializer::new(url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name, Text(value))))
}

/// One value.
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    fn plain(self) -> CowStrDeserializer<'a, Error> {
        self.0.into_deserializer()
    }
}

impl IntoDeserializer<'_, Error> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $value:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            // Rust would read `+5`; a number has one spelling.
            if self.0.starts_with('+') {
                return Err(Error::custom("a number is written without a plus sign"));
            }
            self.0.parse::<$value>().map_err(Error::custom).and_then(|value| visitor.$visit(value))
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.plain().deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.plain().deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
