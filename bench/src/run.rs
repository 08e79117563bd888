//! The order of a run: engine by engine, case by case, and within a case product and yardsticks in turn.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use platform::db::Engine;
use tokio::runtime::Runtime;

use crate::bare::{self, Reel};
use crate::cases::{Case, Play, Same};
use crate::engine::Place;
use crate::json::say;
use crate::listeners;
use crate::load::{self, Slice};
use crate::machine::Machine;
use crate::process::Process;
use crate::report::{EngineReport, Numbers, Report, Row, median};
use crate::stage::{self, Stage};
use crate::{Options, Outcome, fail, recording};

/// Events that are told to all listeners, one after another.
const TOLD: usize = 5;

struct Runtimes {
    /// The load generator: one thread, so that it takes little of the processor from what it measures.
    light: Runtime,
    /// The yardstick of the drivers: as many threads as the product has.
    full: Runtime,
}

pub fn run(options: &Options) -> Outcome<()> {
    let runtimes = Runtimes {
        light: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        full: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    if !options.bin.is_file() {
        return fail(format!("{} is missing", options.bin.display()));
    }
    // Before minutes of measuring.
    std::fs::create_dir_all(&options.out)?;
    let machine = Machine::new(options);
    let temporary = tempfile::tempdir()?;
    let root = options.work_dir.as_deref().unwrap_or_else(|| temporary.path());
    let mut engines = Vec::new();
    for engine in &options.engines {
        let place = runtimes.light.block_on(Place::new(options, *engine, root))?;
        let done = measure_engine(options, &runtimes, &place);
        runtimes.light.block_on(place.remove())?;
        engines.push(done?);
    }
    let report = Report {
        machine,
        settings: options.into(),
        engines,
    };
    report.write(&options.out)
}

fn measure_engine(options: &Options, runtimes: &Runtimes, place: &Place) -> Outcome<EngineReport> {
    let name = place.engine.as_str();
    let light = &runtimes.light;
    if place.engine != Engine::Sqlite {
        place.migrate(&options.bin)?;
    }
    let start = || Process::server(place.command(&options.bin, &["serve"]), &place.log());
    say(&format!("{name}: making {} tasks", options.tasks));
    let server = start()?;
    let mut stage = light.block_on(Stage::build(options, place, server.address))?;
    server.stop()?;
    let scripts = runtimes.full.block_on(recording::record(place, &stage, &options.cases))?;
    let mut reels = HashMap::new();
    for (case, script) in scripts {
        reels.insert(case, Arc::new(Reel::new(script)));
    }
    if !reels.is_empty() {
        light.block_on(place.copy_for_bare())?;
    }
    let server = start()?;
    let mut rows = Vec::new();
    for case in &options.cases {
        for connections in &options.connections {
            let row = measure_case(
                options,
                runtimes,
                place,
                &server,
                &mut stage,
                reels.get(case.as_str()),
                *case,
                *connections,
            )?;
            say(&format!("{name}: {}", row.line()));
            rows.push(row);
        }
    }
    let resident_loaded_mib = server.resident_mib()?;
    let listeners = if options.listeners == 0 {
        None
    } else {
        light.block_on(stage.renew(server.address))?;
        Some(light.block_on(listeners::measure(&server, &stage, options.listeners, TOLD))?)
    };
    server.stop()?;
    let (mut ready, mut idle) = (Vec::new(), 0.0);
    for turn in 0..options.starts.max(1) {
        let server = start()?;
        ready.push(server.ready_after.as_secs_f64() * 1e3);
        if turn == 0 {
            std::thread::sleep(std::time::Duration::from_secs_f64(options.idle_seconds));
            idle = server.resident_mib()?;
        }
        server.stop()?;
    }
    Ok(EngineReport {
        engine: name,
        version: light.block_on(place.version())?,
        rows,
        listeners,
        ready_ms: median(&mut ready),
        idle_mib: idle,
        resident_loaded_mib,
    })
}

fn fixed_server(case: Case, size: usize) -> Outcome<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    let status = case.expected().as_u16();
    command.args(["fixed", "--size", &size.to_string(), "--status", &status.to_string()]);
    Process::printing(command)
}

/// All rounds of one case at one number of connections.
#[expect(clippy::too_many_arguments, reason = "one caller; each is a different thing")]
fn measure_case(
    options: &Options,
    runtimes: &Runtimes,
    place: &Place,
    server: &Process,
    stage: &mut Stage,
    reel: Option<&Arc<Reel>>,
    case: Case,
    connections: usize,
) -> Outcome<Row> {
    let (light, full) = (&runtimes.light, &runtimes.full);
    let mut product = Series::new(options)?;
    let mut fixed = Series::new(options)?;
    let mut bare = Series::new(options)?;
    let mut fixed_process = None;
    let mut delivered = Vec::new();
    let profiled = options.connections.iter().max() == Some(&connections);
    for _ in 0..options.rounds.max(1) {
        light.block_on(stage.renew(server.address))?;
        let play = Arc::new(Play::new(case, stage)?);
        let traffic: Arc<dyn load::Traffic> = play.clone();
        let profiler = options
            .profile
            .as_ref()
            .filter(|_| profiled)
            .map(|text| profile(text, server, place, case));
        let slice = product.take(server, || {
            light.block_on(load::measure(server.address, connections, options.seconds, traffic))
        })?;
        if let Some(profiler) = profiler {
            profiler?.wait()?;
        }
        stage.keep_chains(play.chains());
        if case == Case::Create {
            let warm = load::WARM_UP.as_secs_f64();
            let made = slice.rate() * (slice.seconds + warm);
            let settled = light.block_on(stage::settle(place))?;
            delivered.push(made / (slice.seconds + warm + settled.as_secs_f64()));
        }
        let process = match &fixed_process {
            Some(process) => process,
            None => fixed_process.insert(fixed_server(case, slice.body_bytes)?),
        };
        let same = Arc::new(Same {
            play: Play::new(case, stage)?,
        });
        fixed.take(process, || {
            light.block_on(load::measure(process.address, connections, options.seconds, same))
        })?;
        if let Some(reel) = reel {
            bare.add(full.block_on(bare::measure(place, reel, connections, options.seconds))?, None)?;
        }
    }
    Ok(Row {
        case,
        connections,
        body_bytes: product.total.body_bytes,
        statements: reel.map(|reel| reel.statements()),
        of_fixed: product.median_ratio(&fixed),
        of_bare: reel.map(|_| product.median_ratio(&bare)),
        product: product.numbers(),
        fixed: fixed.numbers(),
        bare: reel.map(|_| bare.numbers()),
        delivered_per_second: (!delivered.is_empty()).then(|| median(&mut delivered)),
    })
}

fn profile(text: &str, server: &Process, place: &Place, case: Case) -> Outcome<std::process::Child> {
    let child = Command::new("sh")
        .args(["-c", text])
        .env("BENCH_PID", server.pid().to_string())
        .env("BENCH_CASE", case.as_str())
        .env("BENCH_ENGINE", place.engine.as_str())
        .spawn()?;
    Ok(child)
}

/// The slices of one contestant, a round each.
struct Series {
    total: Slice,
    rates: Vec<f64>,
    /// Microseconds of processor time per request.
    cpu: Vec<f64>,
}

impl Series {
    fn new(options: &Options) -> Outcome<Self> {
        Ok(Self {
            total: Slice::new(options.seconds)?,
            rates: Vec::new(),
            cpu: Vec::new(),
        })
    }

    /// The processor time includes the warm-up, so it is divided by all requests at the measured rate.
    fn take(&mut self, process: &Process, measure: impl FnOnce() -> Outcome<Slice>) -> Outcome<Slice> {
        let before = process.cpu_seconds()?;
        let slice = measure()?;
        let spent = process.cpu_seconds()? - before;
        let requests = slice.rate() * (slice.seconds + load::WARM_UP.as_secs_f64());
        self.add(slice.clone(), Some(spent * 1e6 / requests))?;
        Ok(slice)
    }

    fn add(&mut self, slice: Slice, cpu: Option<f64>) -> Outcome<()> {
        self.rates.push(slice.rate());
        self.cpu.extend(cpu);
        self.total.add(&slice)
    }

    /// Of the same round each, so that what slows the machine for a while slows both.
    fn median_ratio(&self, other: &Self) -> f64 {
        let mut ratios: Vec<f64> = self.rates.iter().zip(&other.rates).map(|(own, other)| own / other).collect();
        median(&mut ratios)
    }

    fn numbers(&self) -> Numbers {
        #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 ns")]
        let at = |quantile: f64| self.total.latency.value_at_quantile(quantile) as f64 / 1e6;
        Numbers {
            per_second: median(&mut self.rates.clone()),
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            cpu_us: (!self.cpu.is_empty()).then(|| median(&mut self.cpu.clone())),
        }
    }
}
