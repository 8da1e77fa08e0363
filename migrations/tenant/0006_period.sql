-- The life of a settlement after its figures are written: approved by a second person, confirmed by
-- its merchants, paid.

-- settlement: when it came how far, and who put it out. `actor` wrote the figures, and is another
-- than `issued_by` where the programme asks for two; `closed_at` is now the end of it all.
alter table settlement drop constraint settlement_state_check;
alter table settlement add column proofed_at timestamptz;
alter table settlement add column issued_at timestamptz;
alter table settlement add column issued_by text;
alter table settlement add column confirm_by timestamptz;
alter table settlement add column confirmed_at timestamptz;

-- settlement: what a statement's merchant said to it; nobody but the operator sees it before it is
-- issued.
alter table statement add column state text not null default 'proofed';
alter table statement add column confirmed_at timestamptz;
alter table statement add column confirmed_by text;

-- settlement: how a payment was made, outside of this house: by which means, under which number of
-- whoever made it, on which day, and who says so.
alter table payment add column state text not null default 'due';
alter table payment add column method text;
alter table payment add column reference text;
alter table payment add column executed_on date;
alter table payment add column recorded_at timestamptz;
alter table payment add column recorded_by text;

-- Months that were closed already had their payments posted then: they are confirmed, and closed
-- where there was nothing to pay.
update settlement
set proofed_at = closed_at, issued_at = closed_at, issued_by = actor, confirm_by = closed_at,
    confirmed_at = closed_at
where state = 'closed';
update settlement
set state = 'confirmed', closed_at = null
where state = 'closed'
  and exists (select from payment where payment.settlement_id = settlement.settlement_id);
update statement
set state = 'auto_confirmed', confirmed_by = 'system',
    confirmed_at = (select confirmed_at from settlement
                    where settlement.settlement_id = statement.settlement_id);

alter table settlement add constraint settlement_state_check
    check (state in ('cut_off', 'proofed', 'issued', 'confirmed', 'closed'));
alter table statement add constraint statement_state_check
    check (state in ('proofed', 'issued', 'confirmed', 'auto_confirmed'));
alter table statement add constraint statement_confirmed_check
    check ((state in ('confirmed', 'auto_confirmed')) = (confirmed_at is not null)
           and (confirmed_at is null) = (confirmed_by is null));
alter table payment add constraint payment_state_check check (state in ('due', 'paid', 'offset'));
alter table payment add constraint payment_method_check
    check (method in ('bank_transfer', 'rent', 'other', 'stripe'));
alter table payment add constraint payment_recorded_check
    check ((state = 'due') = (method is null)
           and (method is null) = (reference is null)
           and (method is null) = (recorded_at is null)
           and (method is null) = (recorded_by is null));

-- settlement: a line of a statement that its merchant does not accept. `held` says whether the
-- money of the line was with the operator when the month was confirmed.
create table dispute (
    dispute_id uuid not null,
    settlement_id uuid not null,
    merchant_id uuid not null,
    journal_id uuid not null,
    line int not null,
    payer_id uuid not null,
    receiver_id uuid not null,
    amount bigint not null,
    reason text not null,
    state text not null,
    held boolean not null,
    raised_at timestamptz not null,
    raised_by text not null,
    decide_by timestamptz not null,
    decided_at timestamptz,
    decided_by text,
    note text,
    constraint dispute_pkey primary key (dispute_id),
    constraint dispute_line_key unique (journal_id, line),
    constraint dispute_settlement_fkey
        foreign key (settlement_id) references settlement (settlement_id),
    constraint dispute_amount_check check (amount > 0),
    constraint dispute_parties_check
        check (payer_id <> receiver_id and merchant_id in (payer_id, receiver_id)),
    constraint dispute_state_check check (state in ('open', 'upheld', 'rejected')),
    constraint dispute_decided_check
        check ((state = 'open') = (decided_at is null)
               and (decided_at is null) = (decided_by is null)
               and (decided_at is null) = (note is null))
);
create index dispute_settlement_idx on dispute (settlement_id);

-- settlement: what was held and is given to a party after its month was confirmed, in the month of
-- whose settlement it becomes part; the operator has the opposite. Append only.
create table adjustment (
    dispute_id uuid not null,
    month date not null,
    merchant_id uuid not null,
    amount bigint not null,
    created_at timestamptz not null,
    actor text not null,
    constraint adjustment_pkey primary key (dispute_id),
    constraint adjustment_dispute_fkey foreign key (dispute_id) references dispute (dispute_id),
    constraint adjustment_amount_check check (amount > 0)
);
create index adjustment_month_idx on adjustment (month);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on dispute, adjustment to %I', mall);
    execute format('grant update (proofed_at, issued_at, issued_by, confirm_by, confirmed_at) on settlement to %I', mall);
    execute format('grant update (state, confirmed_at, confirmed_by) on statement to %I', mall);
    execute format('grant update (state, method, reference, executed_on, recorded_at, recorded_by) on payment to %I', mall);
    execute format('grant update (state, held, decided_at, decided_by, note) on dispute to %I', mall);
end
$$;
