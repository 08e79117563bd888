//! Time: microseconds since the Unix epoch, UTC, and the clock everything asks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with microsecond resolution; the same i64 on every database engine.
/// Serialised as RFC 3339 with `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Whole seconds since the epoch, as JWT and HTTP-date want them.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
    /// Time from `earlier` to `self`; zero when `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
    pub fn from_jiff(ts: jiff::Timestamp) -> Self {
        Self(ts.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff())
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
/// What was to be a moment is no date-time of RFC 3339, or lies outside of what can be written as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an RFC 3339 date-time such as 2026-11-21T09:30:00Z, not after 9999-12-30T22:00:00Z")
    }
}
impl std::error::Error for InvalidTimestamp {}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    /// RFC 3339 with any offset, nothing else of ISO 8601. A leap second is the last second of its minute.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_date_time(text.as_bytes()) {
            return Err(InvalidTimestamp);
        }
        let moment = text.parse::<jiff::Timestamp>().map(Self::from_jiff).map_err(|_| InvalidTimestamp)?;
        // An offset may lead out of the years that have four digits.
        if (YEAR_ZERO..=LAST).contains(&moment) {
            Ok(moment)
        } else {
            Err(InvalidTimestamp)
        }
    }
}

/// 0000-01-01T00:00:00Z
const YEAR_ZERO: Timestamp = Timestamp::from_seconds(-62_167_219_200);
/// 9999-12-30T22:00:00Z, the last moment in microseconds that is a date in every time zone.
const LAST: Timestamp = Timestamp::from_seconds(253_402_207_200);

/// The shape of `date-time` (RFC 3339, 5.6); whether there is such a day and hour is not asked.
fn is_date_time(text: &[u8]) -> bool {
    let shaped = |part: &[u8], pattern: &[u8]| {
        part.len() == pattern.len()
            && part.iter().zip(pattern).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => byte.eq_ignore_ascii_case(wanted),
            })
    };
    let Some((local, rest)) = text.split_at_checked(b"0000-00-00T00:00:00".len()) else {
        return false;
    };
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
    };
    let zone = match offset {
        [b'+' | b'-', hours_and_minutes @ ..] => shaped(hours_and_minutes, b"00:00") && hours_and_minutes < &b"24:00"[..],
        zulu => shaped(zulu, b"Z"),
    };
    shaped(local, b"0000-00-00T00:00:00") && zone
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}
impl utoipa::ToSchema for Timestamp {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Timestamp")
    }
}

/// Where the time comes from. Code never asks the operating system directly, so tests can fix it.
pub trait Clock: Send + Sync + 'static {
    /// Now, truncated to microseconds: the resolution every engine stores.
    fn now(&self) -> Timestamp;
}

pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the operating system")]
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }
}

/// Whether `name` is an IANA time zone in its usual spelling, such as `Europe/Berlin`. Asked of the bundled
/// database, so that every replica and every operating system answers alike.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::db().available().any(|known| known.as_str() == name)
}

/// In the description of the API, `#[schema(value_type = TimeZone)]`: the closed list of IANA names, so that a client
/// can offer it and a generated request is never refused for it.
#[derive(Debug, Clone, Copy)]
pub struct TimeZone;

impl utoipa::PartialSchema for TimeZone {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("IANA time zone name"))
            .enum_values(Some(names))
            .examples(["Europe/Berlin"])
            .into()
    }
}

impl utoipa::ToSchema for TimeZone {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_rfc_3339() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:01z", 1),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T19:00:00-05:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T00:00:02.999999Z", 2),
            ("1970-01-01T00:00:02.5+00:00", 2),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-30T22:00:00Z", 253_402_207_200),
        ] {
            let read: Timestamp = text.parse().expect(text);
            assert_eq!(read.as_seconds(), seconds, "{text}");
            // What is read can be read again as it is written.
            assert_eq!(read.to_string().parse::<Timestamp>(), Ok(read), "{text}");
        }
        for text in [
            "",
            "2024-02-20",
            "2024-02-20T10:00:00",
            "2024-02-20 10:00:00Z",
            "2024-02-20T10:00Z",
            "2024-02-20T10Z",
            "20240220T100000Z",
            "2024-02-20T10:00:00,5Z",
            "2024-02-20T10:00:00.Z",
            "2024-02-20T10:00:00Z[UTC]",
            "2024-02-20T10:00:00+01:00[Europe/Berlin]",
            "+002024-02-20T10:00:00Z",
            "-000001-02-20T10:00:00Z",
            "2024-02-20T10:00:00+01",
            "2024-02-20T10:00:00+0100",
            "2024-02-20T10:00:00+25:00",
            "2024-02-20T10:00:00+24:00",
            "2024-02-20T10:00:00+00:00:30",
            "2024-02-20T10:00:00+01:60",
            "2024-02-30T10:00:00Z",
            "2024-02-20T24:00:00Z",
            " 2024-02-20T10:00:00Z",
            "2024-02-20T10:00:00Z ",
            "0000-01-01T00:00:00+01:00",
            "9999-12-30T22:00:00.582479Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text:?}");
        }
    }

    #[test]
    fn time_zones_have_one_spelling() {
        assert!(is_time_zone("Europe/Berlin"));
        assert!(is_time_zone("UTC"));
        assert!(!is_time_zone("europe/berlin"));
        assert!(!is_time_zone("Europe/Atlantis"));
        assert!(!is_time_zone(""));
    }
}
