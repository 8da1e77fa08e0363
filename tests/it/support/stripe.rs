//! A peer of the tests' own that speaks as Stripe does, over HTTP: customers, invoices and their items,
//! transfers, idempotency keys, lists, signed messages. It can be told to fail, to be slow, and to go
//! away after it has done what it was asked for; who pays is for the test to say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::stream;
use hmac::{Hmac, Mac};
use poem::{
    Body, Request, Response, Server, endpoint::make, http::StatusCode, listener::TcpAcceptor,
};
use rotunda::{
    gateway::stripe::{Keys, Stripe},
    kernel::{page::hex, text::Slug},
};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

/// The key of the operator whose account it is.
pub const SECRET_KEY: &str = "sk_test_peer";
/// With which it signs.
pub const WEBHOOK_SECRET: &str = "whsec_peer";

/// What it says to whoever wants something done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It does it.
    Does,
    /// It does nothing and answers so, with this code.
    Answers(u16, &'static str),
    /// It does nothing and answers what is no JSON.
    Babbles,
    /// It does it, and answers after that time.
    Dawdles(Duration),
    /// It does it, and the connection breaks.
    Drops,
    /// It does it, and never says so.
    Waits,
}

#[derive(Default)]
struct World {
    manner: Option<(String, Manner)>,
    objects: Vec<Value>,
    items: Vec<Value>,
    answered: HashMap<String, (String, u16, Value)>,
    asked: Vec<String>,
    events: Vec<Value>,
}

/// The peer.
pub struct Peer {
    pub port: u16,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

impl Peer {
    pub async fn open() -> Self {
        Self::on(0, Arc::default()).await
    }

    async fn on(port: u16, world: Arc<Mutex<World>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&world);
        let door = make(move |request| answer(Arc::clone(&shared), request));
        let task = tokio::spawn(async move {
            let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
            let _ = Server::new_with_acceptor(acceptor).run(door).await;
        });
        Self { port, world, task }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The account that a mall has here; a call may take that long.
    pub fn account(&self, mall: &Slug, patience: Duration) -> Stripe {
        let keys = Keys {
            secret: SecretString::from(SECRET_KEY),
            webhook: SecretString::from(WEBHOOK_SECRET),
        };
        Stripe::new(Some(&self.url()), patience, [(mall.clone(), keys)]).unwrap()
    }

    /// From now on it does so with everything that is to be done at addresses of that ending.
    pub fn behave(&self, address: &str, manner: Manner) {
        self.world.lock().unwrap().manner = Some((address.to_owned(), manner));
    }

    /// Goes away.
    pub async fn leave(self) -> impl Future<Output = Self> {
        self.task.abort();
        let _ = self.task.await;
        let (port, world) = (self.port, self.world);
        async move { Self::on(port, world).await }
    }

    /// Everything of a kind: "invoice".
    pub fn all(&self, object: &str) -> Vec<Value> {
        let world = self.world.lock().unwrap();
        let all = world.objects.iter().filter(|one| one["object"] == object);
        all.cloned().collect()
    }

    /// What was to be done so far: method and address.
    pub fn asked(&self) -> Vec<String> {
        self.world.lock().unwrap().asked.clone()
    }

    /// The items of an invoice.
    pub fn items(&self, invoice: &Value) -> Vec<Value> {
        let world = self.world.lock().unwrap();
        let items = world.items.iter();
        let own = items.filter(|item| item["invoice"] == invoice["id"]);
        own.cloned().collect()
    }

    /// What it would send, in order.
    pub fn events(&self) -> Vec<Value> {
        self.world.lock().unwrap().events.clone()
    }

    /// What it would send of that kind.
    pub fn event(&self, kind: &str) -> Value {
        let events = self.events();
        let mut found = events.iter().rev();
        found.find(|event| event["type"] == kind).unwrap().clone()
    }

    /// A day goes by: what was answered under which key is forgotten.
    pub fn forgets_keys(&self) {
        self.world.lock().unwrap().answered.clear();
    }

    /// Somebody pays of an invoice so much.
    pub fn pays(&self, invoice: &Value, amount: i64) {
        let set = [("amount_paid", json!(amount)), ("status", json!("paid"))];
        self.changes(invoice, "invoice.paid", &set);
    }

    /// Something becomes of an object, and it says so.
    pub fn changes(&self, object: &Value, kind: &str, set: &[(&str, Value)]) {
        let mut world = self.world.lock().unwrap();
        let id = object["id"].as_str().unwrap().to_owned();
        let found = world.find(&id).unwrap();
        for (name, value) in set {
            found[*name] = value.clone();
        }
        let now = found.clone();
        world.says(kind, &now);
    }
}

/// A message as it is sent: the header and the body, signed with that secret at that moment.
pub fn signed(event: &Value, secret: &str, at: DateTime<Utc>) -> (String, String) {
    let (body, moment) = (event.to_string(), at.timestamp());
    let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signed = key.chain_update(format!("{moment}.{body}")).finalize();
    let header = format!("t={moment},v1={}", hex(&signed.into_bytes()));
    (header, body)
}

impl World {
    fn find(&mut self, id: &str) -> Option<&mut Value> {
        self.objects.iter_mut().find(|one| one["id"] == id)
    }

    fn says(&mut self, kind: &str, object: &Value) {
        let id = format!("evt_{}", self.events.len() + 1);
        let event = json!({
            "id": id, "object": "event", "type": kind, "created": 1_782_950_400 + self.events.len(),
            "api_version": "2026-09-30.endive", "livemode": false, "data": { "object": object },
        });
        self.events.push(event);
    }

    fn makes(&mut self, prefix: &str, object: &str, form: &Form, more: &Value) -> Value {
        let mut made = json!({
            "id": format!("{prefix}_{}", self.objects.len() + 1), "object": object,
            "metadata": form.metadata(), "livemode": false,
        });
        let fields = made.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self.objects.insert(0, made.clone());
        made
    }

    /// What becomes of what was asked for.
    fn does(&mut self, method: &str, path: &[&str], form: &Form) -> (u16, Value) {
        let missing = || error(404, "resource_missing", "No such thing here: a@b.example");
        match (method, path) {
            ("GET", ["balance"]) => (200, json!({"object": "balance", "available": []})),
            ("GET", [list @ ("customers" | "invoices" | "transfers")]) => {
                let object = list.trim_end_matches('s');
                let fits = |one: &&Value| {
                    let names = ["email", "customer", "transfer_group"];
                    let asked = names
                        .iter()
                        .filter_map(|name| Some((name, form.get(name)?)));
                    one["object"] == object && asked.into_iter().all(|(name, is)| one[*name] == is)
                };
                let data: Vec<Value> = self.objects.iter().filter(fits).cloned().collect();
                (
                    200,
                    json!({"object": "list", "data": data, "has_more": false}),
                )
            }
            ("POST", ["customers"]) => {
                let more = json!({"email": form.get("email"), "name": form.get("name")});
                (200, self.makes("cus", "customer", form, &more))
            }
            ("POST", ["invoices"]) => {
                let whose = form.get("customer").unwrap_or_default();
                if self.find(&whose).is_none() {
                    return missing();
                }
                let more = json!({
                    "customer": whose, "currency": form.get("currency"), "status": "draft",
                    "total": 0, "amount_paid": 0, "collection_method": form.get("collection_method"),
                    "days_until_due": form.number("days_until_due"),
                    "auto_advance": form.get("auto_advance"),
                });
                let made = self.makes("in", "invoice", form, &more);
                self.says("invoice.created", &made);
                (200, made)
            }
            ("POST", ["invoiceitems"]) => {
                let (invoice, amount) = (form.get("invoice").unwrap(), form.number("amount"));
                let Some(found) = self.find(&invoice) else {
                    return missing();
                };
                assert_eq!(found["currency"], form.get("currency").unwrap());
                found["total"] = json!(found["total"].as_i64().unwrap() + amount);
                let item = json!({
                    "id": format!("ii_{}", self.items.len()), "object": "invoiceitem",
                    "invoice": invoice, "amount": amount, "description": form.get("description"),
                    "metadata": form.metadata(),
                });
                self.items.push(item.clone());
                (200, item)
            }
            ("POST", ["transfers"]) => {
                let more = json!({
                    "amount": form.number("amount"), "amount_reversed": 0,
                    "currency": form.get("currency"), "destination": form.get("destination"),
                    "transfer_group": form.get("transfer_group"),
                });
                let made = self.makes("tr", "transfer", form, &more);
                self.says("transfer.created", &made);
                (200, made)
            }
            ("POST", ["invoices", id, act]) => {
                let Some(found) = self.find(id) else {
                    return missing();
                };
                let was = found["status"].as_str().unwrap().to_owned();
                let (after, kinds): (_, &[&str]) = match (*act, was.as_str()) {
                    ("finalize", "draft") => ("open", &["invoice.finalized", "invoice.sent"]),
                    ("void", "open" | "uncollectible") => ("void", &["invoice.voided"]),
                    _ => return error(400, "invoice_not_editable", "not in this state"),
                };
                found["status"] = json!(after);
                let now = found.clone();
                for kind in kinds {
                    self.says(kind, &now);
                }
                (200, now)
            }
            ("POST", ["customers", id]) => {
                let Some(found) = self.find(id) else {
                    return missing();
                };
                found["email"] = json!(form.get("email"));
                (200, found.clone())
            }
            ("GET", [_, id]) => self
                .find(id)
                .map_or_else(missing, |found| (200, found.clone())),
            ("DELETE", ["invoices", id]) => {
                self.objects.retain(|one| one["id"] != *id);
                (200, json!({"id": id, "deleted": true}))
            }
            _ => error(404, "url_invalid", "Unrecognized request URL"),
        }
    }
}

fn error(status: u16, code: &str, message: &str) -> (u16, Value) {
    let error = json!({"type": "invalid_request_error", "code": code, "message": message});
    (status, json!({ "error": error }))
}

/// A form or a query, in order.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (plain(name), plain(value)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn number(&self, name: &str) -> i64 {
        self.get(name).unwrap().parse().unwrap()
    }

    fn metadata(&self) -> Value {
        let inner = |name: &str| {
            let inner = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some(inner.to_owned())
        };
        let pairs = self.0.iter();
        let pairs = pairs.filter_map(|(name, value)| Some((inner(name)?, json!(value))));
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}

/// Without what addresses and forms write otherwise.
fn plain(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &tail[2..];
            }
            b'+' => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn answer(world: Arc<Mutex<World>>, mut request: Request) -> Response {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (key, bearer) = (header("idempotency-key"), header("authorization"));
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.take_body().into_string().await.unwrap();
    let form = Form::read(if method == "POST" { &body } else { &query });
    let acts = method != "GET";
    let (manner, (status, said)) = {
        let mut world = world.lock().unwrap();
        if bearer != Some(format!("Bearer {SECRET_KEY}")) {
            return written(error(
                401,
                "api_key",
                "Invalid API Key provided: sk_test_****",
            ));
        }
        if acts {
            world.asked.push(format!("{method} {path}"));
        }
        let manner = world.manner.clone();
        let manner = manner.filter(|(address, _)| acts && path.ends_with(address.as_str()));
        let manner = manner.map_or(Manner::Does, |(_, manner)| manner);
        // The same under the same key, also where that was a failure; something else is refused.
        let mut parts: Vec<&str> = body.split('&').collect();
        parts.sort_unstable();
        let asked = format!("{method} {path} {}", parts.join("&"));
        let known = key
            .as_ref()
            .and_then(|key| world.answered.get(key))
            .cloned();
        let told = match known {
            Some((before, ..)) if before != asked => error(
                400,
                "idempotency_key_in_use",
                "another request had this key",
            ),
            Some((_, status, said)) => (status, said),
            None => {
                let told = if let Manner::Answers(status, code) = manner {
                    error(status, code, "as it was told to")
                } else {
                    let path = path.trim_start_matches("/v1/");
                    let path: Vec<&str> = path.split('/').collect();
                    world.does(&method, &path, &form)
                };
                // Who is too fast is not remembered.
                if let Some(key) = key.filter(|_| told.0 != 429) {
                    world.answered.insert(key, (asked, told.0, told.1.clone()));
                }
                told
            }
        };
        (manner, told)
    };
    match manner {
        Manner::Dawdles(time) => tokio::time::sleep(time).await,
        Manner::Waits => std::future::pending().await,
        Manner::Babbles => {
            return Response::builder()
                .status(StatusCode::BAD_GATEWAY)
                .body("<html>");
        }
        Manner::Drops => {
            let torn = stream::iter([Ok(vec![b'{']), Err(std::io::Error::other("gone"))]);
            return Response::builder().body(Body::from_bytes_stream(torn));
        }
        Manner::Does | Manner::Answers(..) => {}
    }
    written((status, said))
}

fn written((status, said): (u16, Value)) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .content_type("application/json")
        .body(said.to_string())
}
