//! LED-9: whoever changes, removes or inserts anything, `verify` names the row.

use chrono::TimeDelta;
use rotunda::{
    audit::{self, Finding, Head, Verified},
    authz::action::{EnrolMember, ReadAudit, RelayJobs, SuspendMerchant},
    kernel::{
        ids::{AuditEntryId, Entropy},
        page::hex,
    },
    members::{self, Enrolment},
    merchants,
};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{
    books::{Mall, Shop},
    sealing::seal_in,
};

/// How many flips LED-9 asks for.
const FLIPS: u64 = 1_000;

/// A mall in whose audit something stands, all of it sealed.
async fn chained() -> Mall {
    let mall = Mall::open().await;
    for number in 0..8 {
        mall.shop(&format!("shop-{number}")).await;
    }
    let shop = mall.shop("last").await;
    stop(&mall, shop).await;
    assert_eq!(seal(&mall).await, 19);
    mall
}

/// Something more that somebody did.
async fn stop(mall: &Mall, shop: Shop) {
    let grant = mall.grant::<SuspendMerchant>("operator.owner", rotunda::authz::actor::Reach::Mall);
    let mut tx = mall.db().write(&grant).await.unwrap();
    let stopped = merchants::suspend(&mut tx, &grant, shop.merchant).await;
    stopped.unwrap();
    tx.commit().await.unwrap();
}

async fn seal(mall: &Mall) -> usize {
    seal_in(mall.db(), &mall.house.policy, mall.tenant.id, false).await
}

async fn verify(mall: &Mall, known: Option<&Head>) -> Verified {
    let grant = mall.vendor::<ReadAudit>();
    let mut tx = mall.db().read(&grant).await.unwrap();
    audit::verify(&mut tx, known).await.unwrap()
}

async fn run(sql: &mut PgConnection, statement: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    done.execute(sql).await.unwrap();
}

/// The number and the entry of each seal.
async fn links(sql: &mut PgConnection) -> Vec<(i64, AuditEntryId)> {
    sqlx::query_as("select number, entry_id from audit_seal order by number")
        .fetch_all(sql)
        .await
        .unwrap()
}

/// A column of a sealed row, with what it is changed to: an expression over what it is now.
const CHANGES: [(&str, &str, &str); 18] = [
    ("audit_entry", "entry_id", "gen_random_uuid()"),
    ("audit_entry", "at", "at + interval '1 microsecond'"),
    ("audit_entry", "actor", "TEXT"),
    ("audit_entry", "act", "TEXT"),
    ("audit_entry", "object", "TEXT"),
    ("audit_entry", "right_object", "TEXT"),
    ("audit_entry", "right_act", "TEXT"),
    ("audit_entry", "before", "TEXT"),
    ("audit_entry", "after", "TEXT"),
    ("audit_entry", "reason", "TEXT"),
    (
        "audit_entry",
        "door",
        "case door when 'api' then 'page' else 'api' end",
    ),
    ("audit_entry", "address", "TEXT"),
    ("audit_entry", "agent", "TEXT"),
    ("audit_entry", "request", "TEXT"),
    ("audit_seal", "number", "number + 1000"),
    ("audit_seal", "entry_id", "gen_random_uuid()"),
    ("audit_seal", "previous", "BYTES"),
    ("audit_seal", "hash", "BYTES"),
];

#[tokio::test(flavor = "multi_thread")]
async fn led_9_a_thousand_random_flips_are_found_and_the_row_is_named() {
    let mall = chained().await;
    let mut sql = mall.owner().await;
    run(
        &mut sql,
        "create table kept_entry as table audit_entry; create table kept_seal as table audit_seal",
    )
    .await;
    let links = links(&mut sql).await;
    let chance = Entropy::seeded(9);
    let pick = |bound: usize| usize::try_from(chance.below(bound as u64)).unwrap();
    let (mut found, mut seen) = (0, std::collections::BTreeSet::new());
    for flip in 0..FLIPS {
        let (table, column, change) = CHANGES[pick(CHANGES.len())];
        let (number, entry) = links[pick(links.len())];
        let place = pick(60);
        let bit = pick(8);
        let change = change
            .replace(
                "TEXT",
                // Some letter of it another one; where there is none, one more.
                &format!(
                    "case when coalesce({column}, '') = '' then 'x' else overlay({column}
                     placing case substr({column}, 1 + {place} % length({column}), 1)
                         when 'x' then 'y' else 'x' end
                     from 1 + {place} % length({column}) for 1) end"
                ),
            )
            .replace(
                "BYTES",
                &format!(
                    "set_bit({column}, {}, 1 - get_bit({column}, {}))",
                    place % 32 * 8 + bit,
                    place % 32 * 8 + bit
                ),
            );
        let id = entry.uuid();
        let changed = sqlx::query(AssertSqlSafe(format!(
            "update {table} set {column} = {change} where entry_id = '{id}'"
        )));
        let changed = changed.execute(&mut sql).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{table}.{column}");
        let broken = verify(&mall, None).await.broken;
        let named = broken.as_ref().is_some_and(|broken| {
            broken.number() == number
                && (table == "audit_seal" || broken.entry() == Some(entry))
                && !matches!(broken, Finding::Unsealed(..))
        });
        assert!(
            named,
            "flip {flip}: {table}.{column} of {number}: {broken:?}"
        );
        found += 1;
        seen.insert((table, column));
        // And back, whatever it was.
        run(
            &mut sql,
            &format!(
                "delete from {table} where ctid not in
                     (select {table}.ctid from {table} join kept_{} using ({}));
                 delete from {table} where entry_id = '{id}';
                 insert into {table} select * from kept_{} where entry_id = '{id}'",
                &table[6..],
                if table == "audit_seal" {
                    "number, entry_id"
                } else {
                    "entry_id"
                },
                &table[6..],
            ),
        )
        .await;
    }
    assert_eq!((found, seen.len()), (FLIPS, CHANGES.len()));
    let whole = verify(&mall, None).await;
    assert_eq!((whole.broken, whole.sealed), (None, 19));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_or_made_anew_is_found_by_a_head_that_was_kept() {
    let mall = chained().await;
    let mut sql = mall.owner().await;
    let links = links(&mut sql).await;
    let whole = verify(&mall, None).await;
    let head = whole.head.unwrap();
    assert_eq!((head.number, whole.broken), (19, None));
    assert_eq!(verify(&mall, Some(&head)).await.broken, None);
    run(
        &mut sql,
        "create table kept_entry as table audit_entry; create table kept_seal as table audit_seal",
    )
    .await;
    let back = "truncate audit_entry, audit_seal;
                insert into audit_entry table kept_entry; insert into audit_seal table kept_seal";

    // One entry, in the middle.
    let (number, entry) = links[7];
    let gone = format!(
        "delete from audit_entry where entry_id = '{}'",
        entry.uuid()
    );
    run(&mut sql, &gone).await;
    let broken = verify(&mall, None).await.broken;
    assert_eq!(broken, Some(Finding::EntryMissing(number, entry)));
    // With its seal.
    run(
        &mut sql,
        &format!("delete from audit_seal where number = {number}"),
    )
    .await;
    let broken = verify(&mall, None).await.broken;
    assert_eq!(broken, Some(Finding::SealMissing(number)));
    run(&mut sql, back).await;

    // The newest with its seal: by itself the chain holds, and only the head tells.
    let (last, entry) = links[18];
    let cut = format!(
        "delete from audit_seal where number = {last};
         delete from audit_entry where entry_id = '{}'",
        entry.uuid()
    );
    run(&mut sql, &cut).await;
    assert_eq!(verify(&mall, None).await.broken, None);
    let broken = verify(&mall, Some(&head)).await.broken;
    assert_eq!(broken, Some(Finding::CutOff(19)));
    // Something else in its place.
    let shop = mall.shop("another").await;
    assert_eq!(seal(&mall).await, 2);
    let broken = verify(&mall, Some(&head)).await.broken;
    assert_eq!(broken, Some(Finding::OtherChain(19)));
    stop(&mall, shop).await;
    run(&mut sql, back).await;

    // Everything made anew over a history that was changed.
    run(
        &mut sql,
        "update audit_entry set actor = 'platform'; truncate audit_seal",
    )
    .await;
    assert_eq!(seal(&mall).await, 19);
    assert_eq!(verify(&mall, None).await.broken, None);
    let broken = verify(&mall, Some(&head)).await.broken;
    assert_eq!(broken, Some(Finding::OtherChain(19)));
    assert!(head.to_string().ends_with(&hex(&head.hash)));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_seal_at_once_make_one_chain() {
    let mall = Mall::open().await;
    for round in 0..5 {
        for number in 0..6 {
            mall.shop(&format!("shop-{round}-{number}")).await;
        }
        let sealers = (0..6).map(|_| {
            let mall = mall.clone();
            tokio::spawn(async move {
                let grant = mall.system::<RelayJobs>();
                let mut tx = mall.db().write(&grant).await.unwrap();
                let sealed = audit::seal(&mut tx, &grant, false).await.unwrap();
                match sealed {
                    audit::Sealed::Overtaken => {}
                    _ => tx.commit().await.unwrap(),
                }
                sealed
            })
        });
        let mut sealed = 0;
        for sealer in sealers.collect::<Vec<_>>() {
            match sealer.await.unwrap() {
                audit::Sealed::All(count) | audit::Sealed::More(count) => sealed += count,
                audit::Sealed::Overtaken => {}
            }
        }
        assert_eq!(sealed, 12, "each entry by one of them");
        let verified = verify(&mall, None).await;
        assert_eq!((verified.broken, verified.waiting), (None, 0));
    }
    assert_eq!(verify(&mall, None).await.sealed, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_commits_late_is_sealed_late_and_who_is_never_sealed_is_named() {
    let mall = Mall::open().await;
    let grant = mall.vendor::<EnrolMember>();
    // One begins, and is still at it when others were sealed.
    let mut slow = mall.db().write(&grant).await.unwrap();
    let ada = Enrolment {
        card_number: Some("slow".parse().unwrap()),
        ..Enrolment::default()
    };
    members::enrol(&mut slow, &grant, ada).await.unwrap();
    mall.house
        .clock
        .set(mall.house.clock.now() + TimeDelta::minutes(5));
    mall.member("quick").await;
    mall.member("quicker").await;
    assert_eq!(seal(&mall).await, 2);
    slow.commit().await.unwrap();
    assert_eq!(seal(&mall).await, 1, "behind those that it began before");
    let verified = verify(&mall, None).await;
    assert_eq!((verified.broken, verified.sealed), (None, 3));

    // One that lies further back than is looked for every minute is found once a day, and named
    // until then.
    let mut sql = mall.owner().await;
    let old = AuditEntryId::floor(mall.house.clock.now() - TimeDelta::hours(3));
    run(
        &mut sql,
        &format!(
            "insert into audit_entry (entry_id, at, actor, act, right_object, right_act, before,
                 after, door)
             values ('{}', '2026-03-02T01:05:00Z', 'system', 'key.made', 'key', 'create', '{{}}',
                 '{{}}', 'job')",
            old.uuid()
        ),
    )
    .await;
    assert_eq!(seal(&mall).await, 0);
    let broken = verify(&mall, None).await.broken;
    assert_eq!(broken, Some(Finding::Unsealed(1, old)));
    let all = seal_in(mall.db(), &mall.house.policy, mall.tenant.id, true).await;
    assert_eq!(all, 1);
    assert_eq!(verify(&mall, None).await.broken, None);
}
