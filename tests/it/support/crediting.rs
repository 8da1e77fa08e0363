//! What merchants give as security and pay in advance, and what becomes of it, in verbs of the
//! [`Mall`].

use rotunda::{
    authz::{
        action::{
            DeclareDefault, EndPoints, EvaluateCredit, RaiseDefault, ReadCredit, RecordCredit,
            RecordPurchase, RefundPurchase, SetCreditLimit, WindDown,
        },
        actor::Principal,
    },
    earning::{
        self, Believed, EarnError, Item, Receipt, RefundAmount, RefundItem, RefundReceipt, Setting,
        Version, line::Line,
    },
    kernel::ids::{MemberId, PurchaseId},
    merchants::{
        self,
        credit::{
            self, Credit, CreditError, Entry, Means, Moved, NewEntry, OnDefault, Overview, Rules,
            leaving::{self, Ended},
        },
    },
    settlement::{Approval, covering, lights},
};
use serde_json::json;

use super::{
    periods::Person,
    settling::{Mall, Shop, at},
};

impl Mall {
    /// Money of a shop moved outside.
    pub async fn moves(
        &self,
        shop: Shop,
        moved: Moved,
        reference: &str,
    ) -> Result<Entry, CreditError> {
        let grant = self.key::<RecordCredit>("operator.finance", None, 5);
        let mut tx = self.db.write(&grant).await.unwrap();
        let new = NewEntry {
            merchant: shop.merchant,
            moved,
            means: Means::BankTransfer,
            reference: reference.to_owned(),
            executed_on: None,
        };
        let (rules, currency) = (self.terms.credit, self.tenant.currency);
        let done = lights::record(&mut tx, &grant, new, &rules, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// How a shop stands, as it sees it itself.
    pub async fn credit_of(&self, shop: Shop) -> Overview {
        let grant = self.key::<ReadCredit>("merchant.finance", Some(shop), 9);
        let mut tx = self.db.read(&grant).await.unwrap();
        let rules = self.terms.credit;
        credit::get(&mut tx, &grant, shop.merchant, &rules)
            .await
            .unwrap()
    }

    /// What is kept of a shop.
    pub async fn deposit_of(&self, shop: Shop) -> i64 {
        self.credit_of(shop).await.credit.deposit
    }

    /// Points left of what a shop paid for in advance.
    pub async fn left_of(&self, shop: Shop) -> i64 {
        self.credit_of(shop).await.prepaid.unwrap().left
    }

    /// A programme of one point a fen, in which an empty block does `when_empty`.
    pub fn programme(&self, when_empty: &str) -> Setting {
        let body = json!({
            "earning": { "rules": [{ "code": "base", "points": 1, "per": "0.01" }] },
            "expiry": { "policy": "never" },
            "settlement": { "credit": { "when_empty": when_empty } },
        });
        let programme = earning::parse(&body, self.tenant.currency, self.terms.rate).unwrap();
        let version = Version {
            number: 1,
            valid_from: at("2020-01-01T00:00:00Z"),
            programme,
            when_empty: Rules::parse(body.pointer("/settlement/credit"))
                .unwrap()
                .when_empty,
        };
        Setting::new(self.tenant.zone, vec![version]).unwrap()
    }

    /// A purchase at a till, by the programme.
    pub async fn buys(
        &self,
        setting: &Setting,
        who: MemberId,
        shop: Shop,
        (receipt, fen): (&str, i64),
        when: &str,
    ) -> Result<Receipt, EarnError> {
        let grant = self.grant::<RecordPurchase>();
        let mut tx = self.db.write(&grant).await.unwrap();
        let item = Item {
            grant,
            store: shop.store,
            receipt_number: receipt.parse().unwrap(),
            member: Some(who),
            lines: vec![Line {
                category: "tea".parse().unwrap(),
                quantity: 1,
                amount: fen,
            }],
            occurred_at: at(when),
        };
        let mut done = earning::record(&mut tx, setting, &[item], Believed::default())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        done.remove(0)
    }

    /// A part of a purchase goes back.
    pub async fn takes_back(
        &self,
        setting: &Setting,
        purchase: PurchaseId,
        (reference, fen): (&str, i64),
        when: &str,
    ) -> RefundReceipt {
        let shop = self.key::<RefundPurchase>("machine.erp", None, 6);
        let mut tx = self.db.write(&shop).await.unwrap();
        let item = RefundItem {
            grant: shop,
            purchase,
            reference: reference.parse().unwrap(),
            amount: RefundAmount::Minor(fen),
            occurred_at: at(when),
        };
        let mut done = earning::refund(&mut tx, setting, &[item]).await.unwrap();
        tx.commit().await.unwrap();
        done.remove(0).unwrap()
    }

    /// Whether a shop's tills give points, as they know it.
    pub async fn till(&self, shop: Shop) -> merchants::TillStore {
        let mut tx = self.reading().await;
        let mut stores = merchants::till_stores(&mut tx, &[shop.store])
            .await
            .unwrap();
        stores.remove(&shop.store).unwrap()
    }

    /// The operator says how much a shop may owe.
    pub async fn limits(&self, shop: Shop, limit: Option<i64>) -> Result<Credit, CreditError> {
        let grant = self.key::<SetCreditLimit>("operator.finance", None, 5);
        let mut tx = self.db.write(&grant).await.unwrap();
        let (rules, currency) = (self.terms.credit, self.tenant.currency);
        let of = shop.merchant;
        let done = lights::set_limit(&mut tx, &grant, of, limit, &rules, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// The house looks at the lights; how many have changed.
    pub async fn looks(&self) -> usize {
        let who = Principal::system(self.tenant.id);
        let grant = self.policy.allow::<EvaluateCredit>(&who).unwrap();
        let mut tx = self.db.write(&grant).await.unwrap();
        let (rules, currency) = (self.terms.credit, self.tenant.currency);
        let changed = lights::look(&mut tx, &grant, &rules, currency).await;
        tx.commit().await.unwrap();
        changed.unwrap()
    }

    /// The operator lets a shop leave.
    pub async fn winds_down(&self, shop: Shop, last_day: &str) -> Result<Credit, CreditError> {
        let grant = self.key::<WindDown>("operator.finance", None, 5);
        let mut tx = self.db.write(&grant).await.unwrap();
        let day = last_day.parse().unwrap();
        let zone = self.tenant.zone;
        let done = leaving::wind_down(&mut tx, &grant, shop.merchant, day, zone).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// The house ends points of shops that have left, as often as there is something to do.
    pub async fn ends(&self) -> Ended {
        let who = Principal::system(self.tenant.id);
        let grant = self.policy.allow::<EndPoints>(&who).unwrap();
        let mut all = Ended::default();
        loop {
            let mut tx = self.db.write(&grant).await.unwrap();
            let zone = self.tenant.zone;
            let one = leaving::end_due(&mut tx, &grant, zone, 1).await.unwrap();
            tx.commit().await.unwrap();
            if one == Ended::default() {
                return all;
            }
            all.merchants += one.merchants;
            all.members += one.members;
            all.points += one.points;
        }
    }

    /// Somebody says that a shop does not pay.
    pub async fn accuses(&self, who: Person, shop: Shop) -> Result<Credit, CreditError> {
        let grant = self.key::<RaiseDefault>("operator.finance", None, who);
        let mut tx = self.db.write(&grant).await.unwrap();
        let done = covering::raise(&mut tx, &grant, shop.merchant).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// Somebody takes that back.
    pub async fn withdraws(&self, who: Person, shop: Shop) -> Result<Credit, CreditError> {
        let grant = self.key::<RaiseDefault>("operator.finance", None, who);
        let mut tx = self.db.write(&grant).await.unwrap();
        let done = covering::withdraw(&mut tx, &grant, shop.merchant).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// Somebody finds a shop in default, in a mall that asks for two.
    pub async fn declares(
        &self,
        who: Person,
        shop: Shop,
        how: OnDefault,
    ) -> Result<Credit, CreditError> {
        let grant = self.key::<DeclareDefault>("operator.finance", None, who);
        let mut tx = self.db.write(&grant).await.unwrap();
        let currency = self.tenant.currency;
        let approval = Approval::Two;
        let done =
            covering::declare(&mut tx, &grant, shop.merchant, how, approval, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// What the ledger holds of money in accounts of a kind; of one shop where one is named, else of
    /// the operator.
    pub async fn holds(&self, kind: &str, shop: Option<Shop>) -> i64 {
        let mut admin = self.admin().await;
        sqlx::query_scalar(
            "select coalesce(sum(case when transfer.to_account = account.account_id then amount
                 else -amount end), 0)::bigint
             from account
             join transfer on account.account_id in (transfer.to_account, transfer.from_account)
             where kind = $1 and owner_id is not distinct from $2 and unit <> 'points'",
        )
        .bind(kind)
        .bind(shop.map(|shop| shop.merchant.uuid()))
        .fetch_one(&mut admin)
        .await
        .unwrap()
    }
}
