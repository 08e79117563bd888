//! SQL and nothing else: free functions over `&Db` to read and `&mut Unit` to write.
//!
//! What belongs to a workspace is reached only with a [`Scope`], which only an authorised call can make.

pub(crate) mod checks;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod project_members;
pub(crate) mod projects;
pub(crate) mod workspaces;

use sea_query::Iden;

pub(crate) use crate::service::access::Scope;

#[derive(Iden, Clone, Copy)]
pub(crate) enum Workspaces {
    Table,
    Id,
    Slug,
    Name,
    Description,
    TimeZone,
    StrictConcurrency,
    DefaultRole,
    OwnerCount,
    MemberCount,
    Version,
    CreatedBy,
    CreatedAt,
    UpdatedAt,
    DeletedAt,
}

#[derive(Iden, Clone, Copy)]
pub(crate) enum Members {
    Table,
    WorkspaceId,
    UserId,
    Role,
    SalesRole,
    Version,
    InvitedBy,
    CreatedAt,
    UpdatedAt,
}

#[derive(Iden, Clone, Copy)]
pub(crate) enum Invitations {
    Table,
    Id,
    WorkspaceId,
    State,
    Email,
    PendingEmail,
    Role,
    SalesRole,
    SingleUse,
    Uses,
    TokenHash,
    InvitedBy,
    ClaimedBy,
    ClaimedFor,
    ClaimedAt,
    Version,
    ExpiresAt,
    SentAt,
    CreatedAt,
    UpdatedAt,
}

#[derive(Iden, Clone, Copy)]
pub(crate) enum Projects {
    Table,
    Id,
    WorkspaceId,
    ProjectKey,
    Name,
    NameFolded,
    Description,
    Private,
    Version,
    CreatedBy,
    CreatedAt,
    UpdatedAt,
    ArchivedAt,
    DeletedAt,
    DeletedBy,
}

#[derive(Iden, Clone, Copy)]
pub(crate) enum ProjectMembers {
    Table,
    ProjectId,
    UserId,
    WorkspaceId,
    Role,
    Version,
    CreatedAt,
    UpdatedAt,
}

/// Reads consecutive columns of a row, so that a row can be several entities side by side.
pub(crate) struct Columns<'a, 'r> {
    row: &'a platform::db::Row<'r>,
    next: usize,
}

impl<'a, 'r> Columns<'a, 'r> {
    pub fn new(row: &'a platform::db::Row<'r>) -> Self {
        Self { row, next: 0 }
    }
    fn step(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }
    pub fn get<T: platform::db::FromColumn>(&mut self) -> Result<T, platform::db::DbError> {
        let index = self.step();
        self.row.get(index)
    }
    pub fn id<T: kernel::ids::EntityId>(&mut self) -> Result<T, platform::db::DbError> {
        let index = self.step();
        self.row.id(index)
    }
    pub fn id_opt<T: kernel::ids::EntityId>(&mut self) -> Result<Option<T>, platform::db::DbError> {
        let index = self.step();
        self.row.id_opt(index)
    }
    pub fn parse<T: std::str::FromStr>(&mut self) -> Result<T, platform::db::DbError>
    where
        T::Err: std::fmt::Display,
    {
        let index = self.step();
        self.row.parse(index)
    }
    /// A closed set in a column that may be NULL.
    pub fn parse_opt<T: std::str::FromStr>(&mut self) -> Result<Option<T>, platform::db::DbError>
    where
        T::Err: std::fmt::Display,
    {
        let index = self.step();
        match self.row.get::<Option<String>>(index)? {
            None => Ok(None),
            Some(_) => self.row.parse(index).map(Some),
        }
    }
}

/// LIKE pattern for "contains", with the wildcards of the search text taken literally.
pub(crate) fn contains(text: &str) -> sea_query::LikeExpr {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    // '!' instead of a backslash, which MySQL would read twice.
    sea_query::LikeExpr::new(pattern).escape('!')
}
