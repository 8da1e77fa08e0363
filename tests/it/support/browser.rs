//! A browser without scripts, and what it checks of every page.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write};

use poem::http::Method;

use super::{
    outside::Answer,
    people::{People, Person},
};

/// A browser: it keeps cookies, follows where it is sent, and fills in forms.
pub struct Browser<'a> {
    pub mall: &'a People,
    pub cookies: RefCell<BTreeMap<String, String>>,
    language: &'static str,
}

impl<'a> Browser<'a> {
    /// Somebody's who is signed in.
    pub fn of(mall: &'a People, person: &Person) -> Self {
        let browser = Self::new(mall, "en");
        let token = person.token.clone();
        let session = "__Host-rotunda".to_owned();
        browser.cookies.borrow_mut().insert(session, token);
        browser
    }

    pub fn new(mall: &'a People, language: &'static str) -> Self {
        Self {
            mall,
            cookies: RefCell::default(),
            language,
        }
    }

    pub async fn ask(
        &self,
        method: &Method,
        path: &str,
        more: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let kept = self.cookies.borrow().clone();
        let kept: Vec<String> = kept
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (kept, host) = (kept.join("; "), self.mall.front.host());
        let mut headers = vec![("host", host), ("accept-language", self.language)];
        if !kept.is_empty() {
            headers.push(("cookie", &kept));
        }
        headers.extend(more);
        let answer = self.mall.server.browse(method, path, &headers, body).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            assert!(attributes.contains("Path=/; "), "{cookie}");
            assert!(
                attributes.ends_with("; Secure; HttpOnly; SameSite=Lax"),
                "{cookie}"
            );
            let (name, value) = pair.split_once('=').unwrap();
            assert!(name.starts_with("__Host-rotunda"), "{cookie}");
            if attributes.contains("Max-Age=0;") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies
                    .borrow_mut()
                    .insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// A page, wherever one is sent; it holds what every page holds.
    pub async fn get(&self, path: &str) -> Answer {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let answer = self.ask(&Method::GET, &path, &[], None).await;
            if answer.status == 303 {
                answer.headers["location"]
                    .to_str()
                    .unwrap()
                    .clone_into(&mut path);
                continue;
            }
            check(&answer);
            return answer;
        }
        panic!("it goes round in circles");
    }

    /// Fills in the form of a page that goes to `action`; where one is sent, or the page that comes.
    pub async fn submit(&self, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
        let seal = seal(page, action);
        let mut all = vec![("seal", seal.as_str())];
        all.extend(fields);
        let origin = format!("https://{}", self.mall.front.host());
        let more = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        let answer = self
            .ask(&Method::POST, action, &more, Some(&encoded(&all)))
            .await;
        if answer.status == 303 {
            let next = answer.headers["location"].to_str().unwrap().to_owned();
            return self.get(&next).await;
        }
        check(&answer);
        answer
    }
}

pub fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut all, byte| {
            write!(all, "%{byte:02X}").unwrap();
            all
        })
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The seal in the form of a page that goes to `action`.
pub fn seal(page: &Answer, action: &str) -> String {
    let form = format!("action=\"{action}\"");
    let (_, form) = page
        .body
        .split_once(&form)
        .unwrap_or_else(|| panic!("{}", page.body));
    let (_, rest) = form.split_once("name=\"seal\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// What holds for every page: nothing inline, nothing from elsewhere, a label for every field.
pub fn check(page: &Answer) {
    let (body, headers) = (&page.body, &page.headers);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html"),
        "{body}"
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'self'",
        "script-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "same-origin");
    let lower = body.to_lowercase();
    for never in [
        "<script",
        "style=",
        "javascript:",
        "onclick",
        "onload",
        "src=\"http",
    ] {
        assert!(!lower.contains(never), "{never}: {body}");
    }
    assert!(!body.contains("web-"), "a word is missing: {body}");
    for field in body
        .split("<input id=\"")
        .chain(body.split("<select id=\""))
        .skip(1)
    {
        let name = field.split('"').next().unwrap();
        if name.chars().all(|letter| letter.is_ascii_lowercase()) && !name.is_empty() {
            assert!(
                body.contains(&format!("<label for=\"{name}\"")),
                "{name}: {body}"
            );
        }
    }
}
