//! What people do with a period after it is closed, in verbs of the [`Mall`].

use rotunda::{
    authz::{
        action::{
            Action, CloseSettlement, ConfirmSettlement, ConfirmStatement, DecideDispute,
            IssueSettlement, RaiseDispute, ReadSettlements, ReadStatements, RecordPayment,
        },
        actor::{Actor, Principal, Reach, Role},
        grant::Grant,
    },
    kernel::{
        ids::{ApiKeyId, DisputeId, JournalId, SettlementId, StatementId},
        page::Slice,
    },
    settlement::{
        self, PaymentLine, Sealed, Settlement, SettlementError, Statement, confirming,
        disputes::{self, Dispute, DisputeError, Objection, Outcome},
        paying::{self, Imported, Method, PaymentError},
    },
};
use uuid::Uuid;

use super::settling::{Mall, Shop, period_of};

/// Somebody in the mall's finance; each number is a key of its own.
pub type Person = u128;

/// Everything on one page.
pub const ALL: Slice = Slice {
    limit: 100,
    after: None,
};

impl Mall {
    /// The right of a key of that number.
    pub fn key<A: Action>(&self, role: &str, shop: Option<Shop>, who: Person) -> Grant<A> {
        let principal = Principal {
            actor: Actor::Machine(ApiKeyId::from_uuid(Uuid::from_u128(who))),
            tenant: Some(self.tenant.id),
            role: Role::new(role),
            also: Vec::new(),
            scope: shop.map_or(Reach::Mall, |shop| Reach::Merchant(shop.merchant)),
            stores: rotunda::authz::actor::Stores::All,
            own: std::sync::Arc::default(),
            whence: std::sync::Arc::default(),
        };
        self.policy.allow(&principal).unwrap()
    }

    /// Somebody of the mall's finance closes a period.
    pub async fn closes_as(&self, who: Person, period: &str) -> Sealed {
        let grant = self.key::<CloseSettlement>("operator.finance", None, who);
        let (zone, currency) = (self.tenant.zone, self.tenant.currency);
        settlement::close_period(
            &self.db,
            &grant,
            period_of(period),
            &self.terms,
            zone,
            currency,
        )
        .await
        .unwrap()
    }

    /// Somebody issues a settlement.
    pub async fn issues(
        &self,
        who: Person,
        id: SettlementId,
    ) -> Result<Settlement, SettlementError> {
        let grant = self.key::<IssueSettlement>("operator.finance", None, who);
        let mut tx = self.db.write(&grant).await.unwrap();
        let (zone, currency) = (self.tenant.zone, self.tenant.currency);
        let done = confirming::issue(&mut tx, &grant, id, zone, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// A month closed by one and issued by another.
    pub async fn closed_and_issued(&self, period: &str) -> Settlement {
        let closed = self.closes_as(1, period).await.settlement;
        self.issues(2, closed.id).await.unwrap()
    }

    /// A settlement as it is now.
    pub async fn settlement(&self, id: SettlementId) -> Settlement {
        let grant = self.key::<ReadSettlements>("operator.auditor", None, 9);
        let mut tx = self.db.read(&grant).await.unwrap();
        settlement::get(&mut tx, &grant, id).await.unwrap()
    }

    /// What a shop's finance sees of a settlement's statements; the operator's where there is none.
    pub async fn statements(&self, id: SettlementId, shop: Option<Shop>) -> Vec<Statement> {
        let role = shop.map_or("operator.auditor", |_| "merchant.finance");
        let grant = self.key::<ReadStatements>(role, shop, 9);
        let mut tx = self.db.read(&grant).await.unwrap();
        let page = settlement::statements(&mut tx, &grant, id, &ALL).await;
        page.unwrap().items
    }

    /// A shop's statement.
    pub async fn statement_of(&self, id: SettlementId, shop: Shop) -> StatementId {
        let all = self.statements(id, None).await;
        let own = all.iter().find(|one| one.merchant == shop.merchant);
        own.unwrap().id
    }

    /// A shop confirms a statement.
    pub async fn confirms(
        &self,
        shop: Shop,
        id: StatementId,
    ) -> Result<Statement, SettlementError> {
        let grant = self.key::<ConfirmStatement>("merchant.finance", Some(shop), 3);
        let mut tx = self.db.write(&grant).await.unwrap();
        let currency = self.tenant.currency;
        let done = confirming::confirm(&mut tx, &grant, id, currency).await?;
        tx.commit().await.map_err(SettlementError::Db)?;
        Ok(done)
    }

    /// The house confirms what is due; how many settlements that were.
    pub async fn confirms_what_is_due(&self) -> usize {
        let grant = self
            .policy
            .allow::<ConfirmSettlement>(&Principal::system(self.tenant.id))
            .unwrap();
        let mut confirmed = 0;
        loop {
            let mut tx = self.db.write(&grant).await.unwrap();
            let currency = self.tenant.currency;
            let one = confirming::confirm_due(&mut tx, &grant, currency).await;
            if one.unwrap().is_none() {
                return confirmed;
            }
            tx.commit().await.unwrap();
            confirmed += 1;
        }
    }

    /// A shop objects to a line.
    pub async fn objects(
        &self,
        shop: Shop,
        statement: StatementId,
        journal: JournalId,
        line: i32,
    ) -> Result<Dispute, DisputeError> {
        let grant = self.key::<RaiseDispute>("merchant.finance", Some(shop), 3);
        let objection = Objection {
            statement,
            journal,
            line,
            reason: "not ours".to_owned(),
        };
        let mut tx = self.db.write(&grant).await.unwrap();
        let done = disputes::raise(&mut tx, &grant, &objection, self.tenant.zone).await?;
        tx.commit().await.map_err(DisputeError::Db)?;
        Ok(done)
    }

    /// The lines of a shop's statement that have that reason: their events and numbers.
    pub async fn lines_of(
        &self,
        shop: Shop,
        statement: StatementId,
        reason: &str,
    ) -> Vec<(JournalId, i32)> {
        let grant = self.key::<ReadStatements>("merchant.finance", Some(shop), 9);
        let mut tx = self.db.read(&grant).await.unwrap();
        let page = settlement::lines(&mut tx, &grant, statement, &ALL).await;
        let lines = page.unwrap().items.into_iter();
        lines
            .filter(|line| line.reason == reason)
            .map(|line| (line.journal, line.line))
            .collect()
    }

    /// Somebody decides a dispute.
    pub async fn decides(
        &self,
        who: Person,
        id: DisputeId,
        outcome: Outcome,
    ) -> Result<Dispute, DisputeError> {
        let grant = self.key::<DecideDispute>("operator.finance", None, who);
        let mut tx = self.db.write(&grant).await.unwrap();
        let done = disputes::decide(&mut tx, &grant, id, outcome, "as the receipt says").await?;
        tx.commit().await.map_err(DisputeError::Db)?;
        Ok(done)
    }

    /// What was fixed to be paid, as a shop or the operator sees it.
    pub async fn payments(&self, id: SettlementId, shop: Option<Shop>) -> Vec<PaymentLine> {
        let role = shop.map_or("operator.auditor", |_| "merchant.finance");
        let grant = self.key::<ReadSettlements>(role, shop, 9);
        let mut tx = self.db.read(&grant).await.unwrap();
        let page = paying::payments(&mut tx, &grant, id, &ALL).await;
        page.unwrap().items
    }

    /// From whom to whom how much, by codes; the operator is "-".
    pub async fn paid(&self, id: SettlementId) -> Vec<(String, String, i64)> {
        let name = |code: Option<rotunda::kernel::text::Code>| {
            code.map_or("-".to_owned(), |code| code.as_str().to_owned())
        };
        let lines = self.payments(id, None).await.into_iter();
        let mut paid: Vec<_> = lines
            .map(|line| {
                let amount = line.payment.amount;
                (name(line.from_code), name(line.to_code), amount)
            })
            .collect();
        paid.sort();
        paid
    }

    /// Somebody records a payment.
    pub async fn records(
        &self,
        id: SettlementId,
        line: i32,
        method: Method,
        reference: &str,
    ) -> Result<PaymentLine, PaymentError> {
        let grant = self.key::<RecordPayment>("operator.finance", None, 4);
        let mut tx = self.db.write(&grant).await.unwrap();
        let currency = self.tenant.currency;
        let done = paying::record(&mut tx, &grant, id, line, method, reference, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// The file for a bank.
    pub async fn bank_file(&self, id: SettlementId) -> String {
        let grant = self.key::<ReadSettlements>("operator.finance", None, 4);
        let mut tx = self.db.write(&grant).await.unwrap();
        let currency = self.tenant.currency;
        let file = paying::bank_file(&mut tx, &grant, id, currency).await;
        tx.commit().await.unwrap();
        file.unwrap().1
    }

    /// A bank's file is read.
    pub async fn imports(&self, id: SettlementId, file: &str) -> Result<Imported, PaymentError> {
        let grant = self.key::<RecordPayment>("operator.finance", None, 4);
        let mut tx = self.db.write(&grant).await.unwrap();
        let currency = self.tenant.currency;
        let done = paying::import(&mut tx, &grant, id, file, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// Every row of everything that settles, to see whether anything changed.
    pub async fn rows(&self) -> Vec<String> {
        let mut admin = self.admin().await;
        sqlx::query_scalar(
            "select 's' || row::text from settlement as row
             union all select 't' || row::text from statement as row
             union all select 'p' || row::text from payment as row
             union all select 'd' || row::text from dispute as row
             union all select 'a' || row::text from adjustment as row
             union all select 'c' || row::text from credit as row
             union all select 'e' || row::text from credit_entry as row
             union all select 'b' || row::text from prepaid as row
             union all select 'u' || row::text from prepaid_use as row
             union all select 'k' || row::text from payment_cover as row
             union all select 'l' || row::text from stripe_leg as row
             union all select 'v' || row::text from stripe_event as row
             union all select 'j' || row::text from journal as row
             union all select 'x' || row::text from transfer as row
             order by 1",
        )
        .fetch_all(&mut admin)
        .await
        .unwrap()
    }
}
