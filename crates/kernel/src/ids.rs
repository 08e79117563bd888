//! Identifiers: UUIDv7 newtypes, so that a task id cannot be passed where a user id is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use utoipa;
pub use uuid::Uuid;

use crate::time::Clock;

/// Behaviour shared by all id newtypes; lets storage and HTTP code treat them alike.
pub trait EntityId: Copy + Send + Sync + 'static {
    fn from_uuid(uuid: Uuid) -> Self;
    fn uuid(self) -> Uuid;
    /// A fresh time-ordered id (UUID version 7, RFC 9562) stamped with the clock's time.
    fn generate(clock: &dyn Clock) -> Self {
        Self::from_uuid(uuid_v7(clock))
    }
}

/// A UUID version 7 (RFC 9562) whose time part comes from `clock`, so tests can fix it.
pub fn uuid_v7(clock: &dyn Clock) -> Uuid {
    let micros = clock.now().as_micros().max(0).unsigned_abs();
    let nanos = u32::try_from((micros % 1_000_000) * 1_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix_time(micros / 1_000_000, nanos, 0, 0))
}

/// Declares identifier newtypes over [`Uuid`] with serde, `Display`, `FromStr` and an OpenAPI
/// schema (`string`, format `uuid`).
#[macro_export]
macro_rules! id_type {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $crate::ids::Uuid);

        impl $crate::ids::EntityId for $name {
            fn from_uuid(uuid: $crate::ids::Uuid) -> Self { Self(uuid) }
            fn uuid(self) -> $crate::ids::Uuid { self.0 }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { ::std::fmt::Display::fmt(&self.0, f) }
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { ::std::fmt::Display::fmt(&self.0, f) }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;
            fn from_str(text: &str) -> Result<Self, Self::Err> { $crate::ids::parse_uuid(text).map(Self) }
        }
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { $crate::ids::serialize_uuid(self.0, s) }
        }
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> { $crate::ids::deserialize_uuid(d).map(Self) }
        }
        impl $crate::ids::utoipa::PartialSchema for $name {
            fn schema() -> $crate::ids::utoipa::openapi::RefOr<$crate::ids::utoipa::openapi::schema::Schema> { $crate::ids::uuid_schema() }
        }
        impl $crate::ids::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> { ::std::borrow::Cow::Borrowed(stringify!($name)) }
        }
    )+};
}

id_type!(
    /// A person with an account.
    UserId,
    /// One signed-in device or program of a user.
    SessionId,
    /// A credential of a program that acts for a person.
    ApiKeyId,
    /// The account of a person at a sign-in provider.
    ExternalIdentityId,
    /// A tenant.
    WorkspaceId,
    ProjectId,
    TaskId,
    CommentId,
    InvitationId,
    NotificationId,
    WebhookId,
    /// One fact in an outbox; consumers deduplicate by it.
    EventId,
);

/// The text was not a UUID in the hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID in the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    }
}
impl std::error::Error for InvalidId {}

/// Accepts only the hyphenated form: one id has one spelling (case apart) in URLs and caches.
pub fn parse_uuid(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId);
    }
    Uuid::from_str(text).map_err(|_| InvalidId)
}

pub fn serialize_uuid<S: Serializer>(uuid: Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    uuid.hyphenated().serialize(serializer)
}

pub fn deserialize_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse_uuid(&text).map_err(serde::de::Error::custom)
}

pub fn uuid_schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .into()
}
