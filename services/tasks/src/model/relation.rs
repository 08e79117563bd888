//! How tasks hang together, besides parent and sub-task.

use serde::{Deserialize, Serialize};

use super::UnknownName;

/// Most relations of one task, of all kinds and in both directions.
pub(crate) const MAX_RELATIONS: usize = 100;

/// What is stored: an edge from a source to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The source must be done before the target can be.
    Blocks,
    /// No direction; stored from the smaller id to the greater.
    Relates,
    /// The source says the same as the target, which stays.
    Duplicates,
}

impl Edge {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Relates => "relates",
            Self::Duplicates => "duplicates",
        }
    }

    /// Whether going along these edges may never lead back.
    pub const fn acyclic(self) -> bool {
        !matches!(self, Self::Relates)
    }
}

impl std::str::FromStr for Edge {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "blocks" => Ok(Self::Blocks),
            "relates" => Ok(Self::Relates),
            "duplicates" => Ok(Self::Duplicates),
            _ => Err(UnknownName),
        }
    }
}

/// A relation as one of its two tasks sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    Blocks,
    BlockedBy,
    Relates,
    Duplicates,
    DuplicatedBy,
}

impl Relation {
    /// As stored in the history, told in events and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::BlockedBy => "blocked_by",
            Self::Relates => "relates",
            Self::Duplicates => "duplicates",
            Self::DuplicatedBy => "duplicated_by",
        }
    }

    pub(crate) const fn edge(self) -> Edge {
        match self {
            Self::Blocks | Self::BlockedBy => Edge::Blocks,
            Self::Relates => Edge::Relates,
            Self::Duplicates | Self::DuplicatedBy => Edge::Duplicates,
        }
    }

    /// What the other task calls it.
    pub(crate) const fn inverse(self) -> Self {
        match self {
            Self::Blocks => Self::BlockedBy,
            Self::BlockedBy => Self::Blocks,
            Self::Relates => Self::Relates,
            Self::Duplicates => Self::DuplicatedBy,
            Self::DuplicatedBy => Self::Duplicates,
        }
    }

    /// Source and target of the stored edge, seen from `own`.
    pub(crate) fn ends<T: Ord>(self, own: T, other: T) -> (T, T) {
        let forwards = match self {
            Self::Blocks | Self::Duplicates => true,
            Self::BlockedBy | Self::DuplicatedBy => false,
            Self::Relates => own < other,
        };
        if forwards { (own, other) } else { (other, own) }
    }

    /// How a stored edge looks from its source, or from its target.
    pub(crate) const fn of(edge: Edge, from_source: bool) -> Self {
        let seen = match edge {
            Edge::Blocks => Self::Blocks,
            Edge::Relates => Self::Relates,
            Edge::Duplicates => Self::Duplicates,
        };
        if from_source { seen } else { seen.inverse() }
    }
}

impl std::str::FromStr for Relation {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "blocks" => Self::Blocks,
            "blocked_by" => Self::BlockedBy,
            "relates" => Self::Relates,
            "duplicates" => Self::Duplicates,
            "duplicated_by" => Self::DuplicatedBy,
            _ => return Err(UnknownName),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Relation; 5] = [
        Relation::Blocks,
        Relation::BlockedBy,
        Relation::Relates,
        Relation::Duplicates,
        Relation::DuplicatedBy,
    ];

    #[test]
    fn both_sides_of_a_relation_store_the_same_edge() {
        for relation in ALL {
            assert_eq!(relation.inverse().inverse(), relation);
            assert_eq!(relation.ends(1, 2), relation.inverse().ends(2, 1), "{relation:?}");
            let (source, _) = relation.ends(1, 2);
            assert_eq!(Relation::of(relation.edge(), source == 1), relation);
            assert_eq!(relation.as_str().parse(), Ok(relation));
        }
        assert_eq!("BLOCKS".parse::<Relation>(), Err(UnknownName));
    }
}
