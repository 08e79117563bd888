//! Query parameters.

use contracts::audit::Action;
use kernel::cursor::PageRequest;
use kernel::ids::UserId;
use kernel::{Result, Timestamp};
use platform::http::query_error;
use serde::Deserialize;

use crate::service::export::Format;
use crate::store::entries::Filter;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
/// More than these no filter needs.
const MAX_ACTIONS: usize = 20;
const MAX_TEXT_CHARS: usize = 100;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only these actions: names such as `project.deleted`, groups such as `member.*`, separated by commas; at most 20.
    #[param(max_length = 1000, example = "member.*,project.deleted")]
    action: Option<String>,
    /// Only what this person did, by hand or by a program with their API key.
    actor: Option<UserId>,
    /// Only what was done to things of this kind, such as `project`.
    #[param(max_length = 100, example = "project")]
    target_kind: Option<String>,
    /// Only what was done to this thing.
    #[param(max_length = 100)]
    target_id: Option<String>,
    /// Only what was done at this moment or later.
    from: Option<Timestamp>,
    /// Only what was done before this moment.
    to: Option<Timestamp>,
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filter.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `csv` when left out.
    #[param(inline)]
    format: Option<Format>,
    /// Only these actions: names such as `project.deleted`, groups such as `member.*`, separated by commas; at most 20.
    #[param(max_length = 1000, example = "member.*,project.deleted")]
    action: Option<String>,
    /// Only what this person did, by hand or by a program with their API key.
    actor: Option<UserId>,
    /// Only what was done to things of this kind, such as `project`.
    #[param(max_length = 100, example = "project")]
    target_kind: Option<String>,
    /// Only what was done to this thing.
    #[param(max_length = 100)]
    target_id: Option<String>,
    /// Only what was done at this moment or later.
    from: Option<Timestamp>,
    /// Only what was done before this moment.
    to: Option<Timestamp>,
}

/// The actions that a list of names and groups means, each once.
fn actions(text: &str) -> Result<Vec<&'static str>> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > MAX_ACTIONS {
        return Err(query_error(
            "action",
            "too_many",
            format!("must name at most {MAX_ACTIONS} actions"),
        ));
    }
    let mut found = Vec::new();
    for part in parts {
        let group = part.strip_suffix('*').filter(|group| group.ends_with('.'));
        let before = found.len();
        let meant = Action::ALL.iter().map(|action| action.as_str());
        found.extend(meant.filter(|name| *name == part || group.is_some_and(|group| name.starts_with(group))));
        if found.len() == before {
            return Err(query_error(
                "action",
                "unknown",
                "names no action and no group of actions such as member.*",
            ));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn short(name: &str, text: Option<String>) -> Result<Option<String>> {
    match text {
        Some(text) if text.chars().count() > MAX_TEXT_CHARS => Err(query_error(
            name,
            "too_long",
            format!("must have at most {MAX_TEXT_CHARS} characters"),
        )),
        text => Ok(text),
    }
}

impl ListQuery {
    /// 400 for what cannot be.
    pub fn parse(self) -> Result<(Filter, PageRequest)> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(query_error("limit", "out_of_range", "must be between 1 and 200"));
        }
        let filter = Filter {
            actions: self.action.as_deref().map(actions).transpose()?.unwrap_or_default(),
            actor: self.actor,
            target_kind: short("target_kind", self.target_kind)?,
            target_id: short("target_id", self.target_id)?,
            from: self.from,
            until: self.to,
        };
        let page = PageRequest {
            limit,
            cursor: self.cursor,
        };
        Ok((filter, page))
    }
}

impl ExportQuery {
    /// 400 for what cannot be.
    pub fn parse(self) -> Result<(Filter, Format)> {
        let list = ListQuery {
            action: self.action,
            actor: self.actor,
            target_kind: self.target_kind,
            target_id: self.target_id,
            from: self.from,
            to: self.to,
            limit: None,
            cursor: None,
        };
        Ok((list.parse()?.0, self.format.unwrap_or(Format::Csv)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_alone_or_by_group() {
        assert_eq!(actions("project.deleted").unwrap(), ["project.deleted"]);
        let group = actions("member.*, member.added").unwrap();
        assert_eq!(group, ["member.added", "member.left", "member.removed", "member.role_changed"]);
        for bad in ["", "member", "member.", "*", "mem*", "member.*x", "project.deleted,"] {
            assert!(actions(bad).is_err(), "{bad:?}");
        }
        assert!(actions(&["member.added"; 21].join(",")).is_err());
    }
}
