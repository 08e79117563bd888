//! Sends what is due to one webhook.
//!
//! One item of due work stands for one webhook, so one runner at a time serves it, on whichever replica. A webhook that
//! fails is sent one request a turn, and all that fail share half of the places: a receiver that hangs
//! delays its own messages and nobody else's.

use std::time::Duration;

use bytes::Bytes;
use contracts::audit::Action;
use contracts::webhooks::events::WebhookDisabled;
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::config::HumanDuration;
use platform::db::{DbError, Unit};
use platform::due::{DueConfig, DueItem};
use platform::egress::{EgressError, EgressRequest, EgressResponse};
use tokio::time::Instant;

use super::webhooks::{entry, host};
use super::{dispatch, notice};
use crate::WebhooksService;
use crate::error::MOVED_ON;
use crate::model::{
    Answer, Attempt, Delivery, DeliveryState, DisabledReason, DueDelivery, OldSecret, Verdict, Webhook, judge, plain_text, signatures,
};
use crate::store;

/// After so long no new round of requests begins, for others may wait for the place.
const TURN: Duration = Duration::from_secs(5);
/// For reading and writing around the requests of a turn.
const MARGIN: Duration = Duration::from_secs(10);
/// When a failing webhook finds no place, it asks again after this.
const NO_PLACE: Duration = Duration::from_secs(2);
/// What is kept of an answer.
const MAX_RESPONSE_BYTES: usize = 4 * 1_024;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// [`Delivery::last_error`] when the secret does not open: the installation secret was changed. Rotating mends it.
const SECRET_UNREADABLE: &str = "secret_unreadable";

/// What an attempt came to.
enum Sent {
    Answered(EgressResponse),
    Failed(&'static str),
}

impl From<std::result::Result<EgressResponse, EgressError>> for Sent {
    fn from(outcome: std::result::Result<EgressResponse, EgressError>) -> Self {
        match outcome {
            Ok(response) => Self::Answered(response),
            Err(error) => Self::Failed(error.code()),
        }
    }
}

impl WebhooksService {
    /// Requests wait for others, so more of them run at the same time than of other due work.
    pub(crate) fn sending_config(&self, general: &DueConfig) -> DueConfig {
        DueConfig {
            concurrency: self.config.concurrency,
            timeout: HumanDuration::from(TURN + self.config.timeout() + MARGIN),
            ..general.clone()
        }
    }

    /// Runs one item of due work: rounds of requests until nothing is due or the turn is over.
    pub(crate) async fn send_due(&self, item: &DueItem) -> Result<()> {
        let call: dispatch::Call = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let started = Instant::now();
        let (mut place, mut tried) = (None, false);
        loop {
            let found = store::webhooks::find_for_sending(&self.db, call.webhook_id).await?;
            let Some(webhook) = found.filter(|webhook| webhook.enabled) else {
                return Ok(());
            };
            let now = self.toolkit.clock.now();
            if let Some(until) = webhook.paused_until.filter(|until| now < *until) {
                return self.run_again(item, until).await;
            }
            let failing = webhook.failing_since.is_some();
            if failing && tried {
                // One request a turn, or those that hang would keep the places from those that have come round.
                break;
            }
            if failing && place.is_none() {
                let Ok(permit) = self.failing_places.try_acquire() else {
                    return self.run_again(item, now.plus(NO_PLACE)).await;
                };
                place = Some(permit);
            }
            let width = if failing { 1 } else { self.config.width() };
            let due = store::deliveries::list_due(&self.db, webhook.id, now, width as u64).await?;
            if due.is_empty() {
                break;
            }
            let old = self.old_secrets(&webhook, now).await?;
            let round = join_all(due.iter().map(|due| self.attempt(&webhook, &old, due, item))).await;
            round.into_iter().collect::<Result<()>>()?;
            tried = true;
            if started.elapsed() >= TURN {
                break;
            }
        }
        match store::deliveries::find_next_attempt(&self.db, call.webhook_id).await? {
            // Not before now, so that it stands behind those who have waited meanwhile.
            Some(next) => self.run_again(item, next.max(self.toolkit.clock.now())).await,
            None => Ok(()),
        }
    }

    async fn run_again(&self, item: &DueItem, at: Timestamp) -> Result<()> {
        let mut unit = Unit::new(&Caller::system(&*self.toolkit.clock, item.request_id.clone()));
        unit.run_again(item, at);
        self.db.apply(unit).await?;
        Ok(())
    }

    /// Sends once and writes down what came of it. When the process dies between the two the message is sent again:
    /// receivers drop repeats by `webhook-id`.
    async fn attempt(&self, webhook: &Webhook, old: &[OldSecret], due: &DueDelivery, item: &DueItem) -> Result<()> {
        let started_at = self.toolkit.clock.now();
        let timer = Instant::now();
        let sent = match self.request(webhook, old, due, started_at) {
            Ok(request) => Sent::from(self.egress.send(request).await),
            Err(error) => {
                tracing::error!(webhook = %webhook.id, %error, cause = ?error.cause, "a webhook message cannot be signed");
                Sent::Failed(SECRET_UNREADABLE)
            }
        };
        let elapsed = timer.elapsed();
        let caller = Caller::system(&*self.toolkit.clock, item.request_id.clone());
        let attempt = Attempt {
            delivery_id: due.delivery.id,
            number: due.delivery.attempts + 1,
            started_at,
            duration_ms: i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX),
            status: sent.status().map(i32::from),
            error: sent.error().map(str::to_owned),
            response: sent.text(),
            response_truncated: sent.truncated(),
        };
        let verdict = judge(sent.answer(caller.now), due.delivery.tries + 1, caller.now, rand::random());
        metrics::counter!("webhook_attempts_total", "outcome" => label(verdict)).increment(1);
        metrics::histogram!("webhook_attempt_seconds").record(elapsed.as_secs_f64());
        let unit = self.outcome(&caller, webhook, &due.delivery, &attempt, verdict);
        match self.db.apply(unit).await {
            Err(DbError::Guard(guard)) if guard == MOVED_ON => {
                tracing::debug!(delivery = %due.delivery.id, "the delivery has changed while it was sent");
                Ok(())
            }
            applied => Ok(applied.map(drop)?),
        }
    }

    fn request(&self, webhook: &Webhook, old: &[OldSecret], due: &DueDelivery, now: Timestamp) -> Result<EgressRequest> {
        let (id, timestamp) = (due.delivery.message_id.to_string(), now.as_seconds());
        let signature = signatures(&self.signing_secrets(webhook, old)?, &id, timestamp, due.body.as_bytes())?;
        let text = |text: String| HeaderValue::from_str(&text).map_err(Error::internal);
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (WEBHOOK_ID, text(id)?),
            (WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp)),
            (WEBHOOK_SIGNATURE, text(signature)?),
        ]);
        Ok(EgressRequest {
            method: Method::POST,
            url: webhook.url.clone(),
            headers,
            body: Bytes::from(due.body.clone()),
            timeout: self.config.timeout(),
            max_response_bytes: MAX_RESPONSE_BYTES,
        })
    }

    /// One unit: the delivery, its attempt, and what the webhook learns from it.
    fn outcome(&self, caller: &Caller, webhook: &Webhook, before: &Delivery, attempt: &Attempt, verdict: Verdict) -> Unit {
        let now = caller.now;
        let failing_for = webhook.failing_since.map_or(Duration::ZERO, |since| now.since(since));
        let disable = match verdict {
            Verdict::Delivered => None,
            Verdict::Gone => Some(DisabledReason::Gone),
            Verdict::Retry { .. } | Verdict::Exhausted => (failing_for >= self.config.disable_after()).then_some(DisabledReason::Failing),
        };
        let (state, next_attempt_at) = match verdict {
            Verdict::Delivered => (DeliveryState::Delivered, None),
            Verdict::Retry { at, .. } if disable.is_none() => (DeliveryState::Pending, Some(at)),
            Verdict::Retry { .. } | Verdict::Exhausted | Verdict::Gone => (DeliveryState::Failed, None),
        };
        let after = Delivery {
            state,
            tries: before.tries + 1,
            attempts: attempt.number,
            next_attempt_at,
            last_attempt_at: Some(attempt.started_at),
            last_status: attempt.status,
            last_error: attempt.error.clone(),
            delivered_at: (state == DeliveryState::Delivered).then_some(now),
            ..before.clone()
        };
        let mut unit = Unit::new(caller);
        store::deliveries::settle(&mut unit, &after, attempt);
        match verdict {
            Verdict::Delivered => store::webhooks::note_success(&mut unit, webhook.id, now),
            _ => store::webhooks::note_failure(&mut unit, webhook.id, now),
        }
        if let Verdict::Retry { at, pause: true } = verdict {
            store::webhooks::pause(&mut unit, webhook.id, at);
        }
        if let Some(reason) = disable {
            disable_webhook(&mut unit, webhook, reason, now);
        }
        unit
    }
}

/// Switches it off, gives up what waits, and tells everybody whom it concerns.
pub(crate) fn disable_webhook(unit: &mut Unit, webhook: &Webhook, reason: DisabledReason, now: Timestamp) {
    store::webhooks::disable(unit, webhook, reason, now);
    store::deliveries::give_up_pending(unit, webhook.id, dispatch::DISABLED);
    unit.emit(&WebhookDisabled {
        workspace_id: webhook.workspace_id,
        webhook_id: webhook.id,
        host: host(webhook),
        reason: reason.as_str().to_owned(),
    });
    unit.record(entry(webhook, Action::WebhookDisabled).with("reason", reason.as_str()));
    unit.schedule(notice::due(webhook, reason, now));
}

const fn label(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry { .. } => "retried",
        Verdict::Exhausted => "exhausted",
        Verdict::Gone => "gone",
    }
}

impl Sent {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(response) => Some(response.status.as_u16()),
            Self::Failed(_) => None,
        }
    }
    const fn error(&self) -> Option<&'static str> {
        match self {
            Self::Answered(_) => None,
            Self::Failed(code) => Some(code),
        }
    }
    fn answer(&self, now: Timestamp) -> Answer {
        match self {
            Self::Answered(response) => Answer::Status {
                status: response.status.as_u16(),
                retry_after: retry_after(&response.headers, now),
            },
            Self::Failed(_) => Answer::None,
        }
    }
    fn truncated(&self) -> bool {
        matches!(self, Self::Answered(response) if response.truncated)
    }
    /// The body, when it says that it is text or does not say what it is.
    fn text(&self) -> Option<String> {
        let Self::Answered(response) = self else { return None };
        let kind = response
            .headers
            .get(CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap_or_default().to_ascii_lowercase());
        let readable = kind.is_none_or(|kind| kind.starts_with("text/") || kind.contains("json") || kind.contains("xml"));
        (readable && !response.body.is_empty()).then(|| plain_text(&response.body))
    }
}

/// Seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_jiff(date.timestamp()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().expect("a time");
        let read = |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read(" 0 "), Some(Duration::ZERO));
        assert_eq!(read("Sat, 21 Nov 2026 09:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(read("Sat, 21 Nov 2026 08:00:00 GMT"), Some(Duration::ZERO));
        for rubbish in ["", "-1", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(read(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn only_text_is_kept_of_an_answer() {
        let answer = |kind: Option<&'static str>, body: &'static [u8]| {
            let headers = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
            Sent::Answered(EgressResponse {
                status: http::StatusCode::OK,
                headers: headers.into_iter().collect(),
                body: Bytes::from_static(body),
                truncated: false,
            })
            .text()
        };
        assert_eq!(answer(Some("text/plain; charset=utf-8"), b"ok\n").as_deref(), Some("ok\n"));
        assert_eq!(answer(Some("application/problem+json"), b"{}").as_deref(), Some("{}"));
        assert_eq!(answer(None, b"a\0b\x1b[31m\xff").as_deref(), Some("a\u{fffd}b\u{fffd}[31m\u{fffd}"));
        assert_eq!(answer(Some("image/png"), b"\x89PNG"), None);
        assert_eq!(answer(Some("text/plain"), b""), None);
    }
}
