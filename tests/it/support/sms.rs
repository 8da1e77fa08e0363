//! Whoever sends short messages, over HTTP: it keeps what it took once it has looked at the signature,
//! and can be told to refuse. And the job that tells a telephone its code.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac};
use poem::{
    Request, Response, Server as Listening, endpoint::make, http::StatusCode, listener::TcpAcceptor,
};
use rotunda::{
    config::SmsHook,
    db::tenants::Tenant,
    identity::members::codes::SendCode,
    jobs::{Tools, handlers},
    kernel::{ids::SignInCodeId, page::hex},
    queue::{Job, worker::Outcome},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

use super::outside::Server;

const SECRET: &str = "a secret of both sides";

/// What it took, and what it answers.
#[derive(Default)]
struct Desk {
    answers: Option<u16>,
    taken: Vec<Value>,
}

/// Everybody's telephones.
pub struct Telephones {
    port: u16,
    desk: Arc<Mutex<Desk>>,
    task: JoinHandle<()>,
}

impl Drop for Telephones {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Telephones {
    pub async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        let door = make(move |request| take(Arc::clone(&shared), request));
        let task = tokio::spawn(async move {
            let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
            let _ = Listening::new_with_acceptor(acceptor).run(door).await;
        });
        Self { port, desk, task }
    }

    /// What a server's settings say of it.
    pub fn hook(&self) -> SmsHook {
        SmsHook {
            url: format!("http://127.0.0.1:{}/messages", self.port),
            secret: SecretString::from(SECRET),
        }
    }

    /// From now on it takes nothing and answers this; none: it takes everything.
    pub fn answers(&self, status: Option<u16>) {
        self.desk.lock().unwrap().answers = status;
    }

    /// What was sent, in order.
    pub fn taken(&self) -> Vec<Value> {
        self.desk.lock().unwrap().taken.clone()
    }

    /// Has the telephone told that waits for what was asked for; the code.
    pub async fn code(&self, server: &Server, mall: &Tenant, token: &str) -> String {
        assert_eq!(tell(server, mall, token).await, Outcome::Done);
        let text = self.taken().pop().expect("a message");
        digits(text["text"].as_str().unwrap())
    }
}

/// The six digits of a message.
fn digits(text: &str) -> String {
    let mut runs = text.split(|letter: char| !letter.is_ascii_digit());
    runs.find(|run| run.len() == 6).unwrap().to_owned()
}

/// Does the job of what was asked for.
pub async fn tell(server: &Server, mall: &Tenant, token: &str) -> Outcome {
    let id = token
        .strip_prefix("rc_")
        .unwrap()
        .split('_')
        .next()
        .unwrap();
    let id: SignInCodeId = format!("sic_{id}").parse().unwrap();
    let app = &server.app;
    let tools = Tools {
        db: app.db.clone(),
        policy: app.policy.clone(),
        bell: app.bell.clone(),
        mailer: app.mailer.clone(),
        sms: app.sms.clone(),
        stripe: app.stripe.clone(),
        files: app.files.clone(),
        base_url: None,
    };
    let job = json!({"code": id.uuid()});
    handlers(&tools).run(mall.id, SendCode::NAME, job).await
}

async fn take(desk: Arc<Mutex<Desk>>, mut request: Request) -> poem::Result<Response> {
    let body = request.take_body().into_string().await.unwrap();
    let signature = request.header("rotunda-signature").unwrap();
    let (seconds, signed) = signature.split_once(",v1=").unwrap();
    let seconds = seconds.strip_prefix("t=").unwrap();
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    assert_eq!(hex(&mac.finalize().into_bytes()), signed, "signed by us");
    let message: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(request.header("idempotency-key"), message["id"].as_str());
    let mut desk = desk.lock().unwrap();
    let status = desk.answers.unwrap_or(204);
    if desk.answers.is_none() {
        desk.taken.push(message);
    }
    Ok(Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .finish())
}
