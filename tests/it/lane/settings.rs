//! What a server remembers of a mall while another one changes it.

use std::time::Duration;

use reqwest::StatusCode;
use rotunda::{
    app::App,
    authz::{
        action::{Authenticate, ReadProgramme},
        actor::{Actor, Principal, Role},
        grant::Grant,
    },
    identity,
    kernel::ids::{ApiKeyId, StoreId},
    merchants,
};

use tokio::time::sleep;

use super::{Sale, at_once};
use crate::support::{app, day::Day, till::Opened};

/// One server remembers mall and key, and another one changes them: there is no moment in which the
/// first goes on by what it remembers.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_changes_holds_for_the_next_purchase() {
    let (day, elsewhere) = (Day::begin().await, app().await);
    let member = day.member("m-1", 0).await;
    let sale = day.purchase(&member, "-", 100);
    let store: StoreId = sale["store_id"].as_str().unwrap().parse().unwrap();
    let manager = as_role(&day, "operator.merchant-manager");
    for round in 0..5 {
        let sold = |what: &str| {
            let name = format!("{what}-{round}");
            Sale::new(&name, day.purchase(&member, &name, 100))
        };
        let answer = sold("before").at(&day.till).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");

        let suspend: Grant<_> = elsewhere.policy.allow(&manager).unwrap();
        let mut tx = elsewhere.db.write(&suspend).await.unwrap();
        let suspended = merchants::suspend_store(&mut tx, &suspend, store).await;
        suspended.unwrap();
        tx.commit().await.unwrap();
        let answer = sold("closed").at(&day.till).await;
        assert_eq!(answer.text("code"), "suspended", "{answer:?}");
        // What was recorded before is told again under another key, open or closed.
        let name = format!("before-{round}");
        let again = Sale::new(format!("again-{round}"), day.purchase(&member, &name, 100));
        let answer = again.at(&day.till).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");

        let activate = elsewhere.policy.allow(&manager).unwrap();
        let mut tx = elsewhere.db.write(&activate).await.unwrap();
        let active = merchants::activate_store(&mut tx, &activate, store).await;
        active.unwrap();
        tx.commit().await.unwrap();
        // Many at once, so that some of them wait while the first finds out.
        let sales: Vec<Sale> = (0..40).map(|n| sold(&format!("open-{n}"))).collect();
        for answer in at_once(&day.till, &sales).await {
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        }
    }

    let id = key_id(&elsewhere, &day).await;
    let owner = as_role(&day, "operator.owner");
    let revoke = elsewhere.policy.allow(&owner).unwrap();
    let mut tx = elsewhere.db.write(&revoke).await.unwrap();
    let revoked = identity::revoke(&mut tx, &revoke, id).await;
    revoked.unwrap();
    tx.commit().await.unwrap();
    let sale = Sale::new("late", day.purchase(&member, "late", 100));
    let answer = sale.at(&day.other_till).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let answer = sale.at(&day.till).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    day.prove().await;
}

/// Who reads slowly, and as many of them as there are connections, keeps nobody at a till waiting.
#[tokio::test(flavor = "multi_thread")]
async fn readers_who_hold_every_connection_hold_up_no_till() {
    let day = Day::begin().await;
    let member = day.member("m-1", 0).await;
    let sale = |name: &str| Sale::new(name, day.purchase(&member, name, 100));
    let answer = sale("before").at(&day.till).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let reader: Grant<ReadProgramme> = day
        .app
        .policy
        .allow(&Principal::system(day.opened.mall.tenant.id))
        .unwrap();
    let mut readers = Vec::new();
    for _ in 0..day.app.config.connections {
        readers.push(day.app.db.read(&reader).await.unwrap());
    }
    // The registry says something new meanwhile, of another mall.
    Opened::by(&app().await).await;
    // Longer than anything is believed that was not checked.
    sleep(Duration::from_millis(1_200)).await;
    let answer = sale("beside").at(&day.till).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    drop(readers);
    day.prove().await;
}

fn as_role(day: &Day, role: &str) -> Principal {
    Principal {
        role: Role::new(role),
        also: Vec::new(),
        ..Principal::system(day.opened.mall.tenant.id)
    }
}

/// The id of the other till's key, which has sold something.
async fn key_id(elsewhere: &App, day: &Day) -> ApiKeyId {
    let member = day.member("m-2", 0).await;
    let sale = Sale::new("other", day.purchase(&member, "other", 100));
    let answer = sale.at(&day.other_till).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let tenant = day.opened.mall.tenant.id;
    let grant = elsewhere.policy.allow(&Principal::anonymous(tenant));
    let grant: Grant<Authenticate> = grant.unwrap();
    let mut tx = elsewhere.db.read(&grant).await.unwrap();
    let found = identity::authenticate(&mut tx, &grant, &day.other_till.key).await;
    match found.unwrap().principal.actor {
        Actor::Machine(id) => id,
        other => panic!("{other:?}"),
    }
}
