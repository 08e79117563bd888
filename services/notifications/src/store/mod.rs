//! SQL only: free functions over `&Db` to read or `&mut Unit` to write.

pub(crate) mod checks;
pub(crate) mod event_log;
pub(crate) mod inbox;
pub(crate) mod participants;
pub(crate) mod preferences;
pub(crate) mod purge;
pub(crate) mod settings;
pub(crate) mod subscriptions;

use kernel::ids::{EntityId, Uuid};
use sea_query::{Expr, ExprTrait, IntoColumnRef, SimpleExpr};

/// `column IN (ids)`. The list is padded to a power of two with its last member, so that the statement
/// cache sees few texts.
fn in_ids<T: EntityId>(column: impl IntoColumnRef, ids: impl IntoIterator<Item = T>) -> SimpleExpr {
    let mut list: Vec<Uuid> = ids.into_iter().map(EntityId::uuid).collect();
    if let Some(last) = list.last().copied() {
        list.resize(list.len().next_power_of_two(), last);
    }
    Expr::col(column).is_in(list)
}

fn uuid_opt<T: EntityId>(id: Option<T>) -> Option<Uuid> {
    id.map(EntityId::uuid)
}
