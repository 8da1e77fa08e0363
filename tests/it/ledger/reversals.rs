//! LED-7: what was taken back is taken back once, however often and at whatever moment it is asked.

use rotunda::{
    authz::action::{RecordPurchase, RefundPurchase},
    db,
    earning::{
        self, EarnError, Item, RefundAmount, RefundItem, RefundReceipt, Setting, line::Line,
    },
    kernel::ids::{MemberId, PurchaseId},
};

use crate::support::books::{Mall, NOON, Shop, instant, setting};

/// How many at once.
const AT_ONCE: usize = 64;

/// How often.
const ROUNDS: usize = 100;

/// A mall where a yuan earns a point, a shop, and Ada.
struct Scene {
    mall: Mall,
    setting: Setting,
    tea: Shop,
    ada: MemberId,
}

impl Scene {
    async fn open() -> Self {
        let mall = Mall::open().await;
        let setting = setting(&mall, "never", None);
        let tea = mall.shop("tea").await;
        let ada = mall.member("ada").await;
        Self {
            mall,
            setting,
            tea,
            ada,
        }
    }

    /// Ada buys tea for ¥100.00 and has 100 points more.
    async fn buys(&self, receipt: &str) -> PurchaseId {
        let grant = self.mall.till::<RecordPurchase>();
        let mut tx = self.mall.db().write(&grant).await.unwrap();
        let item = Item {
            grant,
            store: self.tea.store,
            receipt_number: receipt.parse().unwrap(),
            member: Some(self.ada),
            lines: vec![Line {
                category: "tea".parse().unwrap(),
                quantity: 1,
                amount: 100_00,
            }],
            occurred_at: instant(NOON),
        };
        let answers = earning::record(
            &mut tx,
            &self.setting,
            &[item],
            earning::Believed::default(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        answers[0].as_ref().unwrap().purchase
    }

    /// A refund, sent again as long as the database asks for it.
    async fn refund(
        &self,
        purchase: PurchaseId,
        reference: &str,
        amount: RefundAmount,
    ) -> Result<RefundReceipt, EarnError> {
        loop {
            match self.try_refund(purchase, reference, amount).await {
                Ok(answer) => return answer,
                Err(db::Error::Retry(_) | db::Error::Unavailable(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    async fn try_refund(
        &self,
        purchase: PurchaseId,
        reference: &str,
        amount: RefundAmount,
    ) -> Result<Result<RefundReceipt, EarnError>, db::Error> {
        let grant = self.mall.till::<RefundPurchase>();
        let mut tx = self.mall.db().write(&grant).await?;
        let item = RefundItem {
            grant,
            purchase,
            reference: reference.parse().unwrap(),
            amount,
            occurred_at: instant(NOON),
        };
        let mut answers = earning::refund(&mut tx, &self.setting, &[item]).await?;
        tx.commit().await?;
        Ok(answers.remove(0))
    }

    /// Ada's points, and how many refunds of how many minor units there are of a purchase.
    async fn books(&self, purchase: PurchaseId) -> (i64, i64, i64) {
        sqlx::query_as(
            "select (select available - debt from wallet where member_id = $1),
                    (select count(*) from refund where purchase_id = $2),
                    (select refunded from purchase where purchase_id = $2)",
        )
        .bind(self.ada.uuid())
        .bind(purchase.uuid())
        .fetch_one(&mut self.mall.owner().await)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn led_7_a_refund_asked_twice_takes_back_once() {
    let scene = Scene::open().await;
    let purchase = scene.buys("1").await;
    let first = scene
        .refund(purchase, "r-1", RefundAmount::Minor(40_00))
        .await
        .unwrap();
    assert_eq!(
        (first.replayed, first.points_taken, first.balance),
        (false, 40, Some(60))
    );
    let again = scene
        .refund(purchase, "r-1", RefundAmount::Minor(40_00))
        .await
        .unwrap();
    assert_eq!(
        again,
        RefundReceipt {
            replayed: true,
            ..first
        }
    );
    assert_eq!(scene.books(purchase).await, (60, 1, 40_00));
    let other = scene
        .refund(purchase, "r-1", RefundAmount::Minor(41_00))
        .await;
    assert_eq!(other, Err(EarnError::ReferenceTaken));
    let rest = scene
        .refund(purchase, "r-2", RefundAmount::Rest)
        .await
        .unwrap();
    assert_eq!(
        (rest.amount, rest.points_taken, rest.balance),
        (60_00, 60, Some(0))
    );
}

#[tokio::test]
async fn led_7_a_refund_cannot_be_refunded() {
    let scene = Scene::open().await;
    let purchase = scene.buys("1").await;
    let refund = scene
        .refund(purchase, "r-1", RefundAmount::Rest)
        .await
        .unwrap();
    let of_refund = PurchaseId::from_uuid(refund.refund.uuid());
    let answer = scene.refund(of_refund, "r-2", RefundAmount::Rest).await;
    assert_eq!(answer, Err(EarnError::UnknownPurchase));
    for amount in [
        RefundAmount::Rest,
        RefundAmount::Minor(1),
        RefundAmount::Minor(-1),
    ] {
        let wanted = match amount {
            RefundAmount::Rest => 0,
            RefundAmount::Minor(minor) => minor,
        };
        let answer = scene.refund(purchase, "r-3", amount).await;
        assert_eq!(answer, Err(EarnError::RefundTooLarge { left: 0, wanted }));
    }
    assert_eq!(scene.books(purchase).await, (0, 1, 100_00));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn led_7_of_sixty_four_refunds_at_once_one_takes_the_points_back() {
    let scene = std::sync::Arc::new(Scene::open().await);
    for round in 0..ROUNDS {
        let purchase = scene.buys(&round.to_string()).await;
        // Every other round all use one reference, as a till does that repeats itself.
        let same = round % 2 == 1;
        let asked = (0..AT_ONCE).map(|one| {
            let scene = scene.clone();
            let reference = if same {
                "r".to_owned()
            } else {
                format!("r-{one}")
            };
            tokio::spawn(
                async move { scene.refund(purchase, &reference, RefundAmount::Rest).await },
            )
        });
        let (mut done, mut refused, mut replayed) = (0, 0, 0);
        for answer in asked.collect::<Vec<_>>() {
            match answer.await.unwrap() {
                Ok(receipt) if receipt.replayed => replayed += 1,
                Ok(_) => done += 1,
                Err(EarnError::RefundTooLarge { left: 0, .. }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        let expected = if same {
            (1, 0, AT_ONCE - 1)
        } else {
            (1, AT_ONCE - 1, 0)
        };
        assert_eq!((done, refused, replayed), expected);
        assert_eq!(scene.books(purchase).await, (0, 1, 100_00));
    }
}
