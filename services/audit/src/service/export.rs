//! A log as a file, streamed: page after page, so that a long log takes no more memory than a short one.

use bytes::Bytes;
use contracts::audit::{Action, Entry};
use futures_util::stream::{self, Stream};
use kernel::actor::DEFAULT_CALL_TIMEOUT;
use kernel::cell::guard;
use kernel::{CallContext, Error, Result};
use platform::Caller;
use platform::db::Unit;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

use super::access::Readable;
use super::views::AuditEntryView;
use crate::AuditService;
use crate::model::log_id;
use crate::store::entries::{self, Direction, Filter, Position};

/// Rows read at once.
const BATCH: u32 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// A JSON object per line.
    Jsonl,
}

impl Format {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/jsonl",
        }
    }
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

const COLUMNS: [&str; 15] = [
    "seq",
    "id",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "api_key_id",
    "target_kind",
    "target_id",
    "target_name",
    "changes",
    "address",
    "user_agent",
    "request_id",
];

struct Progress {
    service: Arc<AuditService>,
    context: CallContext,
    readable: Readable,
    filter: Filter,
    format: Format,
    after: Option<Position>,
    first: bool,
    done: bool,
}

impl AuditService {
    /// Oldest first, up to the moment of the request. That it was exported is recorded before the first line goes out.
    pub(crate) async fn export(
        self: &Arc<Self>,
        caller: &Caller,
        readable: Readable,
        mut filter: Filter,
        format: Format,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        let mut unit = Unit::new(caller);
        unit.record(Entry::new(readable.log(), Action::AuditLogExported, "audit_log").with("format", format.extension()));
        self.db.apply(unit).await?;
        filter.until = Some(filter.until.map_or(caller.now, |until| until.min(caller.now)));
        let progress = Progress {
            service: Arc::clone(self),
            context: caller.call(),
            readable,
            filter,
            format,
            after: None,
            first: true,
            done: false,
        };
        Ok(stream::try_unfold(progress, |mut progress| async move {
            if progress.done {
                return Ok(None);
            }
            let piece = progress.next().await?;
            Ok(Some((piece, progress)))
        }))
    }
}

impl Progress {
    async fn next(&mut self) -> Result<Bytes> {
        let log = log_id(self.readable.log());
        let select = entries::page(log, &self.filter, Direction::OldestFirst, self.after, BATCH.into());
        let rows = entries::list(&self.service.db, select).await?;
        self.done = rows.len() < BATCH as usize;
        if let Some(last) = rows.last() {
            self.after = Some((last.entry.occurred_at.as_micros(), last.entry.seq));
        }
        // Each page is a call of its own; the whole file may take longer than one call may.
        self.context.deadline = self.service.toolkit.clock.now().plus(DEFAULT_CALL_TIMEOUT);
        let views = self.service.views(&self.context, rows).await?;
        let names = std::mem::replace(&mut self.first, false);
        match self.format {
            Format::Csv => csv_lines(&views, names),
            Format::Jsonl => json_lines(&views),
        }
    }
}

fn json_lines(views: &[AuditEntryView]) -> Result<Bytes> {
    let mut lines = Vec::new();
    for view in views {
        serde_json::to_writer(&mut lines, view).map_err(Error::internal)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

fn csv_lines(views: &[AuditEntryView], names: bool) -> Result<Bytes> {
    let mut writer = csv::WriterBuilder::new()
        // Other programs split at other signs; in quotes none finds the start of a cell inside of ours.
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if names {
        writer.write_record(COLUMNS).map_err(Error::internal)?;
    }
    for view in views {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let fields: [String; COLUMNS.len()] = [
            view.seq.to_string(),
            view.id.to_string(),
            view.at.to_string(),
            view.action.clone(),
            view.actor.kind.clone(),
            view.actor.user_id.map(|id| id.to_string()).unwrap_or_default(),
            text(&view.actor.name),
            view.actor.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
            view.target.kind.clone(),
            text(&view.target.id),
            text(&view.target.name),
            serde_json::to_string(&view.changes).map_err(Error::internal)?,
            text(&view.address),
            text(&view.user_agent),
            view.request_id.clone(),
        ];
        writer
            .write_record(fields.iter().map(|field| guard(field).into_owned()))
            .map_err(Error::internal)?;
    }
    Ok(writer.into_inner().map_err(|error| Error::internal(error.to_string()))?.into())
}
