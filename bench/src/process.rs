//! Child processes: start, readiness, memory, processor time, end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, fail};

const PATIENCE: Duration = Duration::from_secs(60);
/// Linux counts processor time in these, whatever the kernel's own tick (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// A child process that ends with its owner.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub ready_after: Duration,
}

impl Process {
    /// `command` listens on an address that it is given as `--listen`. Its output goes to `log`.
    pub fn server(mut command: Command, log: &Path) -> Outcome<Self> {
        let address = free_address()?;
        command.args(["--listen", &address.to_string()]);
        let log_file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log_file.try_clone()?).stderr(log_file);
        let begun = Instant::now();
        let mut process = Self {
            child: command.spawn()?,
            address,
            ready_after: Duration::ZERO,
        };
        while !ready(address) {
            if let Some(status) = process.child.try_wait()? {
                return fail(format!("the server ended with {status}; see {}", log.display()));
            }
            if begun.elapsed() > PATIENCE {
                return fail(format!("not ready after {PATIENCE:?}; see {}", log.display()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        process.ready_after = begun.elapsed();
        Ok(process)
    }

    /// `command` prints the address it listens on as its first line.
    pub fn printing(mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.as_mut() {
            BufReader::new(out).read_line(&mut line)?;
        }
        Ok(Self {
            child,
            address: line.trim().parse()?,
            ready_after: Duration::ZERO,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB (proc(5), `VmRSS`).
    pub fn resident_mib(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
        kib.map_or_else(|| fail("no VmRSS"), |kib| Ok(kib / 1_024.0))
    }

    /// Seconds of processor time so far, all threads.
    pub fn cpu_seconds(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The name in parentheses may hold spaces; utime and stime are the 14th and 15th field.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: f64 = rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Asks it to stop in order and waits.
    pub fn stop(mut self) -> Outcome<()> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let begun = Instant::now();
        while asked.success() && begun.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        fail("the server did not stop")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
