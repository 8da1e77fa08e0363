//! What held for whom in a period: agreements, as the calculation asks for them.

use std::collections::BTreeMap;

use crate::{
    kernel::{ids::MerchantId, time::Instant},
    ledger::Era,
    merchants::agreements::{Agreement, AgreementTerms, Model},
};

/// The accepted agreements of a mall, as of one period.
#[derive(Debug, Clone, Default)]
pub struct Agreed {
    terms: Vec<AgreementTerms>,
    eras: Vec<Era>,
    in_force: BTreeMap<MerchantId, usize>,
}

impl Agreed {
    /// From each merchant's accepted versions in the order of their first moments; for a period that
    /// begins at `start`.
    pub fn new(versions: BTreeMap<MerchantId, Vec<Agreement>>, start: Instant) -> Self {
        let mut agreed = Self::default();
        for (issuer, versions) in versions {
            let begins: Vec<Instant> = versions.iter().map(|one| one.starts_at).collect();
            let ends = begins.iter().skip(1).copied().map(Some).chain([None]);
            for (version, until) in versions.into_iter().zip(ends) {
                if version.starts_at <= start {
                    agreed.in_force.insert(issuer, agreed.terms.len());
                }
                agreed.eras.push(Era {
                    issuer,
                    since: version.starts_at,
                    until,
                });
                agreed.terms.push(version.terms);
            }
        }
        agreed
    }

    /// By which the ledger sorts what moved.
    pub fn eras(&self) -> &[Era] {
        &self.eras
    }

    /// The spans of time in which that model held.
    pub(super) fn eras_of(&self, model: Model) -> Vec<Era> {
        let each = self.eras.iter().zip(&self.terms);
        let same = each.filter(|(_, terms)| terms.model == model);
        same.map(|(era, _)| *era).collect()
    }

    /// The era of a merchant that began at that moment.
    pub(super) fn era_of(&self, issuer: MerchantId, since: Instant) -> Option<usize> {
        let same = |era: &Era| era.issuer == issuer && era.since == since;
        self.eras.iter().position(same)
    }

    /// The terms of points that a merchant issued at that moment.
    pub(super) fn at(&self, issuer: MerchantId, earned_at: Instant) -> Option<&AgreementTerms> {
        let held = |era: &Era| {
            era.issuer == issuer
                && era.since <= earned_at
                && era.until.is_none_or(|until| earned_at < until)
        };
        self.terms.get(self.eras.iter().position(held)?)
    }

    /// The terms of points that were earned in that era.
    pub(super) fn earned_in(&self, era: Option<usize>) -> Option<&AgreementTerms> {
        self.terms.get(era?)
    }

    /// A merchant's terms for the period.
    pub(super) fn of(&self, merchant: MerchantId) -> Option<&AgreementTerms> {
        self.terms.get(*self.in_force.get(&merchant)?)
    }

    /// Everybody who has terms for the period.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (MerchantId, &AgreementTerms)> {
        let each = self.in_force.iter();
        each.filter_map(|(merchant, place)| Some((*merchant, self.terms.get(*place)?)))
    }
}
