//! What a mall's office does while its tills are busy: it looks at what the month settles to, and
//! lets points lapse.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rotunda::{
    authz::{
        action::{ExpirePoints, PreviewSettlement},
        actor::Principal,
    },
    earning,
    kernel::time::Period,
    settlement,
};

use super::{mall::Mall, site::Site};

/// Members that one transaction serves, as in the product's own job.
const SLICE: i64 = 100;

/// How long ago points were earned that have lapsed since.
const LONG_AGO: TimeDelta = TimeDelta::days(500);

/// How often points that lapse are looked for when none do.
const LOOK: Duration = Duration::from_millis(100);

/// Gives each member points that have lapsed already.
pub async fn prepare(site: &Site, mall: &Mall) {
    let setting = site.app.mall_of(mall.slug()).await.unwrap().earning;
    let at = site.app.clock.now() - LONG_AGO;
    mall.grant_points(site, &setting, at).await;
}

/// Works as fast as it is answered for so long; how many previews, and how many members whose points
/// lapsed.
pub async fn work(site: &Site, mall: &Mall, span: Duration) -> (usize, usize) {
    let end = Instant::now() + span;
    tokio::join!(preview(site, mall, end), expire(site, mall, end))
}

async fn preview(site: &Site, mall: &Mall, end: Instant) -> usize {
    let opened = site.app.mall_of(mall.slug()).await.unwrap();
    let unit = opened.settlement.period;
    let period = Period::at(site.app.clock.now(), opened.tenant.zone, unit);
    let grant = site.grant::<PreviewSettlement>(mall.tenant);
    let mut previews = 0;
    while Instant::now() < end {
        let mut tx = site.app.db.read(&grant).await.unwrap();
        settlement::preview(
            &mut tx,
            &grant,
            period,
            &opened.settlement,
            opened.tenant.zone,
        )
        .await
        .unwrap();
        previews += 1;
    }
    previews
}

async fn expire(site: &Site, mall: &Mall, end: Instant) -> usize {
    let zone = site.app.mall_of(mall.slug()).await.unwrap().tenant.zone;
    let house = Principal::system(mall.tenant);
    let grant = site.app.policy.allow::<ExpirePoints>(&house).unwrap();
    let mut members = 0;
    while Instant::now() < end {
        let mut tx = site.app.db.write(&grant).await.unwrap();
        let (found, _) = earning::expire(&mut tx, &grant, zone, SLICE).await.unwrap();
        tx.commit().await.unwrap();
        members += found;
        if found == 0 {
            tokio::time::sleep(LOOK).await;
        }
    }
    members
}
