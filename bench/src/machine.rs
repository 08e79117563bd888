//! What the numbers were measured on.

use kernel::{Clock as _, SystemClock};
use serde::Serialize;

use crate::Options;

#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    pub rustc: String,
    pub commit: String,
    /// UTC.
    pub measured_at: String,
    /// One-minute load average before the run; other work on the machine shows here.
    pub load_before: String,
}

impl Machine {
    pub fn new(options: &Options) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let memory = value(&file("/proc/meminfo"), "MemTotal");
        let kib: f64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Self {
            cpu: value(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: (kib / 1_048_576.0 * 10.0).round() / 10.0,
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: options.rustc.clone(),
            commit: options.commit.clone(),
            measured_at: SystemClock.now().to_string(),
            load_before: file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}
