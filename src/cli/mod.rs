//! The command line: `rotunda <command>`. Data goes to standard output, talk to standard error;
//! the exit status says how it went.
//!
//! To add a command: a file of its own with its arguments and a function `run`, a variant of
//! [`Command`], and an arm in [`run`].

mod audit;
mod books;
mod database;
pub mod demo;
mod doctor;
mod exit;
pub mod import;
mod isolation;
mod key;
mod liability;
mod merchant;
mod output;
mod phases;
mod serve;
pub mod settle;
mod staff;
mod stop;
mod table;
pub mod tenant;

use std::{io, net::SocketAddr, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use poem::{Endpoint, Response};

use crate::{
    api,
    app::App,
    config::{Config, Given, LogFormat},
    http::problem::chain,
    telemetry,
};
pub use exit::{Exit, Failure};
pub use output::Output;
pub use stop::Stop;

/// How long work that was given up may take to notice.
const LEFT_BEHIND: Duration = Duration::from_millis(200);

/// The text above the options.
const EXAMPLES: &str = "\
Examples:
  rotunda demo
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
        /// Also with a database that may lose what it has confirmed
        #[arg(long)]
        dev: bool,
    },
    /// Open a mall with three months of history, and answer requests
    #[command(before_help = demo::EXAMPLES)]
    Demo(demo::DemoArgs),
    /// Check the installation, and say how to put right what is wrong
    #[command(before_help = doctor::EXAMPLES)]
    Doctor,
    /// Bring the registry and every mall's tables to this program's version
    Migrate,
    /// Make malls from manifests; list, show, suspend, resume, move, export, import and delete them
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Settle a period between merchants
    #[command(subcommand)]
    Settle(settle::SettleCommand),
    /// Prove the books
    #[command(subcommand)]
    Books(books::BooksCommand),
    /// Try to get out of a mall's walls
    #[command(subcommand)]
    Isolation(isolation::IsolationCommand),
    /// Read, prove and take away who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Load what happened elsewhere
    #[command(subcommand)]
    Import(import::Command),
    /// Use the private cluster for something else
    #[command(subcommand)]
    Database(database::Command),
    /// Make, list and revoke machines' keys
    #[command(subcommand)]
    Key(key::Command),
    /// Invite, list and end the people who work in a mall
    #[command(subcommand)]
    Staff(staff::Command),
    /// Look after companies that want to join a mall
    #[command(subcommand)]
    Merchant(merchant::Command),
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
        Ok(code) => code,
        Err(failure) => {
            output.say(&format!("rotunda: {failure}"));
            failure.exit.into()
        }
    }
}

/// The settings, and a runtime for what needs one.
fn start(cli: Cli, output: Output) -> Result<ExitCode, Failure> {
    let listen = match &cli.command {
        Command::Serve { listen, .. } => *listen,
        Command::Demo(args) => args.listen,
        Command::Openapi => return output.text(&api::document()).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "rotunda", &mut io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        _ => None,
    };
    let dev = matches!(
        cli.command,
        Command::Serve { dev: true, .. } | Command::Demo(_)
    );
    let flags = Given {
        data_dir: cli.global.data_dir,
        log: cli.global.log,
        listen,
        ..Given::default()
    };
    let env = |name: &str| std::env::var(name).ok();
    let mut config = Config::load(flags, cli.global.config, env)?;
    config.dev = dev;
    let quiet = !matches!(cli.command, Command::Serve { .. });
    let filter = env("ROTUNDA_LOG").or_else(|| quiet.then(|| "warn".to_owned()));
    let colour = !cli.global.no_color && env("NO_COLOR").is_none_or(|value| value.is_empty());
    telemetry::start_logging(config.log, filter.as_deref(), colour)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    let done = runtime.block_on(run(cli.command, config, output));
    // What was interrupted may still be reading a file on a thread of its own.
    runtime.shutdown_timeout(LEFT_BEHIND);
    done
}

/// Commands that open the application themselves or need none, then the others.
async fn run(command: Command, config: Config, output: Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Database(command) => database::run(&config, command).await,
        Command::Demo(demo::DemoArgs {
            export: Some(folder),
            date,
            ..
        }) => demo::export(&folder, date, output).map(|()| ExitCode::SUCCESS),
        Command::Tenant(tenant::TenantCommand::Inspect { file }) => {
            tenant::life::inspect(&file, output)
                .await
                .map(|()| ExitCode::SUCCESS)
        }
        command => Box::pin(with_app(command, config, output)).await,
    }
}

/// One command in an application of its own, which is closed however the command ends. Signals are
/// listened to first, so that none of them leaves the private cluster running.
async fn with_app(command: Command, config: Config, output: Output) -> Result<ExitCode, Failure> {
    let stop = Stop::listen().map_err(Failure::other)?;
    let app = match (open(config, &stop).await, &command) {
        (Ok(app), _) => app,
        (Err(failure), Command::Doctor) => return doctor::without_database(&failure, output),
        (Err(failure), _) => return Err(failure),
    };
    // These two end by themselves at the first signal.
    let patience = match &command {
        Command::Serve { .. } | Command::Demo(_) => 2,
        _ => 1,
    };
    let done = tokio::select! {
        done = act(&app, command, output, &stop) => done,
        () = stop.asked(patience) => Err(Stop::failure()),
    };
    let closed = app.close().await;
    let code = done?;
    closed?;
    Ok(code)
}

/// Opens the application; a signal meanwhile ends that in order.
async fn open(config: Config, stop: &Stop) -> Result<App, Failure> {
    let mut opening = pin!(App::open(config));
    tokio::select! {
        opened = &mut opening => return Ok(opened?),
        () = stop.asked(1) => {}
    }
    if let Ok(app) = opening.await {
        app.close().await?;
    }
    Err(Stop::failure())
}

async fn act(
    app: &App,
    command: Command,
    output: Output,
    stop: &Stop,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve { dev, .. } => serve::run(app, dev, output, stop).await?,
        Command::Demo(args) => Box::pin(demo::run(app, &args, output, stop)).await?,
        Command::Doctor => return doctor::run(app, output).await,
        Command::Migrate => migrate(app, output).await?,
        Command::Tenant(command) => tenant::run(app, command, output).await?,
        Command::Settle(command) => settle::run(app, command, output).await?,
        Command::Books(command) => books::run(app, command, output).await?,
        Command::Isolation(command) => isolation::run(app, command, output).await?,
        Command::Audit(command) => audit::run(app, command, output).await?,
        Command::Import(command) => import::run(app, command, output).await?,
        Command::Key(command) => key::run(app, command, output).await?,
        Command::Staff(command) => staff::run(app, command, output).await?,
        Command::Merchant(command) => merchant::run(app, command, output).await?,
        // These were done before, without an application.
        Command::Database(_) | Command::Openapi | Command::Completions { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(app: &App, output: Output) -> Result<(), Failure> {
    let mut failed = Vec::new();
    let migrated = app.db.migrate_each(|turn| {
        let (done, all) = turn.of;
        let slug = turn.slug;
        match turn.outcome {
            Ok(()) => output.say(&format!("[{done}/{all}] {slug}: up to date")),
            Err(error) => {
                output.say(&format!("[{done}/{all}] {slug}: {}", chain(error)));
                failed.push((slug.to_owned(), all));
            }
        }
    });
    let migrated = migrated.await;
    let (failed, all): (Vec<String>, Vec<usize>) = failed.into_iter().unzip();
    if let Some(all) = all.first() {
        return tenant::many::conclude(*all, &failed);
    }
    let malls = migrated?.tenants;
    output.data(
        &serde_json::json!({"object": "migration", "tenants": malls}),
        || format!("The registry and every mall are on this program's version; {malls} malls were behind."),
    )
}

/// Everything that a server answers: the API and the pages, with the porch around them.
pub fn endpoint(app: &App) -> impl Endpoint<Output = Response> + use<> {
    serve::endpoint(app)
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
