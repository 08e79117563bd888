//! A tenant and the people in it.

use kernel::Timestamp;
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::{Permission, Role, SalesRole, may_grant};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    pub id: WorkspaceId,
    pub slug: String,
    pub name: String,
    pub description: Option<String>,
    pub time_zone: String,
    pub strict_concurrency: bool,
    pub default_role: Role,
    pub owner_count: i64,
    pub member_count: i64,
    pub version: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub role: Role,
    pub sales_role: Option<SalesRole>,
    pub version: i64,
    pub invited_by: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Both roles of one person at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub role: Role,
    pub sales_role: Option<SalesRole>,
}

impl Standing {
    pub fn permits(self, permission: Permission) -> bool {
        self.role.permits(permission) || self.sales_role.is_some_and(|sales| sales.permits(permission))
    }
    /// See [`may_grant`].
    pub fn may_grant(self, given: Self) -> bool {
        may_grant((self.role, self.sales_role), (given.role, given.sales_role))
    }
}

impl Member {
    pub fn standing(&self) -> Standing {
        Standing {
            role: self.role,
            sales_role: self.sales_role,
        }
    }
    pub fn is_owner(&self) -> bool {
        self.role == Role::Owner
    }
}

/// A slug from a name: ASCII letters and digits, everything else becomes a single hyphen.
pub(crate) fn slug_from(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 40 {
            break;
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "workspace".to_owned() } else { slug.to_owned() }
}

/// Who becomes owner when the last one deletes their account: whoever is highest, then longest there.
pub(crate) fn heir(members: &[Member], leaving: UserId) -> Option<&Member> {
    members
        .iter()
        .filter(|member| member.user_id != leaving)
        .min_by_key(|member| (std::cmp::Reverse(member.role), member.created_at, member.user_id))
}

#[cfg(test)]
mod tests {
    use kernel::ids::{EntityId, Uuid};
    use proptest::prelude::*;

    use super::*;
    use crate::model::Fields;

    fn member(n: u128, role: Role, joined: i64) -> Member {
        Member {
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId::from_uuid(Uuid::from_u128(n)),
            role,
            sales_role: None,
            version: 1,
            invited_by: None,
            created_at: Timestamp::from_micros(joined),
            updated_at: Timestamp::from_micros(joined),
        }
    }

    #[test]
    fn slugs_read_well() {
        assert_eq!(slug_from("  Acme & Sons, Inc. "), "acme-sons-inc");
        assert_eq!(slug_from("日本"), "workspace");
        assert_eq!(slug_from("--A--"), "a");
    }

    #[test]
    fn the_heir_is_the_highest_then_the_longest_there() {
        let people = [
            member(1, Role::Owner, 1),
            member(2, Role::Viewer, 2),
            member(3, Role::Collaborator, 9),
            member(4, Role::Collaborator, 5),
        ];
        assert_eq!(heir(&people, people[0].user_id), Some(&people[3]));
        assert_eq!(heir(&people[..1], people[0].user_id), None);
    }

    proptest! {
        #[test]
        fn every_generated_slug_is_a_valid_slug(name in "\\PC{0,80}") {
            let mut fields = Fields::default();
            let slug = slug_from(&name);
            prop_assert_eq!(fields.slug("/slug", &slug), slug.clone());
            prop_assert!(fields.finish().is_ok(), "{}", slug);
        }
    }
}
