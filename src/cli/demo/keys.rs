//! The demo mall's sample keys: made once, kept beside the database, shown at every start.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use secrecy::ExposeSecret;

use crate::{
    app::App,
    authz::{
        action::{
            CancelRedemption, ClaimGood, CloseSettlement, ConfirmSettlement, CreateKey,
            EnrolMember, IssueSettlement, LapseRedemptions, ReadGoods, RecordPurchase,
            RefundPurchase, ReserveGood, SpendPoints,
        },
        actor::{Principal, Role, Stores},
        grant::Grant,
    },
    db::{
        tenants::Tenant,
        tx::{ReadTx, Tx},
    },
    identity::{self, IdentityError, NewKey},
    kernel::{
        ids::GoodId,
        page::{MOST, Slice},
        text::Code,
    },
    merchants, redemption,
};

/// The roles that get a key each.
const ROLES: [&str; 7] = [
    "operator.owner",
    "operator.finance",
    "operator.auditor",
    "merchant.owner",
    "merchant.cashier",
    "machine.erp",
    "machine.app",
];

/// Whose the merchant's keys are.
pub(super) const MERCHANT: &str = "lantern-tea";

/// The file in the data folder.
const FILE: &str = "demo-credentials";

/// Keys by role.
#[derive(Debug, Clone)]
pub(super) struct Keys(Vec<(String, String)>);

impl Keys {
    /// The key of a role.
    pub(super) fn of(&self, role: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == role);
        found.map_or("", |(_, key)| key)
    }

    /// Roles and keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(role, key)| (role.as_str(), key.as_str()))
    }

    /// The keys in the file that still open; new ones for the others, which are written down.
    ///
    /// # Errors
    /// The database's errors; a file that cannot be read or written.
    pub(super) async fn ready(app: &App, tenant: &Tenant) -> anyhow::Result<Self> {
        let path = app.config.data_dir.join(FILE);
        let mut keys = read(&path)?;
        keys.retain(|(role, _)| ROLES.contains(&role.as_str()));
        let mut living = Vec::with_capacity(ROLES.len());
        for (role, key) in keys {
            if opens(app, tenant, &key).await? {
                living.push((role, key));
            }
        }
        let missing: Vec<&str> = ROLES
            .into_iter()
            .filter(|role| living.iter().all(|(known, _)| known != role))
            .collect();
        if missing.is_empty() {
            return Ok(Self(living));
        }
        let grant = app
            .policy
            .allow::<CreateKey>(&Principal::platform(Some(tenant.id)))?;
        let mut tx = app.db.write(&grant).await?;
        for role in missing {
            let key = make(app, &mut tx, &grant, role).await?;
            living.push((role.to_owned(), key));
        }
        living.sort_by_key(|(role, _)| ROLES.iter().position(|known| known == role));
        // Written down before they open anything, so that none is lost that does.
        write(&path, &living)?;
        tx.commit().await?;
        Ok(Self(living))
    }
}

async fn opens(app: &App, tenant: &Tenant, key: &str) -> anyhow::Result<bool> {
    let grant = app.policy.allow(&Principal::anonymous(tenant.id))?;
    let revision = app.revision(tenant.id, true).await?;
    match app.principal_of(&grant, tenant.id, revision, key).await {
        Ok(_) => Ok(true),
        Err(error) => match &*error {
            IdentityError::UnknownKey => Ok(false),
            other => Err(anyhow::anyhow!("the sample keys cannot be tried: {other}")),
        },
    }
}

async fn make(
    app: &App,
    tx: &mut Tx,
    grant: &Grant<CreateKey>,
    role: &str,
) -> anyhow::Result<String> {
    let merchant = if role.starts_with("merchant.") {
        let code: Code = MERCHANT.parse()?;
        let known = merchants::by_codes(tx, std::slice::from_ref(&code)).await?;
        let found = known.get(&code).copied();
        Some(found.with_context(|| format!("the merchant {MERCHANT} is not there"))?)
    } else {
        None
    };
    let label = format!("demo: {role}").parse()?;
    let new = NewKey::new(
        &app.policy,
        grant.own_roles(),
        label,
        Role::new(role),
        merchant,
        Stores::All,
    )?;
    let (_, secret) = identity::create(tx, &app.policy, grant, new).await?;
    Ok(secret.expose_secret().to_owned())
}

fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(role, key)| (role.to_owned(), key.trim().to_owned()))
        .collect())
}

fn write(path: &Path, keys: &[(String, String)]) -> anyhow::Result<()> {
    let lines: Vec<String> = keys
        .iter()
        .map(|(role, key)| format!("{role} {key}\n"))
        .collect();
    let head =
        "# Sample keys of the demo mall, a role and its key a line. `rotunda demo` made them.\n";
    replace(path, &format!("{head}{}", lines.concat()))
}

/// Writes a file for its owner's eyes in one step: the old one stays until the new one is whole.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let fresh: PathBuf = path.with_extension("new");
    let named = || fresh.display().to_string();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    // A file of that name is from a start that was interrupted, with rights that nobody knows.
    if fresh.exists() {
        fs::remove_file(&fresh).with_context(named)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file: File = options.open(&fresh).with_context(named)?;
    file.write_all(text.as_bytes()).with_context(named)?;
    file.sync_all().with_context(named)?;
    fs::rename(&fresh, path).with_context(|| path.display().to_string())
}

/// What the history is made with: the rights of the sample keys' roles, and the house's own.
#[derive(Debug)]
pub(super) struct Rights {
    pub(super) record: Grant<RecordPurchase>,
    pub(super) spend: Grant<SpendPoints>,
    pub(super) refund: Grant<RefundPurchase>,
    pub(super) claim: Grant<ClaimGood>,
    pub(super) enrol: Grant<EnrolMember>,
    pub(super) reserve: Grant<ReserveGood>,
    pub(super) cancel: Grant<CancelRedemption>,
    pub(super) lapse: Grant<LapseRedemptions>,
    pub(super) close: Grant<CloseSettlement>,
    /// Another one's than who closes.
    pub(super) issue: Grant<IssueSettlement>,
    pub(super) confirm: Grant<ConfirmSettlement>,
    read: Grant<ReadGoods>,
}

impl Rights {
    /// The rights of whoever shows these keys.
    ///
    /// # Errors
    /// A key that does not open; a policy that does not give what the history needs.
    pub(super) async fn of(app: &App, tenant: &Tenant, keys: &Keys) -> anyhow::Result<Self> {
        let anonymous = app.policy.allow(&Principal::anonymous(tenant.id))?;
        let revision = app.revision(tenant.id, true).await?;
        let mut principals = HashMap::new();
        for role in ["machine.erp", "machine.app", "operator.finance"] {
            let found = app.principal_of(&anonymous, tenant.id, revision, keys.of(role));
            let found = found
                .await
                .map_err(|error| anyhow::anyhow!("the key of {role}: {error}"))?;
            principals.insert(role, found.principal);
        }
        let who = |role: &str| principals.get(role).context("a role without a key");
        let (till, mobile) = (who("machine.erp")?, who("machine.app")?);
        let finance = who("operator.finance")?;
        let (house, policy) = (Principal::system(tenant.id), &app.policy);
        Ok(Self {
            record: policy.allow(till)?,
            spend: policy.allow(till)?,
            refund: policy.allow(till)?,
            claim: policy.allow(till)?,
            enrol: policy.allow(mobile)?,
            reserve: policy.allow(mobile)?,
            cancel: policy.allow(mobile)?,
            lapse: policy.allow(&house)?,
            close: policy.allow(&house)?,
            issue: policy.allow(finance)?,
            confirm: policy.allow(&house)?,
            read: policy.allow(mobile)?,
        })
    }

    /// The catalogue by codes.
    ///
    /// # Errors
    /// The database's errors.
    pub(super) async fn goods(&self, tx: &mut ReadTx) -> anyhow::Result<HashMap<Code, GoodId>> {
        let mut slice = Slice {
            limit: MOST,
            after: None,
        };
        let mut goods = HashMap::new();
        loop {
            let page = redemption::list_goods(tx, &self.read, None, &slice).await?;
            goods.extend(page.items.into_iter().map(|good| (good.code, good.id)));
            match page.next {
                Some(next) => slice.after = Some(next),
                None => return Ok(goods),
            }
        }
    }
}
