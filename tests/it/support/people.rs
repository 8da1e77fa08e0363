//! People who work in a mall, and come in as their clients do.

use std::sync::atomic::{AtomicU32, Ordering};

use poem::http::Method;
use rotunda::kernel::{ids::Entropy, time::Clock};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::{
    NOON,
    front::{Front, PLAIN, Sheet},
    instant,
    outside::{Answer, Caller, Server},
    settling::Mall,
    url,
};
use rotunda::{
    config::Config,
    db::{locator::Targets, tenants::Tenant},
    kernel::time::Instant,
};

/// Two shops, so that one's people can try to reach the other.
const SHOPS: Sheet = Sheet {
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake" }"#),
    ],
    ..PLAIN
};

/// What everybody here chooses.
pub const PASSWORD: &str = "rain on the bakery roof";

/// A mall with its server, whose clock stands still, behind a proxy.
pub struct People {
    pub server: Server,
    pub front: Front,
    pub clock: Clock,
    asked: AtomicU32,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub token: String,
    /// The secret of their second factor, in base32; empty for none.
    pub secret: String,
    pub recovery_codes: Vec<String>,
}

impl People {
    pub async fn open() -> Self {
        Self::open_as(&SHOPS, NOON).await
    }

    /// A mall that says this of itself, at that moment.
    pub async fn open_as(sheet: &Sheet, moment: &str) -> Self {
        Self::open_with(sheet, moment, |_| ()).await
    }

    /// The same, at a server of other settings.
    pub async fn open_with(sheet: &Sheet, moment: &str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::fixed(instant(moment));
        let mut config = Self::config();
        change(&mut config);
        let server = Server::open_with(config, clock.clone(), Entropy::System).await;
        let front = Front::open(&server, sheet, None).await;
        Self {
            server,
            front,
            clock,
            asked: AtomicU32::new(1),
        }
    }

    /// Those of a mall that lives in a test, met at a server of its own.
    pub async fn before(mall: &Mall) -> Self {
        let server = Self::server(&mall.clock).await;
        let front = Front::of(&server, mall.tenant.clone()).await;
        Self {
            server,
            front,
            clock: mall.clock.clone(),
            asked: AtomicU32::new(1),
        }
    }

    /// Those of a mall that is there, met at a server of whatever house.
    pub async fn of(server: Server, tenant: Tenant, clock: Clock) -> Self {
        let front = Front::of(&server, tenant).await;
        Self {
            server,
            front,
            clock,
            asked: AtomicU32::new(1),
        }
    }

    /// One more server of the same house.
    pub async fn server(clock: &Clock) -> Server {
        Server::open_with(Self::config(), clock.clone(), Entropy::System).await
    }

    fn config() -> Config {
        let mut config = Server::config(&url(), Targets::new(), 8);
        config.behind_proxy = true;
        config
    }

    /// The same people, met at another server.
    pub fn at<'a>(&'a self, token: &'a str) -> Caller<'a> {
        self.front.with(token)
    }

    /// Whoever shows nothing.
    pub fn stranger(&self) -> Caller<'_> {
        Caller {
            host: self.front.host(),
            key: None,
        }
    }

    pub fn pass(&self, seconds: i64) {
        let now = self.clock.now() + chrono::TimeDelta::seconds(seconds);
        self.clock.set(now);
    }

    /// An address where nobody was before.
    pub fn elsewhere(&self) -> String {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        format!("198.51.{}.{}", 100 + number / 250, 1 + number % 250)
    }

    pub async fn merchant(&self, code: &str) -> String {
        let id = self
            .front
            .find(&self.server, "/v1/merchants", code, "merchant_id");
        id.await
    }

    /// What an invitation answers.
    pub async fn invite(
        &self,
        by: &str,
        email: &str,
        roles: &[&str],
        merchant: Option<&str>,
    ) -> Answer {
        let mut body = json!({"email": email, "name": "Somebody", "roles": roles});
        if let Some(merchant) = merchant {
            body["merchant_id"] = json!(merchant);
        }
        let (path, body) = ("/v1/staff/invitations", body.to_string());
        let caller = self.at(by);
        self.server
            .ask(caller, &Method::POST, path, Some(&body))
            .await
    }

    /// The mall's own key of an owner's role, which invites the first ones.
    pub async fn master(&self) -> String {
        self.server
            .key(&self.front.tenant, "operator.owner", None)
            .await
    }

    /// Somebody active, whose session shows no second factor.
    pub async fn active(&self, email: &str, roles: &[&str], merchant: Option<&str>) -> Person {
        let token = self.invited(email, roles, merchant).await;
        self.comes(&token).await
    }

    /// Whoever was invited by that token.
    pub async fn comes(&self, token: &str) -> Person {
        let body = json!({"token": token, "password": PASSWORD});
        let path = "/v1/staff/invitations/acceptance";
        let from = self.elsewhere();
        let answer = self
            .server
            .ask_from(&from, self.stranger(), path, &body)
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let token = text(&answer.json()["token"]);
        let me = self.server.get(self.at(&token), "/v1/me").await;
        Person {
            id: text(&me["person"]["staff_id"]),
            token,
            secret: String::new(),
            recovery_codes: Vec::new(),
        }
    }

    /// The token of somebody's invitation, who is invited by the vendor's right.
    pub async fn invited(&self, email: &str, roles: &[&str], merchant: Option<&str>) -> String {
        use rotunda::{
            authz::actor::{Principal, Role, Stores},
            identity::staff::{NewStaff, Roles, Tell, invite},
            kernel::text::Language,
        };
        use secrecy::ExposeSecret;
        let app = &self.server.app;
        let tenant = self.front.tenant.id;
        let anonymous = app.policy.allow(&Principal::anonymous(tenant)).unwrap();
        let revision = app.revision(tenant, true).await.unwrap();
        let own = app.own_roles(&anonymous, tenant, revision).await.unwrap();
        let vendor = Principal::platform(Some(tenant)).with(own);
        let grant = app.policy.allow(&vendor).unwrap();
        let roles = roles.iter().map(|role| Role::new(*role)).collect();
        let merchant = merchant.map(|id| id.parse().unwrap());
        let new = NewStaff {
            email: email.parse().unwrap(),
            name: "Somebody".parse().unwrap(),
            language: Language::En,
            roles: Roles::new(&app.policy, grant.own_roles(), roles, merchant, Stores::All)
                .unwrap(),
        };
        let mut tx = app.db.write(&grant).await.unwrap();
        let invited = invite(&mut tx, &app.policy, &grant, new, Tell::ByInviter).await;
        let invited = invited.unwrap();
        tx.commit().await.unwrap();
        invited.token.unwrap().expose_secret().to_owned()
    }

    /// Somebody active, with a second factor that was shown.
    pub async fn whole(&self, email: &str, roles: &[&str], merchant: Option<&str>) -> Person {
        let mut person = self.active(email, roles, merchant).await;
        self.enrol(&mut person).await;
        person
    }

    /// Sets a second factor up.
    pub async fn enrol(&self, person: &mut Person) {
        let caller = self.at(&person.token);
        let told = self
            .server
            .post(caller, "/v1/me/second-factor", &Value::Null)
            .await;
        person.secret = text(&told["secret"]);
        let code = json!({"code": code(&person.secret, self.clock.now())});
        let path = "/v1/me/second-factor/activation";
        let activated = self.server.post(caller, path, &code).await;
        let codes = activated["recovery_codes"].as_array().unwrap();
        person.recovery_codes = codes.iter().map(text).collect();
        person.token = text(&activated["opened"]["token"]);
        // The code of this moment is used up.
        self.pass(30);
    }

    /// What signing in from there answers.
    pub async fn sign_in_from(&self, address: &str, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.server
            .ask_from(address, self.stranger(), "/v1/sessions", &body)
            .await
    }

    /// What signing in answers, from an address where nobody was before.
    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.sign_in_from(&self.elsewhere(), email, password).await
    }

    /// What showing a code answers.
    pub async fn show(&self, token: &str, code: &str) -> Answer {
        let body = json!({"code": code}).to_string();
        let path = "/v1/me/second-factor/verification";
        self.server
            .ask(self.at(token), &Method::POST, path, Some(&body))
            .await
    }

    /// Status and code of an answer to somebody.
    pub async fn asks(&self, token: &str, path: &str) -> (u16, String) {
        let answer = self
            .server
            .ask(self.at(token), &Method::GET, path, None)
            .await;
        (answer.status, answer.code())
    }

    /// Something that somebody does without saying more.
    pub async fn does(&self, token: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let body = (body != "null").then_some(body.as_str());
        self.server
            .ask(self.at(token), &Method::POST, path, body)
            .await
    }
}

/// The code that a telephone shows at that moment.
pub fn code(secret: &str, at: Instant) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new()
        .with_secret(secret)
        .with_account_name("x")
        .build()
        .unwrap();
    totp.generate(u64::try_from(at.timestamp()).unwrap())
        .to_string()
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}
