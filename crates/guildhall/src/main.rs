//! The one binary.

fn main() -> std::process::ExitCode {
    // Databases, mails and keys are for their owner only, whatever the shell that started us allows others.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    guildhall::cli::run()
}
