//! Companies that want to join.

use poem::http::Method;
use rotunda::{
    authz::actor::Principal,
    kernel::text::Language,
    merchants::onboarding::{self, Beginning, TextKind, texts},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{House, text};
use crate::{
    onboarding::{LICENCE, PNG, full},
    support::{fresh_slug, outside::Server},
};

impl House {
    /// An application that was sent in, and one of its files. By the use case: the door counts how many
    /// are begun from one address.
    pub async fn applied(&self, server: &Server) -> (String, String) {
        let app = &server.app;
        let nobody = Principal::anonymous(self.tenant.id);
        let grant = app.policy.allow(&nobody).unwrap();
        let mut tx = app.db.write(&grant).await.unwrap();
        let conditions = texts::current(&mut tx, &grant, TextKind::Conditions).await;
        let new = Beginning {
            email: format!("{}@lantern.example", fresh_slug()).parse().unwrap(),
            language: Language::En,
            digest: conditions.unwrap().digest,
            from: "here".to_owned(),
            tell: true,
        };
        let token = onboarding::start(&mut tx, &grant, new).await.unwrap();
        tx.commit().await.unwrap();
        let token = token.unwrap().expose_secret().to_owned();
        let own = self.caller(&token);
        let mut said = full(LICENCE);
        said["form"]["country"] = json!("TW");
        said["form"]["licence_number"] = json!(fresh_slug());
        let said = said.to_string();
        let path = "/v1/application";
        let saved = server.ask(own, &Method::PUT, path, Some(&said)).await;
        assert_eq!(saved.status, 200, "{}", saved.body);
        let mut file = String::new();
        for kind in ["licence", "identity"] {
            let path = format!("/v1/application/files?kind={kind}&name=scan.png");
            let media = "application/octet-stream";
            let sent = server.send(own, &path, media, &[], PNG).await;
            file = text(&sent.json(), "file_id");
        }
        let path = "/v1/application/submission";
        let sent = server.post(own, path, &Value::Null).await;
        (text(&sent["application"], "application_id"), file)
    }
}
