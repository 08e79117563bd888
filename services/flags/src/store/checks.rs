//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::Check;
use sea_query::{Expr, ExprTrait, Query};

/// All of them.
pub const CHECKS: &[Check] = &[Check::finds("flags.version", "A flag has been written at least once.", || {
    Query::select()
        .column("flag_key")
        .from("flags")
        .and_where(Expr::col("version").lt(1))
        .take()
})];
