//! One report as an envelope.

use std::collections::BTreeMap;

use kernel::Timestamp;
use serde_json::json;

/// Of a message, in characters.
const MAX_MESSAGE: usize = 500;

/// What every report of the process has.
pub struct Frame {
    pub release: String,
    pub environment: String,
}

#[derive(Debug)]
pub struct Report {
    pub at: Timestamp,
    /// What the log says; of a panic also its own words.
    pub messages: Vec<String>,
    pub logger: &'static str,
    pub told: BTreeMap<&'static str, String>,
}

impl Report {
    /// Header, item header and event, one line each.
    pub fn envelope(&self, frame: &Frame) -> Vec<u8> {
        let id = format!("{:032x}", rand::random::<u128>());
        let panicked = self.messages.iter().any(|message| message == "panic");
        let told = |name: &str| self.told.get(name).map(String::as_str);
        let message = self.messages.join(": ");
        let kind = if panicked {
            "panic"
        } else {
            told("code").or(self.messages.first().map(String::as_str)).unwrap_or("error")
        };
        // What belongs together is one issue, whichever request it was.
        let alike: Vec<&str> = ["code", "location", "task", "consumer", "event_type", "kind", "method", "route"]
            .iter()
            .filter_map(|name| told(name))
            .collect();
        let mut event = json!({
            "event_id": id,
            "timestamp": self.at.to_string(),
            "platform": "native",
            "level": "error",
            "logger": self.logger,
            "release": frame.release,
            "environment": frame.environment,
            "exception": { "values": [{
                "type": kind,
                "value": message,
                "mechanism": { "type": if panicked { "panic" } else { "generic" }, "handled": !panicked },
            }] },
            "tags": self.told,
            "fingerprint": [kind, alike.join(" ")],
            "sdk": { "name": "guildhall", "version": env!("CARGO_PKG_VERSION") },
        });
        if let (Some(method), Some(route)) = (told("method"), told("route")) {
            event["transaction"] = json!(format!("{method} {route}"));
        }
        let event = event.to_string();
        let header = json!({ "event_id": id, "sent_at": self.at.to_string() });
        let item = json!({ "type": "event", "length": event.len(), "content_type": "application/json" });
        format!("{header}\n{item}\n{event}\n").into_bytes()
    }
}

/// A text without what may have come from somebody: quoted parts, mail addresses, keys and tokens.
pub fn masked(text: &str) -> String {
    let mut masked = String::new();
    // Every second part stands between quotes.
    for (index, part) in text.split(['"', '`']).enumerate() {
        masked.push_str(if index % 2 == 1 { "\"…\"" } else { part });
    }
    let words = masked.split(' ').map(|word| {
        let secret = word.contains('@') || word.contains("ghl_") || (word.len() > 64 && !word.contains("::") && !word.contains('/'));
        if secret { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_sent_is_masked() {
        let long = "x".repeat(70);
        let text = format!("no \"secret title\" of ada@example.com with ghl_abc and {long} at src/a.rs:1");
        assert_eq!(masked(&text), "no \"…\" of … with … and … at src/a.rs:1");
        assert_eq!(masked("index out of bounds: the len is 3"), "index out of bounds: the len is 3");
        assert_eq!(masked(&"a b ".repeat(500)).len(), MAX_MESSAGE);
    }

    #[test]
    fn an_envelope_has_three_lines_and_the_length_of_its_event() {
        let report = Report {
            at: Timestamp::from_micros(1_763_717_400_000_000),
            messages: vec!["panic".into(), "attempt to divide by zero".into()],
            logger: "platform::telemetry",
            told: BTreeMap::from([("method", "GET".into()), ("route", "/v1/tasks".into()), ("request_id", "r1".into())]),
        };
        let frame = Frame {
            release: "guildhall@0.1.0".into(),
            environment: "test".into(),
        };
        let text = String::from_utf8(report.envelope(&frame)).expect("UTF-8");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1]["length"], text.lines().nth(2).expect("the event").len());
        let event = &lines[2];
        assert_eq!(event["transaction"], "GET /v1/tasks");
        assert_eq!(event["tags"]["request_id"], "r1");
        assert_eq!(event["exception"]["values"][0]["mechanism"]["handled"], false);
        assert_eq!(event["exception"]["values"][0]["value"], "panic: attempt to divide by zero");
        assert_eq!(event["event_id"], lines[0]["event_id"]);
    }
}
