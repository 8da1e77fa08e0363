//! Settings: flag, else environment (`ROTUNDA_…`), else file, else default.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    str::FromStr,
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
    /// A bucket without what it needs.
    #[error(
        "a bucket for files needs files.bucket, files.region, files.access_key and files.secret_key \
         (ROTUNDA_FILES_BUCKET, _REGION, _ACCESS_KEY, _SECRET_KEY), all of them"
    )]
    Files,
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

/// The largest file that people may send, in bytes, where the settings do not say.
const LARGEST_FILE: u32 = 5 << 20;

/// Where the files are kept that people send, and how large they may be.
#[derive(Debug, Clone)]
pub struct Files {
    /// The folder of this machine; not where there is a bucket.
    pub dir: PathBuf,
    /// The most bytes of one file.
    pub largest: u32,
    /// The bucket of an S3-compatible service.
    pub bucket: Option<Bucket>,
}

/// A bucket of an S3-compatible service.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// In which region it is.
    pub region: String,
    /// Where the service is; none: Amazon's.
    pub endpoint: Option<String>,
    /// By which key we are known there.
    pub access_key: String,
    /// And its secret.
    pub secret_key: SecretString,
}

/// What the file says about files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenFiles {
    /// See [`Files::dir`].
    pub dir: Option<PathBuf>,
    /// See [`Files::largest`].
    pub largest: Option<NonZeroU32>,
    /// See [`Bucket::name`].
    pub bucket: Option<String>,
    /// See [`Bucket::region`].
    pub region: Option<String>,
    /// See [`Bucket::endpoint`].
    pub endpoint: Option<String>,
    /// See [`Bucket::access_key`].
    pub access_key: Option<String>,
    /// See [`Bucket::secret_key`].
    pub secret_key: Option<SecretString>,
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
    /// Where the files are kept that people send.
    pub files: Files,
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
    /// See [`Config::files`].
    pub files: Option<GivenFiles>,
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
        let data_dir = flags.data_dir.or(env.data_dir).or(file.data_dir);
        let data_dir = data_dir.unwrap_or_else(crate::db::embedded::default_data_dir);
        let files = files([flags.files, env.files, file.files], &data_dir)?;
        Ok(Self {
            data_dir,
            files,
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

/// Each from the first that says it; a bucket needs its key, its secret and its region.
fn files(given: [Option<GivenFiles>; 3], data_dir: &Path) -> Result<Files, ConfigError> {
    let mut all = GivenFiles::default();
    for one in given.into_iter().flatten() {
        all.dir = all.dir.or(one.dir);
        all.largest = all.largest.or(one.largest);
        all.bucket = all.bucket.or(one.bucket);
        all.region = all.region.or(one.region);
        all.endpoint = all.endpoint.or(one.endpoint);
        all.access_key = all.access_key.or(one.access_key);
        all.secret_key = all.secret_key.or(one.secret_key);
    }
    let bucket = match (all.bucket, all.region, all.access_key, all.secret_key) {
        (Some(name), Some(region), Some(access_key), Some(secret_key)) => Some(Bucket {
            name,
            region,
            endpoint: all.endpoint,
            access_key,
            secret_key,
        }),
        (None, None, None, None) => None,
        _ => return Err(ConfigError::Files),
    };
    Ok(Files {
        dir: all.dir.unwrap_or_else(|| data_dir.join("files")),
        largest: all.largest.map_or(LARGEST_FILE, NonZeroU32::get),
        bucket,
    })
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
        files: Some(GivenFiles {
            dir: get("ROTUNDA_FILES_DIR").map(PathBuf::from),
            largest: parse(
                &get,
                "ROTUNDA_FILES_LARGEST",
                "a number of bytes above zero",
            )?,
            bucket: get("ROTUNDA_FILES_BUCKET"),
            region: get("ROTUNDA_FILES_REGION"),
            endpoint: get("ROTUNDA_FILES_ENDPOINT"),
            access_key: get("ROTUNDA_FILES_ACCESS_KEY"),
            secret_key: get("ROTUNDA_FILES_SECRET_KEY").map(SecretString::from),
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
