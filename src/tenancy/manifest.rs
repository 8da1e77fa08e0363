//! What a mall is, as text: the folder `tenants/<slug>/` or one file (`tenants/README.md`).
//!
//! The programme's sections travel on as JSON: each room reads its own and says what is wrong with
//! it; [`Manifest::locate`] puts the place before such a message.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::reader::{ManifestError, Node, Place, Source, Table};
use crate::{
    db::tenants::Registration,
    kernel::{
        money::Currency,
        points::{LARGEST, Points},
        text::{Code, Email, Language, Name, Names, Slug, StripeAccount},
    },
};

const HEAD: [&str; 7] = [
    "slug",
    "names",
    "languages",
    "time_zone",
    "currency",
    "calling_code",
    "hosts",
];
const SECTIONS: [&str; 5] = ["earning", "expiry", "spending", "exchange", "settlement"];
const MERCHANTS: &str = "merchants";
const GOODS: &str = "goods";
const KINDS: [&str; 3] = ["pickup", "service", "voucher"];

const A_CODE: &str = "a code of 1 to 40 letters, digits, _ and -";
const NEW_CODE: &str = "a code that does not stand above";
const NAMES: &str = r#"a table of names such as { en = "Lantern Tea" }"#;
const A_ROLE: &str = r#""earn", "spend" or "both""#;

/// Everything that the files of one mall say.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What the registry keeps.
    pub registration: Registration,
    /// The sections earning, expiry, spending, exchange and settlement, as far as they stand.
    pub programme: Value,
    /// The alliance.
    pub merchants: Vec<MerchantListing>,
    /// The catalogue.
    pub goods: Vec<GoodListing>,
    places: Vec<(String, Place)>,
}

/// What a merchant or a store does in the alliance; at least one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Gives points.
    pub earns: bool,
    /// Takes points.
    pub spends: bool,
}

/// A merchant.
#[derive(Debug, Clone)]
pub struct MerchantListing {
    /// Unique among the merchants.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What it trades in.
    pub trade: Name,
    /// What it does in the alliance.
    pub roles: Roles,
    /// Where its mail goes, and in which language; none: as it is.
    pub contact: Option<(Email, Language)>,
    /// To which account at Stripe it is paid; none: as it is.
    pub stripe_account: Option<StripeAccount>,
    /// Its stores.
    pub stores: Vec<StoreListing>,
}

/// A store.
#[derive(Debug, Clone)]
pub struct StoreListing {
    /// Unique among the stores of all merchants.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// Not more than its merchant does; none for the same.
    pub roles: Option<Roles>,
}

/// A good of the catalogue.
#[derive(Debug, Clone)]
pub struct GoodListing {
    /// Unique among the goods.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What it costs, more than none.
    pub points: Points,
    /// How many there are, from 0.
    pub stock: i64,
    /// "pickup", "service" or "voucher".
    pub kind: String,
    /// The merchants at whose stores it is claimed, at least one.
    pub offered_by: Vec<Code>,
    /// The most that one member gets in a day, from 1.
    pub per_member_day: Option<i64>,
    /// The most that one member gets in a month, from 1.
    pub per_member_month: Option<i64>,
}

impl Manifest {
    /// Reads a folder with `tenant.toml` and, where they are there, `merchants.toml` and
    /// `rewards.toml`; or one file that holds everything.
    ///
    /// # Errors
    /// [`ManifestError`]: the first thing that is wrong.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        if !path.is_dir() {
            let text = load(path)?;
            return Self::from_file(&path.display().to_string(), &text);
        }
        let head = path.join("tenant.toml");
        let text = load(&head)?;
        let file = head.display().to_string();
        let source = Source {
            file: &file,
            text: &text,
        };
        let parsed = source.parse()?;
        let top = Table::top(source, &parsed, &[&HEAD[..], &SECTIONS].concat())?;
        let mut manifest = Self::of_head(&top)?;
        let language = manifest.language();
        same_as_folder(path, &top)?;
        with_file(&path.join("merchants.toml"), MERCHANTS, |table| {
            manifest.merchants = merchants(table, language)?;
            Ok(())
        })?;
        with_file(&path.join("rewards.toml"), GOODS, |table| {
            manifest.goods = goods(table)?;
            Ok(())
        })?;
        Ok(manifest)
    }

    /// Reads one file that holds everything; `file` is its name in refusals.
    ///
    /// # Errors
    /// [`ManifestError`]: the first thing that is wrong.
    pub fn from_file(file: &str, text: &str) -> Result<Self, ManifestError> {
        let source = Source { file, text };
        let parsed = source.parse()?;
        let keys = [&HEAD[..], &SECTIONS, &[MERCHANTS, GOODS]].concat();
        let top = Table::top(source, &parsed, &keys)?;
        let manifest = Self::of_head(&top)?;
        Ok(Self {
            merchants: merchants(&top, manifest.language())?,
            goods: goods(&top)?,
            ..manifest
        })
    }

    fn of_head(top: &Table<'_>) -> Result<Self, ManifestError> {
        let registration = registration(top)?;
        let mut places = Vec::new();
        let mut programme = serde_json::Map::new();
        for section in SECTIONS {
            if let Some(node) = top.optional(section) {
                let json = node.json(&mut places)?;
                if !json.is_object() {
                    return Err(node.refuse("a table"));
                }
                programme.insert(section.to_owned(), json);
            }
        }
        Ok(Self {
            registration,
            programme: Value::Object(programme),
            merchants: Vec::new(),
            goods: Vec::new(),
            places,
        })
    }

    /// The language that the mall speaks where nobody asks for another.
    fn language(&self) -> Language {
        let [first, ..] = Language::ALL;
        let spoken = self.registration.languages.first();
        spoken.copied().unwrap_or(first)
    }

    /// A room's message about the programme with the place before it, as far as the message tells:
    /// it begins with a key (`earning.rules[0].per: …`), and may name one in backticks.
    pub fn locate(&self, message: &str) -> String {
        let begins = |key: &str| {
            message
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with([':', ' ']) || rest.is_empty())
        };
        let Some((key, place)) = self.places.iter().find(|(key, _)| begins(key)) else {
            return message.to_owned();
        };
        let named = message.split('`').nth(1);
        let inner = named.and_then(|name| {
            self.places.iter().find(|(way, _)| {
                way.strip_prefix(key.as_str())
                    .and_then(|rest| rest.rsplit_once('.'))
                    .is_some_and(|(_, last)| last == name)
            })
        });
        let place = inner.map_or(place, |(_, inner)| inner);
        format!("{place}: {message}")
    }
}

fn load(path: &Path) -> Result<String, ManifestError> {
    fs::read_to_string(path).map_err(|source| ManifestError::Unreadable {
        file: path.display().to_string(),
        source,
    })
}

/// Reads a file with the one key `key`, where there is such a file.
fn with_file(
    path: &Path,
    key: &str,
    read: impl FnOnce(&Table<'_>) -> Result<(), ManifestError>,
) -> Result<(), ManifestError> {
    let text = match load(path) {
        Ok(text) => text,
        Err(ManifestError::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let file = path.display().to_string();
    let source = Source {
        file: &file,
        text: &text,
    };
    let parsed = source.parse()?;
    read(&Table::top(source, &parsed, &[key])?)
}

/// A folder that was copied and not renamed would change the mall that it was copied from.
fn same_as_folder(path: &Path, top: &Table<'_>) -> Result<(), ManifestError> {
    let whole: PathBuf = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = whole.file_name().and_then(|name| name.to_str());
    let node = top.required("slug", "the folder's name")?;
    match folder {
        Some(folder) if node.text("")? != folder => {
            Err(node.refuse(format!("the folder's name, {folder:?}")))
        }
        _ => Ok(()),
    }
}

fn registration(top: &Table<'_>) -> Result<Registration, ManifestError> {
    let slug = "a short name of 2 to 40 of a-z, 0-9 and -, a letter first";
    let zone = r#"a time zone of the IANA database, such as "Asia/Shanghai""#;
    let currency = r#"a currency of ISO 4217, such as "CNY""#;
    Ok(Registration {
        slug: top.required("slug", slug)?.parse::<Slug>(slug)?,
        names: top.required("names", NAMES)?.names()?,
        languages: languages(top)?,
        zone: top.required("time_zone", zone)?.parse(zone)?,
        currency: {
            let node = top.required("currency", currency)?;
            Currency::from_code(node.text(currency)?).map_err(|_| node.refuse(currency))?
        },
        calling_code: calling_code(top)?,
        hosts: hosts(top)?,
    })
}

fn languages(top: &Table<'_>) -> Result<Vec<Language>, ManifestError> {
    let expected = r#"a list of "zh-CN", "zh-TW" and "en", the default first"#;
    let list = top.required("languages", expected)?;
    let mut languages = Vec::new();
    for node in list.items()? {
        let language = node.parse(r#""zh-CN", "zh-TW" or "en""#)?;
        if languages.contains(&language) {
            return Err(node.refuse("each language once"));
        }
        languages.push(language);
    }
    if languages.is_empty() {
        return Err(list.refuse(expected));
    }
    Ok(languages)
}

fn calling_code(top: &Table<'_>) -> Result<String, ManifestError> {
    let expected = r#"a country code of 1 to 3 digits in quotes, such as "86""#;
    let node = top.required("calling_code", expected)?;
    let text = node.text(expected)?;
    let fits = (1..=3).contains(&text.len()) && !text.starts_with('0');
    if fits && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(node.refuse(expected))
    }
}

fn hosts(top: &Table<'_>) -> Result<Vec<String>, ManifestError> {
    let mut hosts: Vec<String> = Vec::new();
    for node in top.list("hosts")? {
        let expected = "a host name of a-z, 0-9, . and -, without a port";
        let text = node.text(expected)?;
        if !is_host(text) {
            return Err(node.refuse(expected));
        }
        if hosts.iter().any(|known| known == text) {
            return Err(node.refuse("each host once"));
        }
        hosts.push(text.to_owned());
    }
    Ok(hosts)
}

/// Labels of 1 to 63 of `a-z 0-9 -`, no dash at either end, with dots between: at most 253 in all.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn merchants(top: &Table<'_>, language: Language) -> Result<Vec<MerchantListing>, ManifestError> {
    let mut seen = HashSet::new();
    let mut seen_stores = HashSet::new();
    let mut merchants = Vec::new();
    for node in top.list(MERCHANTS)? {
        let table = node.table(&[
            "code",
            "names",
            "trade",
            "alliance",
            "email",
            "language",
            "stripe_account",
            "stores",
        ])?;
        let roles = roles(&table.required("alliance", A_ROLE)?)?;
        let trade = "one word for the trade, such as \"tea\"";
        let mut stores = Vec::new();
        let code = code(&table, &mut seen)?;
        for store in table.list("stores")? {
            stores.push(store_of(&store, roles, &mut seen_stores)?);
        }
        merchants.push(MerchantListing {
            code,
            names: table.required("names", NAMES)?.names()?,
            trade: table.required("trade", trade)?.parse(trade)?,
            roles,
            contact: contact(&table, language)?,
            stripe_account: table
                .optional("stripe_account")
                .map(|node| node.parse("a connected account at Stripe, such as \"acct_1OQhVYI8\""))
                .transpose()?,
            stores,
        });
    }
    Ok(merchants)
}

/// Where mail goes; its language is the mall's first where none is said.
fn contact(
    table: &Table<'_>,
    otherwise: Language,
) -> Result<Option<(Email, Language)>, ManifestError> {
    let tag = r#""zh-CN", "zh-TW" or "en", beside an email"#;
    let language = table.optional("language");
    let Some(email) = table.optional("email") else {
        return match language {
            Some(node) => Err(node.refuse(tag)),
            None => Ok(None),
        };
    };
    let email = email.parse("an address of e-mail, such as \"accounts@lantern.example\"")?;
    let language = language.map_or(Ok(otherwise), |node| node.parse(tag))?;
    Ok(Some((email, language)))
}

fn store_of(
    node: &Node<'_>,
    merchant: Roles,
    seen: &mut HashSet<Code>,
) -> Result<StoreListing, ManifestError> {
    let table = node.table(&["code", "names", "alliance"])?;
    let own = match table.optional("alliance") {
        Some(node) => {
            let own = roles(&node)?;
            if (own.earns && !merchant.earns) || (own.spends && !merchant.spends) {
                return Err(node.refuse("no more than what its merchant does"));
            }
            Some(own)
        }
        None => None,
    };
    Ok(StoreListing {
        code: code(&table, seen)?,
        names: table.required("names", NAMES)?.names()?,
        roles: own,
    })
}

fn roles(node: &Node<'_>) -> Result<Roles, ManifestError> {
    let (earns, spends) = match node.text(A_ROLE)? {
        "earn" => (true, false),
        "spend" => (false, true),
        "both" => (true, true),
        _ => return Err(node.refuse(A_ROLE)),
    };
    Ok(Roles { earns, spends })
}

fn code(table: &Table<'_>, seen: &mut HashSet<Code>) -> Result<Code, ManifestError> {
    let node = table.required("code", A_CODE)?;
    let code: Code = node.parse(A_CODE)?;
    if seen.insert(code.clone()) {
        Ok(code)
    } else {
        Err(node.refuse(NEW_CODE))
    }
}

fn goods(top: &Table<'_>) -> Result<Vec<GoodListing>, ManifestError> {
    let mut seen = HashSet::new();
    top.list(GOODS)?
        .iter()
        .map(|node| good(node, &mut seen))
        .collect()
}

fn good(node: &Node<'_>, seen: &mut HashSet<Code>) -> Result<GoodListing, ManifestError> {
    let table = node.table(&[
        "code",
        "names",
        "points",
        "stock",
        "kind",
        "offered_by",
        "per_member_day",
        "per_member_month",
    ])?;
    let points = "a whole number of points, 1 or more";
    let stock = "a whole number, 0 or more";
    let kind = r#""pickup", "service" or "voucher""#;
    let price = table.required("points", points)?;
    let limit = |name: &str| {
        let node = table.optional(name);
        node.map(|node| node.whole(1, LARGEST, "a whole number, 1 or more"))
            .transpose()
    };
    let kind_node = table.required("kind", kind)?;
    let word = kind_node.text(kind)?;
    if !KINDS.contains(&word) {
        return Err(kind_node.refuse(kind));
    }
    Ok(GoodListing {
        code: code(&table, seen)?,
        names: table.required("names", NAMES)?.names()?,
        points: Points::new(price.whole(1, LARGEST, points)?).map_err(|_| price.refuse(points))?,
        stock: table.required("stock", stock)?.whole(0, LARGEST, stock)?,
        kind: word.to_owned(),
        offered_by: offered_by(&table)?,
        per_member_day: limit("per_member_day")?,
        per_member_month: limit("per_member_month")?,
    })
}

fn offered_by(table: &Table<'_>) -> Result<Vec<Code>, ManifestError> {
    let expected = "a list of at least one merchant's code";
    let list = table.required("offered_by", expected)?;
    let mut codes: Vec<Code> = Vec::new();
    for node in list.items()? {
        let code: Code = node.parse(A_CODE)?;
        if codes.contains(&code) {
            return Err(node.refuse("each merchant once"));
        }
        codes.push(code);
    }
    if codes.is_empty() {
        return Err(list.refuse(expected));
    }
    Ok(codes)
}
