//! One mall as the doors need it: what the registry says, and its programme read by the rooms.

use std::sync::Arc;

use serde_json::Value;

use super::MallError;
use crate::{
    authz::{action::ReadProgramme, actor::Principal, policy::Policy},
    db::{Db, tenants::Tenant},
    earning::{self, Version},
    kernel::{
        money::Currency,
        time::{Instant, Unit},
    },
    merchants::{self, Stores},
    redemption,
    settlement::Terms,
    tenancy::{self, ProgrammeVersion},
};

/// A mall with its programme, as every use case of it is called.
#[derive(Debug, Clone)]
pub struct Mall {
    /// What the registry says.
    pub tenant: Arc<Tenant>,
    /// The revision of everything below, or an earlier one; that of the key that was shown too.
    pub revision: i64,
    /// Its stores, as tills know them.
    pub stores: Stores,
    /// The programme in force, as the manifest gave it.
    pub programme: ProgrammeVersion,
    /// How points are earned, version by version.
    pub earning: earning::Setting,
    /// How points are spent.
    pub redemption: redemption::Setting,
    /// How merchants settle.
    pub settlement: Terms,
}

impl Mall {
    /// Reads the programme's versions, the oldest first.
    ///
    /// # Errors
    /// What is wrong, with the section and the key; also where there is no version at all.
    fn new(
        tenant: Arc<Tenant>,
        revision: i64,
        versions: Vec<ProgrammeVersion>,
        stores: Stores,
    ) -> Result<Self, String> {
        let none =
            || "the mall has no programme yet: `rotunda tenant apply` gives it one".to_owned();
        let mut read = Vec::with_capacity(versions.len());
        let mut newest = None;
        for version in versions {
            let sections = Sections::read(&version.body, tenant.currency)?;
            read.push(Version {
                number: version.version,
                valid_from: version.valid_from,
                programme: sections.earning,
                when_empty: sections.settlement.credit.when_empty,
            });
            newest = Some((version, sections.spending, sections.settlement));
        }
        let (programme, terms, settlement) = newest.ok_or_else(none)?;
        let earning = earning::Setting::new(tenant.zone, read).ok_or_else(none)?;
        let redemption = redemption::Setting {
            zone: tenant.zone,
            terms,
        };
        Ok(Self {
            tenant,
            revision,
            stores,
            programme,
            earning,
            redemption,
            settlement,
        })
    }

    /// Reads the programme's versions and the stores out of the mall's tables, by the house's own
    /// right.
    ///
    /// # Errors
    /// [`MallError`], but for an unknown mall.
    pub async fn read(db: &Db, policy: &Policy, tenant: Arc<Tenant>) -> Result<Self, MallError> {
        let grant = policy.allow::<ReadProgramme>(&Principal::system(tenant.id))?;
        let mut tx = db.read(&grant).await?;
        // First of all, so that nothing of it is older.
        let revision = tx.revision().await?;
        let versions = tenancy::programmes(&mut tx).await?;
        let stores = merchants::all_till_stores(&mut tx).await?;
        Self::new(tenant, revision, versions, stores).map_err(MallError::Programme)
    }

    /// Whether it is the same as that one, as of the same revision.
    pub fn is_as(&self, other: &Self) -> bool {
        let of = |mall: &Self| (mall.tenant.id, mall.tenant.version, mall.revision);
        of(self) == of(other)
    }

    /// Until when points live that come back at `now` to a lot that has lapsed.
    pub fn grace(&self, now: Instant) -> Instant {
        let version = self.earning.at(now);
        version.map_or(now, |version| {
            version.programme.grace(now, self.tenant.zone)
        })
    }

    /// Checks that every room can read its part of a programme, and says by which periods it wants to
    /// settle.
    ///
    /// # Errors
    /// What is wrong, with the section and the key.
    pub fn check(body: &Value, currency: Currency) -> Result<Unit, String> {
        Sections::read(body, currency).map(|sections| sections.settlement.period)
    }
}

/// A programme, read by the rooms.
struct Sections {
    earning: earning::rules::Programme,
    spending: redemption::Terms,
    settlement: Terms,
}

impl Sections {
    fn read(body: &Value, currency: Currency) -> Result<Self, String> {
        let settlement = body.get("settlement").unwrap_or(&Value::Null);
        let settlement = Terms::parse(settlement, currency).map_err(|error| error.to_string())?;
        Ok(Self {
            earning: earning::parse(body, currency, settlement.rate)?,
            spending: redemption::Terms::parse(body, currency)
                .map_err(|error| error.to_string())?,
            settlement,
        })
    }
}
