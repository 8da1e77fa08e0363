//! The command line: `rotunda <command>`. Data goes to standard output, talk to standard error;
//! the exit status says how it went.
//!
//! To add a command: a file of its own with its arguments and a function `run`, a variant of
//! [`Command`], and an arm in [`run`].

mod books;
mod exit;
pub mod import;
mod key;
mod output;
mod serve;
pub mod settle;
mod table;
pub mod tenant;

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    api,
    app::App,
    config::{Config, Given, LogFormat},
    telemetry,
};
pub use exit::{Exit, Failure};
pub use output::Output;

/// The text above the options.
const EXAMPLES: &str = "\
Examples:
  rotunda serve --listen 0.0.0.0:8080
  rotunda key create --tenant demo --role machine.erp --label 'till 3'
";

/// A points alliance for shopping malls.
#[derive(Debug, Parser)]
#[command(
    name = "rotunda",
    version,
    before_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    #[arg(
        help = "The settings file, in TOML [env: ROTUNDA_CONFIG]",
        long,
        global = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    #[arg(
        help = "Where the private database lives [env: ROTUNDA_DATA_DIR]",
        long,
        global = true,
        value_name = "DIR"
    )]
    data_dir: Option<PathBuf>,
    #[arg(
        help = "How log lines look [env: ROTUNDA_LOG_FORMAT]",
        long,
        global = true,
        value_name = "FORMAT"
    )]
    log: Option<LogFormat>,
    /// Data as JSON
    #[arg(long, global = true)]
    json: bool,
    #[arg(help = "No colour [env: NO_COLOR]", long, global = true)]
    no_color: bool,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests until it is stopped
    Serve {
        #[arg(
            help = "Where to listen [env: ROTUNDA_LISTEN] [default: 127.0.0.1:8080]",
            long,
            value_name = "ADDRESS"
        )]
        listen: Option<SocketAddr>,
    },
    /// Bring the registry and every mall's tables to this program's version
    Migrate,
    /// Make malls from manifests; list, show, suspend and resume them
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Settle a month between merchants
    #[command(subcommand)]
    Settle(settle::SettleCommand),
    /// Prove the books
    #[command(subcommand)]
    Books(books::BooksCommand),
    /// Load what happened elsewhere
    #[command(subcommand)]
    Import(import::Command),
    /// Make, list and revoke machines' keys
    #[command(subcommand)]
    Key(key::Command),
    /// Print the API's description
    Openapi,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Runs the program with the process's arguments and environment.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is a success; everything else is a wrong use.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let output = Output::new(cli.global.json);
    match start(cli, output) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output.say(&format!("rotunda: {failure}"));
            failure.exit.into()
        }
    }
}

/// The settings, and a runtime for what needs one.
fn start(cli: Cli, output: Output) -> Result<(), Failure> {
    let listen = match &cli.command {
        Command::Serve { listen } => *listen,
        Command::Openapi => return output.text(&api::document()),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "rotunda", &mut io::stdout());
            return Ok(());
        }
        _ => None,
    };
    let flags = Given {
        data_dir: cli.global.data_dir,
        log: cli.global.log,
        listen,
        ..Given::default()
    };
    let env = |name: &str| std::env::var(name).ok();
    let config = Config::load(flags, cli.global.config, env)?;
    let quiet = !matches!(cli.command, Command::Serve { .. });
    let filter = env("ROTUNDA_LOG").or_else(|| quiet.then(|| "warn".to_owned()));
    let colour = !cli.global.no_color && env("NO_COLOR").is_none_or(|value| value.is_empty());
    telemetry::start_logging(config.log, filter.as_deref(), colour)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    runtime.block_on(run(cli.command, config, output))
}

/// One command in an application of its own, which is closed however the command ends.
async fn run(command: Command, config: Config, output: Output) -> Result<(), Failure> {
    let app = App::open(config).await?;
    let done = match command {
        Command::Serve { .. } => serve::run(&app, output).await,
        Command::Migrate => migrate(&app, output).await,
        Command::Tenant(command) => tenant::run(&app, command, output).await,
        Command::Settle(command) => settle::run(&app, command, output).await,
        Command::Books(command) => books::run(&app, command, output).await,
        Command::Import(command) => import::run(&app, command, output).await,
        Command::Key(command) => key::run(&app, command, output).await,
        // These two were done before, without an application.
        Command::Openapi | Command::Completions { .. } => Ok(()),
    };
    let closed = app.close().await;
    done?;
    Ok(closed?)
}

async fn migrate(app: &App, output: Output) -> Result<(), Failure> {
    let migrated = app.db.migrate_all().await?;
    let malls = migrated.tenants;
    output.data(
        &serde_json::json!({"object": "migration", "tenants": malls}),
        || format!("The registry and {malls} malls are on this program's version."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together_and_help_begins_with_examples() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        assert!(help.starts_with("Examples:"), "{help}");
    }
}
