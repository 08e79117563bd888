//! What must hold of the rows of this service, for `guildhall verify`.

use platform::check::{Check, Texts};
use sea_query::{Expr, ExprTrait, Query};

use crate::model::{Definition, FlagKind};

/// All of them.
pub const CHECKS: &[Check] = &[
    Check::finds("flags.version", "A flag has been written at least once.", || {
        Query::select()
            .column("flag_key")
            .from("flags")
            .and_where(Expr::col("version").lt(1))
            .take()
    }),
    Check::reads(
        "flags.definition",
        "The variants and rules of a flag can be read.",
        Texts {
            table: "flags",
            id: "flag_key",
            column: "definition",
            fault: |text| serde_json::from_str::<Definition>(text).err().map(|error| error.to_string()),
        },
    ),
    Check::reads(
        "flags.kind",
        "A flag is of a kind that there is.",
        Texts {
            table: "flags",
            id: "flag_key",
            column: "kind",
            fault: |text| text.parse::<FlagKind>().is_err().then(|| format!("{text:?} is none")),
        },
    ),
];
