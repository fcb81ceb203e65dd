//! The program: one provider of cryptography, one allocator, and the command line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vestibule::tls::install_crypto();
    vestibule::cli::run()
}
