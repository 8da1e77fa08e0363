//! Roles: the program's, which are as they are, and the mall's own.

use maud::{Markup, html};
use poem::Response;

use super::{
    super::{
        Answer, Knock,
        console::{Seat, enter, more, slice},
        own, to_address,
    },
    permissions::by_object,
};
use crate::{
    authz::{
        action::{self, Action, ManageRoles, ReadRoles, ReadStaff},
        own::Family,
    },
    http::{codes, problem::Problem},
    identity::{
        roles::{self, Edit, NewRole, Right, Role},
        staff,
    },
    kernel::ids::OwnRoleId,
    texts::text_with,
};

/// The address of the list.
const PATH: &str = "/console/roles";

/// How many of those who have a role its page shows.
const SHOWN: i64 = 20;

/// What is wrong with a role that somebody writes.
const REFUSALS: [&codes::Kind; 7] = [
    &codes::ROLE_CODE_TAKEN,
    &codes::UNSUITABLE_RIGHT,
    &codes::RIGHT_BEYOND_OWN,
    &codes::ROLE_OVERTAKEN,
    &codes::ROLE_ENDED,
    &codes::TOO_MANY_ROLES,
    &codes::INVALID_PARAMETER,
];

fn scope_word(family: Family) -> &'static str {
    match family {
        Family::Mall => "console-for-mall",
        Family::Merchant => "console-for-merchants",
        Family::Machine => "console-for-machines",
    }
}

pub(in crate::web) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let slice = slice(&seat, &knock, PATH)?;
        let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
        let page = roles::list(&mut tx, &seat.caller.grant, &slice).await?;
        drop(tx);
        let policy = &seat.caller.app().policy;
        let reviewed = policy
            .roles()
            .filter_map(|role| Some((Family::of_reviewed(role)?, role)));
        let content = html! {
            h2 { (seat.word("console-roles-own")) }
            @if page.items.is_empty() {
                p.empty { (seat.word("console-roles-none")) }
            } @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (seat.word("console-role")) }
                        th scope="col" { (seat.word("console-scope")) }
                        th scope="col" { (seat.word("console-changed")) }
                    } }
                    tbody { @for role in &page.items { tr {
                        th scope="row" {
                            a href=(format!("{PATH}/{}", role.id)) { (role.name) }
                            @if role.ended_at.is_some() { " " span.hint { (seat.word("console-ended")) } }
                        }
                        td { (seat.word(scope_word(role.family))) }
                        td { (seat.minute(role.changed_at)) }
                    } } }
                } }
                (more(&seat, PATH, page.next.as_deref()))
            }
            @if seat.may("role", "manage") {
                p {
                    a.act href=(format!("{PATH}/new?scope=mall")) { (seat.word("console-new-for-mall")) } " "
                    a.act href=(format!("{PATH}/new?scope=merchant")) { (seat.word("console-new-for-merchants")) }
                }
            }
            h2 { (seat.word("console-roles-reviewed")) }
            p.hint { (seat.word("console-roles-reviewed-text")) }
            div.scroll { table {
                thead { tr {
                    th scope="col" { (seat.word("console-role")) }
                    th scope="col" { (seat.word("console-scope")) }
                } }
                tbody { @for (family, role) in reviewed { tr {
                    th scope="row" { a href=(format!("{PATH}/{role}")) { (seat.role(role)) } }
                    td { (seat.word(scope_word(family))) }
                } } }
            } }
        };
        Ok(seat.page(&knock, &seat.word("console-roles"), None, &content))
    })
}

/// The rights of a role as they are, by object.
fn as_they_are<A: Action>(seat: &Seat<A>, rights: Vec<Right>) -> Markup {
    html! {
        @for (object, acts) in by_object(rights) {
            h3 { (seat.word(&format!("object-{object}"))) }
            ul { @for act in acts { li { (seat.word(&format!("right-{object}-{act}"))) } } }
        }
    }
}

/// The same to be ticked.
fn to_be_ticked<A: Action>(
    seat: &Seat<A>,
    family: Family,
    ticked: impl Fn(&Right) -> bool,
) -> Markup {
    let all = seat.caller.app().policy.grantable(family);
    html! {
        @for (object, acts) in by_object(all) {
            fieldset {
                legend { (seat.word(&format!("object-{object}"))) }
                @for act in acts {
                    @let name = format!("right.{object}.{act}");
                    label.tick {
                        input type="checkbox" name=(name) value="on" checked[ticked(&(object, act))];
                        span { (seat.word(&format!("right-{object}-{act}"))) }
                    }
                }
            }
        }
    }
}

/// The rights that a form has ticked.
fn ticked(knock: &Knock) -> Vec<(String, String)> {
    let named = |(object, act): &&(&'static str, &'static str)| {
        knock.field(&format!("right.{object}.{act}")) == "on"
    };
    action::ALL
        .iter()
        .filter(named)
        .map(|(object, act)| ((*object).to_owned(), (*act).to_owned()))
        .collect()
}

fn invalid(name: &str) -> Problem {
    Problem::of(&codes::INVALID_PARAMETER).param(name)
}

pub(in crate::web) fn new(knock: Knock) -> Answer {
    Box::pin(async move {
        match enter::<ManageRoles>(&knock).await? {
            Ok(seat) => Ok(new_page(&knock, &seat, None)),
            Err(instead) => Ok(instead),
        }
    })
}

fn new_page(knock: &Knock, seat: &Seat<ManageRoles>, problem: Option<&Problem>) -> Response {
    let scope = match knock.field("scope") {
        "" => knock.asked("scope"),
        named => named,
    };
    let family = match scope {
        "merchant" => Family::Merchant,
        _ => Family::Mall,
    };
    let before = ticked(knock);
    let was = |right: &Right| {
        before
            .iter()
            .any(|(object, act)| (object.as_str(), act.as_str()) == *right)
    };
    let content = html! {
        p { (seat.word(scope_word(family))) }
        form method="post" action=(format!("{PATH}/new")) {
            (knock.seal())
            input type="hidden" name="scope" value=(family.as_str());
            label for="name" { (seat.word("console-role-name")) }
            input #name name="name" type="text" required maxlength="200" value=(knock.field("name"));
            label for="code" { (seat.word("console-role-code")) }
            input #code name="code" type="text" required pattern="[a-z][a-z0-9-]{1,39}"
                autocapitalize="off" spellcheck="false" aria-describedby="code-hint"
                value=(knock.field("code"));
            p.hint #code-hint { (seat.word("console-role-code-hint")) }
            h2 { (seat.word("console-rights")) }
            (to_be_ticked(seat, family, was))
            button type="submit" { (seat.word("console-make")) }
        }
        p { a href=(PATH) { (seat.word("console-roles")) } }
    };
    seat.page(knock, &seat.word("console-new-role"), problem, &content)
}

pub(in crate::web) fn create(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ManageRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        match made(&knock, &seat).await {
            Ok(role) => Ok(to_address(&format!("{PATH}/{}", role.id))),
            Err(problem) => Ok(new_page(&knock, &seat, Some(&own(problem, &REFUSALS)?))),
        }
    })
}

async fn made(knock: &Knock, seat: &Seat<ManageRoles>) -> Result<Role, Problem> {
    let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
    let new = NewRole {
        slug: knock
            .field("code")
            .trim()
            .parse()
            .map_err(|_| invalid("code"))?,
        name: knock
            .field("name")
            .trim()
            .parse()
            .map_err(|_| invalid("name"))?,
        family: match knock.field("scope") {
            "merchant" => Family::Merchant,
            _ => Family::Mall,
        },
        rights: ticked(knock),
    };
    let mut tx = seat.caller.db().write(grant).await?;
    let role = roles::create(&mut tx, policy, grant, new).await?;
    tx.commit().await?;
    seat.caller.changed().await;
    Ok(role)
}

pub(in crate::web) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let named = knock.part("role");
        let policy = &seat.caller.app().policy;
        if let (true, Some(family)) = (policy.knows(&named), Family::of_reviewed(&named)) {
            return reviewed(&knock, &seat, &named, family).await;
        }
        let id: OwnRoleId = named
            .parse()
            .map_err(|_| Problem::of(&codes::UNKNOWN_ROLE))?;
        let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
        let role = roles::get(&mut tx, &seat.caller.grant, id).await?;
        drop(tx);
        own_page(&knock, &seat, &role, None).await
    })
}

async fn reviewed(
    knock: &Knock,
    seat: &Seat<ReadRoles>,
    code: &str,
    family: Family,
) -> Result<Response, Problem> {
    let policy = &seat.caller.app().policy;
    let rights = action::ALL
        .iter()
        .copied()
        .filter(|(object, act)| policy.decide(code, object, act).is_some());
    let content = html! {
        p { (seat.word(scope_word(family))) " · " code { (code) } }
        p.hint { (seat.word("console-roles-reviewed-text")) }
        (have(knock, seat, code).await?)
        h2 { (seat.word("console-rights")) }
        (as_they_are(seat, rights.collect()))
        p { a href=(PATH) { (seat.word("console-roles")) } }
    };
    Ok(seat.page(knock, &seat.role(code), None, &content))
}

/// Those who have a role, for whoever may see who works here.
async fn have<A: Action>(knock: &Knock, seat: &Seat<A>, code: &str) -> Result<Markup, Problem> {
    let Some(caller) = knock.caller_for::<ReadStaff>().await.ok().flatten() else {
        return Ok(html! {});
    };
    let mut tx = caller.db().read(&caller.grant).await?;
    let found = staff::in_role(&mut tx, &caller.grant, code, SHOWN).await?;
    drop(tx);
    Ok(html! {
        h2 { (seat.word("console-role-have")) }
        @if found.is_empty() {
            p.empty { (seat.word("console-nobody-has")) }
        } @else {
            ul { @for person in &found {
                li { a href=(format!("/console/people/{}", person.id)) { (person.name) } }
            } }
        }
    })
}

/// A role of the mall's own: for whoever changes roles as a form.
async fn own_page<A: Action>(
    knock: &Knock,
    seat: &Seat<A>,
    role: &Role,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let path = format!("{PATH}/{}", role.id);
    let language = seat.language();
    let revision = role.revision.to_string();
    let when = seat.minute(role.changed_at);
    let changed = text_with(
        language,
        "console-role-changed",
        &[("revision", &revision), ("when", &when)],
    );
    let by = called(knock, &role.changed_by).await?;
    let content = html! {
        p { (seat.word(scope_word(role.family))) " · " code { (role.code) } }
        p.hint { (changed) " " (by) }
        @if role.guarded { p.hint { (seat.word("console-guarded")) } }
        @if let Some(ended) = role.ended_at {
            p.bad { (text_with(language, "console-role-ended", &[("when", &seat.minute(ended))])) }
        }
        (have(knock, seat, &role.code).await?)
        h2 { (seat.word("console-rights")) }
        @if role.ended_at.is_none() && seat.may("role", "manage") {
            form method="post" action=(path) {
                (knock.seal())
                input type="hidden" name="revision" value=(role.revision);
                label for="name" { (seat.word("console-role-name")) }
                input #name name="name" type="text" required maxlength="200" value=(role.name);
                (to_be_ticked(seat, role.family, |right| role.rights.contains(right)))
                button type="submit" { (seat.word("web-keep")) }
            }
            h2 { (seat.word("console-end-role")) }
            p { (seat.word("console-end-role-text")) }
            form method="post" action=(format!("{path}/end")) {
                (knock.seal())
                button.danger type="submit" { (seat.word("console-end-role")) }
            }
        } @else {
            (as_they_are(seat, role.rights.clone()))
        }
        p { a href=(PATH) { (seat.word("console-roles")) } }
    };
    Ok(seat.page(knock, &role.name, problem, &content))
}

/// Whoever did something, by name for whoever may see who works here.
async fn called(knock: &Knock, actor: &str) -> Result<Markup, Problem> {
    if let (Ok(id), Ok(Some(caller))) = (actor.parse(), knock.caller_for::<ReadStaff>().await) {
        let mut tx = caller.db().read(&caller.grant).await?;
        let names = staff::names(&mut tx, &caller.grant, &[id]).await?;
        if let Some(name) = names.get(&id) {
            return Ok(html! { a href=(format!("/console/people/{id}")) { (name) } });
        }
    }
    Ok(html! { code { (actor) } })
}

/// The role that an address means, for whoever changes roles.
fn id_of(knock: &Knock) -> Result<OwnRoleId, Problem> {
    let named = knock.part("role").parse();
    named.map_err(|_| Problem::of(&codes::UNKNOWN_ROLE))
}

pub(in crate::web) fn change(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ManageRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let id = id_of(&knock)?;
        match changed(&knock, &seat, id).await {
            Ok(()) => Ok(to_address(&format!("{PATH}/{id}"))),
            Err(problem) => again(&knock, &seat, id, &own(problem, &REFUSALS)?).await,
        }
    })
}

async fn changed(knock: &Knock, seat: &Seat<ManageRoles>, id: OwnRoleId) -> Result<(), Problem> {
    let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
    let edit = Edit {
        name: knock
            .field("name")
            .trim()
            .parse()
            .map_err(|_| invalid("name"))?,
        rights: ticked(knock),
        revision: knock
            .field("revision")
            .parse()
            .map_err(|_| invalid("revision"))?,
    };
    let mut tx = seat.caller.db().write(grant).await?;
    roles::change(&mut tx, policy, grant, id, edit).await?;
    tx.commit().await?;
    seat.caller.changed().await;
    Ok(())
}

/// The page of a role as it is, with why it stayed so.
async fn again(
    knock: &Knock,
    seat: &Seat<ManageRoles>,
    id: OwnRoleId,
    problem: &Problem,
) -> Result<Response, Problem> {
    let reader = knock.caller_for::<ReadRoles>().await?;
    let Some(reader) = reader else {
        return Err(problem.clone());
    };
    let mut tx = reader.db().read(&reader.grant).await?;
    let role = roles::get(&mut tx, &reader.grant, id).await?;
    drop(tx);
    own_page(knock, seat, &role, Some(problem)).await
}

pub(in crate::web) fn end(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ManageRoles>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        let id = id_of(&knock)?;
        let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
        let mut tx = seat.caller.db().write(grant).await?;
        match roles::end(&mut tx, policy, grant, id)
            .await
            .map_err(Problem::from)
        {
            Ok(_) => {
                tx.commit().await?;
                seat.caller.changed().await;
                Ok(to_address(&format!("{PATH}/{id}")))
            }
            Err(problem) => {
                drop(tx);
                again(&knock, &seat, id, &own(problem, &REFUSALS)?).await
            }
        }
    })
}
