-- A mall's own schema, the same for every mall. Names are unqualified: search_path says whose.
-- Each table has one owner, the room named above it. No custom types, no triggers, few indexes.

-- tenancy: the programme's versions, as the manifest gave them; never changed, only succeeded.
create table programme (
    version bigint not null,
    body jsonb not null,
    digest text not null,
    valid_from timestamptz not null,
    created_at timestamptz not null,
    constraint programme_pkey primary key (version)
);

-- identity: machines' keys. The secret is not here, only its SHA-256.
create table api_key (
    api_key_id uuid not null,
    label text not null,
    role text not null,
    merchant_id uuid,
    secret_hash bytea not null,
    last_four text not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    constraint api_key_pkey primary key (api_key_id)
);

-- db: what was asked under which key, and what was answered.
create table idempotency_key (
    scope text not null,
    key text not null,
    fingerprint bytea not null,
    status int,
    body text,
    created_at timestamptz not null,
    constraint idempotency_key_pkey primary key (scope, key)
);

-- queue: work for after the commit; the relay hands it over, old rows are taken away.
create table outbox (
    job_id uuid not null,
    name text not null,
    payload jsonb not null,
    dedup_key text not null,
    created_at timestamptz not null,
    relayed_at timestamptz,
    constraint outbox_pkey primary key (job_id),
    constraint outbox_dedup_key unique (name, dedup_key)
);
create index outbox_waiting_idx on outbox (created_at) where relayed_at is null;

-- merchants
create table merchant (
    merchant_id uuid not null,
    code text not null,
    names jsonb not null,
    trade text not null,
    earns boolean not null,
    spends boolean not null,
    status text not null,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    constraint merchant_pkey primary key (merchant_id),
    constraint merchant_code_key unique (code),
    constraint merchant_status_check check (status in ('active', 'suspended'))
);
create table store (
    store_id uuid not null,
    merchant_id uuid not null,
    code text not null,
    names jsonb not null,
    earns boolean not null,
    spends boolean not null,
    status text not null,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    constraint store_pkey primary key (store_id),
    constraint store_code_key unique (code),
    constraint store_merchant_fkey foreign key (merchant_id) references merchant (merchant_id),
    constraint store_status_check check (status in ('active', 'suspended'))
);
create index store_merchant_idx on store (merchant_id, store_id);

-- members
create table member (
    member_id uuid not null,
    name text,
    phone text,
    card_number text,
    enrolled_at timestamptz not null,
    constraint member_pkey primary key (member_id),
    constraint member_phone_key unique (phone),
    constraint member_card_key unique (card_number),
    constraint member_reachable_check check (phone is not null or card_number is not null)
);

-- ledger: the first month that still takes postings. One row; writers lock the table in row
-- exclusive mode, the cut-off in exclusive mode, so that a closed month cannot gain a line.
create table book (
    book_id int not null,
    open_from date not null,
    constraint book_pkey primary key (book_id),
    constraint book_single_check check (book_id = 1)
);
insert into book (book_id, open_from) values (1, date '0001-01-01');

-- ledger: the directory of accounts. An account's id is derived from the other columns.
create table account (
    account_id uuid not null,
    kind text not null,
    owner_id uuid,
    partner_id uuid,
    unit text not null,
    constraint account_pkey primary key (account_id),
    constraint account_kind_check check (kind in (
        'wallet', 'held', 'deficit', 'issued', 'accepted', 'expired',
        'payable', 'receivable'))
);

-- ledger: the only running balances, one row a member, the lock of everything that is hers.
create table wallet (
    member_id uuid not null,
    available bigint not null,
    held bigint not null,
    debt bigint not null,
    seq bigint not null,
    constraint wallet_pkey primary key (member_id),
    constraint wallet_available_check check (available >= 0),
    constraint wallet_held_check check (held >= 0),
    constraint wallet_debt_check check (debt >= 0)
);

-- ledger: one event and its line in the member's history. Append only.
create table journal (
    journal_id uuid not null,
    kind text not null,
    member_id uuid,
    seq bigint,
    points bigint not null,
    balance_after bigint not null,
    merchant_id uuid,
    store_id uuid,
    source_id uuid not null,
    reverses uuid,
    posted_in date not null,
    late boolean not null,
    occurred_at timestamptz not null,
    posted_at timestamptz not null,
    actor text not null,
    constraint journal_pkey primary key (journal_id),
    constraint journal_member_seq_key unique (member_id, seq)
);
create index journal_reverses_idx on journal (reverses) where reverses is not null;

-- ledger: one amount moved from one account to another, with the money that it is worth.
-- Append only. Points in `amount`, minor units in `value`; between money accounts both are equal.
create table transfer (
    journal_id uuid not null,
    line int not null,
    from_account uuid not null,
    to_account uuid not null,
    amount bigint not null,
    value bigint not null,
    lot_id uuid,
    posted_in date not null,
    constraint transfer_pkey primary key (journal_id, line),
    constraint transfer_amount_check check (amount > 0),
    constraint transfer_value_check check (value >= 0),
    constraint transfer_moves_check check (from_account <> to_account)
);
create index transfer_month_idx on transfer (posted_in);

-- ledger: points of one grant: who issued them, what they are worth, what is left.
create table lot (
    lot_id uuid not null,
    member_id uuid not null,
    merchant_id uuid not null,
    store_id uuid not null,
    journal_id uuid not null,
    points bigint not null,
    remaining bigint not null,
    expired bigint not null,
    clawed bigint not null,
    owed bigint not null,
    worth bigint not null,
    worth_left bigint not null,
    earned_at timestamptz not null,
    expires_at timestamptz,
    constraint lot_pkey primary key (lot_id),
    constraint lot_points_check check (points > 0),
    constraint lot_remaining_check check (remaining >= 0 and remaining <= points),
    constraint lot_expired_check check (expired >= 0),
    constraint lot_clawed_check check (clawed >= 0 and remaining + expired + clawed <= points),
    constraint lot_owed_check check (owed >= 0 and owed <= points),
    constraint lot_worth_check check (worth >= 0),
    constraint lot_worth_left_check check (worth_left >= 0 and worth_left <= worth)
);
create index lot_open_idx on lot (member_id, expires_at, earned_at, lot_id) where remaining > 0;
create index lot_due_idx on lot (expires_at) where remaining > 0;

-- ledger: points that a member owes because they were spent before they were taken back.
create table deficit (
    deficit_id uuid not null,
    member_id uuid not null,
    merchant_id uuid not null,
    points bigint not null,
    remaining bigint not null,
    created_at timestamptz not null,
    constraint deficit_pkey primary key (deficit_id),
    constraint deficit_remaining_check check (remaining >= 0 and remaining <= points)
);
create index deficit_open_idx on deficit (member_id, created_at, deficit_id) where remaining > 0;

-- earning: receipts. Amounts in minor units of the mall's currency. A purchase's lot has its id.
create table purchase (
    purchase_id uuid not null,
    store_id uuid not null,
    merchant_id uuid not null,
    receipt_number text not null,
    member_id uuid,
    total bigint not null,
    paid_by_points bigint not null,
    points bigint not null,
    balance_after bigint,
    refunded bigint not null,
    clawed bigint not null,
    lines jsonb not null,
    rules jsonb not null,
    programme bigint not null,
    fingerprint bytea not null,
    business_day date not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    constraint purchase_pkey primary key (purchase_id),
    constraint purchase_store_receipt_key unique (store_id, receipt_number),
    constraint purchase_total_check check (total >= 0),
    constraint purchase_refunded_check check (refunded >= 0 and refunded <= total),
    constraint purchase_clawed_check check (clawed >= 0 and clawed <= points)
);
create index purchase_member_day_idx on purchase (member_id, business_day) where points > 0;

create table refund (
    refund_id uuid not null,
    purchase_id uuid not null,
    reference text not null,
    amount bigint not null,
    points_taken bigint not null,
    points_owed bigint not null,
    points_given_back bigint not null,
    balance_after bigint,
    fingerprint bytea not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    constraint refund_pkey primary key (refund_id),
    constraint refund_reference_key unique (purchase_id, reference),
    constraint refund_amount_check check (amount > 0)
);

-- redemption: points that paid part of a receipt.
create table spend (
    spend_id uuid not null,
    store_id uuid not null,
    merchant_id uuid not null,
    receipt_number text not null,
    member_id uuid not null,
    journal_id uuid not null,
    total bigint not null,
    points bigint not null,
    paid bigint not null,
    returned bigint not null,
    fingerprint bytea not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    constraint spend_pkey primary key (spend_id),
    constraint spend_store_receipt_key unique (store_id, receipt_number),
    constraint spend_points_check check (points > 0),
    constraint spend_returned_check check (returned >= 0 and returned <= points)
);

-- redemption: what points buy.
create table good (
    good_id uuid not null,
    code text not null,
    names jsonb not null,
    kind text not null,
    points bigint not null,
    stock bigint not null,
    per_member_day bigint,
    per_member_month bigint,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    constraint good_pkey primary key (good_id),
    constraint good_code_key unique (code),
    constraint good_points_check check (points > 0),
    constraint good_stock_check check (stock >= 0),
    constraint good_kind_check check (kind in ('pickup', 'service', 'voucher'))
);
create table good_offer (
    good_id uuid not null,
    merchant_id uuid not null,
    constraint good_offer_pkey primary key (good_id, merchant_id),
    constraint good_offer_good_fkey foreign key (good_id) references good (good_id)
);

-- redemption: a good promised to a member, and the code that fetches it once.
create table redemption (
    redemption_id uuid not null,
    good_id uuid not null,
    member_id uuid not null,
    journal_id uuid not null,
    points bigint not null,
    code text not null,
    state text not null,
    reserved_on date not null,
    reserved_at timestamptz not null,
    lapses_at timestamptz not null,
    ended_at timestamptz,
    store_id uuid,
    constraint redemption_pkey primary key (redemption_id),
    constraint redemption_code_key unique (code),
    constraint redemption_state_check
        check (state in ('reserved', 'claimed', 'cancelled', 'lapsed'))
);
create index redemption_due_idx on redemption (lapses_at) where state = 'reserved';
create index redemption_member_idx on redemption (member_id, good_id, reserved_on);

-- settlement: a month; once closed it is never changed.
create table settlement (
    settlement_id uuid not null,
    month date not null,
    state text not null,
    fee_basis_points int not null,
    cut_off_at timestamptz not null,
    closed_at timestamptz,
    actor text not null,
    digest text,
    constraint settlement_pkey primary key (settlement_id),
    constraint settlement_month_key unique (month),
    constraint settlement_state_check check (state in ('cut_off', 'closed'))
);
create table statement (
    statement_id uuid not null,
    settlement_id uuid not null,
    merchant_id uuid not null,
    code text not null,
    issued bigint not null,
    taken_back bigint not null,
    redeemed bigint not null,
    given_back bigint not null,
    own_points bigint not null,
    own_value bigint not null,
    pays bigint not null,
    receives bigint not null,
    fee bigint not null,
    net bigint not null,
    constraint statement_pkey primary key (statement_id),
    constraint statement_merchant_key unique (settlement_id, merchant_id),
    constraint statement_settlement_fkey
        foreign key (settlement_id) references settlement (settlement_id)
);
-- What one party pays another so that every net becomes zero; no party is the operator.
create table payment (
    settlement_id uuid not null,
    line int not null,
    from_merchant uuid,
    to_merchant uuid,
    amount bigint not null,
    constraint payment_pkey primary key (settlement_id, line),
    constraint payment_amount_check check (amount > 0),
    constraint payment_settlement_fkey
        foreign key (settlement_id) references settlement (settlement_id)
);

-- The mall's role has its schema's name. What is append-only has no UPDATE, what changes has it on
-- the columns that change, and nothing has DELETE or TRUNCATE.
do $$
declare
    mall text := current_schema();
begin
    execute format('grant usage on schema %I to %I', mall, mall);
    -- Each by its name: "all tables in schema" reads the whole catalogue, five times, and so costs
    -- the more the more malls there are.
    execute format('grant select on _sqlx_migrations to %I', mall);
    execute format('grant select, insert on programme, api_key, idempotency_key, outbox, merchant, store, '
        'member, book, account, wallet, journal, transfer, lot, deficit, purchase, refund, spend, good, '
        'good_offer, redemption, settlement, statement, payment to %I', mall);
    execute format('grant update (revoked_at) on api_key to %I', mall);
    execute format('grant update (status, body) on idempotency_key to %I', mall);
    execute format('grant delete, update (relayed_at) on outbox to %I', mall);
    execute format('grant update (names, trade, earns, spends, status, changed_at) on merchant to %I', mall);
    execute format('grant update (names, earns, spends, status, changed_at) on store to %I', mall);
    execute format('grant update on book to %I', mall);
    execute format('grant update (available, held, debt, seq) on wallet to %I', mall);
    execute format('grant update (remaining, expired, clawed, owed, worth_left, expires_at) on lot to %I', mall);
    execute format('grant update (remaining) on deficit to %I', mall);
    execute format('grant update (refunded, clawed) on purchase to %I', mall);
    execute format('grant update (returned) on spend to %I', mall);
    execute format('grant update (names, kind, points, stock, per_member_day, per_member_month, changed_at) on good to %I', mall);
    execute format('grant delete on good_offer to %I', mall);
    execute format('grant update (state, ended_at, store_id) on redemption to %I', mall);
    execute format('grant update (state, closed_at, actor, digest) on settlement to %I', mall);
end
$$;
