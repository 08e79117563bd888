//! The one binary.

/// A request makes hundreds of short-lived allocations: with the C library's allocator they took a fifth of its processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Databases, mails and keys are for their owner only, whatever the shell that started us allows others.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    guildhall::cli::run()
}
