//! SQL only: free functions over `&Db` to read or `&mut Unit` to write.

pub(crate) mod checks;
pub(crate) mod flags;
