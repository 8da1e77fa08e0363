//! The program `rotunda`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotunda::cli::main()
}
