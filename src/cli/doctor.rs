//! `rotunda doctor`: what is wrong with this installation, and what would put it right.

use std::{path::Path, process::ExitCode};

use serde_json::{Value, json};

use super::{Failure, Output};
use crate::{
    app::App,
    db::examine::{Examination, Server},
    gateway::{
        mail::{MailError, Mailer},
        sms::Sms,
        stripe::{Fault, Stripe},
    },
    http::problem::chain,
    kernel::time::Instant,
};

/// The text above the options.
pub(super) const EXAMPLES: &str = "Examples:\n  rotunda doctor\n  rotunda doctor --json\n\n\
    Ends with 0 where all is well, 1 where something deserves a look, 2 where something is wrong.\n";

/// The oldest PostgreSQL that the tables are tested on.
const OLDEST: i32 = 150_000;
/// The newest.
const NEWEST: i32 = 190_000;
/// Milliseconds that the two clocks may be apart.
const DRIFT: i64 = 2_000;
/// Bytes that should be free where the data is, and that must be.
const ROOM: (u64, u64) = (5 << 30, 500 << 20);

/// How a check came out, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Ok,
    Warn,
    Bad,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone)]
struct Check {
    name: &'static str,
    mark: Mark,
    why: String,
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, why: impl Into<String>) -> Self {
        Self {
            name,
            mark: Mark::Ok,
            why: why.into(),
            fix: None,
        }
    }

    fn not(name: &'static str, mark: Mark, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            mark,
            why: why.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Checks everything.
pub(super) async fn run(app: &App, output: Output) -> Result<ExitCode, Failure> {
    let mut checks = match app.db.examine().await {
        Ok(found) => of_database(&found, app.clock.now()),
        Err(error) => vec![unreachable(&Failure::from(error))],
    };
    checks.push(free_room(&app.config.data_dir, app.config.database_url.is_some()).await);
    checks.push(secrets(app.vault.is_some()));
    checks.push(sms(&app.sms));
    checks.push(mail(&app.mailer, app.config.base_url.is_some()).await);
    checks.extend(stripe(&app.stripe).await);
    checks.push(policy(app.policy.roles().count()));
    checks.push(zones());
    report(&checks, output)
}

/// Whether people can set second factors up.
fn secrets(kept: bool) -> Check {
    let name = "secrets";
    if kept {
        return Check::ok(name, "second factors can be set up");
    }
    Check::not(
        name,
        Mark::Warn,
        "nobody can set a second factor up, so that no owner and no finance person can work",
        "set secrets.key (ROTUNDA_SECRETS_KEY) to what `openssl rand -hex 32` prints",
    )
}

/// Whether members can come in by a code. Nobody is asked: each message costs money.
fn sms(sms: &Sms) -> Check {
    let name = "sms";
    if sms.is_off() {
        return Check::ok(name, "off: no member can sign in by a code (sms.url)");
    }
    Check::ok(name, "codes go where sms.url says")
}

/// Whether letters can go out.
async fn mail(mailer: &Mailer, linked: bool) -> Check {
    let name = "mail";
    match mailer.greet().await {
        Err(MailError::Off) => Check::ok(name, "off: statements are sent to nobody (mail.url)"),
        Err(error) => Check::not(
            name,
            Mark::Warn,
            format!("the mail server does not answer: {error}"),
            "check mail.url (ROTUNDA_MAIL_URL) and that the server lets this machine in",
        ),
        Ok(()) if linked => Check::ok(name, "the mail server answers"),
        Ok(()) => Check::not(
            name,
            Mark::Warn,
            "the mail server answers, but letters have no link",
            "set base_url (ROTUNDA_BASE_URL) to how the outside reaches this server",
        ),
    }
}

/// Whether payments can go through Stripe, for each mall that has keys.
async fn stripe(stripe: &Stripe) -> Vec<Check> {
    let name = "stripe";
    let mut checks = Vec::new();
    for (mall, account) in stripe.accounts() {
        let mall = mall.as_str();
        checks.push(match account.greet().await {
            Ok(()) => Check::ok(name, format!("Stripe knows the key of {mall}")),
            Err(Fault::Later(why) | Fault::NotUnderThisKey(why)) => Check::not(
                name,
                Mark::Warn,
                format!("Stripe does not answer about {mall}: {why}"),
                "check that this machine reaches api.stripe.com, or stripe_url (ROTUNDA_STRIPE_URL)",
            ),
            Err(Fault::Refused(why) | Fault::Misconfigured(why)) => Check::not(
                name,
                Mark::Bad,
                format!("Stripe does not take the key of {mall}: {why}"),
                format!("check stripe.{mall}.secret_key (ROTUNDA_STRIPE); a restricted key must read the balance"),
            ),
        });
    }
    if checks.is_empty() {
        let off = "off: no mall's payments go through Stripe (stripe.MALL)";
        checks.push(Check::ok(name, off));
    }
    checks
}

/// The report where there is nothing to ask.
pub(super) fn without_database(failure: &Failure, output: Output) -> Result<ExitCode, Failure> {
    report(&[unreachable(failure), zones()], output)
}

fn unreachable(failure: &Failure) -> Check {
    Check::not(
        "database",
        Mark::Bad,
        failure.to_string(),
        "check DATABASE_URL and that PostgreSQL runs, or unset it for a private cluster",
    )
}

fn of_database(found: &Examination, now: Instant) -> Vec<Check> {
    let mut checks = of_server(&found.main, now).to_vec();
    checks.push(migrations(found));
    for (name, server) in &found.others {
        let of_target = match server {
            Ok(server) => of_server(server, now).to_vec(),
            Err(error) => vec![Check::not(
                "database",
                Mark::Bad,
                format!("does not answer: {}", chain(error)),
                "check the settings' targets and that PostgreSQL runs there",
            )],
        };
        checks.extend(of_target.into_iter().map(|mut check| {
            check.why = format!("target {name}: {}", check.why);
            check
        }));
    }
    checks
}

fn of_server(found: &Server, now: Instant) -> [Check; 4] {
    [
        version(found.version),
        durability(&found.not_durable),
        login(found),
        drift(found.now, now),
    ]
}

fn version(number: i32) -> Check {
    let name = "postgresql";
    let (major, minor) = (number.div_euclid(10_000), number.rem_euclid(10_000));
    let said = format!("version {major}.{minor}");
    if number < OLDEST {
        let why = format!("{said} is older than 15");
        Check::not(
            name,
            Mark::Bad,
            why,
            "apt-get install postgresql-15, then pg_upgrade",
        )
    } else if number >= NEWEST {
        let why = format!("{said} is newer than what the tables are tested on (15 to 18)");
        Check::not(
            name,
            Mark::Warn,
            why,
            "use PostgreSQL 18, or look for a newer rotunda",
        )
    } else {
        Check::ok(name, said)
    }
}

fn durability(off: &[String]) -> Check {
    let name = "durability";
    if off.is_empty() {
        return Check::ok(
            name,
            "fsync, full_page_writes and synchronous_commit are on",
        );
    }
    let set: Vec<String> = off
        .iter()
        .map(|setting| format!("alter system set {setting} = on;"))
        .collect();
    let why = format!("{}: off, so a confirmed commit may be lost", off.join(", "));
    let fix = format!("psql -c '{} select pg_reload_conf()'", set.join(" "));
    Check::not(name, Mark::Bad, why, fix)
}

fn login(found: &Server) -> Check {
    let name = "app-login";
    let Some(login) = found.login else {
        return Check::not(
            name,
            Mark::Bad,
            "the login rotunda_app is not there yet",
            "rotunda migrate",
        );
    };
    let wrong: Vec<&str> = [
        (login.superuser, "is a superuser"),
        (login.inherits, "inherits the rights of every mall"),
        (
            login.privileged,
            "makes roles or databases, or passes row security by",
        ),
        (
            login.creates_in_public,
            "may create tables in schema public",
        ),
        (login.owns > 0, "owns tables or schemas"),
    ]
    .into_iter()
    .filter_map(|(wrong, what)| wrong.then_some(what))
    .collect();
    if wrong.is_empty() {
        return Check::ok(
            name,
            "rotunda_app inherits nothing, owns nothing, creates nothing",
        );
    }
    let why = format!("rotunda_app {}", wrong.join(", "));
    let fix = "psql -c 'alter role rotunda_app noinherit nosuperuser nocreatedb nocreaterole \
               nobypassrls; revoke create on schema public from public, rotunda_app; \
               reassign owned by rotunda_app to current_user'";
    Check::not(name, Mark::Bad, why, fix)
}

fn migrations(found: &Examination) -> Check {
    let name = "migrations";
    let fix = "rotunda migrate";
    if !found.platform_is_current {
        let why = "the registry or the queue is not on this program's version";
        Check::not(name, Mark::Bad, why, fix)
    } else if found.behind.is_empty() {
        let why = format!(
            "the registry, the queue and {} malls are current",
            found.malls
        );
        Check::ok(name, why)
    } else {
        let why = format!("not on this program's version: {}", found.behind.join(", "));
        Check::not(name, Mark::Bad, why, fix)
    }
}

fn drift(database: Instant, ours: Instant) -> Check {
    let name = "clock";
    let apart = (database - ours).num_milliseconds().abs();
    if apart <= DRIFT {
        Check::ok(name, format!("{apart} ms from PostgreSQL's"))
    } else {
        let why = format!("{apart} ms from PostgreSQL's; points expire by this machine's clock");
        Check::not(
            name,
            Mark::Warn,
            why,
            "timedatectl set-ntp true, on both machines",
        )
    }
}

/// How much is free where the private cluster lives, as `df` says.
async fn free_room(folder: &Path, elsewhere: bool) -> Check {
    let name = "disk";
    let shown = folder.display();
    if elsewhere {
        return Check::ok(name, "the database is elsewhere: DATABASE_URL is set");
    }
    let asked = tokio::process::Command::new("df")
        .arg("-Pk")
        .arg(folder)
        .output()
        .await;
    let text = asked.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let Some(free) = text.ok().as_deref().and_then(available) else {
        let why = format!("df does not tell what is free in {shown}");
        return Check::not(name, Mark::Warn, why, format!("df -h {shown}"));
    };
    let why = format!("{} MiB free in {shown}", free >> 20);
    let fix =
        format!("make room, or move the data: rotunda --data-dir ELSEWHERE; du -sh {shown}/*");
    match (free < ROOM.1, free < ROOM.0) {
        (true, _) => Check::not(name, Mark::Bad, why, fix),
        (_, true) => Check::not(name, Mark::Warn, why, fix),
        _ => Check::ok(name, why),
    }
}

/// The free bytes in what `df -Pk` prints.
fn available(text: &str) -> Option<u64> {
    let kib: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

/// A policy with a hole does not even load, so this one is whole.
fn policy(roles: usize) -> Check {
    Check::ok("policy", format!("{roles} roles, every action covered"))
}

fn zones() -> Check {
    let version = chrono_tz::IANA_TZDB_VERSION;
    Check::ok("time-zones", format!("database {version}, built in"))
}

fn report(checks: &[Check], output: Output) -> Result<ExitCode, Failure> {
    let worst = checks.iter().map(|check| check.mark).max();
    let worst = worst.unwrap_or(Mark::Ok);
    let list: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "mark": check.mark.as_str(),
                "why": check.why,
                "fix": check.fix,
            })
        })
        .collect();
    let json = json!({ "object": "examination", "mark": worst.as_str(), "checks": list });
    output.data(&json, || {
        let lines: Vec<String> = checks.iter().map(line).collect();
        lines.join("\n")
    })?;
    Ok(ExitCode::from(match worst {
        Mark::Ok => 0,
        Mark::Warn => 1,
        Mark::Bad => 2,
    }))
}

fn line(check: &Check) -> String {
    let Check {
        name,
        mark,
        why,
        fix,
    } = check;
    let sign = match mark {
        Mark::Ok => '✓',
        Mark::Warn => '!',
        Mark::Bad => '✗',
    };
    let fix = fix
        .as_ref()
        .map_or_else(String::new, |fix| format!("\n    fix: {fix}"));
    format!("{sign} {name}: {why}{fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_named_with_the_command_that_switches_it_on() {
        let check = durability(&["fsync".to_owned()]);
        assert_eq!(check.mark, Mark::Bad);
        assert!(check.fix.unwrap().contains("alter system set fsync = on"));
        assert_eq!(durability(&[]).mark, Mark::Ok);
    }

    #[test]
    fn versions_before_15_are_bad_and_after_18_a_warning() {
        assert_eq!(version(140_019).mark, Mark::Bad);
        assert_eq!(version(150_014).mark, Mark::Ok);
        assert_eq!(version(180_001).mark, Mark::Ok);
        assert_eq!(version(190_000).mark, Mark::Warn);
    }

    #[test]
    fn df_tells_the_free_bytes() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    /dev/vda 100 40 60 40% /\n";
        assert_eq!(available(text), Some(61_440));
        assert_eq!(available("df: no such folder"), None);
    }
}
