-- What a merchant is good for: deposits, blocks of points paid in advance, limits, and how a merchant
-- leaves.

-- ledger: money that came from a merchant or went to it outside of settlements (`outside`), that the
-- operator keeps for it (`deposit`), that it paid for points in advance (`prepaid`), and that the
-- operator paid in its place (`guarantee`).
alter table account drop constraint account_kind_check;
alter table account add constraint account_kind_check check (kind in (
    'wallet', 'held', 'deficit', 'issued', 'accepted', 'expired', 'payable', 'receivable',
    'outside', 'deposit', 'prepaid', 'guarantee'));

-- merchants: how a merchant stands, one row for each that ever had any of this. `withheld` says why it
-- gives no points, and since when; tills read it.
create table credit (
    merchant_id uuid not null,
    standing text not null,
    exit_at timestamptz,
    raised_at timestamptz,
    raised_by text,
    declared_at timestamptz,
    declared_by text,
    deposit bigint not null,
    credit_limit bigint,
    light text not null,
    light_since timestamptz not null,
    light_why text not null,
    open_worth bigint not null,
    owed bigint not null,
    evaluated_at timestamptz,
    withheld text,
    withheld_since timestamptz,
    constraint credit_pkey primary key (merchant_id),
    constraint credit_merchant_fkey foreign key (merchant_id) references merchant (merchant_id),
    constraint credit_standing_check
        check (standing in ('active', 'winding_down', 'exited', 'defaulted')),
    constraint credit_deposit_check check (deposit >= 0),
    constraint credit_limit_check check (credit_limit >= 0),
    constraint credit_light_check check (light in ('green', 'amber', 'red')),
    constraint credit_withheld_check
        check ((withheld is null) = (withheld_since is null)
               and withheld in ('limit', 'winding_down', 'exited', 'defaulted')),
    constraint credit_raised_check check ((raised_at is null) = (raised_by is null)),
    constraint credit_declared_check
        check ((declared_at is null) = (declared_by is null)
               and (declared_at is not null) = (standing = 'defaulted'))
);

-- merchants: money that moved outside of settlements, as somebody says, or that was taken out of a
-- deposit. A reference is one entry of its kind for ever. Append only.
create table credit_entry (
    credit_entry_id uuid not null,
    merchant_id uuid not null,
    kind text not null,
    amount bigint not null,
    points bigint,
    means text,
    reference text not null,
    executed_on date,
    settlement_id uuid,
    line int,
    recorded_at timestamptz not null,
    recorded_by text not null,
    constraint credit_entry_pkey primary key (credit_entry_id),
    constraint credit_entry_reference_key unique (merchant_id, kind, reference),
    constraint credit_entry_merchant_fkey
        foreign key (merchant_id) references merchant (merchant_id),
    constraint credit_entry_kind_check
        check (kind in ('deposit_paid', 'deposit_returned', 'deposit_drawn', 'block_bought')),
    constraint credit_entry_amount_check check (amount > 0),
    constraint credit_entry_points_check check ((points is not null) = (kind = 'block_bought')),
    constraint credit_entry_means_check check ((means is null) = (kind = 'deposit_drawn')),
    constraint credit_entry_payment_check
        check ((settlement_id is not null) = (kind = 'deposit_drawn')
               and (line is null) = (settlement_id is null))
);

-- merchants: a block of points that was paid for in advance, and how many of them were given. The
-- counter is the lock of whoever gives points of the merchant.
create table prepaid (
    merchant_id uuid not null,
    block int not null,
    points bigint not null,
    used bigint not null,
    amount bigint not null,
    bought_at timestamptz not null,
    constraint prepaid_pkey primary key (merchant_id, block),
    constraint prepaid_merchant_fkey foreign key (merchant_id) references merchant (merchant_id),
    constraint prepaid_used_check check (used >= 0 and used <= points),
    constraint prepaid_amount_check check (amount >= 0)
);

-- merchants: what a purchase took out of a block, and what its refunds put back. `since` is the first
-- moment of the terms that the points were given under. Append only.
create table prepaid_use (
    source_id uuid not null,
    merchant_id uuid not null,
    block int not null,
    purchase_id uuid not null,
    points bigint not null,
    since timestamptz not null,
    posted_in date not null,
    constraint prepaid_use_pkey primary key (source_id, merchant_id, block),
    constraint prepaid_use_block_fkey
        foreign key (merchant_id, block) references prepaid (merchant_id, block),
    constraint prepaid_use_points_check check (points <> 0)
);
create index prepaid_use_purchase_idx on prepaid_use (purchase_id);
create index prepaid_use_block_idx on prepaid_use (merchant_id, block, posted_in);
create index prepaid_use_month_idx on prepaid_use using brin (posted_in) with (pages_per_range = 32);

-- earning: why a purchase earned nothing that would have earned, and whether its points came out of
-- blocks as far as there were any.
alter table purchase add column withheld text;
alter table purchase add column prepaid boolean not null default false;

-- settlement: how a payment was met whose payer was found in default: out of its deposit, by the
-- operator in its place, and what is carried into a later month. Append only.
create table payment_cover (
    settlement_id uuid not null,
    line int not null,
    deposit bigint not null,
    guarantee bigint not null,
    carried bigint not null,
    carried_to date not null,
    covered_at timestamptz not null,
    actor text not null,
    constraint payment_cover_pkey primary key (settlement_id, line),
    constraint payment_cover_payment_fkey
        foreign key (settlement_id, line) references payment (settlement_id, line),
    constraint payment_cover_parts_check
        check (deposit >= 0 and guarantee >= 0 and carried >= 0)
);
create index payment_cover_month_idx on payment_cover (carried_to) where carried > 0;
alter table payment drop constraint payment_state_check;
alter table payment add constraint payment_state_check
    check (state in ('due', 'paid', 'offset', 'covered'));
alter table payment drop constraint payment_method_check;
alter table payment add constraint payment_method_check
    check (method in ('bank_transfer', 'rent', 'other', 'stripe', 'deposit'));

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on credit, credit_entry, prepaid, prepaid_use, payment_cover to %I', mall);
    execute format('grant update (standing, exit_at, raised_at, raised_by, declared_at, declared_by, deposit, credit_limit, light, light_since, light_why, open_worth, owed, evaluated_at, withheld, withheld_since) on credit to %I', mall);
    execute format('grant update (used) on prepaid to %I', mall);
end
$$;
