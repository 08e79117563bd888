//! The result: JSON for programs, Markdown for people.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::cases::Case;
use crate::json::say;
use crate::listeners::Listeners;
use crate::machine::Machine;
use crate::{Options, Outcome};

const AIM_OF_FIXED: f64 = 0.5;
const AIM_OF_BARE: f64 = 0.5;
const AIM_TAIL: f64 = 5.0;
const AIM_READY_MS: f64 = 200.0;
const AIM_IDLE_MIB: f64 = 60.0;

/// Zero when there is nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    /// Median over the rounds.
    pub per_second: f64,
    /// Latencies over all rounds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// Processor time of the server per request; not known of the yardstick inside this process.
    pub cpu_us: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub case: Case,
    pub connections: usize,
    pub body_bytes: usize,
    /// Of one request.
    pub statements: Option<usize>,
    pub product: Numbers,
    pub fixed: Numbers,
    pub bare: Option<Numbers>,
    /// Requests per second as a share of the yardstick's: median of the rounds.
    pub of_fixed: f64,
    pub of_bare: Option<f64>,
    /// Tasks per second until the last notification is written.
    pub delivered_per_second: Option<f64>,
}

impl Row {
    pub fn line(&self) -> String {
        let bare = self
            .of_bare
            .map_or_else(String::new, |share| format!(", {:.0} % of bare", share * 100.0));
        format!(
            "{} x{}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, {:.0} % of fixed{bare}",
            self.case.as_str(),
            self.connections,
            self.product.per_second,
            self.product.p50_ms,
            self.product.p99_ms,
            self.of_fixed * 100.0
        )
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct EngineReport {
    pub engine: &'static str,
    pub version: String,
    pub rows: Vec<Row>,
    pub listeners: Option<Listeners>,
    /// From the start of the process to the first 200 of `/readyz`, on the data that the run has made; median.
    pub ready_ms: f64,
    pub idle_mib: f64,
    /// After all cases.
    pub resident_loaded_mib: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    pub tasks: usize,
    pub seconds: f64,
    pub rounds: usize,
    pub starts: usize,
}

impl From<&Options> for Settings {
    fn from(options: &Options) -> Self {
        Self {
            tasks: options.tasks,
            seconds: options.seconds,
            rounds: options.rounds,
            starts: options.starts,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub settings: Settings,
    pub engines: Vec<EngineReport>,
}

/// One aim on one engine.
struct Verdict {
    aim: String,
    reached: String,
    holds: bool,
}

impl EngineReport {
    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut add = |aim: String, reached: String, holds: bool| verdicts.push(Verdict { aim, reached, holds });
        for row in &self.rows {
            let name = format!("{}, {} connections", row.case.title(), row.connections);
            if row.case == Case::Read {
                let share = format!("{:.0} %", row.of_fixed * 100.0);
                add(format!("{name}: >= 50 % of the fixed body"), share, row.of_fixed >= AIM_OF_FIXED);
            }
            if let (Case::Create, Some(share)) = (row.case, row.of_bare) {
                let text = format!("{:.0} %", share * 100.0);
                add(format!("{name}: >= 50 % of the bare transaction"), text, share >= AIM_OF_BARE);
            }
            if row.connections > 1 {
                let tail = row.product.p99_ms / row.product.p50_ms.max(f64::MIN_POSITIVE);
                add(format!("{name}: p99 <= 5 x p50"), format!("{tail:.1} x"), tail <= AIM_TAIL);
            }
        }
        let ready = format!("{:.0} ms", self.ready_ms);
        add("Ready on existing data: < 200 ms".into(), ready, self.ready_ms < AIM_READY_MS);
        let idle = format!("{:.0} MiB", self.idle_mib);
        add("Resident when idle: < 60 MiB".into(), idle, self.idle_mib < AIM_IDLE_MIB);
        verdicts
    }

    fn markdown(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n## {}\n", self.version)?;
        writeln!(
            out,
            "| Case | Connections | Requests/s | p50 ms | p95 ms | p99 ms | CPU µs | Fixed body/s (CPU µs) | Share | Bare driver/s | Share |"
        )?;
        writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for row in &self.rows {
            let cpu = |numbers: &Numbers| numbers.cpu_us.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.0}"));
            let bare = row
                .bare
                .as_ref()
                .map_or_else(|| "-".to_owned(), |bare| format!("{:.0}", bare.per_second));
            let share = row
                .of_bare
                .map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
            writeln!(
                out,
                "| {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {} | {:.0} ({}) | {:.0} % | {bare} | {share} |",
                row.case.title(),
                row.connections,
                row.product.per_second,
                row.product.p50_ms,
                row.product.p95_ms,
                row.product.p99_ms,
                cpu(&row.product),
                row.fixed.per_second,
                cpu(&row.fixed),
                row.of_fixed * 100.0,
            )?;
        }
        writeln!(out)?;
        for row in &self.rows {
            if let Some(rate) = row.delivered_per_second {
                let connections = row.connections;
                writeln!(
                    out,
                    "- {connections} connections: {rate:.0} tasks/s until the last notification is written"
                )?;
            }
        }
        for (case, count) in self
            .rows
            .iter()
            .filter_map(|row| Some((row.case, row.statements?)))
            .collect::<Vec<_>>()
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| same[0])
        {
            writeln!(out, "- {}: {count} statements", case.title())?;
        }
        if let Some(live) = &self.listeners {
            writeln!(
                out,
                "- {} listeners of live events: half have an event after {:.1} ms, all after {:.1} ms; resident {:.0} MiB before, {:.0} MiB with them",
                live.listeners, live.half_after_ms, live.all_after_ms, live.resident_before_mib, live.resident_with_mib
            )?;
        }
        writeln!(
            out,
            "- ready {:.0} ms after the start; resident {:.0} MiB idle, {:.0} MiB after all cases\n",
            self.ready_ms, self.idle_mib, self.resident_loaded_mib
        )?;
        writeln!(out, "| Aim | Reached | |\n|---|--:|---|")?;
        for verdict in self.verdicts() {
            writeln!(
                out,
                "| {} | {} | {} |",
                verdict.aim,
                verdict.reached,
                if verdict.holds { "yes" } else { "no" }
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn markdown(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let (machine, settings) = (&self.machine, &self.settings);
        writeln!(out, "# Benchmark of {}\n", machine.commit)?;
        writeln!(
            out,
            "{} x {}, {} GiB, Linux {}, {}; {}; load average before the run {}.",
            machine.cores, machine.cpu, machine.memory_gib, machine.kernel, machine.rustc, machine.measured_at, machine.load_before
        )?;
        writeln!(
            out,
            "{} tasks; {} rounds of {} s for product and each yardstick in turn. Load generator, product and databases share the machine.",
            settings.tasks, settings.rounds, settings.seconds
        )?;
        for engine in &self.engines {
            engine.markdown(&mut out)?;
        }
        Ok(out)
    }

    pub fn write(&self, folder: &Path) -> Outcome<()> {
        let (as_json, as_text) = (folder.join("latest.json"), folder.join("latest.md"));
        std::fs::write(&as_json, serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::write(&as_text, self.markdown()?)?;
        say(&format!("bench: {} and {}", as_json.display(), as_text.display()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&mut []).abs() < f64::EPSILON);
    }
}
