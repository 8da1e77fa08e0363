//! `rotunda database`: the private cluster for other programs.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};

use clap::Subcommand;

use super::{Exit, Failure};
use crate::{
    config::Config,
    db::embedded::{self, EmbeddedError},
    http::problem::chain,
};

/// What can be done with the private cluster.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command with `DATABASE_URL` set to the private cluster, and end with its status
    #[command(before_help = "Examples:\n  \
        rotunda database run -- sh -c 'psql \"$DATABASE_URL\"'\n  \
        rotunda --data-dir /tmp/x database run -- cargo test\n")]
    Run {
        /// The command and its arguments
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "COMMAND"
        )]
        argv: Vec<OsString>,
    },
}

/// Runs the command beside the cluster in the data folder, whatever `DATABASE_URL` says.
pub(super) async fn run(config: &Config, command: Command) -> Result<ExitCode, Failure> {
    let Command::Run { argv } = command;
    match embedded::run_with_database(&config.data_dir, argv).await {
        Ok(ended) => Ok(status(ended)),
        Err(error @ EmbeddedError::Command { .. }) => Err(Failure::other(error)),
        Err(error) => Err(Failure::new(Exit::Unavailable, chain(&error))),
    }
}

/// As shells do it: a command that a signal ended has 128 and the signal's number.
fn status(ended: ExitStatus) -> ExitCode {
    let code = ended.code().or_else(|| {
        let signal = ended.signal()?;
        signal.checked_add(128)
    });
    let code = code.and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
