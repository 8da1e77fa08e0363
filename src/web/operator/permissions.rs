//! Who can do this?

use maud::html;

use super::super::{
    Answer, Knock,
    console::{enter, more, slice},
};
use crate::{
    authz::{
        action::{self, ReadRoles, ReadStaff},
        own::Family,
    },
    http::{codes, problem::Problem},
    identity::holders::{self, Who},
    merchants,
    texts::text_with,
};

/// The address of the list.
const PATH: &str = "/console/permissions";

/// The actions that people can be given, by their objects in alphabetical order.
pub(super) fn by_object(
    rights: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<_> = rights.into_iter().collect();
    all.sort_unstable();
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for (object, act) in all {
        match groups.last_mut() {
            Some((last, acts)) if *last == object => acts.push(act),
            _ => groups.push((object, vec![act])),
        }
    }
    groups
}

pub(in crate::web) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let (policy, own) = (&seat.caller.app().policy, seat.caller.grant.own_roles());
        let named = seat.may("staff", "read");
        let held = |(object, act): &(&'static str, &'static str)| {
            !policy.holders(own, object, act).is_empty()
        };
        let groups = by_object(action::ALL.iter().copied().filter(held));
        let content = html! {
            p { (seat.word("console-permissions-text")) }
            @for (object, acts) in &groups {
                h2 { (seat.word(&format!("object-{object}"))) }
                div.scroll { table.halves {
                    thead { tr {
                        th scope="col" { (seat.word("console-permission")) }
                        th scope="col" { (seat.word("web-roles")) }
                    } }
                    tbody { @for act in acts {
                        @let words = seat.word(&format!("right-{object}-{act}"));
                        tr {
                            th scope="row" {
                                @if named { a href=(format!("{PATH}/{object}/{act}")) { (words) } }
                                @else { (words) }
                            }
                            td { ul.tags { @for (_, role) in policy.holders(own, object, act) {
                                li { (seat.role(&role)) }
                            } } }
                        }
                    } }
                } }
            }
        };
        Ok(seat.page(&knock, &seat.word("console-permissions"), None, &content))
    })
}

pub(in crate::web) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadStaff>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let right = action::find(&knock.part("object"), &knock.part("action"));
        let right = right.ok_or_else(|| Problem::of(&codes::UNKNOWN_PERMISSION))?;
        let path = format!("{PATH}/{}/{}", right.0, right.1);
        let slice = slice(&seat, &knock, &path)?;
        let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
        let mut tx = seat.caller.db().read(grant).await?;
        let page = holders::who_can(&mut tx, policy, grant, right, &slice).await?;
        let shops: Vec<_> = page.items.iter().filter_map(|one| one.merchant).collect();
        let shops = merchants::codes(&mut tx, &shops).await?;
        drop(tx);
        let language = seat.language();
        let words = seat.word(&format!("right-{}-{}", right.0, right.1));
        let of_merchants = policy.grantable(Family::Merchant).contains(&right);
        let content = html! {
            @if page.items.is_empty() { p { (words) } }
            @else { p { (text_with(language, "console-who-text", &[("right", &words)])) } }
            p.hint { code { (right.0) " " (right.1) } }
            @if page.items.is_empty() {
                p.empty { (seat.word("console-nobody")) }
            } @else {
                div.scroll { table {
                    caption { (seat.word("console-who-caption")) }
                    thead { tr {
                        th scope="col" { (seat.word("console-who")) }
                        th scope="col" { (seat.word("console-by-role")) }
                        th scope="col" { (seat.word("console-reach")) }
                    } }
                    tbody { @for holder in &page.items { tr {
                        th scope="row" {
                            @match holder.who {
                                Who::Person(id) => { a href=(format!("/console/people/{id}")) { (holder.name) } }
                                Who::Key(id) => {
                                    (holder.name) " "
                                    span.hint { (seat.word("console-machine")) " " code { (id) } }
                                }
                            }
                            @if holder.needs_second_factor {
                                p.hint { (seat.word("console-needs-factor")) }
                            }
                        }
                        td { ul.tags { @for role in &holder.roles { li { (seat.role(role)) } } } }
                        td {
                            @match holder.merchant.and_then(|id| shops.get(&id)) {
                                Some(code) => { code { (code.as_str()) } }
                                None => { (seat.word("console-whole-mall")) }
                            }
                            @if let Some(stores) = holder.stores.named() {
                                @let count = stores.len().to_string();
                                p.hint { (text_with(language, "console-stores-only", &[("count", &count)])) }
                            }
                        }
                    } } }
                } }
                (more(&seat, &path, page.next.as_deref()))
            }
            @if of_merchants { p.hint { (seat.word("console-who-merchants")) } }
            p { a href=(PATH) { (seat.word("console-permissions")) } }
        };
        Ok(seat.page(&knock, &seat.word("console-who-title"), None, &content))
    })
}
