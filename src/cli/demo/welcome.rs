//! What the demo says when its doors are open: where, with which keys, and what to try.

use std::{fmt::Write, net::SocketAddr};

use anyhow::Context;
use serde_json::{Value, json};

use super::keys::{Keys, MERCHANT};
use crate::{
    app::{App, Mall},
    authz::{action::VerifyBooks, actor::Principal},
    cli::{Failure, Output},
    kernel::{
        text::{CardNumber, Code, Language},
        time::Period,
    },
    members, merchants,
};

/// Whose balance the calls are about: the first of the people.
const CARD: &str = "GP-000001";

/// A call to try: what it does, and the command.
struct Call {
    what: &'static str,
    command: String,
}

/// Prints it all.
pub(super) async fn welcome(
    app: &App,
    mall: &Mall,
    keys: &Keys,
    address: SocketAddr,
    output: Output,
) -> Result<(), Failure> {
    let port = address.port();
    let host = mall.tenant.hosts.iter().find(|host| host.contains("demo"));
    let host = host.map_or("127.0.0.1", String::as_str);
    let site = format!("http://{host}:{port}");
    let calls = calls(app, mall, keys, address).await?;
    let json = json!({
        "object": "demo",
        "url": site,
        "docs": format!("{site}/docs"),
        "keys": keys.iter().collect::<Value>(),
        "calls": calls.iter().map(|call| call.command.as_str()).collect::<Vec<_>>(),
    });
    let folder = app.config.data_dir.display();
    let name = mall.tenant.names.get(Language::En);
    output.data(&json, || {
        let mut text = format!(
            "\n{name} is open.\n\n  The API, to read and to try   {site}/docs\n  \
             Its description               {site}/openapi.json\n  \
             Whether it is well            {site}/readyz  {site}/metrics\n  \
             A member's points             {site}/my  (any number; here the page shows the code)\n\n\
             Sample keys, kept in {folder}/demo-credentials:\n"
        );
        for (role, key) in keys.iter() {
            let _ = writeln!(text, "  {role:18}{key}");
        }
        text.push_str("\nThree calls to try:\n");
        for Call { what, command } in &calls {
            let _ = write!(text, "\n# {what}\n{command}\n");
        }
        text.push_str("\nCtrl-C stops it all; the next start has everything still.");
        text
    })
}

async fn calls(
    app: &App,
    mall: &Mall,
    keys: &Keys,
    address: SocketAddr,
) -> anyhow::Result<Vec<Call>> {
    let (merchants_store, card): (Code, CardNumber) =
        (format!("{MERCHANT}-b1").parse()?, CARD.parse()?);
    let who = Principal::platform(Some(mall.tenant.id));
    let mut tx = app.db.read(&app.policy.allow::<VerifyBooks>(&who)?).await?;
    let stores = [merchants_store];
    let stores = merchants::stores_by_code(&mut tx, &stores).await?;
    let store = stores.into_values().next();
    let store = store.context("the demo mall has no tea shop")?.store;
    let member = members::by_cards(&mut tx, &[card])
        .await?
        .into_values()
        .next();
    let period = Period::at(app.clock.now(), mall.tenant.zone, mall.settlement.period);
    // The address is a host of the mall's where it is this machine's own.
    let base = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() || v4.ip().is_loopback() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        _ => format!("http://localhost:{}", address.port()),
    };
    let call = |role: &str, path: &str| {
        let key = keys.of(role);
        format!("curl -s '{base}{path}' -H 'Authorization: Bearer {key}'")
    };
    let mut calls = vec![Call {
        what: "A till records two cups of tea. Sent again, the same answer, and no second purchase",
        command: format!(
            "{} -H 'Content-Type: application/json' -H 'Idempotency-Key: try-1' \
             -d '{{\"store_id\":\"{store}\",\"receipt_number\":\"TRY-1\",\"card_number\":\"{CARD}\",\
             \"lines\":[{{\"category\":\"tea\",\"quantity\":2,\"amount\":3600}}]}}'",
            call("merchant.cashier", "/v1/purchases"),
        ),
    }];
    if let Some(member) = member {
        let path = format!("/v1/members/{member}/balance");
        calls.push(Call {
            what: "The app shows the member's points, with who gave them and until when they live",
            command: call("machine.app", &path),
        });
    }
    let path = format!("/v1/settlements/preview?period={period}");
    calls.push(Call {
        what: "What each merchant of the alliance would pay or receive for this period",
        command: call("operator.finance", &path),
    });
    Ok(calls)
}
