//! The program `rotunda`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Many small requests at once is what this allocator is made for.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    rotunda::cli::main()
}
