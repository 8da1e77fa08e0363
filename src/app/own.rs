//! What is a member's own: a copy of all that the mall knows of her, and the end of it. Members, their
//! sessions, their points and their receipts are in four rooms; here they meet.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::App;
use crate::{
    audit::{self, Act, Done, names},
    authz::{
        action::{CopyMembers, EraseMembers},
        grant::Grant,
    },
    db::{tenants::Tenant, tx::Tx},
    identity::members as visits,
    kernel::{
        ids::MemberId,
        sheet::{BYTE_ORDER_MARK, cell},
        text::{CardNumber, Language, Name, Names},
        time::Instant,
    },
    ledger,
    members::{self, Erased, Member, MemberError},
    reports::own::{self, Left, Line, Nil, Receipt},
    texts::text,
};

/// What the sheet's columns are called, in the catalogue's words.
const HEAD: [&str; 8] = [
    "number", "when", "what", "points", "after", "where", "receipt", "good",
];

/// A file that is somebody's own.
#[derive(Debug)]
pub struct Copy {
    /// What it is called.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Everything that the mall knows of a member, as one object of JSON that is described in
/// `README.md`. That it was taken away is written down.
///
/// # Errors
/// [`MemberError`].
pub async fn copy(
    app: &App,
    mall: &Tenant,
    grant: &Grant<CopyMembers>,
    id: MemberId,
) -> Result<Copy, MemberError> {
    let mut tx = app.db.write(grant).await?;
    let member = begin(&mut tx, grant, id).await?;
    let balance = ledger::balance(&mut tx, id, None).await?;
    let left = own::left(&mut tx, grant, id).await?;
    let lines = own::lines(&mut tx, grant, id).await?;
    let nil = own::nil_receipts(&mut tx, grant, id).await?;
    let sessions = visits::copied(&mut tx, grant, id).await?;
    let now = tx.now();
    tx.commit().await?;
    let sessions = sessions.iter().map(|visit| {
        json!({
            "session_id": visit.id.to_string(),
            "origin": visit.origin,
            "created_at": moment(visit.created_at),
            "seen_at": moment(visit.seen_at),
            "ended_at": visit.ended_at.map(moment),
        })
    });
    let whole = json!({
        "format": "rotunda member copy 1",
        "mall": names(&mall.names),
        "currency": mall.currency.code(),
        "copied_at": moment(now),
        "member": {
            "member_id": member.id.to_string(),
            "name": member.name.as_ref().map(Name::as_str),
            "phone": member.phone.as_ref().map(ToString::to_string),
            "card_number": member.card_number.as_ref().map(CardNumber::as_str),
            "enrolled_at": moment(member.enrolled_at),
        },
        "points": balance.map(|of| json!({
            "available": of.available,
            "held": of.held,
            "owed": of.owed,
        })),
        "grants": left.iter().map(grant_of).collect::<Vec<_>>(),
        "history": lines.iter().map(line).collect::<Vec<_>>(),
        "receipts_without_points": nil.iter().map(nil_receipt).collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(),
    });
    Ok(Copy {
        name: called(mall, id, "json"),
        text: format!("{whole:#}\n"),
    })
}

/// A member's history as a sheet in `language`, the first line first, times in the mall's zone. That it
/// was taken away is written down.
///
/// # Errors
/// [`MemberError`].
pub async fn history(
    app: &App,
    mall: &Tenant,
    grant: &Grant<CopyMembers>,
    id: MemberId,
    language: Language,
) -> Result<Copy, MemberError> {
    let mut tx = app.db.write(grant).await?;
    begin(&mut tx, grant, id).await?;
    let lines = own::lines(&mut tx, grant, id).await?;
    tx.commit().await?;
    let head = HEAD.map(|name| cell(&text(language, &format!("own-sheet-{name}"))));
    let mut sheet = format!("{BYTE_ORDER_MARK}{}\r\n", head.join(","));
    let in_words = |names: Option<&Names>| names.map_or("", |names| names.get(language)).to_owned();
    for line in &lines {
        let place = line.store.as_ref().or(line.merchant.as_ref());
        let cells = [
            line.number.to_string(),
            cell(&mall.zone.minute(line.occurred_at)),
            cell(&text(language, &format!("my-kind-{}", line.kind))),
            line.points.to_string(),
            line.balance_after.to_string(),
            cell(&in_words(place)),
            cell(line.receipt_number.as_deref().unwrap_or_default()),
            cell(&in_words(line.good.as_ref())),
        ];
        sheet.push_str(&cells.join(","));
        sheet.push_str("\r\n");
    }
    Ok(Copy {
        name: called(mall, id, "csv"),
        text: sheet,
    })
}

/// Takes a member's personal data out of the mall for ever, and all ways in with it: see
/// [`members::erase`].
///
/// # Errors
/// [`MemberError`].
pub async fn erase(
    app: &App,
    grant: &Grant<EraseMembers>,
    id: MemberId,
    points_given_up: bool,
) -> Result<Erased, MemberError> {
    let mut tx = app.db.write(grant).await?;
    let erased = members::erase(&mut tx, grant, id, points_given_up).await?;
    visits::forget(&mut tx, grant, id, erased.phone.as_ref()).await?;
    tx.commit().await?;
    Ok(erased)
}

async fn begin(
    tx: &mut Tx,
    grant: &Grant<CopyMembers>,
    id: MemberId,
) -> Result<Member, MemberError> {
    let member = members::copied(tx, grant, id).await?;
    audit::record(tx, Done::to(Act::MemberCopied, id)).await?;
    Ok(member)
}

fn called(mall: &Tenant, id: MemberId, ending: &str) -> String {
    format!("{}-{id}.{ending}", mall.slug.as_str())
}

/// As the API writes moments.
fn moment(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn grant_of(left: &Left) -> Value {
    json!({
        "lot_id": left.id.to_string(),
        "merchant": names(&left.merchant),
        "points": left.points,
        "remaining": left.remaining,
        "earned_at": moment(left.earned_at),
        "expires_at": left.expires_at.map(moment),
        "only_at": left.only_at.as_ref().map(names),
    })
}

fn line(line: &Line) -> Value {
    json!({
        "number": line.number,
        "journal_id": line.id.to_string(),
        "kind": line.kind,
        "points": line.points,
        "balance_after": line.balance_after,
        "merchant": line.merchant.as_ref().map(names),
        "store": line.store.as_ref().map(names),
        "receipt_number": line.receipt_number,
        "receipt": line.receipt.as_ref().map(receipt),
        "good": line.good.as_ref().map(names),
        "reason": line.reason,
        "occurred_at": moment(line.occurred_at),
        "posted_at": moment(line.posted_at),
    })
}

fn nil_receipt(nil: &Nil) -> Value {
    json!({
        "receipt": receipt(&nil.receipt),
        "merchant": names(&nil.merchant),
        "store": names(&nil.store),
        "occurred_at": moment(nil.occurred_at),
    })
}

fn receipt(receipt: &Receipt) -> Value {
    let lines = receipt.lines.iter().map(|(category, quantity, amount)| {
        json!({"category": category, "quantity": quantity, "amount": amount})
    });
    json!({
        "receipt_number": receipt.number,
        "total": receipt.total,
        "paid_by_points": receipt.paid_by_points,
        "refunded": receipt.refunded,
        "lines": lines.collect::<Vec<_>>(),
    })
}
