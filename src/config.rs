//! Settings: flag, else environment (`ROTUNDA_…`), else file, else default.

use std::{
    collections::BTreeMap, fs, net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr,
};

use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;

use crate::{
    db::locator::{MAIN, Targets},
    kernel::text::Slug,
};

/// The most sign-in codes that a mall sends in a day, where nothing is said.
const CODES_A_DAY: i32 = 5_000;

/// A setting that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file {path} cannot be read: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the settings file {path} cannot be understood: {why}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line and reason, without any secret's value.
        why: String,
    },
    /// A value is not of its kind.
    #[error("{name} is set to {found:?}, but it must be {expected}")]
    Value {
        /// The environment variable.
        name: &'static str,
        /// What was found.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// A database target cannot be called so.
    #[error(
        "a database target is called {0:?}, but its name must be a short one of 2 to 40 of a-z, 0-9 \
         and -, a letter first, and not \"main\", which is database_url"
    )]
    Target(String),
    /// One of a mail server and a sender, without the other.
    #[error(
        "mail needs both a server (mail.url, ROTUNDA_MAIL_URL) and a sender (mail.from, \
         ROTUNDA_MAIL_FROM)"
    )]
    Mail,
    /// One of an address and a secret, without the other.
    #[error(
        "short messages need both an address (sms.url, ROTUNDA_SMS_URL) and a secret (sms.secret, \
         ROTUNDA_SMS_SECRET)"
    )]
    Sms,
    /// Keys for a mall that no mall can be.
    #[error(
        "stripe names the mall {0:?}, but a mall has a short name of 2 to 40 of a-z, 0-9 and -"
    )]
    StripeMall(String),
    /// The list of Stripe keys cannot be read; what it says is not shown, for it holds secrets.
    #[error("ROTUNDA_STRIPE must be a list of mall=secret_key,webhook_secret with spaces between")]
    StripeList,
    /// The list of database targets cannot be read; what it says is not shown, for it holds secrets.
    #[error("ROTUNDA_TARGETS must be a list of name=URL with spaces between")]
    TargetList,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Where mail goes out.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The mail server, with the password where it asks for one.
    pub url: SecretString,
    /// Who we are to those who read it.
    pub from: String,
}

/// By what a mall's operator is known at Stripe, and Stripe to us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeKeys {
    /// The secret key, or a restricted one.
    pub secret_key: SecretString,
    /// The signing secret of the mall's webhook.
    pub webhook_secret: SecretString,
}

/// What the file says about mail.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMail {
    /// See [`Mail::url`].
    pub url: Option<SecretString>,
    /// See [`Mail::from`].
    pub from: Option<String>,
}

/// Who sends short messages for us.
#[derive(Debug, Clone)]
pub struct SmsHook {
    /// Where they take them.
    pub url: String,
    /// What we sign with.
    pub secret: SecretString,
}

/// What the file says about short messages.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenSms {
    /// See [`SmsHook::url`].
    pub url: Option<String>,
    /// See [`SmsHook::secret`].
    pub secret: Option<SecretString>,
    /// See [`Config::codes_a_day`].
    pub codes_a_day: Option<NonZeroU32>,
}

/// What the file says about secrets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenSecrets {
    /// See [`Config::secrets_key`].
    pub key: Option<SecretString>,
}

/// The settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the private cluster and other files live.
    pub data_dir: PathBuf,
    /// The database's owner login; none: the private cluster in `data_dir`.
    pub database_url: Option<SecretString>,
    /// Further databases that malls live on, by name, with their owner logins.
    pub targets: Targets,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How the outside reaches this server, such as `https://points.example`, for links.
    pub base_url: Option<String>,
    /// Where mail goes out; none: nowhere.
    pub mail: Option<Mail>,
    /// Who sends short messages; none: nobody, but on somebody's own machine pages show them.
    pub sms: Option<SmsHook>,
    /// The most sign-in codes that a mall sends in a day, for each costs money.
    pub codes_a_day: i32,
    /// What the secrets of second factors are sealed under; none: nobody can set one up.
    pub secrets_key: Option<SecretString>,
    /// Whether a proxy in front says who asks, as the last address in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Whether this is somebody's own machine: pages there may go without TLS.
    pub dev: bool,
    /// The malls whose payments can go through Stripe, each with its operator's keys.
    pub stripe: BTreeMap<Slug, StripeKeys>,
    /// Where Stripe is; none: where it is for everybody.
    pub stripe_url: Option<String>,
    /// How log lines look.
    pub log: LogFormat,
    /// The most database connections for requests, to each target.
    pub connections: u32,
    /// Seconds between "not ready" and the end of listening at a stop, for a load balancer to
    /// notice.
    pub drain_seconds: u64,
}

/// What flags or the file say; everything may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// See [`Config::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// See [`Config::database_url`].
    pub database_url: Option<SecretString>,
    /// See [`Config::targets`].
    pub targets: Option<BTreeMap<String, SecretString>>,
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`Config::base_url`].
    pub base_url: Option<String>,
    /// See [`Config::mail`].
    pub mail: Option<GivenMail>,
    /// See [`Config::sms`].
    pub sms: Option<GivenSms>,
    /// What is sealed under which key.
    pub secrets: Option<GivenSecrets>,
    /// See [`Config::behind_proxy`].
    pub behind_proxy: Option<bool>,
    /// See [`Config::stripe`].
    pub stripe: Option<BTreeMap<String, StripeKeys>>,
    /// See [`Config::stripe_url`].
    pub stripe_url: Option<String>,
    /// See [`Config::log`].
    pub log: Option<LogFormat>,
    /// See [`Config::connections`].
    pub connections: Option<NonZeroU32>,
    /// See [`Config::drain_seconds`].
    pub drain_seconds: Option<u64>,
}

impl Config {
    /// The settings from flags, environment and file; `env` looks a variable up.
    ///
    /// # Errors
    /// Every [`ConfigError`].
    pub fn load(
        flags: Given,
        file: Option<PathBuf>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file = match file.or_else(|| env("ROTUNDA_CONFIG").map(PathBuf::from)) {
            Some(path) => read_file(path)?,
            None => Given::default(),
        };
        let env = from_env(env)?;
        let targets = flags.targets.or(env.targets).or(file.targets);
        let base_url = flags.base_url.or(env.base_url).or(file.base_url);
        let mail = mail([flags.mail, env.mail, file.mail])?;
        let (sms, codes_a_day) = sms([flags.sms, env.sms, file.sms])?;
        let stripe = flags.stripe.or(env.stripe).or(file.stripe);
        let secrets = [flags.secrets, env.secrets, file.secrets];
        Ok(Self {
            data_dir: flags
                .data_dir
                .or(env.data_dir)
                .or(file.data_dir)
                .unwrap_or_else(crate::db::embedded::default_data_dir),
            database_url: flags
                .database_url
                .or(env.database_url)
                .or(file.database_url),
            targets: named(targets.unwrap_or_default())?,
            listen: flags
                .listen
                .or(env.listen)
                .or(file.listen)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
            mail,
            sms,
            codes_a_day,
            secrets_key: secrets.into_iter().flatten().find_map(|one| one.key),
            behind_proxy: flags
                .behind_proxy
                .or(env.behind_proxy)
                .or(file.behind_proxy)
                .unwrap_or(false),
            dev: false,
            stripe: of_malls(stripe.unwrap_or_default())?,
            stripe_url: flags.stripe_url.or(env.stripe_url).or(file.stripe_url),
            log: flags.log.or(env.log).or(file.log).unwrap_or_default(),
            connections: flags
                .connections
                .or(env.connections)
                .or(file.connections)
                .map_or(10, NonZeroU32::get),
            drain_seconds: flags
                .drain_seconds
                .or(env.drain_seconds)
                .or(file.drain_seconds)
                .unwrap_or(0),
        })
    }
}

/// Server and sender, each from the first that says it.
fn mail(given: [Option<GivenMail>; 3]) -> Result<Option<Mail>, ConfigError> {
    let (mut url, mut from) = (None, None);
    for one in given.into_iter().flatten() {
        url = url.or(one.url);
        from = from.or(one.from);
    }
    match (url, from) {
        (Some(url), Some(from)) => Ok(Some(Mail { url, from })),
        (None, None) => Ok(None),
        _ => Err(ConfigError::Mail),
    }
}

/// Address, secret and most codes, each from the first that says it.
fn sms(given: [Option<GivenSms>; 3]) -> Result<(Option<SmsHook>, i32), ConfigError> {
    let (mut url, mut secret, mut most) = (None, None, None);
    for one in given.into_iter().flatten() {
        url = url.or(one.url);
        secret = secret.or(one.secret);
        most = most.or(one.codes_a_day);
    }
    let most = most.map_or(CODES_A_DAY, |most| {
        i32::try_from(most.get()).unwrap_or(i32::MAX)
    });
    match (url, secret) {
        (Some(url), Some(secret)) => Ok((Some(SmsHook { url, secret }), most)),
        (None, None) => Ok((None, most)),
        _ => Err(ConfigError::Sms),
    }
}

/// The targets under names that the registry can hold.
fn named(targets: BTreeMap<String, SecretString>) -> Result<Targets, ConfigError> {
    let name = |(name, url): (String, SecretString)| match name.parse::<Slug>() {
        Ok(parsed) if name != MAIN => Ok((parsed, url)),
        _ => Err(ConfigError::Target(name)),
    };
    targets.into_iter().map(name).collect()
}

/// The keys under names that malls can have.
fn of_malls(keys: BTreeMap<String, StripeKeys>) -> Result<BTreeMap<Slug, StripeKeys>, ConfigError> {
    let mall = |(name, keys): (String, StripeKeys)| match name.parse() {
        Ok(slug) => Ok((slug, keys)),
        Err(_) => Err(ConfigError::StripeMall(name)),
    };
    keys.into_iter().map(mall).collect()
}

/// The keys as the environment lists them: `starlight=sk_live_…,whsec_… north=sk_live_…,whsec_…`.
fn stripe_list(text: &str) -> Result<BTreeMap<String, StripeKeys>, ConfigError> {
    let one = |part: &str| {
        let (name, keys) = part.split_once('=').ok_or(ConfigError::StripeList)?;
        let (secret, webhook) = keys.split_once(',').ok_or(ConfigError::StripeList)?;
        let keys = StripeKeys {
            secret_key: SecretString::from(secret),
            webhook_secret: SecretString::from(webhook),
        };
        Ok((name.to_owned(), keys))
    };
    text.split_whitespace().map(one).collect()
}

/// The targets as the environment lists them: `north=postgres://… south=postgres://…`.
fn target_list(text: &str) -> Result<BTreeMap<String, SecretString>, ConfigError> {
    let one = |part: &str| {
        let (name, url) = part.split_once('=').ok_or(ConfigError::TargetList)?;
        Ok((name.to_owned(), SecretString::from(url)))
    };
    text.split_whitespace().map(one).collect()
}

fn read_file(path: PathBuf) -> Result<Given, ConfigError> {
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::File { path, source }),
    };
    toml::from_str(&text).map_err(|error| {
        // The message alone: the whole error quotes the line, which may hold a password.
        let line = error.span().map_or(1, |span| {
            1 + text
                .bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
        });
        let why = format!("line {line}: {}", error.message());
        ConfigError::Syntax { path, why }
    })
}

fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Given, ConfigError> {
    // An empty variable is one that is not set, as in a compose file with a blank.
    let get = |name: &str| env(name).filter(|value| !value.is_empty());
    Ok(Given {
        data_dir: get("ROTUNDA_DATA_DIR").map(PathBuf::from),
        database_url: get("ROTUNDA_DATABASE_URL")
            .or_else(|| get("DATABASE_URL"))
            .map(SecretString::from),
        targets: get("ROTUNDA_TARGETS")
            .map(|list| target_list(&list))
            .transpose()?,
        listen: parse(
            &get,
            "ROTUNDA_LISTEN",
            "an address and port, such as 127.0.0.1:8080",
        )?,
        base_url: get("ROTUNDA_BASE_URL"),
        mail: Some(GivenMail {
            url: get("ROTUNDA_MAIL_URL").map(SecretString::from),
            from: get("ROTUNDA_MAIL_FROM"),
        }),
        sms: Some(GivenSms {
            url: get("ROTUNDA_SMS_URL"),
            secret: get("ROTUNDA_SMS_SECRET").map(SecretString::from),
            codes_a_day: parse(&get, "ROTUNDA_SMS_CODES_A_DAY", "a number above zero")?,
        }),
        secrets: Some(GivenSecrets {
            key: get("ROTUNDA_SECRETS_KEY").map(SecretString::from),
        }),
        behind_proxy: parse(&get, "ROTUNDA_BEHIND_PROXY", "true or false")?,
        stripe: get("ROTUNDA_STRIPE")
            .map(|list| stripe_list(&list))
            .transpose()?,
        stripe_url: get("ROTUNDA_STRIPE_URL"),
        log: parse(&get, "ROTUNDA_LOG_FORMAT", "text or json")?,
        connections: parse(&get, "ROTUNDA_CONNECTIONS", "a number above zero")?,
        drain_seconds: parse(&get, "ROTUNDA_DRAIN_SECONDS", "a number of seconds")?,
    })
}

fn parse<T: FromStr>(
    get: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, ConfigError> {
    let Some(found) = get(name) else {
        return Ok(None);
    };
    match found.parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(ConfigError::Value {
            name,
            found,
            expected,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: Given, file: Option<&str>, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let path = file.map(|text| {
            let name = format!("rotunda-config-{}-{}.toml", std::process::id(), text.len());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).unwrap();
            path
        });
        let loaded = Config::load(flags, path.clone(), |name| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        if let Some(path) = path {
            fs::remove_file(path).unwrap();
        }
        loaded
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let file = Some("listen = \"127.0.0.1:3\"\nconnections = 3\nlog = \"json\"\n");
        let env = [
            ("ROTUNDA_LISTEN", "127.0.0.1:2"),
            ("ROTUNDA_CONNECTIONS", "2"),
        ];
        let flags = Given {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
            ..Given::default()
        };
        let config = load(flags, file, &env).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.connections, 2);
        assert_eq!(config.log, LogFormat::Json);
        assert_eq!(config.drain_seconds, 0);
    }

    #[test]
    fn secrets_show_neither_in_debug_output_nor_in_a_message() {
        let env = [("DATABASE_URL", "postgres://u:hunter2@h/d")];
        let config = load(Given::default(), None, &env).unwrap();
        assert!(config.database_url.is_some());
        assert!(!format!("{config:?}").contains("hunter2"));
        let file = Some("log = \"text\"\ndatabase_ur = \"postgres://u:hunter2@h/d\"\n");
        let said = load(Given::default(), file, &[]).unwrap_err().to_string();
        assert!(said.contains("line 2"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn mail_needs_a_server_and_a_sender_wherever_each_is_said() {
        let file = Some("[mail]\nurl = \"smtps://u:hunter2@mail.example\"\n");
        let refused = load(Given::default(), file, &[]).unwrap_err().to_string();
        assert!(refused.contains("ROTUNDA_MAIL_FROM") && !refused.contains("hunter2"));
        let env = [("ROTUNDA_MAIL_FROM", "Mall <a@b.example>")];
        let config = load(Given::default(), file, &env).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.mail.unwrap().from, "Mall <a@b.example>");
        assert!(load(Given::default(), None, &[]).unwrap().mail.is_none());
    }

    #[test]
    fn targets_come_from_the_environment_or_the_file_and_show_no_secret() {
        let file = Some("[targets]\nnorth = \"postgres://u:hunter2@n/d\"\n");
        let config = load(Given::default(), file, &[]).unwrap();
        let names = |config: &Config| -> Vec<String> {
            let names = config.targets.keys();
            names.map(|name| name.as_str().to_owned()).collect()
        };
        assert_eq!(names(&config), ["north"]);
        assert!(!format!("{config:?}").contains("hunter2"));

        let env = [(
            "ROTUNDA_TARGETS",
            "east=postgres://e/d?x=y  south=postgres://s/d",
        )];
        let config = load(Given::default(), file, &env).unwrap();
        assert_eq!(names(&config), ["east", "south"]);

        for (list, why) in [
            ("main=postgres://u:hunter2@m/d", "main"),
            ("Nord=postgres://u:hunter2@m/d", "Nord"),
            ("postgres://u:hunter2@m/d", "name=URL"),
        ] {
            let said = load(Given::default(), None, &[("ROTUNDA_TARGETS", list)]);
            let said = said.unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn the_example_holds_every_setting() {
        let example = include_str!("../deploy/config.example.toml");
        let settings = example.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        });
        let settings: Vec<&str> = settings.collect();
        let config = load(Given::default(), Some(&settings.join("\n")), &[]).unwrap();
        assert!(config.database_url.is_some() && config.base_url.is_some());
        assert_eq!(config.targets.len(), 1);
        assert!(config.mail.is_some() && config.secrets_key.is_some() && config.behind_proxy);
        assert_eq!(config.stripe.len(), 1);
        assert!(config.stripe_url.is_some());
    }

    #[test]
    fn keys_of_stripe_come_from_the_environment_or_the_file_and_show_nowhere() {
        let file = Some(
            "[stripe.starlight]\nsecret_key = \"sk_hunter2\"\nwebhook_secret = \"whsec_hunter2\"\n",
        );
        let malls = |config: &Config| -> Vec<String> {
            let malls = config.stripe.keys();
            malls.map(|slug| slug.as_str().to_owned()).collect()
        };
        let config = load(Given::default(), file, &[]).unwrap();
        assert_eq!(malls(&config), ["starlight"]);
        assert!(!format!("{config:?}").contains("hunter2"));
        let env = [("ROTUNDA_STRIPE", "north=sk_a,whsec_b  south=sk_c,whsec_d")];
        let config = load(Given::default(), file, &env).unwrap();
        assert_eq!(malls(&config), ["north", "south"]);
        for (list, why) in [
            ("north=sk_hunter2", "mall=secret_key,webhook_secret"),
            ("sk_hunter2,whsec_hunter2", "mall=secret_key,webhook_secret"),
            ("North=sk_hunter2,whsec_hunter2", "North"),
        ] {
            let said = load(Given::default(), None, &[("ROTUNDA_STRIPE", list)]);
            let said = said.unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_bad_value_names_its_variable_and_what_would_do() {
        let said = load(Given::default(), None, &[("ROTUNDA_CONNECTIONS", "0")])
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("ROTUNDA_CONNECTIONS") && said.contains("above zero"),
            "{said}"
        );
    }
}
