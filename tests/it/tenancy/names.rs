//! TEN-12: a schema's name is made of the mall's id, never of anything that somebody typed.

use std::collections::BTreeSet;

use rotunda::{
    authz::{action::ManageTenants, actor::Principal, grant::Grant},
    db::tenants::Schema,
    kernel::{ids::TenantId, text::Slug},
};
use uuid::Uuid;

use crate::support::books::{House, fresh_slug, names, owner, registration};

/// Whether this is `t_` and 26 digits of base32, and nothing that SQL reads otherwise.
fn is_schema(text: &str) -> bool {
    text.strip_prefix("t_").is_some_and(|digits| {
        digits.len() == 26
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

#[test]
fn ten_12_short_names_that_sql_could_misread_are_refused() {
    let long = "a".repeat(41);
    let longer = "a".repeat(64);
    let refused = [
        "",
        "a",
        "Mall",
        "MALL",
        "mall'",
        "mall\"",
        "mall; drop schema platform",
        "mall--'",
        "a b",
        " mall",
        "mall ",
        "mall\n",
        "mall\0",
        "mall$$",
        "mall\\",
        "pg.catalog",
        "t_01",
        "a_b",
        "1mall",
        "-mall",
        "商场",
        "mäll",
        "ma\u{0131}l",
        "mall\u{200b}",
        "ｍall",
        "%",
        "..",
        "../mall",
        &long,
        &longer,
    ];
    for text in refused {
        assert!(text.parse::<Slug>().is_err(), "{text:?}");
    }
}

#[test]
fn ten_12_every_id_makes_a_name_of_the_same_form() {
    let mut seen = BTreeSet::new();
    for bits in [
        0,
        1,
        u128::MAX,
        u128::MAX / 2,
        1 << 127,
        0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881,
    ] {
        let name = Schema::of(TenantId::from_uuid(Uuid::from_u128(bits))).to_string();
        assert!(is_schema(&name) && name.len() < 63, "{name}");
        assert!(seen.insert(name), "two malls, two names");
    }
}

#[tokio::test]
async fn ten_12_reserved_words_are_malls_like_any_other() {
    let house = House::new(2).await;
    let reserved = [
        "public",
        "platform",
        "jobs",
        "ext",
        "postgres",
        "pg-catalog",
        "select",
        "user",
        "null",
        "template1",
        "rotunda-app",
        "information-schema",
        "drop",
    ];
    let longest = format!("a{}", "-".repeat(39));
    for slug in reserved.into_iter().chain([longest.as_str()]) {
        let mall = house.mall(slug, "Asia/Shanghai").await;
        assert!(is_schema(&mall.schema()), "{slug}");
        assert!(!mall.schema().contains(slug));
        let again = house.mall(slug, "Asia/Shanghai").await;
        assert_eq!(
            again.tenant.id, mall.tenant.id,
            "the same short name is the same mall"
        );
    }
}

#[tokio::test]
async fn ten_12_what_an_operator_types_is_data() {
    let house = House::new(2).await;
    let grant: Grant<ManageTenants> = house.policy.allow(&Principal::platform(None)).unwrap();
    let slug = fresh_slug();
    let mut wanted = registration(&slug, "Asia/Shanghai");
    let typed = "Robert'); drop schema platform cascade; --\"$$";
    wanted.names = names(typed);
    wanted.hosts = vec![format!("{slug}.'; drop role rotunda_app; --")];
    wanted.calling_code = "86'; reset role; --".to_owned();
    let tenant = house.db.register(&grant, &wanted).await.unwrap();
    assert_eq!(tenant.names, names(typed));
    assert_eq!(tenant.hosts, wanted.hosts);
    assert!(is_schema(&Schema::of(tenant.id).to_string()));
    let found = house.db.tenant_of_slug("x' or ''='").await.unwrap();
    assert!(found.is_none());
    let schemas: Vec<String> = sqlx::query_scalar(
        "select nspname::text from pg_namespace
         where nspname !~ '^pg_' and nspname not in ('information_schema', 'public', 'platform',
             'jobs', 'ext')",
    )
    .fetch_all(&mut owner("pg_catalog").await)
    .await
    .unwrap();
    let strange: Vec<&String> = schemas.iter().filter(|name| !is_schema(name)).collect();
    assert_eq!(strange, Vec::<&String>::new());
}
