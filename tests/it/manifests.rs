//! Manifests: what is read, and what each wrong file is told.

use std::{fs, path::Path};

use rotunda::tenancy::{Manifest, Roles};

const HEAD: &str = r#"slug = "real"
names = { en = "Real" }
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
hosts = ["real.localhost"]
"#;

fn refusal(text: &str) -> String {
    Manifest::from_file("x.toml", text).unwrap_err().to_string()
}

/// The same head with one line changed.
fn head(from: &str, to: &str) -> String {
    assert!(HEAD.contains(from), "{from}");
    HEAD.replace(from, to)
}

#[test]
fn one_file_may_hold_everything() {
    let text = format!(
        r#"{HEAD}
[earning]
rules = [{{ code = "base", points = 3, per = "1.00" }}]
[[merchants]]
code = "tea"
names = {{ en = "Tea", "zh-TW" = "茶" }}
trade = "tea"
alliance = "both"
[[merchants.stores]]
code = "tea-1"
names = {{ en = "Tea 1" }}
alliance = "earn"
[[goods]]
code = "cup"
names = {{ en = "A cup" }}
points = 2_000
stock = 0
kind = "voucher"
offered_by = ["tea"]
per_member_month = 1
"#
    );
    let manifest = Manifest::from_file("x.toml", &text).unwrap();
    assert_eq!(
        manifest.programme,
        serde_json::json!({ "earning": { "rules": [{ "code": "base", "points": 3, "per": "1.00" }] } })
    );
    let merchant = &manifest.merchants[0];
    let (both, earn) = (
        Roles {
            earns: true,
            spends: true,
        },
        Roles {
            earns: true,
            spends: false,
        },
    );
    assert_eq!(
        (merchant.roles, merchant.stores[0].roles),
        (both, Some(earn))
    );
    let good = &manifest.goods[0];
    assert_eq!(
        (good.points.get(), good.stock, good.kind.as_str()),
        (2000, 0, "voucher")
    );
    assert_eq!(
        (good.per_member_day, good.per_member_month),
        (None, Some(1))
    );
    assert_eq!(
        manifest.locate("earning.rules[0].per: found \"1.00\", expected more"),
        "x.toml:10:45: earning.rules[0].per: found \"1.00\", expected more"
    );
    assert_eq!(
        manifest.locate("earning: unknown field `points`, expected one of …"),
        "x.toml:10:36: earning: unknown field `points`, expected one of …"
    );
    assert_eq!(
        manifest.locate("settlement: missing"),
        "settlement: missing"
    );
}

#[test]
fn the_demo_mall_has_30_merchants_60_stores_and_200_goods() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants/demo");
    let manifest = Manifest::read(&folder).unwrap();
    let stores: usize = manifest.merchants.iter().map(|it| it.stores.len()).sum();
    assert_eq!(
        (manifest.merchants.len(), stores, manifest.goods.len()),
        (30, 60, 200)
    );
    let sections = manifest.programme.as_object().unwrap();
    assert_eq!(sections.len(), 5);
}

#[test]
fn a_wrong_head_is_told_where_which_key_what_and_what_instead() {
    let long = "x".repeat(130);
    for (text, expected) in [
        ("slug = ", "x.toml:1:8: not TOML: string values must be quoted, expected literal string".to_owned()),
        ("slug = \"real\"\nslug = \"real\"", "x.toml:2:1: not TOML: duplicate key".to_owned()),
        (
            "slug = \"real\"\nname = \"Real\"",
            "x.toml:2:1: name: found a key that is not known, expected one of slug, names, \
             languages, time_zone, currency, calling_code, hosts, earning, expiry, spending, \
             exchange, settlement, merchants, goods".to_owned(),
        ),
        ("", "x.toml:1:1: slug: found nothing, expected a short name of 2 to 40 of a-z, 0-9 and -, a letter first".to_owned()),
        (
            &head("\"real\"\n", "\"Real\"\n"),
            "x.toml:1:8: slug: found \"Real\", expected a short name of 2 to 40 of a-z, 0-9 and -, a letter first".to_owned(),
        ),
        (
            &head("{ en = \"Real\" }", "\"Real\""),
            "x.toml:2:9: names: found \"Real\", expected a table of names such as { en = \"Lantern Tea\" }".to_owned(),
        ),
        (
            &head("{ en = \"Real\" }", "{}"),
            "x.toml:2:9: names: found a table, expected at least one name, in zh-CN, zh-TW or en".to_owned(),
        ),
        (
            &head("{ en = \"Real\" }", "{ fr = \"Réel\" }"),
            "x.toml:2:11: names.fr: found a key that is not known, expected one of zh-CN, zh-TW, en".to_owned(),
        ),
        (
            &head("{ en = \"Real\" }", &format!("{{ \"zh-CN\" = \"银河\", en = \"{long}\" }}")),
            format!("x.toml:2:32: names.en: found {:?}…, expected a name of 1 to 120 characters in one line", &long[..60]),
        ),
        (
            &head("[\"en\"]", "[\"en\", \"fr\"]"),
            "x.toml:3:20: languages[1]: found \"fr\", expected \"zh-CN\", \"zh-TW\" or \"en\"".to_owned(),
        ),
        (
            &head("[\"en\"]", "[]"),
            "x.toml:3:13: languages: found a list, expected a list of \"zh-CN\", \"zh-TW\" and \"en\", the default first".to_owned(),
        ),
        (
            &head("\"UTC\"", "\"Shanghai\""),
            "x.toml:4:13: time_zone: found \"Shanghai\", expected a time zone of the IANA database, such as \"Asia/Shanghai\"".to_owned(),
        ),
        (
            &head("\"USD\"", "\"RMB\""),
            "x.toml:5:12: currency: found \"RMB\", expected a currency of ISO 4217, such as \"CNY\"".to_owned(),
        ),
        (
            &head("\"1\"", "1"),
            "x.toml:6:16: calling_code: found 1, expected a country code of 1 to 3 digits in quotes, such as \"86\"".to_owned(),
        ),
        (
            &head("real.localhost", "Real.localhost:8080"),
            "x.toml:7:10: hosts[0]: found \"Real.localhost:8080\", expected a host name of a-z, 0-9, . and -, without a port".to_owned(),
        ),
        (
            &format!("{HEAD}[spending]\nmost_share = 0.5\n"),
            "x.toml:9:14: spending.most_share: found 0.5, expected a whole number, or a decimal in quotes such as \"12.50\"".to_owned(),
        ),
        (
            &format!("{HEAD}expiry = \"never\"\n"),
            "x.toml:8:10: expiry: found \"never\", expected a table".to_owned(),
        ),
    ] {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn a_wrong_list_is_told_where_which_key_what_and_what_instead() {
    let merchant = |lines: &str| {
        format!(
            "{HEAD}[[merchants]]\ncode = \"tea\"\nnames = {{ en = \"Tea\" }}\ntrade = \"tea\"\nalliance = \"earn\"\n{lines}"
        )
    };
    let good = |lines: &str| {
        format!("{HEAD}[[goods]]\ncode = \"cup\"\nnames = {{ en = \"Cup\" }}\n{lines}")
    };
    for (text, expected) in [
        (
            format!(
                "{HEAD}[[merchants]]\nnames = {{ en = \"Tea\" }}\ntrade = \"tea\"\nalliance = \"earn\"\n"
            ),
            "x.toml:8:1: merchants[0].code: found nothing, expected a code of 1 to 40 letters, digits, _ and -",
        ),
        (
            merchant("").replace("\"earn\"", "\"all\""),
            "x.toml:12:12: merchants[0].alliance: found \"all\", expected \"earn\", \"spend\" or \"both\"",
        ),
        (
            merchant("[[merchants]]\ncode = \"tea\"\nalliance = \"earn\"\n"),
            "x.toml:14:8: merchants[1].code: found \"tea\", expected a code that does not stand above",
        ),
        (
            merchant("[[merchants.stores]]\ncode = \"t 1\"\n"),
            "x.toml:14:8: merchants[0].stores[0].code: found \"t 1\", expected a code of 1 to 40 letters, digits, _ and -",
        ),
        (
            merchant("[[merchants.stores]]\ncode = \"t1\"\nalliance = \"both\"\n"),
            "x.toml:15:12: merchants[0].stores[0].alliance: found \"both\", expected no more than what its merchant does",
        ),
        (
            merchant("stores = 3\n"),
            "x.toml:13:10: merchants[0].stores: found 3, expected a list",
        ),
        (
            merchant("store = []\n"),
            "x.toml:13:1: merchants[0].store: found a key that is not known, expected one of code, names, trade, alliance, email, language, stripe_account, stores",
        ),
        (
            good("points = \"2000\"\nstock = 1\nkind = \"pickup\"\noffered_by = [\"tea\"]\n"),
            "x.toml:11:10: goods[0].points: found \"2000\", expected a whole number of points, 1 or more",
        ),
        (
            good("points = 0\nstock = 1\nkind = \"pickup\"\noffered_by = [\"tea\"]\n"),
            "x.toml:11:10: goods[0].points: found 0, expected a whole number of points, 1 or more",
        ),
        (
            good("points = 1\nstock = -1\nkind = \"pickup\"\noffered_by = [\"tea\"]\n"),
            "x.toml:12:9: goods[0].stock: found -1, expected a whole number, 0 or more",
        ),
        (
            good("points = 1\nstock = 1\nkind = \"gift\"\noffered_by = [\"tea\"]\n"),
            "x.toml:13:8: goods[0].kind: found \"gift\", expected \"pickup\", \"service\" or \"voucher\"",
        ),
        (
            good("points = 1\nstock = 1\nkind = \"pickup\"\noffered_by = []\n"),
            "x.toml:14:14: goods[0].offered_by: found a list, expected a list of at least one merchant's code",
        ),
        (
            good(
                "points = 1\nstock = 1\nkind = \"pickup\"\noffered_by = [\"tea\"]\nper_member_day = 0\n",
            ),
            "x.toml:15:18: goods[0].per_member_day: found 0, expected a whole number, 1 or more",
        ),
    ] {
        assert_eq!(refusal(&text), expected);
    }
}

#[test]
fn a_copied_folder_has_to_be_renamed_and_each_file_keeps_to_its_own() {
    let root = std::env::temp_dir().join(format!("rotunda-manifest-{}", std::process::id()));
    let folder = root.join("real");
    fs::create_dir_all(&folder).unwrap();
    let path = |file: &str| folder.join(file).display().to_string();

    fs::write(folder.join("tenant.toml"), HEAD).unwrap();
    assert!(Manifest::read(&folder).unwrap().merchants.is_empty());
    fs::write(folder.join("merchants.toml"), "[[goods]]\n").unwrap();
    let refused = Manifest::read(&folder).unwrap_err().to_string();
    let expected = "goods: found a key that is not known, expected one of merchants";
    assert_eq!(
        refused,
        format!("{}:1:3: {expected}", path("merchants.toml"))
    );
    fs::write(
        folder.join("tenant.toml"),
        head("\"real\"\n", "\"other\"\n"),
    )
    .unwrap();
    let refused = Manifest::read(&folder).unwrap_err().to_string();
    let expected = "slug: found \"other\", expected the folder's name, \"real\"";
    assert_eq!(refused, format!("{}:1:8: {expected}", path("tenant.toml")));
    fs::remove_file(folder.join("tenant.toml")).unwrap();
    let refused = Manifest::read(&folder).unwrap_err().to_string();
    assert_eq!(refused, format!("{}: cannot be read", path("tenant.toml")));
    fs::remove_dir_all(&root).unwrap();
}
