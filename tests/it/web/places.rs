//! AUT-1 and AUT-2 of pages: every page of the program, met by everybody; `golden/pages.tsv` is what was
//! reviewed. A page that is in the program stands in its list, and what is in the list is asked for here:
//! one whose parts nobody can fill in fails.

use std::fmt::Write;

use poem::http::Method;
use rotunda::web::PLACES;
use serde_json::{Value, json};

use super::{Browser, encoded, seal};
use crate::support::people::{People, Person, text};

const GOLDEN: &str = "tests/it/golden/pages.tsv";

/// Who comes: a name, their role, and whether they are of a merchant.
const EVERYBODY: [(&str, bool); 10] = [
    ("operator.auditor", false),
    ("operator.finance", false),
    ("operator.marketing", false),
    ("operator.merchant-manager", false),
    ("operator.owner", false),
    ("operator.support", false),
    ("merchant.cashier", true),
    ("merchant.finance", true),
    ("merchant.manager", true),
    ("merchant.owner", true),
];

/// Whom and what pages are about.
struct Things {
    person: String,
    role: String,
    change: String,
}

async fn furnish(mall: &People, tea: &str) -> Things {
    let master = mall.master().await;
    let cashier = mall
        .active("cash@tea.example", &["merchant.cashier"], Some(tea))
        .await;
    let role = json!({"code": "shown", "name": "Shown", "scope": "merchant",
                      "rights": [{"object": "store", "action": "read"}]});
    let role = mall.does(&master, "/v1/roles", &role).await.json();
    let change = json!({"staff_id": cashier.id, "roles": ["merchant.manager"]});
    let change = mall.does(&master, "/v1/role-changes", &change).await.json();
    Things {
        person: cashier.id,
        role: text(&role["role_id"]),
        change: text(&change["role_change_id"]),
    }
}

fn filled(path: &str, things: &Things) -> String {
    let filled = path
        .replace(":person", &things.person)
        .replace(":role", &things.role)
        .replace(":change", &things.change)
        .replace(":settlement", "stl_00000000000000000000000000")
        .replace(":statement", "stm_00000000000000000000000000")
        .replace(":journal", "jrn_00000000000000000000000000")
        .replace(":line", "1")
        .replace(":object", "purchase")
        .replace(":action", "record");
    assert!(
        !filled.contains(':'),
        "{path}: say what stands for its parts"
    );
    filled
}

/// A page or a form that is sent, and what comes of it; never what lies behind where one is sent.
async fn ask(browser: &Browser<'_>, method: &Method, path: &str, form: Option<&str>) -> String {
    let origin = format!("https://{}", browser.mall.front.host());
    let more = [("origin", origin.as_str())];
    let more = if form.is_some() { &more[..] } else { &[] };
    let answer = browser.ask(method, path, more, form).await;
    match answer.status {
        303 => format!("303 {}", answer.headers["location"].to_str().unwrap()),
        status => {
            assert!(status < 500, "{method} {path}: {}", answer.body);
            status.to_string()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_1_everybody_gets_from_every_page_what_was_reviewed() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    let things = furnish(&mall, &tea).await;
    let policy = &mall.server.app.policy;
    let mut found = "page\tprincipal\tseen\tsent without a seal\tsent\n".to_owned();
    let mut people: Vec<(&str, Option<Person>, bool)> = vec![("nobody", None, false)];
    for (role, merchant) in EVERYBODY {
        let email = format!("{role}@mall.example");
        let shop = merchant.then_some(tea.as_str());
        let guarded = role.ends_with("owner") || role.ends_with("finance");
        let person = if guarded {
            mall.whole(&email, &[role], shop).await
        } else {
            mall.active(&email, &[role], shop).await
        };
        people.push((role, Some(person), merchant));
    }
    let known: Vec<&str> = policy.roles().collect();
    for role in known
        .iter()
        .filter(|role| role.starts_with("operator.") || role.starts_with("merchant."))
    {
        assert!(
            people.iter().any(|(name, ..)| name == role),
            "{role} is not asked for"
        );
    }
    let mut cells = 0;
    for place in PLACES {
        let path = filled(place.path, &things);
        // Coming in and what is one's own is not the policy's, and is used up by being sent.
        let console = place.path.starts_with("/console");
        for (role, person, merchant) in &people {
            let browser = match person {
                Some(person) => Browser::of(&mall, person),
                None => Browser::new(&mall, "en"),
            };
            let may = |right: Option<(&'static str, &'static str)>| {
                right.is_none_or(|(object, act)| {
                    let reach = policy.decide(role, object, act);
                    reach == Some("mall") || reach == Some("merchant") && *merchant
                })
            };
            let (mut seen, mut bare, mut sent) = ("-".to_owned(), "-".to_owned(), "-".to_owned());
            if let Some(right) = place.get {
                seen = ask(&browser, &Method::GET, &path, None).await;
                if console && person.is_none() {
                    assert_eq!(seen, "303 /sign-in", "{path}");
                } else if console {
                    assert_eq!(seen == "403", !may(right), "{path} as {role}: {seen}");
                }
            }
            if let Some(right) = place.post {
                bare = ask(&browser, &Method::POST, &path, Some("seal=00")).await;
                assert_eq!(bare, "403", "{path} as {role}");
                if console {
                    let page = browser.get("/account").await;
                    let form = ["/account", "/sign-in"]
                        .into_iter()
                        .find(|form| page.body.contains(&format!("action=\"{form}\"")));
                    let seal = seal(&page, form.unwrap());
                    let form = encoded(&[("seal", &seal)]);
                    sent = ask(&browser, &Method::POST, &path, Some(&form)).await;
                    if person.is_none() {
                        assert_eq!(sent, "303 /sign-in", "{path}");
                    } else {
                        assert_eq!(sent == "403", !may(right), "{path} as {role}: {sent}");
                    }
                    // What was used up is there again: nobody else is asked about what is gone.
                    if place.path == "/console/roles/:role/end" || place.path.ends_with("/end") {
                        sent = if sent == "403" {
                            sent
                        } else {
                            "done".to_owned()
                        };
                    }
                }
            }
            cells += 3;
            writeln!(found, "{}\t{role}\t{seen}\t{bare}\t{sent}", place.path).unwrap();
        }
    }
    let found = found
        .replace(&things.person, ":person")
        .replace(&things.role, ":role");
    println!(
        "AUT-1: {cells} cells of {} pages, {} principals",
        PLACES.len(),
        people.len()
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert_eq!(
        found, reviewed,
        "review the change, then run with UPDATE_GOLDEN=1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_2_pages_take_no_other_method() {
    let mall = People::open().await;
    let browser = Browser::new(&mall, "en");
    let things = Things {
        person: "stf_00000000000000000000000000".to_owned(),
        role: "rol_00000000000000000000000000".to_owned(),
        change: "rch_00000000000000000000000000".to_owned(),
    };
    for place in PLACES {
        let path = filled(place.path, &things);
        for method in [
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::GET,
            Method::POST,
        ] {
            let taken = match method {
                Method::GET => place.get.is_some(),
                Method::POST => place.post.is_some(),
                _ => false,
            };
            let answer = browser.ask(&method, &path, &[], None).await;
            assert_eq!(
                answer.status == 405,
                !taken,
                "{method} {path}: {}",
                answer.status
            );
            if answer.status == 405 {
                let allow = answer.headers["allow"].to_str().unwrap();
                assert_eq!(
                    allow.contains("GET"),
                    place.get.is_some(),
                    "{path}: {allow}"
                );
                assert_eq!(
                    allow.contains("POST"),
                    place.post.is_some(),
                    "{path}: {allow}"
                );
            }
        }
    }
    let nothing: Value = Value::Null;
    assert_eq!(mall.does("x", "/console", &nothing).await.status, 405);
}
