//! A statement's document out of what is written down.

use std::collections::HashMap;

use chrono::{Days, NaiveDate};

use super::{Document, Due, Entry};
use crate::{
    authz::{action::ReadStatements, actor::Reach, grant::Grant},
    db::{self, tenants::Tenant, tx::ReadTx},
    kernel::{
        ids::{MerchantId, StatementId},
        page::MOST,
        text::{Code, Language},
        time::Period,
    },
    merchants::{self, Called},
    settlement::{
        Line, PaymentLine, Settlement, SettlementError, agreed, of_period, paying,
        statement_within, store,
    },
};

/// One statement as a document, in `language`: as the present, so with the payments where they are
/// fixed.
///
/// # Errors
/// [`SettlementError::NotFound`], also for another merchant's, and to a merchant for its own before
/// it is issued.
pub async fn of(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: StatementId,
    mall: &Tenant,
    language: Language,
) -> Result<Document, SettlementError> {
    let found = statement_within(tx, grant.reach(), id).await?;
    let statement = found.ok_or(SettlementError::NotFound)?;
    let found = store::by_id(tx, statement.settlement).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    let (of, whose) = (statement.settlement, statement.merchant);
    let lines: Vec<Line> = store::lines(tx, of, whose, -1, i64::MAX)
        .await?
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    let payments = paying::of_merchant(tx, of, whose).await?;
    let days = days(tx, &settlement, &payments, mall).await?;

    let mut ids: Vec<MerchantId> = lines.iter().filter_map(|line| line.partner).collect();
    ids.extend(payments.iter().filter_map(|line| other(line, whose)));
    ids.push(whose);
    ids.sort_unstable();
    ids.dedup();
    let known = merchants::called(tx, &ids).await?;
    let name = |id: MerchantId| {
        let found = known.get(&id);
        found.map(|it| called(it.names.get(language), &it.code))
    };
    Ok(Document {
        language,
        mall: mall.names.get(language).to_owned(),
        zone: mall.zone,
        merchant: own_name(&known, whose, language, &statement.code),
        code: statement.code,
        period: statement.period,
        currency: mall.currency,
        statement: statement.id,
        settlement: of,
        settlement_digest: settlement.digest,
        state: statement.state,
        issued_at: settlement.issued_at,
        confirm_by: settlement.confirm_by,
        confirmed_at: statement.confirmed_at,
        position: statement.position,
        lines: lines
            .into_iter()
            .map(|line| Entry {
                kind: line.kind,
                partner: line.partner,
                partner_name: line.partner.and_then(name),
                points: line.points,
                value: line.value,
                amount: line.amount,
            })
            .collect(),
        payments: payments
            .iter()
            .map(|line| Due {
                other: other(line, whose).and_then(name),
                amount: signed(line, whose),
                state: line.state,
                due_on: days.get(&line.line).copied(),
            })
            .collect(),
    })
}

/// The statement of a merchant in a period, for whoever knows them by these names; without a period in
/// the last one that has statements.
///
/// # Errors
/// [`SettlementError::NotFound`] without such a merchant, or a statement of it within reach;
/// [`SettlementError::OtherUnit`].
pub async fn statement_of(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    period: Option<Period>,
    merchant: &Code,
) -> Result<StatementId, SettlementError> {
    let found = if let Some(period) = period {
        of_period(tx, period).await?
    } else {
        // The newest may be cut off and no more.
        let last = store::before(tx, NaiveDate::MAX, MOST).await?;
        last.into_iter().find(|one| one.proofed_at.is_some())
    };
    let settlement = found.ok_or(SettlementError::NotFound)?;
    let known = merchants::by_codes(tx, std::slice::from_ref(merchant)).await?;
    let merchant = known.get(merchant).ok_or(SettlementError::NotFound)?;
    // The list goes on after a merchant; so the one before is the place where this one begins.
    let before = MerchantId::from_uuid(uuid::Uuid::from_u128(
        merchant.uuid().as_u128().saturating_sub(1),
    ));
    let only = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(SettlementError::NotFound),
    };
    let found = store::statements(tx, settlement.id, only, before, 1).await?;
    let found = found.into_iter().find(|found| found.merchant == *merchant);
    found.map(|found| found.id).ok_or(SettlementError::NotFound)
}

/// A name and, where it is another, the code behind it.
pub(super) fn called(name: &str, code: &Code) -> String {
    if name == code.as_str() {
        name.to_owned()
    } else {
        format!("{name} ({})", code.as_str())
    }
}

fn own_name(
    known: &HashMap<MerchantId, Called>,
    whose: MerchantId,
    language: Language,
    code: &Code,
) -> String {
    let found = known.get(&whose).map(|it| it.names.get(language));
    found.unwrap_or(code.as_str()).to_owned()
}

/// Who is on the other side of a payment; none is the operator.
fn other(line: &PaymentLine, whose: MerchantId) -> Option<MerchantId> {
    if line.payment.from == Some(whose) {
        line.payment.to
    } else {
        line.payment.from
    }
}

fn signed(line: &PaymentLine, whose: MerchantId) -> i64 {
    if line.payment.from == Some(whose) {
        line.payment.amount.saturating_neg()
    } else {
        line.payment.amount
    }
}

/// By when each payment should be made: so many days after the confirmation as the payer agreed to
/// for the period, where it did.
async fn days(
    tx: &mut ReadTx,
    settlement: &Settlement,
    payments: &[PaymentLine],
    mall: &Tenant,
) -> Result<HashMap<i32, NaiveDate>, db::Error> {
    let (Some(confirmed_at), false) = (settlement.confirmed_at, payments.is_empty()) else {
        return Ok(HashMap::new());
    };
    let agreed = agreed(tx, settlement.period, mall.zone).await?;
    let day = |line: &PaymentLine| {
        let days = agreed.of(line.payment.from?)?.payment_days?;
        let day = mall.zone.day(confirmed_at);
        let last = day.checked_add_days(Days::new(u64::try_from(days).ok()?))?;
        Some((line.line, last))
    };
    Ok(payments.iter().filter_map(day).collect())
}
