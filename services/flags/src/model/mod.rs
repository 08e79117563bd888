//! What a flag is, and how it is evaluated: pure.

pub(crate) mod evaluate;
pub(crate) mod flag;

pub(crate) use evaluate::{Context, ErrorCode, Evaluation, Failure, evaluate};
pub(crate) use flag::{BucketBy, Definition, Flag, FlagKind, FlagRule, FlagShare};
