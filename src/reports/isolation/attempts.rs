//! What is tried. Each statement would do no harm where it got through: it touches no row, and it is
//! taken back at once. Here alone other malls' tables are named with their schema: that is the point.

/// What an attempt is made at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// The mall's own schema, or the server.
    Here,
    /// Up to three other malls: `{name}` is each one's schema, which is its role too.
    OtherMall,
    /// Roles that may more than a mall's: `{name}` is each of them.
    Administrator,
    /// A table outside of malls, by schema and name.
    Table(&'static str, &'static str),
    /// Nothing: PostgreSQL would not refuse it, and does not have to.
    Unwalled,
}

/// An attempt before it is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) target: Target,
    /// Each of them has to be refused.
    pub(super) statements: &'static [&'static str],
    /// The SQLSTATEs that are refusals.
    pub(super) refusals: &'static [&'static str],
}

/// Insufficient privilege: how PostgreSQL says no.
const NO: &[&str] = &["42501"];

/// The same, or that there is no such table: a schema that one may not use is passed over on the
/// search path. That it has the table was looked up before.
const NO_OR_UNSEEN: &[&str] = &["42501", "42P01"];

/// Short for a [`Plan`].
const fn plan(
    name: &'static str,
    target: Target,
    refusals: &'static [&'static str],
    statements: &'static [&'static str],
) -> Plan {
    Plan {
        name,
        target,
        statements,
        refusals,
    }
}

/// All of them.
pub(super) const ATTEMPTS: &[Plan] = &[
    plan(
        "read-other-mall",
        Target::OtherMall,
        NO,
        &[
            "select 1 from {name}.member limit 1",
            "select 1 from {name}.transfer limit 1",
            "select 1 from {name}.audit_entry limit 1",
        ],
    ),
    plan(
        "search-path-to-other-mall",
        Target::OtherMall,
        NO_OR_UNSEEN,
        &["set local search_path to {name}; select 1 from member limit 1"],
    ),
    plan(
        "write-other-mall",
        Target::OtherMall,
        NO,
        &[
            "insert into {name}.outbox (name) select 'x' where false",
            "update {name}.wallet set available = 0 where false",
            "delete from {name}.good_offer where false",
        ],
    ),
    plan(
        "truncate-other-mall",
        Target::OtherMall,
        NO,
        &["truncate {name}.audit_seal"],
    ),
    plan(
        "lock-other-mall",
        Target::OtherMall,
        NO,
        &["lock table {name}.audit_seal in exclusive mode"],
    ),
    plan(
        "create-in-other-mall",
        Target::OtherMall,
        NO,
        &["create table {name}.breach (id int, constraint breach_pkey primary key (id))"],
    ),
    plan(
        "own-other-mall",
        Target::OtherMall,
        NO,
        &["comment on schema {name} is null"],
    ),
    plan(
        "join-other-mall",
        Target::OtherMall,
        NO,
        &["grant {name} to {own}"],
    ),
    plan(
        "role-of-other-mall",
        Target::Unwalled,
        NO,
        &["set local role {name}"],
    ),
    plan(
        "read-registry",
        Target::Table("platform", "tenant"),
        NO,
        &["select 1 from platform.tenant limit 1"],
    ),
    plan(
        "write-registry",
        Target::Table("platform", "registry"),
        NO,
        &["update platform.registry set revision = 0 where false"],
    ),
    plan(
        "read-jobs",
        Target::Table("jobs", "_private_jobs"),
        NO,
        &["select 1 from jobs._private_jobs limit 1"],
    ),
    plan(
        "create-beside-malls",
        Target::Here,
        NO,
        &[
            "create table public.breach (id int, constraint breach_pkey primary key (id))",
            "create table ext.breach (id int, constraint breach_pkey primary key (id))",
        ],
    ),
    plan(
        "create-table",
        Target::Here,
        NO,
        &["create table {own}.breach (id int, constraint breach_pkey primary key (id))"],
    ),
    plan(
        "create-schema",
        Target::Here,
        NO,
        &["create schema {own}_breach"],
    ),
    plan(
        "update-books",
        Target::Here,
        NO,
        &[
            "update journal set kind = 'x' where false",
            "update transfer set line = 0 where false",
            "update audit_entry set actor = 'x' where false",
            "update audit_seal set number = 0 where false",
        ],
    ),
    plan(
        "delete-books",
        Target::Here,
        NO,
        &[
            "delete from journal where false",
            "delete from transfer where false",
            "delete from audit_entry where false",
            "delete from audit_seal where false",
        ],
    ),
    plan(
        "truncate-books",
        Target::Here,
        NO,
        &[
            "truncate journal",
            "truncate transfer",
            "truncate audit_entry",
            "truncate audit_seal",
        ],
    ),
    plan(
        "own-books",
        Target::Here,
        NO,
        &[
            "comment on table journal is null",
            "comment on table transfer is null",
            "comment on table audit_entry is null",
            "comment on table audit_seal is null",
        ],
    ),
    plan(
        "become-administrator",
        Target::Administrator,
        NO,
        &["set local role {name}"],
    ),
    plan(
        "sign-in-as-administrator",
        Target::Administrator,
        NO,
        &["set local session authorization {name}"],
    ),
    plan(
        "make-oneself-administrator",
        Target::Here,
        NO,
        &["alter role {own} superuser", "alter role {own} createrole"],
    ),
    plan(
        "grant-oneself-more",
        Target::Here,
        NO,
        &["grant pg_read_all_data to {own}"],
    ),
    plan(
        "create-role",
        Target::Here,
        NO,
        &["create role {own}_breach"],
    ),
    plan(
        "read-passwords",
        Target::Here,
        NO,
        &["select rolpassword from pg_catalog.pg_authid limit 1"],
    ),
    plan(
        "read-server-files",
        Target::Here,
        NO,
        &[
            "select pg_catalog.pg_read_file('PG_VERSION')",
            "select pg_catalog.pg_ls_dir('.')",
        ],
    ),
    plan(
        "write-server-files",
        Target::Here,
        NO,
        &["copy (select 1) to '/dev/null'"],
    ),
    // It reads what it is given: to one that ends before, PostgreSQL cannot write, and says so instead.
    plan(
        "run-program",
        Target::Here,
        NO,
        &["copy (select 1) to program 'cat > /dev/null'"],
    ),
];
