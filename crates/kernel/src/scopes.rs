//! What an API key may be used for: a closed set of scopes, which only ever narrow what the key's owner may do.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One right of an API key. To write includes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    #[serde(rename = "workspaces:read")]
    WorkspacesRead,
    #[serde(rename = "workspaces:write")]
    WorkspacesWrite,
    #[serde(rename = "members:read")]
    MembersRead,
    #[serde(rename = "members:write")]
    MembersWrite,
    #[serde(rename = "projects:read")]
    ProjectsRead,
    #[serde(rename = "projects:write")]
    ProjectsWrite,
    #[serde(rename = "tasks:read")]
    TasksRead,
    #[serde(rename = "tasks:write")]
    TasksWrite,
    #[serde(rename = "notifications:read")]
    NotificationsRead,
    #[serde(rename = "notifications:write")]
    NotificationsWrite,
    /// The audit logs of the owner's workspaces.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// To evaluate feature flags.
    #[serde(rename = "flags:read")]
    FlagsRead,
}

impl Scope {
    pub const ALL: [Self; 12] = [
        Self::WorkspacesRead,
        Self::WorkspacesWrite,
        Self::MembersRead,
        Self::MembersWrite,
        Self::ProjectsRead,
        Self::ProjectsWrite,
        Self::TasksRead,
        Self::TasksWrite,
        Self::NotificationsRead,
        Self::NotificationsWrite,
        Self::AuditRead,
        Self::FlagsRead,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkspacesRead => "workspaces:read",
            Self::WorkspacesWrite => "workspaces:write",
            Self::MembersRead => "members:read",
            Self::MembersWrite => "members:write",
            Self::ProjectsRead => "projects:read",
            Self::ProjectsWrite => "projects:write",
            Self::TasksRead => "tasks:read",
            Self::TasksWrite => "tasks:write",
            Self::NotificationsRead => "notifications:read",
            Self::NotificationsWrite => "notifications:write",
            Self::AuditRead => "audit:read",
            Self::FlagsRead => "flags:read",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Itself, and reading for what may be written.
    const fn includes(self) -> u16 {
        let read = match self {
            Self::WorkspacesWrite => Self::WorkspacesRead,
            Self::MembersWrite => Self::MembersRead,
            Self::ProjectsWrite => Self::ProjectsRead,
            Self::TasksWrite => Self::TasksRead,
            Self::NotificationsWrite => Self::NotificationsRead,
            read => read,
        };
        self.bit() | read.bit()
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scopes of one key. Written as a list of names; unknown names, from a newer version, count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u16);

impl ScopeSet {
    pub const fn permits(self, scope: Scope) -> bool {
        let mut index = 0;
        while index < Scope::ALL.len() {
            let held = Scope::ALL[index];
            if self.0 & held.bit() != 0 && held.includes() & scope.bit() != 0 {
                return true;
            }
            index += 1;
        }
        false
    }
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// As they were given, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Names with blanks between them, as OAuth writes scopes.
impl std::fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{scope}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ScopeSet {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(names(text.split(' ')))
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> ScopeSet {
    names
        .filter_map(|name| Scope::ALL.into_iter().find(|scope| scope.as_str() == name))
        .collect()
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<String>::deserialize(deserializer)?;
        Ok(names(list.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_17_scopes_permit_themselves_and_reading_what_they_write_and_nothing_else() {
        for held in Scope::ALL {
            let set = ScopeSet::from_iter([held]);
            for asked in Scope::ALL {
                let same = held == asked;
                let reads = held
                    .as_str()
                    .strip_suffix(":write")
                    .is_some_and(|name| format!("{name}:read") == asked.as_str());
                assert_eq!(set.permits(asked), same || reads, "{held} for {asked}");
            }
        }
        assert!(Scope::ALL.iter().all(|scope| !ScopeSet::default().permits(*scope)));
    }

    #[test]
    fn sets_survive_text_and_json_and_forget_unknown_names() {
        let set: ScopeSet = [Scope::TasksWrite, Scope::ProjectsRead].into_iter().collect();
        assert_eq!(set.to_string(), "projects:read tasks:write");
        assert_eq!("projects:read tasks:write root:all".parse::<ScopeSet>(), Ok(set));
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["projects:read","tasks:write"]"#);
        assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), set);
        assert_eq!(
            serde_json::to_string(&Scope::TasksRead).unwrap(),
            "\"tasks:read\"",
            "one name everywhere"
        );
    }
}
