//! A mall behind its server: what its manifest says, and how its clients find what is there.

use std::fmt;

use rotunda::{
    app::App, authz::actor::Principal, cli::tenant::apply, db::tenants::Tenant, tenancy,
    tenancy::Manifest,
};
use serde_json::Value;

use super::{
    fresh_slug,
    outside::{Caller, Server},
};

/// What a test's mall says of itself, written out as a manifest in which `SLUG` stands for its short
/// name. In all of them a unit of money earns a point, and a hundred points are worth one.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    pub names: &'static str,
    /// Zone, currency, calling code.
    pub place: [&'static str; 3],
    pub languages: &'static str,
    pub expiry: &'static str,
    /// How points are spent, beside their worth.
    pub spending: &'static str,
    /// Sections that few malls have.
    pub more: &'static str,
    /// How a closed month goes on.
    pub settling: &'static str,
    /// What it says of earning, beside its only rule.
    pub earning: &'static str,
    /// What else its only rule says: `, own = …`.
    pub rule: &'static str,
    /// Merchants with one store: the merchant's code, to which the store's adds `-1`, and the names
    /// of both.
    pub shops: &'static [(&'static str, &'static str, &'static str)],
    pub goods: &'static [Good],
}

/// A good's code, names, kind, points, stock, and who offers it.
pub type Good = (
    &'static str,
    &'static str,
    &'static str,
    u32,
    u32,
    &'static [&'static str],
);

/// As far as it goes without anybody paying, in the act that closes it.
pub const AT_ONCE: &str = "approval = \"one\"\nconfirm_days = 0";

/// Nothing in it, and what it says as short as can be.
pub const PLAIN: Sheet = Sheet {
    names: r#"{ en = "SLUG" }"#,
    place: ["UTC", "USD", "1"],
    languages: r#"["en"]"#,
    expiry: r#"policy = "never""#,
    spending: "",
    more: "",
    settling: AT_ONCE,
    earning: "",
    rule: "",
    shops: &[],
    goods: &[],
};

/// The same in Shanghai.
pub const SHANGHAI: Sheet = Sheet {
    place: ["Asia/Shanghai", "CNY", "86"],
    ..PLAIN
};

/// One merchant with one store.
pub const TEA: &[(&str, &str, &str)] = &[("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#)];

impl fmt::Display for Sheet {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [zone, currency, calling_code] = self.place;
        writeln!(
            text,
            "slug = \"SLUG\"\nhosts = [\"SLUG.localhost\"]\nnames = {}\nlanguages = {}\n\
             time_zone = \"{zone}\"\ncurrency = \"{currency}\"\ncalling_code = \"{calling_code}\"\n\
             [earning]\nrules = [{{ code = \"base\", points = 1, per = \"1.00\"{} }}]\n{}\n\
             [expiry]\n{}\n[spending]\npoints = 100\nworth = \"1.00\"\n{}\n{}\n\
             [settlement]\nmodel = \"bilateral\"\npoints = 100\nworth = \"1.00\"\n{}",
            self.names,
            self.languages,
            self.rule,
            self.earning,
            self.expiry,
            self.spending,
            self.more,
            self.settling,
        )?;
        for (code, names, store) in self.shops {
            writeln!(
                text,
                "[[merchants]]\ncode = \"{code}\"\nnames = {names}\ntrade = \"tea\"\n\
                 alliance = \"both\"\n[[merchants.stores]]\ncode = \"{code}-1\"\nnames = {store}",
            )?;
        }
        for (code, names, kind, points, stock, offered_by) in self.goods {
            writeln!(
                text,
                "[[goods]]\ncode = \"{code}\"\nnames = {names}\nkind = \"{kind}\"\n\
                 points = {points}\nstock = {stock}\noffered_by = {offered_by:?}",
            )?;
        }
        Ok(())
    }
}

/// A new mall by that manifest, in which `SLUG` stands for its short name; on that database target.
pub async fn open_mall(app: &App, manifest: &str, target: Option<&str>) -> Tenant {
    open_mall_called(app, &fresh_slug(), manifest, target).await
}

/// As [`open_mall`], with that short name.
pub async fn open_mall_called(
    app: &App,
    slug: &str,
    manifest: &str,
    target: Option<&str>,
) -> Tenant {
    let path = std::env::temp_dir().join(format!("{slug}.toml"));
    std::fs::write(&path, manifest.replace("SLUG", slug)).unwrap();
    if target.is_some() {
        let vendor = app.policy.allow(&Principal::platform(None)).unwrap();
        let wanted = Manifest::read(&path).unwrap().registration;
        tenancy::open_on(&app.db, &vendor, &wanted, target)
            .await
            .unwrap();
    }
    let tenant = apply(app, &path).await.unwrap().tenant;
    std::fs::remove_file(&path).unwrap();
    tenant
}

/// A mall as its clients meet it, with a key of its owner's and one of its tills'.
pub struct Front {
    pub tenant: Tenant,
    owner: String,
    till: String,
}

impl Front {
    /// A new mall that is open.
    pub async fn open(server: &Server, sheet: &Sheet, target: Option<&str>) -> Self {
        let tenant = open_mall(&server.app, &sheet.to_string(), target).await;
        Self::of(server, tenant).await
    }

    /// A mall that is there.
    pub async fn of(server: &Server, tenant: Tenant) -> Self {
        Self {
            owner: server.key(&tenant, "operator.owner", None).await,
            till: server.key(&tenant, "machine.erp", None).await,
            tenant,
        }
    }

    pub fn host(&self) -> &str {
        &self.tenant.hosts[0]
    }

    /// Whoever shows that key.
    pub fn with<'a>(&'a self, key: &'a str) -> Caller<'a> {
        Caller {
            host: self.host(),
            key: Some(key),
        }
    }

    pub fn owner(&self) -> Caller<'_> {
        self.with(&self.owner)
    }

    pub fn till(&self) -> Caller<'_> {
        self.with(&self.till)
    }

    /// What `name` is, such as an id, of that code in a list.
    pub async fn find(&self, server: &Server, list: &str, code: &str, name: &str) -> String {
        let all = server.get(self.till(), list).await;
        let mut all = all["data"].as_array().unwrap().iter();
        let found = all.find(|one| one["code"] == code).unwrap();
        found[name].as_str().unwrap().to_owned()
    }

    /// The id of a store.
    pub async fn store(&self, server: &Server, code: &str) -> String {
        self.find(server, "/v1/stores", code, "store_id").await
    }

    /// A new member's id.
    pub async fn member(&self, server: &Server, new: &Value) -> String {
        let made = server.post(self.till(), "/v1/members", new).await;
        made["member_id"].as_str().unwrap().to_owned()
    }
}
