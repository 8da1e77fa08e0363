//! The people who work here: inviting them, their roles, their end.

use maud::{Markup, html};
use poem::Response;

use super::super::{
    Answer, Knock,
    console::{Seat, enter, more, slice},
    own, to_address,
};
use crate::{
    app::address,
    authz::{
        action::{Action, InviteStaff, ManageStaff, ReadStaff},
        actor::{Role, Stores},
        own::Family,
    },
    db::tx::{ReadTx, Tx},
    gateway::mail::Mailer,
    http::{codes, problem::Problem},
    identity::{
        changes,
        staff::{self, Invited, NewStaff, Roles, Staff, State, Tell, Wanted},
    },
    kernel::{
        ids::{MerchantId, StaffId, StoreId},
        text::{Code, Language},
    },
    merchants,
};

/// The address of the list.
const PATH: &str = "/console/people";

/// Why something about a person is not done.
const REFUSALS: [&codes::Kind; 15] = [
    &codes::ADDRESS_TAKEN,
    &codes::MIXED_ROLES,
    &codes::BEYOND_OWN,
    &codes::LAST_OWNER,
    &codes::NEEDS_SECOND_OWNER,
    &codes::CANNOT_NARROW,
    &codes::UNSUITABLE_ROLE,
    &codes::MERCHANT_MISSING,
    &codes::MERCHANT_UNASKED,
    &codes::UNKNOWN_MERCHANT,
    &codes::UNKNOWN_STORE,
    &codes::PERSON_ENDED,
    &codes::INVALID_PARAMETER,
    &codes::ROLE_CHANGE_OPEN,
    &codes::NO_ROLE_CHANGE,
];

pub(in crate::web) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadStaff>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let slice = slice(&seat, &knock, PATH)?;
        let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
        let page = staff::list(&mut tx, &seat.caller.grant, None, &slice).await?;
        let shops: Vec<MerchantId> = page.items.iter().filter_map(|one| one.merchant).collect();
        let shops = merchants::codes(&mut tx, &shops).await?;
        drop(tx);
        let content = html! {
            @if seat.may("staff", "invite") {
                p { a.act href=(format!("{PATH}/invite")) { (seat.word("console-invite")) } }
            }
            @if page.items.is_empty() {
                p.empty { (seat.word("console-people-none")) }
            } @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (seat.word("web-name")) }
                        th scope="col" { (seat.word("web-roles")) }
                        th scope="col" { (seat.word("console-reach")) }
                        th scope="col" { (seat.word("console-state")) }
                    } }
                    tbody { @for person in &page.items { tr {
                        th scope="row" {
                            a href=(format!("{PATH}/{}", person.id)) { (person.name) }
                            p.hint { (person.email.as_str()) }
                        }
                        td { (seat.roles(person.roles.iter())) }
                        td {
                            @match person.merchant.and_then(|id| shops.get(&id)) {
                                Some(code) => { code { (code.as_str()) } }
                                None => { (seat.word("console-whole-mall")) }
                            }
                        }
                        td { (seat.word(&format!("console-state-{}", person.state.as_str()))) }
                    } } }
                } }
                (more(&seat, PATH, page.next.as_deref()))
            }
        };
        Ok(seat.page(&knock, &seat.word("console-people"), None, &content))
    })
}

/// The roles that can be given to people of one kind, as boxes to be ticked.
fn boxes<A: Action>(seat: &Seat<A>, family: Family, has: impl Fn(&str) -> bool) -> Markup {
    let (policy, own) = (&seat.caller.app().policy, seat.caller.grant.own_roles());
    let all = policy.roles().chain(own.names());
    let fitting = all.filter(|role| policy.family(own, role) == Some(family));
    html! {
        @for role in fitting {
            label.tick {
                input type="checkbox" name=(format!("role.{role}")) value="on" checked[has(role)];
                span { (seat.role(role)) }
            }
        }
    }
}

/// The roles that a form has ticked.
fn ticked<A: Action>(knock: &Knock, seat: &Seat<A>) -> Vec<Role> {
    let (policy, own) = (&seat.caller.app().policy, seat.caller.grant.own_roles());
    let all = policy.roles().chain(own.names());
    all.filter(|role| knock.field(&format!("role.{role}")) == "on")
        .map(Role::new)
        .collect()
}

fn invalid(name: &str) -> Problem {
    Problem::of(&codes::INVALID_PARAMETER).param(name)
}

/// The merchant that a form names by its code; none where it names none.
async fn merchant_of(tx: &mut ReadTx, knock: &Knock) -> Result<Option<MerchantId>, Problem> {
    let unknown = || Problem::of(&codes::UNKNOWN_MERCHANT);
    let named = knock.field("merchant").trim();
    if named.is_empty() {
        return Ok(None);
    }
    let code: Code = named.parse().map_err(|_| unknown())?;
    let found = merchants::by_codes(tx, std::slice::from_ref(&code)).await?;
    found.get(&code).copied().map(Some).ok_or_else(unknown)
}

/// The stores that a form names by their codes; all where it names none.
async fn stores_of(
    tx: &mut ReadTx,
    knock: &Knock,
    merchant: Option<MerchantId>,
) -> Result<Stores, Problem> {
    let unknown = || Problem::of(&codes::UNKNOWN_STORE);
    let named = knock.field("stores").split([',', '，', '、', ' ']);
    let named = named.filter(|code| !code.is_empty());
    let codes: Result<Vec<Code>, _> = named.map(str::parse).collect();
    let codes = codes.map_err(|_| unknown())?;
    if codes.is_empty() {
        return Ok(Stores::All);
    }
    let found = merchants::stores_by_code(tx, &codes).await?;
    let theirs = |code: &Code| {
        let till = found.get(code);
        let till = till.filter(|till| Some(till.merchant) == merchant);
        till.map(|till| till.store).ok_or_else(unknown)
    };
    let stores: Result<Vec<StoreId>, _> = codes.iter().map(theirs).collect();
    Ok(Stores::of(Some(stores?)))
}

pub(in crate::web) fn invite(knock: Knock) -> Answer {
    Box::pin(async move {
        match enter::<InviteStaff>(&knock).await? {
            Ok(seat) => Ok(invite_page(&knock, &seat, None)),
            Err(instead) => Ok(instead),
        }
    })
}

fn invite_page(knock: &Knock, seat: &Seat<InviteStaff>, problem: Option<&Problem>) -> Response {
    let has = |role: &str| knock.field(&format!("role.{role}")) == "on";
    let mall = seat.person.merchant.is_none();
    let chosen = knock.field("language").parse().unwrap_or(seat.language());
    let content = html! {
        form method="post" action=(format!("{PATH}/invite")) {
            (knock.seal())
            label for="name" { (seat.word("web-name")) }
            input #name name="name" type="text" required maxlength="200" value=(knock.field("name"));
            label for="email" { (seat.word("web-email")) }
            input #email name="email" type="email" required value=(knock.field("email"));
            label for="language" { (seat.word("web-language")) }
            select #language name="language" {
                @for language in Language::ALL {
                    option value=(language.tag()) lang=(language.tag()) selected[language == chosen] {
                        (crate::texts::text(language, "web-language-own"))
                    }
                }
            }
            @if mall {
                fieldset {
                    legend { (seat.word("console-for-mall")) }
                    (boxes(seat, Family::Mall, has))
                }
            }
            fieldset {
                legend { (seat.word("console-for-merchants")) }
                (boxes(seat, Family::Merchant, has))
                @if mall {
                    label for="merchant" { (seat.word("console-merchant-code")) }
                    input #merchant name="merchant" type="text" autocapitalize="off"
                        value=(knock.field("merchant"));
                }
                label for="stores" { (seat.word("console-stores")) }
                input #stores name="stores" type="text" autocapitalize="off"
                    aria-describedby="stores-hint" value=(knock.field("stores"));
                p.hint #stores-hint { (seat.word("console-stores-hint")) }
            }
            button type="submit" { (seat.word("console-invite")) }
        }
        p { a href=(PATH) { (seat.word("console-people")) } }
    };
    seat.page(knock, &seat.word("console-invite"), problem, &content)
}

pub(in crate::web) fn submit_invite(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<InviteStaff>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        match invited(&knock, &seat).await {
            Ok(invited) => Ok(told(&knock, &seat, &invited)),
            Err(problem) => {
                let problem = own(problem, &REFUSALS)?;
                Ok(invite_page(&knock, &seat, Some(&problem)))
            }
        }
    })
}

async fn invited(knock: &Knock, seat: &Seat<InviteStaff>) -> Result<Invited, Problem> {
    let caller = &seat.caller;
    let (policy, grant) = (&caller.app().policy, &caller.grant);
    let mut tx: Tx = caller.db().write(grant).await?;
    let merchant = match seat.person.merchant {
        Some(own) => Some(own),
        None => merchant_of(&mut tx, knock).await?,
    };
    let stores = stores_of(&mut tx, knock, merchant).await?;
    let email = knock.field("email").trim().parse();
    let name = knock.field("name").trim().parse();
    let language = knock.field("language").parse();
    let roles = ticked(knock, seat);
    let new = NewStaff {
        email: email.map_err(|_| invalid("email"))?,
        name: name.map_err(|_| invalid("name"))?,
        language: language.unwrap_or_else(|_| caller.tenant.language()),
        roles: Roles::new(policy, grant.own_roles(), roles, merchant, stores)?,
    };
    let tell = match caller.app().mailer {
        Mailer::Off => Tell::ByInviter,
        Mailer::Smtp(_) => Tell::ByMail,
    };
    let invited = staff::invite(&mut tx, policy, grant, new, tell).await?;
    tx.commit().await?;
    caller.app().bell.ring(caller.tenant.id);
    Ok(invited)
}

/// That somebody was invited; the link too, where no letter tells it.
fn told(knock: &Knock, seat: &Seat<InviteStaff>, invited: &Invited) -> Response {
    let app = seat.caller.app();
    let link = invited.token.as_ref().map(|token| {
        let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
        let page = address::Page::Invitation;
        address::link(base, listen, &seat.caller.tenant, page, token)
    });
    let content = html! {
        p.ok role="status" { (seat.word("console-invited")) }
        p { (invited.staff.name) " · " (invited.staff.email.as_str()) }
        @if let Some(link) = link {
            p { (seat.word("console-invited-link")) }
            p { code { (link) } }
        }
        p { a href=(PATH) { (seat.word("console-people")) } }
    };
    seat.page(knock, &seat.word("console-invite"), None, &content)
}

/// The person that an address means.
fn id_of(knock: &Knock) -> Result<StaffId, Problem> {
    let named = knock.part("person").parse();
    named.map_err(|_| Problem::of(&codes::UNKNOWN_PERSON))
}

pub(in crate::web) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        match enter::<ReadStaff>(&knock).await? {
            Ok(seat) => person_page(&knock, &seat, None).await,
            Err(instead) => Ok(instead),
        }
    })
}

async fn person_page(
    knock: &Knock,
    seat: &Seat<ReadStaff>,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
    let person = staff::get(&mut tx, &seat.caller.grant, id_of(knock)?).await?;
    let shop = match person.merchant {
        Some(id) => merchants::codes(&mut tx, &[id]).await?.remove(&id),
        None => None,
    };
    let named = person.stores.named().unwrap_or_default();
    let tills = merchants::till_stores(&mut tx, named).await?;
    drop(tx);
    let codes: Vec<&str> = named
        .iter()
        .filter_map(|id| tills.get(id))
        .map(|till| till.code.as_str())
        .collect();
    let codes = codes.join(", ");
    let content = html! {
        dl {
            dt { (seat.word("web-email")) } dd { (person.email.as_str()) }
            dt { (seat.word("console-state")) }
            dd { (seat.word(&format!("console-state-{}", person.state.as_str()))) }
            @if let Some(shop) = &shop {
                dt { (seat.word("web-merchant")) } dd { code { (shop.as_str()) } }
            }
            dt { (seat.word("web-roles")) } dd { (seat.roles(person.roles.iter())) }
            @if !codes.is_empty() {
                dt { (seat.word("console-stores")) } dd { code { (codes) } }
            }
            dt { (seat.word("web-second-factor")) }
            dd {
                @if person.second_factor_since.is_some() { (seat.word("web-on")) }
                @else if person.is_guarded() { (seat.word("console-needs-factor")) }
                @else { (seat.word("console-off")) }
            }
            dt { (seat.word("console-invited-at")) } dd { (seat.minute(person.created_at)) }
        }
        @if person.state != State::Ended && seat.may("staff", "manage") {
            (manage(knock, seat, &person, &codes))
        }
        p { a href=(PATH) { (seat.word("console-people")) } }
    };
    Ok(seat.page(knock, &person.name, problem, &content))
}

/// What can be done about a person.
fn manage(knock: &Knock, seat: &Seat<ReadStaff>, person: &Staff, codes: &str) -> Markup {
    let path = format!("{PATH}/{}", person.id);
    // What was ticked stays ticked where it was not done.
    let refused = !knock.field("how").is_empty();
    let has = |role: &str| {
        if refused {
            knock.field(&format!("role.{role}")) == "on"
        } else {
            person.roles.iter().any(|one| one.as_str() == role)
        }
    };
    let family = match person.merchant {
        Some(_) => Family::Merchant,
        None => Family::Mall,
    };
    html! {
        h2 { (seat.word("console-set-roles")) }
        form method="post" action=(format!("{path}/roles")) {
            (knock.seal())
            fieldset {
                legend { (seat.word("web-roles")) }
                (boxes(seat, family, has))
            }
            @if person.merchant.is_some() {
                label for="stores" { (seat.word("console-stores")) }
                input #stores name="stores" type="text" autocapitalize="off"
                    aria-describedby="stores-hint" value=(codes);
                p.hint #stores-hint { (seat.word("console-stores-hint")) }
            }
            p.hint { (seat.word("console-owner-rule")) }
            button type="submit" name="how" value="now" { (seat.word("web-keep")) } " "
            button.plain type="submit" name="how" value="propose" { (seat.word("console-propose")) }
        }
        h2 { (seat.word("console-end-person")) }
        p { (seat.word("console-end-person-text")) }
        form method="post" action=(format!("{path}/end")) {
            (knock.seal())
            button.danger type="submit" name="how" value="now" { (seat.word("console-end-person")) } " "
            button.plain type="submit" name="how" value="propose" { (seat.word("console-propose-end")) }
        }
    }
}

/// Does, or proposes, what a form says; what it says is read with the person's merchant at hand.
async fn changed(knock: &Knock, seat: &Seat<ManageStaff>, ends: bool) -> Result<Response, Problem> {
    let id = id_of(knock)?;
    let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
    let mut tx = seat.caller.db().write(grant).await?;
    let wanted = if ends {
        None
    } else {
        let merchant = staff::merchant_of(&mut tx, grant, id).await?;
        Some(Wanted {
            roles: ticked(knock, seat),
            stores: stores_of(&mut tx, knock, merchant).await?,
        })
    };
    let next = if knock.field("how") == "propose" {
        let proposed = changes::propose(&mut tx, policy, grant, id, wanted).await;
        proposed?;
        "/console/changes".to_owned()
    } else {
        match wanted {
            Some(wanted) => staff::set_roles(&mut tx, policy, grant, id, wanted).await?,
            None => staff::end(&mut tx, policy, grant, id).await?,
        };
        format!("{PATH}/{id}")
    };
    tx.commit().await?;
    seat.caller.changed().await;
    Ok(to_address(&next))
}

async fn submit(knock: Knock, ends: bool) -> Result<Response, Problem> {
    let seat = match enter::<ManageStaff>(&knock).await? {
        Ok(seat) => seat,
        Err(instead) => return Ok(instead),
    };
    match changed(&knock, &seat, ends).await {
        Ok(answer) => Ok(answer),
        Err(problem) => {
            let problem = own(problem, &REFUSALS)?;
            match enter::<ReadStaff>(&knock).await? {
                Ok(seat) => person_page(&knock, &seat, Some(&problem)).await,
                Err(instead) => Ok(instead),
            }
        }
    }
}

pub(in crate::web) fn set_roles(knock: Knock) -> Answer {
    Box::pin(submit(knock, false))
}

pub(in crate::web) fn end(knock: Knock) -> Answer {
    Box::pin(submit(knock, true))
}
