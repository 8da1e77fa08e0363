//! Which stores sell what, as the manifest lists them.

use std::collections::HashMap;

use anyhow::Context;

use super::{
    dice::{Dice, Urn},
    trades::{TRADES, Trade, Ware},
};
use crate::{
    kernel::text::Code,
    tenancy::{Manifest, MerchantListing, StoreListing},
};

/// Stores that have more or fewer visits than their neighbours of the same trade.
const BUSY: [(&str, u64); 3] = [
    ("harbour-basket-b2", 60),
    ("harbour-basket-east-1", 25),
    ("harbour-basket-metro", 15),
];
/// Of a store that is not among those.
const USUAL: u64 = 33;
/// Stores that sell one thing alone, which no other store of the trade sells.
const ALONE: [(&str, &str); 2] = [
    ("otter-oak-groom", "grooming"),
    ("volt-valley-repair", "repair"),
];
/// In the office tower, where nobody is at the weekend.
const WORKDAYS: [&str; 1] = ["long-shade-tower"];

/// A store.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) code: Code,
    pub(super) earns: bool,
    pub(super) spends: bool,
    pub(super) wares: Urn<&'static Ware>,
}

/// The stores of the mall.
#[derive(Debug)]
pub(super) struct Shops {
    by_trade: HashMap<&'static str, Urn<Shop>>,
    claiming: HashMap<Code, Vec<Code>>,
}

impl Shops {
    /// The stores of a manifest.
    pub(super) fn new(manifest: &Manifest) -> Self {
        let mut by_trade = HashMap::new();
        for trade in TRADES {
            let merchants = manifest
                .merchants
                .iter()
                .filter(|merchant| merchant.trade.as_str() == trade.name);
            let shops = merchants.flat_map(|merchant| {
                let stores = merchant.stores.iter();
                stores.map(move |store| weighed(trade, merchant, store))
            });
            by_trade.insert(trade.name, Urn::new(shops));
        }
        let claiming = manifest
            .merchants
            .iter()
            .map(|merchant| {
                let stores = merchant.stores.iter().filter(|store| {
                    let roles = store.roles.unwrap_or(merchant.roles);
                    roles.spends
                });
                (
                    merchant.code.clone(),
                    stores.map(|store| store.code.clone()).collect(),
                )
            })
            .collect();
        Self { by_trade, claiming }
    }

    /// A store of that trade.
    ///
    /// # Errors
    /// A trade without a store.
    pub(super) fn draw(&self, dice: &Dice, trade: &Trade, weekend: bool) -> anyhow::Result<&Shop> {
        let urn = self.by_trade.get(trade.name);
        let urn = urn.with_context(|| format!("no store of the trade {}", trade.name))?;
        let open = |shop: &&Shop| !(weekend && WORKDAYS.contains(&shop.code.as_str()));
        (0..50)
            .filter_map(|_| urn.draw(dice))
            .find(open)
            .with_context(|| format!("no store of the trade {} is open", trade.name))
    }

    /// The stores at which what these merchants offer is handed over.
    pub(super) fn claiming(&self, merchants: &[Code]) -> Vec<&Code> {
        let stores = merchants.iter().filter_map(|code| self.claiming.get(code));
        stores.flatten().collect()
    }
}

fn weighed(trade: &'static Trade, merchant: &MerchantListing, store: &StoreListing) -> (u64, Shop) {
    let code = store.code.as_str();
    let busy = BUSY.iter().find(|(known, _)| *known == code);
    let alone = ALONE.iter().find(|(known, _)| *known == code);
    let wares = trade.sells.iter().filter(|ware| match alone {
        Some((_, only)) => ware.category == *only,
        None => true,
    });
    let roles = store.roles.unwrap_or(merchant.roles);
    let shop = Shop {
        code: store.code.clone(),
        earns: roles.earns,
        spends: roles.spends,
        wares: Urn::new(wares.map(|ware| (ware.part, ware))),
    };
    (busy.map_or(USUAL, |(_, weight)| *weight), shop)
}
