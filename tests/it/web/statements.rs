//! Settlements on pages: from the list down to the receipt, and from an objection to its decision.

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    front::{PLAIN, Sheet},
    instant,
    people::{People, Person, text},
};

const SHEET: Sheet = Sheet {
    spending: r#"most_share = "1""#,
    settling: "confirm_days = 3",
    shops: &[
        (
            "tea",
            r#"{ en = "Tea & Co", "zh-TW" = "茶行" }"#,
            r#"{ en = "Tea 1" }"#,
        ),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake 1" }"#),
    ],
    languages: r#"["en", "zh-TW"]"#,
    ..PLAIN
};

/// A June in which cake took 1,234 and 40 of tea's points; it is July, and June is closed.
struct July {
    mall: People,
    settlement: String,
}

impl July {
    async fn begin() -> Self {
        let mall = People::open_as(&SHEET, "2026-06-15T12:00:00Z").await;
        let (server, front) = (&mall.server, &mall.front);
        let ada = front.member(server, &json!({"card_number": "1"})).await;
        let (tea, cake) = (
            front.store(server, "tea-1").await,
            front.store(server, "cake-1").await,
        );
        let bought = json!({"store_id": tea, "receipt_number": "T-1", "member_id": ada,
            "lines": [{"category": "tea", "quantity": 1, "amount": 2_000_00}]});
        server.post(front.till(), "/v1/purchases", &bought).await;
        for (receipt, points) in [("C-1", 1_234), ("C-2", 40)] {
            let spent = json!({"store_id": cake, "receipt_number": receipt, "member_id": ada,
                "total": 100_00, "points": points});
            server.post(front.till(), "/v1/spends", &spent).await;
        }
        mall.clock.set(instant("2026-07-02T12:00:00Z"));
        let closed = json!({"period": "2026-06"});
        let closed = server.post(front.owner(), "/v1/settlements", &closed).await;
        let settlement = text(&closed["settlement_id"]);
        Self { mall, settlement }
    }

    async fn finance(&self) -> Person {
        let roles = ["operator.finance"];
        self.mall.whole("fay@mall.example", &roles, None).await
    }

    async fn of_shop(&self, shop: &str, role: &str) -> Person {
        let merchant = self.mall.merchant(shop).await;
        let email = format!("{role}@{shop}.example");
        self.mall.whole(&email, &[role], Some(&merchant)).await
    }

    /// A shop's statement, as the API tells it.
    async fn statement(&self, shop: &str) -> Value {
        let path = format!("/v1/settlements/{}/statements", self.settlement);
        let front = &self.mall.front;
        let all = self.mall.server.get(front.owner(), &path).await;
        let mut all = all["data"].as_array().unwrap().iter();
        all.find(|one| one["code"] == shop).unwrap().clone()
    }

    fn page(&self) -> String {
        format!("/console/settlements/{}", self.settlement)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_is_issued_and_read_down_to_the_receipt() {
    let july = July::begin().await;
    let (fay, tea) = (
        july.finance().await,
        july.of_shop("tea", "merchant.finance").await,
    );
    let (fay, tea) = (Browser::of(&july.mall, &fay), Browser::of(&july.mall, &tea));
    let list = fay.get("/console/settlements").await;
    assert!(
        list.body.contains(&format!("href=\"{}\"", july.page())),
        "{}",
        list.body
    );
    // Nobody of a shop sees a draft.
    let early = tea.get(&july.page()).await;
    assert!(
        early.body.contains("There is no statement here"),
        "{}",
        early.body
    );
    let page = fay.get(&july.page()).await;
    assert!(page.body.contains("Calculated") && page.body.contains("Tea &amp; Co"));
    let issue = format!("{}/issue", july.page());
    let page = fay.submit(&page, &issue, &[]).await;
    assert!(
        page.body.contains("Issued") && !page.body.contains(&issue),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("2026-07-06 00:00"),
        "until when they answer"
    );

    let own = july.statement("tea").await;
    assert_eq!(own["figures"]["net"], -12_74);
    let address = format!("/console/statements/{}", text(&own["statement_id"]));
    let list = tea.get(&july.page()).await;
    assert!(
        list.body.contains(&address) && !list.body.contains(">Cake<"),
        "its own alone"
    );
    let statement = tea.get(&address).await;
    for shown in ["-12.74", "1,274", "Owed to partners", "Tea &amp; Co"] {
        assert!(
            statement.body.contains(shown),
            "{shown}: {}",
            statement.body
        );
    }
    let sheet = tea
        .ask(&Method::GET, &format!("{address}/statement.csv"), &[], None)
        .await;
    assert!(sheet.body.contains(",-12.74"), "{}", sheet.body);
    assert!(
        sheet.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let paper = tea
        .ask(&Method::GET, &format!("{address}/statement.pdf"), &[], None)
        .await;
    assert_eq!(paper.headers["content-type"], "application/pdf");
    let lines = tea.get(&format!("{address}/lines")).await;
    for shown in ["T-1", "C-1", "C-2", "1,234", "12.34", "Cake", "programme 1"] {
        assert!(lines.body.contains(shown), "{shown}: {}", lines.body);
    }
    each_line_shows_what_it_is_made_of(&july, &tea, &fay, &lines.body).await;

    let other = format!(
        "/console/statements/{}",
        text(&july.statement("cake").await["statement_id"])
    );
    for path in [
        &other,
        &format!("{other}/lines"),
        &format!("{other}/statement.csv"),
    ] {
        let hidden = tea.get(path).await;
        assert_eq!(hidden.status, 404, "{path}");
        assert!(
            hidden.body.contains("There is no such settlement"),
            "{}",
            hidden.body
        );
    }
    for path in [
        "/console/statements/x",
        "/console/settlements/x",
        "/console/settlements/stl_01",
        "/console/statements/x/lines",
    ] {
        assert_eq!(fay.get(path).await.status, 404, "{path}");
    }
    let nobody = Browser::new(&july.mall, "en");
    for path in ["/console/settlements", &address, "/console/disputes"] {
        assert!(
            nobody.get(path).await.body.contains("<h1>Sign in</h1>"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_disputed_and_decided_and_the_rest_is_confirmed() {
    let july = July::begin().await;
    let people = [
        july.finance().await,
        july.of_shop("tea", "merchant.finance").await,
        july.of_shop("cake", "merchant.cashier").await,
    ];
    let [fay, tea, cashier] = &people;
    let (fay, tea, cashier) = (
        Browser::of(&july.mall, fay),
        Browser::of(&july.mall, tea),
        Browser::of(&july.mall, cashier),
    );
    let page = fay.get(&july.page()).await;
    fay.submit(&page, &format!("{}/issue", july.page()), &[])
        .await;
    let address = format!(
        "/console/statements/{}",
        text(&july.statement("tea").await["statement_id"])
    );
    let path = format!("{address}/lines");
    let lines = tea.get(&path).await;
    let (_, row) = lines.body.split_once("C-2").unwrap();
    let hidden = |name: &str| {
        let (_, rest) = row
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (journal, line) = (hidden("journal"), hidden("line"));
    let fields = [
        ("journal", journal.as_str()),
        ("line", line.as_str()),
        ("reason", "Rung up <twice>"),
    ];
    for wrong in ["", "a\u{202e}b", &"x".repeat(1001)] {
        let mut fields = fields;
        fields[2].1 = wrong;
        assert_eq!(
            tea.submit(&lines, &path, &fields).await.status,
            403,
            "{wrong}"
        );
    }
    let disputed = tea.submit(&lines, &path, &fields).await;
    assert!(
        disputed.body.contains("Rung up &lt;twice&gt;"),
        "{}",
        disputed.body
    );
    assert!(disputed.body.contains("0.40") && !disputed.body.contains("name=\"outcome\""));
    let twice = tea.submit(&lines, &path, &fields).await;
    assert_eq!(twice.status, 409);
    assert!(twice.body.contains("disputed already"), "{}", twice.body);

    let list = fay.get("/console/disputes").await;
    let (_, form) = list.body.split_once("name=\"dispute\" value=\"").unwrap();
    let id = form.split('"').next().unwrap().to_owned();
    let fields = [
        ("dispute", id.as_str()),
        ("note", "Seen on the roll"),
        ("outcome", "upheld"),
    ];
    let decided = fay.submit(&list, "/console/disputes", &fields).await;
    assert!(
        decided
            .body
            .contains("The line does not hold: Seen on the roll"),
        "{}",
        decided.body
    );
    let twice = fay.submit(&list, "/console/disputes", &fields).await;
    assert_eq!(twice.status, 409);

    let page = tea.get(&address).await;
    let confirm = format!("{address}/confirm");
    let confirmed = tea.submit(&page, &confirm, &[]).await;
    assert!(confirmed.body.contains("Confirmed") && !confirmed.body.contains(&confirm));
    let late = tea.submit(&page, &confirm, &[]).await;
    assert_eq!(late.status, 409, "{}", late.body);
    // A cashier has no part in it.
    for path in ["/console/settlements", "/console/disputes", &address] {
        let refused = cashier.get(path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            refused.body.contains("You may not do this"),
            "{}",
            refused.body
        );
    }
    assert!(
        !cashier
            .get("/account")
            .await
            .body
            .contains("/console/settlements")
    );
}

/// The addresses of a list's lines, in its order, by receipt or good.
fn addresses(body: &str) -> Vec<(String, String)> {
    let rows = body.split("<tr><th scope=\"row\"><a href=\"").skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.split("<td>").collect();
        let paper = cells[4].split('<').next().unwrap();
        (paper.to_owned(), row.split('"').next().unwrap().to_owned())
    })
    .collect()
}

/// From a line to its receipt, grant, programme and agreement: what the other merchant sold under is
/// its own affair, what the points are worth is not.
async fn each_line_shows_what_it_is_made_of(
    july: &July,
    tea: &Browser<'_>,
    fay: &Browser<'_>,
    body: &str,
) {
    let all = addresses(body);
    let of = |paper: &str| {
        let found = all.iter().find(|(of, _)| of == paper);
        found
            .unwrap_or_else(|| panic!("{paper}: {all:?}"))
            .1
            .clone()
    };
    let (issued, spent) = (of("T-1"), of("C-2"));
    for (who, line, shown) in [
        (tea, &issued, ["Points issued", "T-1", "Programme, version"]),
        (
            tea,
            &spent,
            ["Accepted", "C-2", "<dt>By receipt</dt><dd>T-1</dd>"],
        ),
        (
            fay,
            &spent,
            ["Accepted", "C-2", "<dt>By receipt</dt><dd>T-1</dd>"],
        ),
    ] {
        let page = who.get(line).await;
        assert_eq!(page.status, 200, "{}", page.body);
        for shown in shown {
            assert!(page.body.contains(shown), "{shown}: {}", page.body);
        }
    }
    // The same line on the partner's statement, seen by the partner.
    let cake = Browser::of(&july.mall, &july.of_shop("cake", "merchant.finance").await);
    let theirs = text(&july.statement("cake").await["statement_id"]);
    let (_, line) = spent.split_once("/lines/").unwrap();
    let page = cake
        .get(&format!("/console/statements/{theirs}/lines/{line}"))
        .await;
    assert!(
        page.body.contains("C-2") && page.body.contains("Tea &amp; Co"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("T-1"), "{}", page.body);

    let (_, own) = issued.split_once("/lines/").unwrap();
    for nowhere in [
        format!("/console/statements/{theirs}/lines/{own}"),
        issued.replace("/lines/jrn_", "/lines/jrn_0"),
        format!("{issued}9"),
        format!("{issued}x"),
    ] {
        let hidden = cake.get(&nowhere).await;
        assert_eq!(hidden.status, 404, "{nowhere}: {}", hidden.body);
    }
}
