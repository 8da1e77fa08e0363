//! Who did what, and whether that is still what was written.

use std::collections::HashMap;

use chrono::NaiveDate;
use maud::{Markup, html};
use serde_json::Value;

use super::super::{
    Answer, Knock,
    console::{Seat, enter, slice},
};
use crate::{
    audit::{self, Act, AuditError, Entry, Filter, Head, Listed, Verified},
    authz::action::{ReadAudit, ReadStaff},
    http::reply::percent_encoded,
    identity::staff,
    kernel::{ids::StaffId, time::next_day},
    texts::text_with,
};

/// The address of the list.
const PATH: &str = "/console/audit";

/// The address of the proof.
const PROOF: &str = "/console/audit/proof";

/// What the address asks for: each part as it was written, and the filter that it comes to. What
/// cannot be read asks for nothing.
struct Asked {
    parts: Vec<(&'static str, String)>,
    filter: Filter,
}

impl Asked {
    fn of(knock: &Knock, seat: &Seat<ReadAudit>) -> Self {
        let names = ["act", "actor", "object", "from", "until"];
        let parts: Vec<(&'static str, String)> = names
            .into_iter()
            .map(|name| (name, knock.asked(name).trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let part = |name: &str| {
            let found = parts.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let zone = seat.person.zone.unwrap_or(seat.caller.tenant.zone);
        let day = |name: &str| part(name).and_then(|day| day.parse::<NaiveDate>().ok());
        let filter = Filter {
            act: part("act").and_then(|act| Act::parse(&act)),
            actor: part("actor"),
            object: part("object"),
            from: day("from").map(|day| zone.start_of(day)),
            until: day("until").map(|day| zone.start_of(next_day(day))),
        };
        Self { parts, filter }
    }

    /// What was written in one field.
    fn value(&self, name: &str) -> &str {
        let found = self.parts.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The address of this list, always written in the same way.
    fn url(&self) -> String {
        let pairs = self.parts.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() {
            PATH.to_owned()
        } else {
            format!("{PATH}?{query}")
        }
    }
}

pub(in crate::web) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadAudit>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let asked = Asked::of(&knock, &seat);
        let url = asked.url();
        let slice = slice(&seat, &knock, &url)?;
        let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
        let mut tx = seat.caller.db().read(grant).await?;
        let page = audit::list(&mut tx, grant, &asked.filter, &slice).await?;
        let people: Vec<StaffId> = page
            .items
            .iter()
            .filter_map(|one| one.entry.actor.parse().ok())
            .collect();
        let names = match policy.also::<_, ReadStaff>(grant) {
            Ok(reads) => staff::names(&mut tx, &reads, &people).await?,
            Err(_) => HashMap::new(),
        };
        drop(tx);
        let content = html! {
            p { (seat.word("console-audit-text")) " " a href=(PROOF) { (seat.word("console-audit-proof")) } }
            (filters(&seat, &asked))
            @if page.items.is_empty() {
                p.empty { (seat.word("console-audit-none")) }
            } @else {
                div.entries { @for one in &page.items { (entry(&seat, &names, one)) } }
                @if let Some(key) = &page.next {
                    @let cursor = seat.caller.app().cursor_key().seal(&url, key);
                    @let joint = if url == PATH { "?" } else { "&" };
                    p { a href=(format!("{url}{joint}cursor={cursor}")) rel="next" { (seat.word("console-more")) } }
                }
            }
        };
        Ok(seat.page(&knock, &seat.word("console-audit"), None, &content))
    })
}

fn act_word(act: &str) -> String {
    format!("audit-act-{}", act.replace('.', "-"))
}

/// The form that asks for some of it; what it asks for is in the address.
fn filters(seat: &Seat<ReadAudit>, asked: &Asked) -> Markup {
    let written = |name: &'static str, word: &str, kind: &str, hint: Option<&str>| {
        html! { div {
            label for=(name) { (seat.word(word)) }
            input type=(kind) id=(name) name=(name) value=(asked.value(name)) aria-describedby=[hint];
            @if let Some(hint) = hint { p.hint id=(hint) { (seat.word(hint)) } }
        } }
    };
    html! {
        form.filters method="get" action=(PATH) {
            div {
                label for="act" { (seat.word("console-audit-act")) }
                select id="act" name="act" {
                    option value="" { (seat.word("console-audit-any")) }
                    @for act in Act::ALL {
                        option value=(act.as_str()) selected[asked.filter.act == Some(*act)] {
                            (seat.word(&act_word(act.as_str())))
                        }
                    }
                }
            }
            (written("actor", "console-audit-actor", "text", Some("console-audit-actor-hint")))
            (written("object", "console-audit-object", "text", Some("console-audit-object-hint")))
            (written("from", "console-audit-from", "date", None))
            (written("until", "console-audit-until", "date", None))
            div.send {
                button type="submit" { (seat.word("console-audit-filter")) }
                @if !asked.parts.is_empty() { " " a href=(PATH) { (seat.word("console-audit-clear")) } }
            }
        }
    }
}

/// One entry, which opens.
fn entry(seat: &Seat<ReadAudit>, names: &HashMap<StaffId, String>, one: &Listed) -> Markup {
    let it = &one.entry;
    let (object, act) = &it.right;
    let whence = [it.address.as_deref(), it.agent.as_deref()];
    html! {
        details.entry id=(it.id) {
            summary {
                time datetime=(it.at.to_rfc3339()) { (seat.minute(it.at)) } " "
                strong { (seat.word(&act_word(&it.act))) } " "
                span { (actor(seat, names, &it.actor)) }
            }
            dl {
                dt { (seat.word("console-audit-actor")) }
                dd { a href=(format!("{PATH}?actor={}", percent_encoded(&it.actor))) { (it.actor) } }
                @if let Some(object) = &it.object {
                    dt { (seat.word("console-audit-object")) }
                    dd { a href=(format!("{PATH}?object={}", percent_encoded(object))) { (object) } }
                }
                @if let Some(reason) = &it.reason {
                    dt { (seat.word("console-audit-why")) } dd { (reason) }
                }
                dt { (seat.word("console-audit-right")) }
                dd { (seat.word(&format!("right-{object}-{act}"))) }
                dt { (seat.word("console-audit-whence")) }
                dd {
                    (seat.word(&format!("console-audit-door-{}", it.door)))
                    @for part in whence.into_iter().flatten() { " · " (part) }
                }
                @if let Some(request) = &it.request {
                    dt { (seat.word("console-audit-request")) } dd { (request) }
                }
                dt { (seat.word("console-audit-seal")) }
                dd {
                    @match one.number {
                        Some(number) => { (number) }
                        None => { (seat.word("console-audit-unsealed")) }
                    }
                }
            }
            (changes(seat, it))
        }
    }
}

/// What was otherwise before.
fn changes(seat: &Seat<ReadAudit>, it: &Entry) -> Markup {
    let (before, after) = (audit::value(&it.before), audit::value(&it.after));
    let fields = audit::Field::ALL.iter().map(|field| field.as_str());
    let changed: Vec<_> = fields
        .map(|field| (field, before.get(field), after.get(field)))
        .filter(|(_, before, after)| before.is_some() || after.is_some())
        .collect();
    html! {
        @if !changed.is_empty() {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (seat.word("console-audit-field")) }
                    th scope="col" { (seat.word("console-before")) }
                    th scope="col" { (seat.word("console-after")) }
                } }
                tbody { @for (field, before, after) in changed { tr {
                    th scope="row" { (seat.word(&format!("audit-field-{field}"))) }
                    td { (before.map(said).unwrap_or_default()) }
                    td { (after.map(said).unwrap_or_default()) }
                } } }
            } }
        }
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(said).collect::<Vec<_>>().join(", "),
        Value::Object(all) => {
            let pairs = all
                .iter()
                .map(|(key, value)| format!("{key}: {}", said(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Who it was, by name where there is one.
fn actor(seat: &Seat<ReadAudit>, names: &HashMap<StaffId, String>, actor: &str) -> String {
    let known = actor.parse().ok().and_then(|id: StaffId| names.get(&id));
    match (known, actor) {
        (Some(name), _) => name.clone(),
        (None, "anonymous" | "platform" | "system") => seat.word(&format!("console-audit-{actor}")),
        (None, id) => id.to_owned(),
    }
}

pub(in crate::web) fn proof(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadAudit>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let asked = knock.asked("head").trim();
        let known: Option<Head> = asked.parse().ok();
        let unreadable = !asked.is_empty() && known.is_none();
        let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
        let verified = audit::verify(&mut tx, known.as_ref()).await;
        let verified = verified.map_err(AuditError::from)?;
        drop(tx);
        let content = html! {
            p { (seat.word("console-audit-proof-text")) }
            @if unreadable { p.bad role="alert" { (seat.word("console-audit-known-bad")) } }
            @else { (outcome(&seat, &verified)) }
            form method="get" action=(PROOF) {
                label for="head" { (seat.word("console-audit-known")) }
                input type="text" id="head" name="head" value=(asked) aria-describedby="head-hint";
                p.hint id="head-hint" { (seat.word("console-audit-known-hint")) }
                button type="submit" { (seat.word("console-audit-proof")) }
            }
            p { a href=(PATH) { (seat.word("console-audit")) } }
        };
        Ok(seat.page(&knock, &seat.word("console-audit-proof"), None, &content))
    })
}

fn outcome(seat: &Seat<ReadAudit>, verified: &Verified) -> Markup {
    let language = seat.language();
    let (sealed, waiting) = (verified.sealed.to_string(), verified.waiting.to_string());
    html! {
        @match &verified.broken {
            None => {
                p.ok role="status" { (text_with(language, "console-audit-holds", &[("count", &sealed)])) }
            }
            Some(broken) => {
                @let key = format!("audit-finding-{}", broken.as_str());
                p.bad role="alert" {
                    (seat.word("console-audit-broken")) " "
                    (text_with(language, &key, &[("number", &broken.number().to_string())]))
                    @if let Some(entry) = broken.entry() { " " code { (entry) } }
                }
            }
        }
        @if verified.waiting > 0 {
            p.hint { (text_with(language, "console-audit-waiting", &[("count", &waiting)])) }
        }
        @if let Some(head) = &verified.head {
            h2 { (seat.word("console-audit-head")) }
            p { code.long { (head) } }
        }
    }
}
