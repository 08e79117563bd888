use kernel::Timestamp;
use kernel::ids::{EntityId, InvitationId, Uuid};
use kernel::roles::SalesRole;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, UpdateStatement};

use super::workspaces::Count;
use super::{Columns, Invitations as I, Scope};
use crate::error::INVITATION_ENDED;
use crate::model::invitation::Claim;
use crate::model::{Invitation, InvitationState, InvitationToken};

const COLUMNS: [I; 17] = [
    I::Id,
    I::WorkspaceId,
    I::State,
    I::Email,
    I::Role,
    I::SalesRole,
    I::SingleUse,
    I::Uses,
    I::InvitedBy,
    I::ClaimedBy,
    I::ClaimedFor,
    I::ClaimedAt,
    I::Version,
    I::ExpiresAt,
    I::SentAt,
    I::CreatedAt,
    I::UpdatedAt,
];

impl FromRow for Invitation {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let mut columns = Columns::new(row);
        Ok(Self {
            id: columns.id()?,
            workspace_id: columns.id()?,
            state: columns.parse()?,
            email: columns.get()?,
            role: columns.parse()?,
            sales_role: columns.parse_opt()?,
            single_use: columns.get()?,
            uses: columns.get()?,
            invited_by: columns.id()?,
            claim: match (columns.id_opt()?, columns.get()?, columns.get()?) {
                (Some(user_id), Some(tag), Some(at)) => Some(Claim { user_id, tag, at }),
                _ => None,
            },
            version: columns.get()?,
            expires_at: columns.get()?,
            sent_at: columns.get()?,
            created_at: columns.get()?,
            updated_at: columns.get()?,
        })
    }
}

fn select(scope: &Scope) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(I::Table)
        .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
        .take()
}

pub(crate) async fn find(db: &Db, scope: &Scope, id: InvitationId) -> Result<Option<Invitation>, DbError> {
    db.opt(select(scope).and_where(Expr::col(I::Id).eq(id.uuid())).take()).await
}

/// The token is the right to see the row, so no scope is asked for.
pub(crate) async fn find_by_token(db: &Db, token_hash: Vec<u8>) -> Result<Option<Invitation>, DbError> {
    db.opt(
        Query::select()
            .columns(COLUMNS)
            .from(I::Table)
            .and_where(Expr::col(I::TokenHash).eq(token_hash))
            .take(),
    )
    .await
}

/// What a list of invitations can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    All,
    /// Pending and not expired.
    Open(Timestamp),
    Expired(Timestamp),
    Stored(InvitationState),
}

pub(crate) async fn list(
    db: &Db,
    scope: &Scope,
    filter: Filter,
    after: Option<InvitationId>,
    limit: u64,
) -> Result<Vec<Invitation>, DbError> {
    let mut select = select(scope);
    let state = |state: InvitationState| Expr::col(I::State).eq(state.as_str());
    match filter {
        Filter::All => {}
        Filter::Open(now) => {
            select
                .and_where(state(InvitationState::Pending))
                .and_where(Expr::col(I::ExpiresAt).gt(now.as_micros()));
        }
        Filter::Expired(now) => {
            select
                .and_where(state(InvitationState::Pending))
                .and_where(Expr::col(I::ExpiresAt).lte(now.as_micros()));
        }
        Filter::Stored(stored) => {
            select.and_where(state(stored));
        }
    }
    db.all(
        select
            .and_where_option(after.map(|id| Expr::col(I::Id).gt(id.uuid())))
            .order_by(I::Id, Order::Asc)
            .limit(limit)
            .take(),
    )
    .await
}

pub(crate) async fn count_open(db: &Db, scope: &Scope, now: Timestamp) -> Result<i64, DbError> {
    let count: Count = db
        .one(
            Query::select()
                .expr(Expr::col(I::Id).count())
                .from(I::Table)
                .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
                .and_where(Expr::col(I::State).eq(InvitationState::Pending.as_str()))
                .and_where(Expr::col(I::ExpiresAt).gt(now.as_micros()))
                .take(),
        )
        .await?;
    Ok(count.0)
}

pub(crate) fn insert(unit: &mut Unit, invitation: &Invitation, token: &InvitationToken) {
    unit.insert(
        Query::insert()
            .into_table(I::Table)
            .columns(COLUMNS.into_iter().chain([I::PendingEmail, I::TokenHash]))
            .values_panic([
                invitation.id.uuid().into(),
                invitation.workspace_id.uuid().into(),
                invitation.state.as_str().into(),
                invitation.email.clone().into(),
                invitation.role.as_str().into(),
                invitation.sales_role.map(SalesRole::as_str).into(),
                invitation.single_use.into(),
                invitation.uses.into(),
                invitation.invited_by.uuid().into(),
                invitation.claim.as_ref().map(|claim| claim.user_id.uuid()).into(),
                invitation.claim.as_ref().map(|claim| claim.tag.clone()).into(),
                invitation.claim.as_ref().map(|claim| claim.at.as_micros()).into(),
                invitation.version.into(),
                invitation.expires_at.as_micros().into(),
                invitation.sent_at.map(Timestamp::as_micros).into(),
                invitation.created_at.as_micros().into(),
                invitation.updated_at.as_micros().into(),
                invitation.email.clone().into(),
                token.hash().into(),
            ])
            .take(),
    );
}

/// Frees the address of an invitation that ran out, so that it can be invited again.
pub(crate) fn release_expired(unit: &mut Unit, scope: &Scope, email: &str, now: Timestamp) {
    unit.update(
        Query::update()
            .table(I::Table)
            .value(I::PendingEmail, Option::<String>::None)
            .value(I::Version, Expr::col(I::Version).add(1))
            .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(I::PendingEmail).eq(email))
            .and_where(Expr::col(I::ExpiresAt).lte(now.as_micros()))
            .take(),
    );
}

/// A new token takes the place of the old one, whose link is dead from then on, with what was claimed by it.
pub(crate) fn renew(unit: &mut Unit, scope: &Scope, invitation: &Invitation, token: &InvitationToken) {
    unit.update_guarded(
        Query::update()
            .table(I::Table)
            .value(I::TokenHash, token.hash())
            .value(I::PendingEmail, invitation.email.clone())
            .value(I::ExpiresAt, invitation.expires_at.as_micros())
            .value(I::SentAt, invitation.sent_at.map(Timestamp::as_micros))
            .value(I::InvitedBy, invitation.invited_by.uuid())
            .value(I::ClaimedBy, Option::<Uuid>::None)
            .value(I::ClaimedFor, Option::<Vec<u8>>::None)
            .value(I::ClaimedAt, Option::<i64>::None)
            .value(I::Version, invitation.version)
            .value(I::UpdatedAt, invitation.updated_at.as_micros())
            .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(I::Id).eq(invitation.id.uuid()))
            .and_where(Expr::col(I::State).eq(InvitationState::Pending.as_str()))
            .and_where(Expr::col(I::Version).eq(invitation.version - 1))
            .take(),
        Guard::VERSION,
    );
}

/// At commit the invitation must still have the version that was read.
pub(crate) fn require_version(unit: &mut Unit, scope: &Scope, invitation: &Invitation, guard: Guard) {
    unit.require(
        Query::select()
            .column(I::Id)
            .from(I::Table)
            .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
            .and_where(Expr::col(I::Id).eq(invitation.id.uuid()))
            .and_where(Expr::col(I::Version).eq(invitation.version))
            .take(),
        guard,
    );
}

/// Ends an open invitation; whoever comes second finds it ended.
pub(crate) fn end(unit: &mut Unit, scope: &Scope, id: InvitationId, state: InvitationState, now: Timestamp) {
    unit.update_guarded(
        used(scope, id, now)
            .value(I::State, state.as_str())
            .value(I::PendingEmail, Option::<String>::None)
            .take(),
        INVITATION_ENDED,
    );
}

/// Its one use is spent. Fails when somebody claimed it since it was read.
pub(crate) fn accept(unit: &mut Unit, scope: &Scope, invitation: &Invitation, now: Timestamp) {
    unit.update_guarded(
        claimed_as(used(scope, invitation.id, now), invitation.claim.as_ref())
            .value(I::State, InvitationState::Accepted.as_str())
            .value(I::PendingEmail, Option::<String>::None)
            .value(I::Uses, Expr::col(I::Uses).add(1))
            .and_where(Expr::col(I::ExpiresAt).gt(now.as_micros()))
            .take(),
        INVITATION_ENDED,
    );
}

/// Sets the one use of a link apart, if nobody claimed it since it was read.
pub(crate) fn claim(unit: &mut Unit, scope: &Scope, invitation: &Invitation, claim: &Claim) {
    unit.update_guarded(
        claimed_as(used(scope, invitation.id, claim.at), invitation.claim.as_ref())
            .value(I::ClaimedBy, claim.user_id.uuid())
            .value(I::ClaimedFor, claim.tag.clone())
            .value(I::ClaimedAt, claim.at.as_micros())
            .and_where(Expr::col(I::ExpiresAt).gt(claim.at.as_micros()))
            .take(),
        INVITATION_ENDED,
    );
}

/// Only while the claim is the one that was read.
fn claimed_as(mut update: UpdateStatement, claim: Option<&Claim>) -> UpdateStatement {
    match claim {
        None => update.and_where(Expr::col(I::ClaimedBy).is_null()),
        Some(claim) => update
            .and_where(Expr::col(I::ClaimedBy).eq(claim.user_id.uuid()))
            .and_where(Expr::col(I::ClaimedAt).eq(claim.at.as_micros())),
    };
    update
}

/// One more person came through a link for many.
pub(crate) fn count_use(unit: &mut Unit, scope: &Scope, id: InvitationId, now: Timestamp) {
    unit.update_guarded(
        used(scope, id, now)
            .value(I::Uses, Expr::col(I::Uses).add(1))
            .and_where(Expr::col(I::ExpiresAt).gt(now.as_micros()))
            .take(),
        INVITATION_ENDED,
    );
}

fn used(scope: &Scope, id: InvitationId, now: Timestamp) -> UpdateStatement {
    Query::update()
        .table(I::Table)
        .value(I::Version, Expr::col(I::Version).add(1))
        .value(I::UpdatedAt, now.as_micros())
        .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
        .and_where(Expr::col(I::Id).eq(id.uuid()))
        .and_where(Expr::col(I::State).eq(InvitationState::Pending.as_str()))
        .take()
}

/// Ids of invitations that ended or ran out before `cutoff`, oldest first.
pub(crate) async fn list_old(db: &Db, cutoff: Timestamp, limit: u64) -> Result<Vec<InvitationId>, DbError> {
    struct Id(InvitationId);
    impl FromRow for Id {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.id(0).map(Self)
        }
    }
    let rows: Vec<Id> = db
        .all(
            Query::select()
                .column(I::Id)
                .from(I::Table)
                .and_where(Expr::col(I::ExpiresAt).lte(cutoff.as_micros()))
                .order_by(I::ExpiresAt, Order::Asc)
                .limit(limit)
                .take(),
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// The condition is repeated, because an invitation can be renewed between the list and the deletion.
pub(crate) fn delete_old(unit: &mut Unit, ids: &[InvitationId], cutoff: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table(I::Table)
            .and_where(Expr::col(I::Id).is_in(ids.iter().map(|id| id.uuid())))
            .and_where(Expr::col(I::ExpiresAt).lte(cutoff.as_micros()))
            .take(),
    );
}

pub(crate) fn purge(unit: &mut Unit, scope: &Scope) {
    unit.delete(
        Query::delete()
            .from_table(I::Table)
            .and_where(Expr::col(I::WorkspaceId).eq(scope.workspace_id().uuid()))
            .take(),
    );
}
