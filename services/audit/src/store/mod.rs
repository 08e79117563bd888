//! SQL only: free functions over `&Db` to read or `&mut Unit` to write. Nothing here changes an entry.

pub(crate) mod checks;
pub mod entries;
pub mod logs;

use sea_query::Iden;

#[derive(Iden, Clone, Copy)]
enum AuditLogs {
    Table,
    LogId,
    Kind,
    LastSeq,
    LastSeal,
    FirstSeq,
    BeforeSeal,
    KeyId,
    KeySince,
    Seal,
    CreatedAt,
}

#[derive(Iden, Clone, Copy)]
enum AuditEntries {
    Table,
    LogId,
    Seq,
    Id,
    OccurredAt,
    ActorKind,
    ActorId,
    ApiKeyId,
    Action,
    TargetKind,
    TargetId,
    TargetName,
    Address,
    UserAgent,
    RequestId,
    Changes,
    KeyId,
    Seal,
}
