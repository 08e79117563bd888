//! Who is told what, and how it reads: pure rules without I/O.

mod digest;
mod kind;
mod message;
mod recipients;
mod resume;
mod subscription;

pub(crate) use digest::{DEFAULT_HOUR, EmailMode, Line, digest, next_digest};
pub(crate) use kind::{Channel, Channels, Kind, Preferences};
pub(crate) use message::{Content, mail, sentence};
pub(crate) use recipients::{People, TaskFact, Told, concerns, task_recipients};
pub(crate) use resume::{LogBounds, Resume, resume};
pub(crate) use subscription::{Choices, Level, Subject, effective};
