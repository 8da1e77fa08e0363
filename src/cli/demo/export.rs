//! The demo mall's purchases and redemptions as the files that an import reads.

use std::{fs, path::Path};

use anyhow::Context;
use chrono::SecondsFormat;

use super::plan::Plan;
use crate::{
    cli::import::{PURCHASE_COLUMNS, REDEMPTION_COLUMNS},
    kernel::{
        money::{Currency, decimal},
        time::Instant,
    },
};

/// How many rows were written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) purchases: u64,
    pub(super) redemptions: u64,
}

/// Writes `purchases.csv` and `redemptions.csv` into a folder. What nobody in particular bought has
/// no place in them.
///
/// # Errors
/// A folder that cannot be written.
pub(super) fn export(plan: &Plan, currency: Currency, folder: &Path) -> anyhow::Result<Written> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let open = |name: &str| {
        let path = folder.join(name);
        csv::Writer::from_path(&path).with_context(|| path.display().to_string())
    };
    let mut purchases = open("purchases.csv")?;
    let mut redemptions = open("redemptions.csv")?;
    purchases.write_record(PURCHASE_COLUMNS)?;
    redemptions.write_record(REDEMPTION_COLUMNS)?;
    let mut written = Written::default();
    for sale in &plan.sales {
        let Some(person) = sale.person.and_then(|place| plan.people.get(place)) else {
            continue;
        };
        let (receipt, at) = (sale.receipt.as_str(), time(sale.at));
        let (card, store) = (person.reference.as_str(), sale.store.as_str());
        if sale.off > 0 {
            let wanted = decimal(sale.off, currency.places());
            redemptions.write_record([receipt, card, store, &at, &wanted])?;
            written.redemptions = written.redemptions.saturating_add(1);
        }
        for line in &sale.lines {
            let amount = decimal(line.amount, currency.places());
            let (category, quantity) = (line.category.as_str(), line.quantity.to_string());
            purchases.write_record([receipt, card, store, &at, category, &quantity, &amount])?;
        }
        written.purchases = written.purchases.saturating_add(1);
    }
    purchases.flush()?;
    redemptions.flush()?;
    Ok(written)
}

fn time(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
