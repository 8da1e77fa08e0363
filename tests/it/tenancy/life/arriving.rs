//! What a mall is that was made of an archive, and what it is not.

use std::time::Duration;

use poem::http::Method;
use rotunda::{
    db::tenants::Status,
    jobs::{self, Tools},
    kernel::{
        ids::{ApplicationId, Entropy, PaperId, TenantId},
        time::Clock,
        vault::Vault,
    },
    queue::worker::Settings,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Elsewhere, Folder, asked, export, import, in_schema, same_in_both};
use crate::{
    support::{
        NOON, fresh_slug,
        front::Front,
        instant,
        outside::{Server, tables, tables_at},
        people::{PASSWORD, People, Person, code},
        sealing::seal,
        smtp::Postman,
        url,
    },
    tenancy::twins::{self, Twin, lose},
};

const SECRETS: &[u8] = br#"{"representative_id":"ID-7","bank_account":"AC-9"}"#;
const PAPER: &[u8] = b"%PDF-1.4 licence %%EOF";

/// To whom an application's secrets are bound.
fn bound(tenant: TenantId, application: ApplicationId) -> Vec<u8> {
    let (mall, id) = (tenant.uuid(), application.uuid());
    [&b"application"[..], mall.as_bytes(), id.as_bytes()].concat()
}

fn hex(bytes: &[u8]) -> String {
    rotunda::kernel::page::hex(bytes)
}

/// A mall with people, trade, an application with secrets and a file, and letters that wait.
struct Busy {
    people: People,
    ada: Person,
    invitation: String,
    application: ApplicationId,
    paper: PaperId,
    purchase: Value,
}

impl Busy {
    async fn open() -> Self {
        let people = People::open().await;
        let (server, front) = (&people.server, &people.front);
        let new = json!({"card_number": "card-1", "name": "Ada, \"the\" first 牛奶 \\N"});
        let member = front.member(server, &new).await;
        let store = front.store(server, "tea-1").await;
        let purchase = json!({
            "store_id": store, "receipt_number": "R-1", "member_id": member,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}],
        });
        let body = purchase.to_string();
        let sold = server.ask_under(
            "k-1",
            front.till(),
            &Method::POST,
            "/v1/purchases",
            Some(&body),
        );
        assert_eq!(sold.await.status, 201);
        let ada = people
            .whole("ada@mall.example", &["operator.owner"], None)
            .await;
        let invitation = people
            .invited("bo@mall.example", &["operator.finance"], None)
            .await;
        let forgot = json!({"email": "ada@mall.example"});
        let (from, path) = (people.elsewhere(), "/v1/password-resets");
        let asked = server.ask_from(&from, people.stranger(), path, &forgot);
        assert_eq!(asked.await.status, 200);
        let application: ApplicationId = "apl_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap();
        let paper: PaperId = "fil_01h2xcejqtf2nbrexx3vqjhp42".parse().unwrap();
        let busy = Self {
            people,
            ada,
            invitation,
            application,
            paper,
            purchase,
        };
        busy.applies().await;
        seal(&busy.people.server.app, busy.people.front.tenant.id).await;
        busy
    }

    /// A company applies, with a file; its letter and a merchant's message wait to be sent.
    async fn applies(&self) {
        let (app, tenant) = (&self.people.server.app, &self.people.front.tenant);
        let vault = app.vault.as_ref().unwrap();
        let bound = bound(tenant.id, self.application);
        let sealed = vault.seal(&bound, SECRETS, &Entropy::System).unwrap();
        app.files
            .put(tenant.id, self.paper, PAPER.to_vec())
            .await
            .unwrap();
        let (id, paper) = (self.application.uuid(), self.paper.uuid());
        let sql = format!(
            "insert into application (application_id, email, language, state, form, sealed, asked,
                 conditions_version, conditions_digest, conditions_at, conditions_from, revision,
                 created_at, changed_at)
             values ('{id}', 'c@d.example', 'en', 'draft', '{{}}', '\\x{sealed}', '[]', 0, 'x',
                     '2026-03-01Z', 'here', 1, '2026-03-01Z', '2026-03-01Z');
             insert into application_event values ('{id}', '{id}', 1, 'started', 'system', null,
                 E'\\\\n\"two\",\\nlines',
                 '2026-03-01Z', '\\x01', '2026-04-01Z', 'queued', null);
             insert into application_file values ('{paper}', '{id}', 'licence', 'a.pdf',
                 'application/pdf', {size}, 'digest', '2026-03-01Z');
             insert into merchant_contact
                 select merchant_id, 'tea@mall.example', 'en', created_at, 'system' from merchant
                 where code = 'tea';
             insert into message (message_id, kind, subject_id, merchant_id, state, round, attempts,
                     created_at, changed_at)
                 select merchant_id, 'statement_issued', merchant_id, merchant_id, 'queued', 0, 0,
                     created_at, created_at from merchant where code = 'tea';
             insert into outbox values
                 ('{id}', 'application.tell', '{{\"event\": \"{id}\"}}', '{id}', '2026-03-01Z', null)",
            sealed = hex(&sealed),
            size = PAPER.len(),
        );
        in_schema(&url(), tenant, &sql).await;
    }
}

/// Has the house of a server do for six seconds what it does by itself.
async fn by_itself(server: &Server, postman: &Postman) {
    let app = &server.app;
    let tools = Tools {
        db: app.db.clone(),
        policy: app.policy.clone(),
        bell: app.bell.clone(),
        mailer: postman.mailer(),
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: app.stripe.clone(),
        files: app.files.clone(),
        base_url: Some("https://points.example".to_owned()),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let handlers = jobs::handlers(&tools);
    let work = tokio::spawn(jobs::run(tools, handlers, Settings::default(), stopped));
    tokio::time::sleep(Duration::from_secs(6)).await;
    stop.send(()).unwrap();
    work.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bak_3_in_another_installation_nothing_is_sent_again_and_nothing_old_opens() {
    let (busy, folder) = (Busy::open().await, Folder::new());
    let (here, front) = (&busy.people.server, &busy.people.front);
    let file = folder.file("mall.tar");
    let sealed = export(&here.app, &front.tenant, &file).await;
    assert_eq!(
        (sealed.totals.files.count, sealed.totals.files.missing),
        (1, 0)
    );
    assert_eq!(sealed.totals.control["points_issued"], "100");

    let there = Elsewhere::open(&busy.people.clock, None).await;
    let restored = import(&there.server.app, &file, None).await.unwrap();
    let mall = restored.tenant.clone();
    assert_ne!(mall.id, front.tenant.id);
    assert_eq!(
        (&mall.slug, &mall.hosts),
        (&front.tenant.slug, &front.tenant.hosts)
    );
    assert_eq!((restored.broken.len(), mall.status), (0, Status::Active));
    assert_eq!(
        same_in_both(tables_at(&there.database.url, &mall).await),
        same_in_both(tables(&front.tenant).await)
    );
    for table in super::LEFT_BEHIND {
        let sql = format!("select count(*)::text from {table}");
        let rows = asked(&there.database.url, &mall, &sql).await;
        assert_eq!(rows, "0", "{table}");
    }
    let lived = asked(&url(), &front.tenant, "select count(*)::text from api_key").await;
    assert_eq!(
        restored.opening.keys.len().to_string(),
        lived,
        "each is named"
    );
    assert_eq!(
        (restored.opening.factors, restored.opening.factors_lost),
        (1, 0)
    );
    assert_eq!(
        (restored.applications.secrets, restored.applications.links),
        (1, 1)
    );
    assert_eq!((restored.messages, restored.applications.letters), (1, 1));
    assert_eq!(restored.opening.invited, 1);

    // What opened the first opens it still, and nothing here.
    for token in [
        busy.ada.token.as_str(),
        front.till().key.unwrap(),
        front.owner().key.unwrap(),
    ] {
        let ask = async |server: &Server| {
            let caller = front.with(token);
            server
                .ask(caller, &Method::GET, "/v1/merchants", None)
                .await
                .status
        };
        assert_eq!((ask(here).await, ask(&there.server).await), (200, 401));
    }
    let accepts = json!({"token": busy.invitation, "password": PASSWORD});
    let path = "/v1/staff/invitations/acceptance";
    let told = there
        .server
        .ask_from("198.51.100.9", busy.people.stranger(), path, &accepts)
        .await;
    assert!(told.status >= 400, "{}", told.body);

    // The house there does what is due, and sends nobody anything.
    let postman = Postman::open().await;
    by_itself(&there.server, &postman).await;
    assert_eq!(postman.taken().len(), 0);
    let waits = "select state || problem from message";
    assert_eq!(
        asked(&there.database.url, &mall, waits).await,
        "failedrestored"
    );

    // Ada comes in with her password and her telephone, and her mall works.
    let vault = there.server.app.vault.clone().unwrap();
    let Elsewhere {
        server,
        database,
        folder: files,
    } = there;
    let people = People::of(server, mall.clone(), busy.people.clock.clone()).await;
    let opened = people.sign_in("ada@mall.example", PASSWORD).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let token = opened.json()["token"].as_str().unwrap().to_owned();
    let shown = people
        .show(&token, &code(&busy.ada.secret, people.clock.now()))
        .await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let sql = "select encode(sealed, 'hex') from application";
    let sealed = asked(&database.url, &mall, sql).await;
    let bytes: Vec<u8> = (0..sealed.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap())
        .collect();
    let own = bound(mall.id, busy.application);
    assert_eq!(vault.open(&own, &bytes).unwrap(), SECRETS);
    let stored = people
        .server
        .app
        .files
        .get(mall.id, busy.paper)
        .await
        .unwrap();
    assert_eq!(stored, PAPER);
    sells_on(&people.server, &people.front, &busy.purchase).await;

    people.server.app.close().await.unwrap();
    database.remove().await;
    drop(files);
}

/// A key that was used before means nothing here; a receipt that was recorded before is known.
async fn sells_on(server: &Server, front: &Front, purchase: &Value) {
    let mut other = purchase.clone();
    other["receipt_number"] = json!("R-2");
    for (body, status) in [(other.to_string(), 201), (purchase.to_string(), 200)] {
        let key = if status == 201 { "k-1" } else { "k-2" };
        let sold = server
            .ask_under(
                key,
                front.till(),
                &Method::POST,
                "/v1/purchases",
                Some(&body),
            )
            .await;
        assert_eq!(sold.status, status, "{}", sold.body);
    }
    let proof = server.get(front.owner(), "/v1/books/proof").await;
    assert_eq!(proof["holds"], true, "{proof}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_another_key_of_secrets_what_was_sealed_is_to_be_given_again() {
    let (busy, folder) = (Busy::open().await, Folder::new());
    let file = folder.file("mall.tar");
    export(&busy.people.server.app, &busy.people.front.tenant, &file).await;
    let key = "another installation's key of 32 characters";
    let there = Elsewhere::open(&busy.people.clock, Some(key)).await;
    let restored = import(&there.server.app, &file, None).await.unwrap();
    assert_eq!(
        (restored.opening.factors, restored.opening.factors_lost),
        (0, 1)
    );
    let applications = restored.applications;
    assert_eq!((applications.secrets, applications.secrets_lost), (0, 1));
    let sql = "select (select count(sealed) from application)::text
               || (select count(totp_secret) + count(totp_since) from staff)";
    assert_eq!(
        asked(&there.database.url, &restored.tenant, sql).await,
        "00"
    );
    assert!(Vault::new(&key.into()).is_ok());
    there.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_first_every_row_of_every_table_arrives() {
    let first = Server::open(4, Clock::fixed(instant(NOON)), Entropy::System).await;
    let twin = Twin::of(first.mall(&twins::SHEET.to_string()).await).await;
    twin.furnish().await;
    lose(&twin.tenant).await;
    let folder = Folder::new();
    let file = folder.file("twin.tar");
    let sealed = export(&first.app, &twin.tenant, &file).await;
    assert_eq!(
        sealed.totals.files.missing, 1,
        "its file was never in the store"
    );
    let before = tables(&twin.tenant).await;
    let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).collect();
    assert_eq!(empty, [], "every table has something to lose");
    let slug = fresh_slug();
    let restored = import(&first.app, &file, Some(&slug)).await.unwrap();
    let mall = &restored.tenant;
    assert_eq!((mall.slug.as_str(), mall.hosts.len()), (slug.as_str(), 0));
    // What was put into its tables by hand does not add up, and nobody is served by such books.
    assert!(!restored.broken.is_empty());
    assert_eq!(mall.status, Status::Suspended);
    assert_eq!(
        same_in_both(tables(mall).await),
        same_in_both(before.clone())
    );
    assert_eq!(tables(&twin.tenant).await, before, "the first is as it was");
    // Every table is either the same or said to be otherwise.
    let after = tables(mall).await;
    for table in [
        "_sqlx_migrations",
        "api_key",
        "audit_entry",
        "setting",
        "staff",
    ] {
        assert_ne!(after[table], before[table], "{table}");
    }
}
