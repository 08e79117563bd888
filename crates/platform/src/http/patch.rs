//! JSON merge patch (RFC 7396) fields.

use serde::{Deserialize, Deserializer};

/// A member of a merge patch: left out, `null`, or a value. Use with `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    #[default]
    Absent,
    /// `null`: clear it.
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

impl<T> Field<T> {
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
    /// `None`: leave it; `Some(None)`: clear it; `Some(Some(v))`: set it.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Map, Value, json};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        #[serde(default)]
        title: Field<String>,
        #[serde(default)]
        due: Field<i64>,
    }

    /// How a service applies its fields to a row.
    fn apply(row: &mut (Option<String>, Option<i64>), change: Change) {
        if let Some(title) = change.title.into_option() {
            row.0 = title;
        }
        if let Some(due) = change.due.into_option() {
            row.1 = due;
        }
    }

    /// A row as a JSON object without its nulls, as RFC 7396 sees it.
    fn document(row: &(Option<String>, Option<i64>)) -> Value {
        let members = [
            ("title", row.0.as_ref().map(|title| json!(title))),
            ("due", row.1.map(|due| json!(due))),
        ];
        Value::Object(
            members
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        )
    }

    fn row() -> impl Strategy<Value = (Option<String>, Option<i64>)> {
        (proptest::option::of(".{0,8}"), proptest::option::of(any::<i64>()))
    }

    /// Each member left out, null, or a value.
    fn patch() -> impl Strategy<Value = Value> {
        let title = proptest::option::of(prop_oneof![Just(Value::Null), ".{0,8}".prop_map(Value::from)]);
        let due = proptest::option::of(prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from)]);
        (title, due).prop_map(|(title, due)| {
            let members = [("title", title), ("due", due)];
            Value::Object(
                members
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                    .collect::<Map<_, _>>(),
            )
        })
    }

    proptest! {
        /// The reference is the algorithm of RFC 7396, 2 as the crate json-patch implements it.
        #[test]
        fn fields_do_what_a_merge_patch_means(mut row in row(), patch in patch()) {
            let mut expected = document(&row);
            json_patch::merge(&mut expected, &patch);
            apply(&mut row, serde_json::from_value(patch).unwrap());
            prop_assert_eq!(document(&row), expected);
        }

        #[test]
        fn a_patch_applied_twice_changes_nothing_more(mut row in row(), patch in patch()) {
            apply(&mut row, serde_json::from_value(patch.clone()).unwrap());
            let once = row.clone();
            apply(&mut row, serde_json::from_value(patch).unwrap());
            prop_assert_eq!(row, once);
        }
    }
}
