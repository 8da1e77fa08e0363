//! Statements reach merchants by mail, once, and what does not arrive is seen (trust.md, EXT-1).

use std::{process::Command, sync::Arc, time::Duration};

use rotunda::{
    authz::{
        action::{ReadMessages, ReadStatements, RetryMessage, SetContact},
        policy::Policy,
    },
    gateway::{mail::Mailer, stripe::Stripe},
    jobs::{self, Tools},
    kernel::{
        ids::{MerchantId, StatementId},
        page::{Slice, hex},
        text::Language,
    },
    merchants::contacts,
    notify::{self, Message, MessageError, State},
    queue::{Bell, worker::Outcome},
    settlement::{Approval, Course, Face, document},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    settling::{Mall, Shop},
    smtp::{Manner, Postman, decoded},
};

/// A mall whose month is over, with a merchant that gets mail and one that gets none.
struct June {
    mall: Mall,
    tea: Shop,
    policy: Arc<Policy>,
}

impl June {
    async fn open(language: Language) -> Self {
        let mut mall = Mall::open("2026-07-02T01:00:00Z").await;
        mall.terms.course = Course {
            approval: Approval::One,
            confirm_days: 5,
        };
        let [tea, cinema] = mall.shops(["lantern-tea", "cinema"]).await;
        mall.as_admin(
            "update merchant set names = '{\"zh-CN\": \"灯下茶\", \"zh-TW\": \"燈下茶\",
                 \"en\": \"Lantern Tea\"}' where code = 'lantern-tea';
             insert into programme (version, body, digest, valid_from, created_at)
             values (1, '{\"earning\": {\"rules\": [{\"code\": \"base\", \"points\": 1,
                            \"per\": \"1.00\"}]}, \"expiry\": {\"policy\": \"never\"},
                          \"spending\": {\"points\": 100, \"worth\": \"1.00\"},
                          \"settlement\": {\"model\": \"bilateral\", \"points\": 100,
                            \"worth\": \"1.00\"}}', '', '2026-01-01', '2026-01-01')",
        )
        .await;
        let ada = mall.member("1").await;
        mall.earns(ada, tea, 600, "2026-06-01T04:00:00Z").await;
        mall.spends(ada, cinema, 500, "2026-06-03T04:00:00Z").await;
        let policy = Arc::new(Policy::embedded().await.unwrap());
        let june = Self { mall, tea, policy };
        june.writes_to(tea.merchant, language).await;
        june
    }

    async fn writes_to(&self, merchant: MerchantId, language: Language) {
        let grant = self
            .mall
            .grant_of::<SetContact>("merchant.owner", Some(merchant));
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let email = "accounts@lantern.example".parse().unwrap();
        contacts::set(&mut tx, &grant, merchant, email, language)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    fn tools(&self, mailer: Mailer) -> Tools {
        Tools {
            db: self.mall.db.clone(),
            policy: Arc::clone(&self.policy),
            bell: Bell::default(),
            mailer,
            sms: rotunda::gateway::sms::Sms::Off,
            stripe: Stripe::default(),
            files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
            base_url: Some("https://points.example".to_owned()),
        }
    }

    /// What waits in the outbox to be sent.
    async fn jobs(&self) -> Vec<Value> {
        let mut admin = self.mall.admin().await;
        sqlx::query_scalar(
            "select payload from outbox where name = 'message.send'
             order by (payload ->> 'round')::int",
        )
        .fetch_all(&mut admin)
        .await
        .unwrap()
    }

    /// Does the newest of these jobs, as the worker would.
    async fn sends(&self, mailer: &Mailer) -> Outcome {
        let tools = self.tools(mailer.clone());
        let job = self.jobs().await.pop().unwrap();
        jobs::handlers(&tools)
            .run(self.mall.tenant.id, "message.send", job)
            .await
    }

    async fn messages(&self, state: Option<State>) -> Vec<Message> {
        let grant = self.mall.grant_of::<ReadMessages>("operator.auditor", None);
        let mut tx = self.mall.db.read(&grant).await.unwrap();
        let slice = Slice {
            limit: 100,
            after: None,
        };
        let page = notify::list(&mut tx, &grant, state, &slice).await;
        page.unwrap().items
    }

    /// The only message: how far, how often tried, why not.
    async fn stands(&self) -> (State, i32, Option<String>) {
        let messages = self.messages(None).await;
        let [message] = messages.as_slice() else {
            panic!("{messages:?}");
        };
        (message.state, message.attempts, message.problem.clone())
    }

    async fn retries(&self) -> Result<Message, MessageError> {
        let [message] = self.messages(None).await.try_into().unwrap();
        let grant = self.mall.grant_of::<RetryMessage>("operator.finance", None);
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let retried = notify::retry(&mut tx, &grant, message.id).await?;
        tx.commit().await.unwrap();
        Ok(retried)
    }
}

#[tokio::test]
async fn an_issued_statement_reaches_its_merchant_in_its_language_with_the_pdf() {
    for (language, merchant, title, words) in [
        (Language::ZhCn, "灯下茶", "对账单", "净额 -5.00 CNY"),
        (Language::ZhTw, "燈下茶", "對帳單", "淨額 -5.00 CNY"),
        (
            Language::En,
            "Lantern Tea",
            "statement",
            "The net is -5.00 CNY",
        ),
    ] {
        let june = June::open(language).await;
        june.mall.closes("2026-06").await;
        june.mall.closes("2026-06").await;
        assert_eq!(june.jobs().await.len(), 1, "one merchant gets mail, once");
        let postman = Postman::open().await;
        assert_eq!(june.sends(&postman.mailer()).await, Outcome::Done);
        assert_eq!(june.sends(&postman.mailer()).await, Outcome::Done, "again");

        let [letter] = postman.taken().try_into().unwrap();
        assert_eq!(letter.to, ["RCPT TO:<accounts@lantern.example>"]);
        let subject = decoded(&letter.header("Subject"));
        assert!(
            subject.contains(merchant) && subject.contains("2026-06"),
            "{subject}"
        );
        assert!(decoded(&letter.header("From")).contains("星光商场"));
        let [message] = june.messages(Some(State::Sent)).await.try_into().unwrap();
        let id = format!("<{}@starlight.example>", message.id);
        assert_eq!(letter.header("Message-ID"), id);
        let [(_, text), (head, pdf)] = letter.parts().try_into().unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains(words) && text.contains("2026-07-08 00:00"),
            "{text}"
        );
        assert!(
            text.contains(&format!(
                "https://{}/console/statements/stm_",
                june.mall.tenant.hosts[0]
            )),
            "{text}"
        );
        assert!(head.contains("application/pdf"), "{head}");
        let pdf = lopdf::Document::load_mem(&pdf).unwrap();
        let paper = pdf.extract_text(&[1]).unwrap();
        assert!(paper.contains(title) || language == Language::En, "{paper}");
        assert!(
            paper.contains("-5.00") && paper.contains(merchant),
            "{paper}"
        );
        assert_eq!(june.stands().await, (State::Sent, 1, None));
        let again = june.retries().await;
        assert!(matches!(again, Err(MessageError::AlreadySent)));
        assert_eq!(june.mall.broken().await, [""; 0]);
    }
}

/// As [`an_issued_statement_reaches_its_merchant_in_its_language_with_the_pdf`], with a server and a
/// reader that nobody here wrote.
#[tokio::test]
#[ignore = "tests/contract/mail starts the server"]
async fn aiosmtpd_takes_a_statement_and_python_reads_it_as_it_was_meant() {
    let june = June::open(Language::ZhTw).await;
    june.mall.closes("2026-06").await;
    let server = std::env::var("ROTUNDA_AIOSMTPD").unwrap();
    let url = SecretString::from(format!("smtp://{server}"));
    let mailer = Mailer::new(&url, "星光商场 <points@starlight.example>").unwrap();
    assert_eq!(june.sends(&mailer).await, Outcome::Done);

    let box_of = std::env::var("ROTUNDA_MAILBOX").unwrap();
    let read = Command::new("python3")
        .args(["tests/contract/letters.py", &box_of])
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
    let letters: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    let [message] = june.messages(Some(State::Sent)).await.try_into().unwrap();
    let to = "accounts@lantern.example";
    assert_eq!(letter["defects"], json!([]));
    assert_eq!(letter["envelope_to"], to);
    assert_eq!(letter["envelope_from"], "points@starlight.example");
    assert_eq!(letter["to"], json!([to]));
    let from = json!([["星光商场", "points@starlight.example"]]);
    assert_eq!(letter["from"], from);
    let id = format!("<{}@starlight.example>", message.id);
    assert_eq!(letter["id"], id);
    assert_eq!(letter["date"], "2026-07-02T01:00:00+00:00");
    let said = |part: &str| letter[part].as_str().unwrap().to_owned();
    assert!(said("subject").contains("燈下茶") && said("subject").contains("2026-06"));
    assert!(said("text").contains("淨額 -5.00 CNY"), "{letter}");
    let page = format!(
        "https://{}/console/statements/stm_",
        june.mall.tenant.hosts[0]
    );
    assert!(said("text").contains(&page), "{letter}");

    // The file is the statement, to the byte.
    let grant = june
        .mall
        .grant_of::<ReadStatements>("operator.auditor", None);
    let mut tx = june.mall.db.read(&grant).await.unwrap();
    let id = StatementId::from_uuid(message.subject);
    let document = document::of(&mut tx, &grant, id, &june.mall.tenant, Language::ZhTw).await;
    let document = document.unwrap();
    let name = document.file_name(Face::Pdf);
    let digest = hex(&Sha256::digest(document.print(Face::Pdf).unwrap()));
    let file = json!([{"name": name, "media": "application/pdf", "sha256": digest}]);
    assert_eq!(letter["files"], file);
}

#[tokio::test]
async fn what_is_not_issued_or_rolled_back_is_told_to_nobody() {
    let mut june = June::open(Language::En).await;
    june.mall.terms.course.approval = Approval::Two;
    june.mall.closes("2026-06").await;
    assert_eq!(june.jobs().await, [Value::Null; 0]);
    assert_eq!(june.messages(None).await, []);
}

#[tokio::test]
async fn a_server_that_is_away_or_busy_is_asked_again_and_one_that_refuses_is_seen() {
    let june = June::open(Language::En).await;
    june.mall.closes("2026-06").await;
    let postman = Postman::open().await;
    let mailer = postman.mailer();
    let port = postman.close().await;
    let away = june.sends(&mailer).await;
    assert_eq!(away, Outcome::Retry("connection".to_owned()));
    let why = |why: &str| Some(why.to_owned());
    assert_eq!(june.stands().await, (State::Queued, 1, why("connection")));

    let postman = Postman::on(port).await;
    postman.behave(Manner::Refuses("451 4.7.1 later, please:"));
    let busy = june.sends(&mailer).await;
    assert_eq!(busy, Outcome::Retry("refused-451".to_owned()));
    assert_eq!(june.stands().await, (State::Queued, 2, why("refused-451")));

    postman.behave(Manner::Refuses("550 5.1.1 nobody here is called"));
    let refused = june.sends(&mailer).await;
    assert_eq!(refused, Outcome::Fail("refused-550".to_owned()));
    assert_eq!(june.stands().await, (State::Failed, 3, why("refused-550")));
    assert_eq!(june.messages(Some(State::Failed)).await.len(), 1);
    // The job does nothing any more; nobody but who asks for it has it sent again.
    postman.behave(Manner::Takes);
    assert_eq!(june.sends(&mailer).await, Outcome::Done);
    assert_eq!(postman.taken().len(), 0);

    assert_eq!(june.retries().await.unwrap().state, State::Queued);
    assert_eq!(june.retries().await.unwrap().round, 1, "queued already");
    assert_eq!(june.jobs().await.len(), 2);
    // Its job died over and over before it could write anything down: it is not stuck for ever.
    let mut admin = june.mall.admin().await;
    sqlx::query("update message set attempts = 12")
        .execute(&mut admin)
        .await
        .unwrap();
    assert_eq!(june.retries().await.unwrap().round, 2);
    assert_eq!(june.jobs().await.len(), 3);
    assert_eq!(june.sends(&mailer).await, Outcome::Done);
    assert_eq!(june.stands().await, (State::Sent, 1, None));
    assert_eq!(postman.taken().len(), 1);
}

#[tokio::test]
async fn a_letter_whose_sender_dies_before_it_is_written_down_goes_again_under_the_same_id() {
    let june = Arc::new(June::open(Language::En).await);
    june.mall.closes("2026-06").await;
    let postman = Postman::open().await;
    let mailer = postman.mailer();

    // The worker is killed after the server took the letter, before it says so.
    postman.behave(Manner::TakesAndWaits);
    let worker = {
        let (june, mailer) = (Arc::clone(&june), mailer.clone());
        tokio::spawn(async move { june.sends(&mailer).await })
    };
    while postman.taken().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nothing of the database is held while the server thinks.
    let mut admin = june.mall.admin().await;
    let held: i64 = sqlx::query_scalar(
        "select count(*) from pg_locks join pg_class on pg_class.oid = relation
         where relname = 'message' and relnamespace = current_schema()::regnamespace
           and pid <> pg_backend_pid()",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(held, 0);
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(june.stands().await, (State::Queued, 1, None));

    // Another has the connection broken under it.
    postman.behave(Manner::TakesInSilence);
    assert!(matches!(june.sends(&mailer).await, Outcome::Retry(_)));
    postman.behave(Manner::Takes);
    assert_eq!(june.sends(&mailer).await, Outcome::Done);
    assert_eq!(june.stands().await, (State::Sent, 3, None));
    let mut ids: Vec<String> = postman
        .taken()
        .iter()
        .map(|letter| letter.header("Message-ID"))
        .collect();
    assert_eq!(ids.len(), 3);
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn without_a_mail_server_or_an_address_a_message_fails_and_says_so() {
    let june = June::open(Language::En).await;
    june.mall.closes("2026-06").await;
    let off = june.sends(&Mailer::Off).await;
    assert_eq!(off, Outcome::Fail("mail-is-off".to_owned()));

    june.retries().await.unwrap();
    let grant = june
        .mall
        .grant_of::<SetContact>("merchant.owner", Some(june.tea.merchant));
    let mut tx = june.mall.db.write(&grant).await.unwrap();
    contacts::remove(&mut tx, &grant, june.tea.merchant)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let postman = Postman::open().await;
    let gone = june.sends(&postman.mailer()).await;
    assert_eq!(gone, Outcome::Fail("no-contact".to_owned()));
    assert_eq!(postman.taken().len(), 0);
}

#[tokio::test]
async fn a_message_that_never_goes_is_given_up_after_its_tries() {
    let june = June::open(Language::En).await;
    june.mall.closes("2026-06").await;
    let postman = Postman::open().await;
    postman.behave(Manner::Refuses("421 4.3.2 closed:"));
    for _ in 1..notify::TRIES {
        let outcome = june.sends(&postman.mailer()).await;
        assert_eq!(outcome, Outcome::Retry("refused-421".to_owned()));
    }
    let last = june.sends(&postman.mailer()).await;
    assert_eq!(last, Outcome::Fail("refused-421".to_owned()));
    let why = Some("refused-421".to_owned());
    assert_eq!(june.stands().await, (State::Failed, notify::TRIES, why));
}
