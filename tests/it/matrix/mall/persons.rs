//! People who sign in. What they use up by asking is theirs alone: each is made for one request.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rotunda::{
    authz::{
        actor::{Role, Stores},
        own::OwnRoles,
        policy::Policy,
    },
    db::tenants::Schema,
    identity::NewKey,
    kernel::ids::MerchantId,
};
use serde_json::{Value, json};

use super::{House, Operation, PHONE, Plaza, Things, Who, Whose, text};
use crate::support::{
    NOON,
    books::owner,
    fresh_slug, instant,
    outside::{Caller, Server},
    people::{PASSWORD, code},
    sms::Telephones,
};

/// The role of the person who asks: one that needs no second factor.
pub const ROLE: &str = "operator.support";

/// The telephone of whoever comes in to go.
const LEAVER: &str = "+8613700137000";

/// Somebody who is signed in.
pub struct Fresh {
    pub token: String,
    pub session: String,
    /// A code that their second factor takes next.
    code: String,
}

impl House {
    /// Invites somebody; who, and the token.
    pub async fn invites(
        &self,
        server: &Server,
        role: &str,
        merchant: Option<&str>,
    ) -> (String, String, String) {
        let email = format!("{}@mall.example", fresh_slug());
        let mut new = json!({"email": email, "name": "New", "roles": [role]});
        if let Some(merchant) = merchant {
            new["merchant_id"] = json!(merchant);
        }
        let made = server
            .post(self.owner(), "/v1/staff/invitations", &new)
            .await;
        let link = text(&made, "link");
        let (_, token) = link.split_once("?token=").unwrap();
        (
            made["person"]["staff_id"].as_str().unwrap().to_owned(),
            email,
            token.to_owned(),
        )
    }

    /// A role of the mall's own, for merchants.
    pub async fn makes_a_role(&self, server: &Server) -> String {
        let rights = [json!({"object": "store", "action": "read"})];
        let new = json!({"code": fresh_slug(), "name": "New", "scope": "merchant",
                         "rights": rights});
        let made = server.post(self.owner(), "/v1/roles", &new).await;
        text(&made, "role_id")
    }

    /// A change of roles that waits for a second person.
    pub async fn proposes(&self, server: &Server, merchant: &str) -> String {
        let (staff, _, _) = self
            .invites(server, "merchant.cashier", Some(merchant))
            .await;
        let change = json!({"staff_id": staff, "roles": ["merchant.manager"]});
        let made = server.post(self.owner(), "/v1/role-changes", &change).await;
        text(&made, "role_change_id")
    }

    /// Whoever has that telephone comes in as a member.
    pub async fn enters(&self, server: &Server, phones: &Telephones, phone: &str) -> Fresh {
        let token = self.asks_for_a_code(server, phone).await;
        let code = phones.code(server, &self.tenant, &token).await;
        let shown = json!({"token": token, "code": code});
        let path = "/v1/member-sessions";
        let entered = server.post(self.stranger(), path, &shown).await;
        Fresh {
            token: text(&entered, "token"),
            session: text(&entered["session"], "session_id"),
            code,
        }
    }

    /// The member comes in once.
    pub async fn comes_in(&self, server: &Server, phones: &Telephones, things: &mut Things) {
        let session = self.enters(server, phones, PHONE).await.session;
        things.insert(("member_session_id", Whose::Own), session);
    }

    /// A code for that telephone, however many were asked for before; the token.
    pub async fn asks_for_a_code(&self, server: &Server, phone: &str) -> String {
        self.forgets_who_asked().await;
        let body = json!({"phone": phone});
        let asked = server.post(self.stranger(), "/v1/sign-in-codes", &body);
        text(&asked.await, "token")
    }

    /// Nobody asked for a code before: the matrix asks from one address, more often than anybody may.
    pub async fn forgets_who_asked(&self) {
        let mut sql = owner(&Schema::of(self.tenant.id).to_string()).await;
        let forgotten = sqlx::query("delete from signin_attempt");
        forgotten.execute(&mut sql).await.unwrap();
    }

    fn stranger(&self) -> Caller<'_> {
        Caller {
            key: None,
            ..self.owner()
        }
    }

    /// Somebody active, and their address.
    pub async fn person(&self, server: &Server) -> (Fresh, String) {
        let (_, email, token) = self.invites(server, ROLE, None).await;
        let chosen = json!({"token": token, "password": PASSWORD});
        let path = "/v1/staff/invitations/acceptance";
        let opened = server.post(self.stranger(), path, &chosen).await;
        let fresh = Fresh {
            token: text(&opened, "token"),
            session: text(&opened["session"], "session_id"),
            code: "000000".to_owned(),
        };
        (fresh, email)
    }

    /// The people of the two merchants, one of whom is invited, and somebody's session.
    pub async fn people(&self, server: &Server, things: &mut Things) {
        for whose in [Whose::Own, Whose::Other] {
            let made = self.make(server, things, "staff_id", whose).await;
            things.insert(("staff_id", whose), made);
        }
        let (person, _) = self.person(server).await;
        things.insert(("session_id", Whose::Own), person.session);
    }
}

impl Plaza {
    /// Somebody for that operation, at the point where it can be asked for.
    pub async fn somebody(
        &self,
        operation: &str,
        ids: &mut BTreeMap<&'static str, String>,
    ) -> Fresh {
        let (mut fresh, _) = self.house.person(&self.server).await;
        if ids.get("session_id") == Some(&self.things[&("session_id", Whose::Own)]) {
            ids.insert("session_id", fresh.session.clone());
        }
        let sets_up = [
            "activate_second_factor",
            "verify_second_factor",
            "remove_second_factor",
            "make_recovery_codes",
        ];
        if !sets_up.contains(&operation) {
            return fresh;
        }
        let caller = self.house.caller(&fresh.token);
        let begun = self
            .server
            .post(caller, "/v1/me/second-factor", &Value::Null);
        let secret = text(&begun.await, "secret");
        let now = instant(NOON);
        fresh.code = code(&secret, now);
        if operation != "activate_second_factor" {
            let shown = json!({"code": fresh.code});
            let path = "/v1/me/second-factor/activation";
            let activated = self.server.post(caller, path, &shown).await;
            fresh.token = text(&activated["opened"], "token");
            fresh.code = code(&secret, now + TimeDelta::seconds(30));
        }
        fresh
    }

    /// A member who asks.
    pub async fn a_member(&self) -> Who {
        let entered = self.house.enters(&self.server, &self.phones, PHONE).await;
        Who {
            name: "a member who is signed in",
            role: Some("member"),
            merchant: false,
            person: false,
            key: Some(entered.token),
        }
    }

    /// The member for an operation that uses up what she has; none for any other.
    pub async fn member_for(
        &self,
        operation: &Operation,
        ids: &mut BTreeMap<&'static str, String>,
    ) -> Option<Fresh> {
        if operation.recipe.name == "erase_member" {
            return Some(self.a_leaver(ids).await);
        }
        if operation.recipe.right == ("membership", "use") {
            return Some(self.some_member(ids).await);
        }
        None
    }

    /// A member who comes in for one request alone.
    async fn some_member(&self, ids: &mut BTreeMap<&'static str, String>) -> Fresh {
        let fresh = self.house.enters(&self.server, &self.phones, PHONE).await;
        let own = &self.things[&("member_session_id", Whose::Own)];
        if ids.get("member_session_id") == Some(own) {
            ids.insert("member_session_id", fresh.session.clone());
        }
        fresh
    }

    /// Keys of both malls.
    pub fn secrets(&self) -> [&str; 4] {
        let house = &self.house;
        [&house.owner, &house.till, &house.finance, &self.stranger].map(String::as_str)
    }

    /// A member of whom the matrix needs nothing else.
    pub async fn somebody_new(&self) -> String {
        let card = json!({"card_number": fresh_slug()});
        let made = self.server.post(self.till(), "/v1/members", &card).await;
        text(&made, "member_id")
    }

    /// A member who came in to go; she asks for her own erasure where the matrix asks for one's own.
    async fn a_leaver(&self, ids: &mut BTreeMap<&'static str, String>) -> Fresh {
        let fresh = self.house.enters(&self.server, &self.phones, LEAVER).await;
        let own = &self.things[&("member_id", Whose::Own)];
        if ids.get("member_id") == Some(own) {
            let caller = self.house.caller(&fresh.token);
            let me = self.server.get(caller, "/v1/membership").await;
            ids.insert("member_id", text(&me["member"], "member_id"));
        }
        fresh
    }

    /// What the bodies of these operations name, filled in.
    pub async fn filled_by_people(&self, body: &str, fresh: Option<&Fresh>) -> String {
        let mut body = body.replace("<password>", PASSWORD);
        let code = fresh.map_or("000000", |fresh| fresh.code.as_str());
        body = body.replace("<totp>", code);
        if body.contains("<phone>") {
            self.house.forgets_who_asked().await;
            body = body.replace("<phone>", PHONE);
        }
        if body.contains("<asked>") {
            let token = self.house.asks_for_a_code(&self.server, PHONE).await;
            let tenant = &self.house.tenant;
            let told = self.phones.code(&self.server, tenant, &token).await;
            body = body.replace("<asked>", &token).replace("<told>", &told);
        }
        if body.contains("<email>") {
            let (_, email) = self.house.person(&self.server).await;
            body = body.replace("<email>", &email);
        }
        if body.contains("<conditions>") {
            let path = "/v1/merchant-texts?kind=conditions";
            let digest = self.server.get(self.house.stranger(), path).await;
            body = body.replace("<conditions>", digest["digest"].as_str().unwrap());
        }
        if body.contains("<invitation>") {
            let (_, _, token) = self.house.invites(&self.server, ROLE, None).await;
            body = body.replace("<invitation>", &token);
        }
        if body.contains("<reset>") {
            let (id, _, token) = self.house.invites(&self.server, ROLE, None).await;
            self.make_a_reset(&id).await;
            body = body.replace("<reset>", &token);
        }
        body
    }

    /// Has somebody's invitation be a link for who forgot the password: else only a letter tells one.
    async fn make_a_reset(&self, staff: &str) {
        let id: rotunda::kernel::ids::StaffId = staff.parse().unwrap();
        let mut sql = owner(&Schema::of(self.house.tenant.id).to_string()).await;
        for change in [
            "update staff set state = 'active', password_hash = 'none' where staff_id = $1",
            "update staff_link set kind = 'reset' where staff_id = $1",
        ] {
            let changed = sqlx::query(change).bind(id.uuid());
            changed.execute(&mut sql).await.unwrap();
        }
    }

    /// Somebody who is signed in, for whatever is not theirs alone.
    pub async fn signed_in(&self) -> String {
        self.house.person(&self.server).await.0.token
    }
}

/// Bodies that stand for nobody, where it only matters what else is in them.
pub fn nobodys(body: &str) -> String {
    let body = body.replace("<email>", "nobody@mall.example");
    let body = body.replace("<phone>", PHONE);
    let body = body.replace("<conditions>", &"0".repeat(64));
    [
        "<asked>",
        "<told>",
        "<password>",
        "<totp>",
        "<invitation>",
        "<reset>",
    ]
    .into_iter()
    .fold(body, |body, name| body.replace(name, "nobody"))
}

/// Every role of the policy that a key may have, with the merchant where it needs one.
pub fn roles(policy: &Policy, own: MerchantId) -> Vec<(&'static str, Option<MerchantId>)> {
    let mut roles = Vec::new();
    for role in policy.roles() {
        let role: &'static str = role.to_owned().leak();
        let key = |merchant| {
            NewKey::new(
                policy,
                &OwnRoles::default(),
                role.parse().unwrap(),
                Role::new(role),
                merchant,
                Stores::All,
            )
        };
        let may: Vec<_> = [None, Some(own)]
            .into_iter()
            .filter(|merchant| key(*merchant).is_ok())
            .collect();
        let family = role.split('.').next().unwrap();
        let expected: &[_] = match family {
            "operator" | "machine" => &[None],
            "merchant" => &[Some(own)],
            _ => &[],
        };
        assert_eq!(may, expected, "{role}");
        roles.extend(may.into_iter().map(|merchant| (role, merchant)));
    }
    roles
}
