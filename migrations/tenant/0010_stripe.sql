-- Money through Stripe: who a merchant is there, what was asked for there, and what it said.

-- merchants: the account that a merchant is paid to, and the customer as whom it pays; both are ids
-- of Stripe's and no secret.
create table merchant_stripe (
    merchant_id uuid not null,
    account_id text,
    customer_id text,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint merchant_stripe_pkey primary key (merchant_id),
    constraint merchant_stripe_merchant_fkey
        foreign key (merchant_id) references merchant (merchant_id)
);

-- settlement: an invoice to a merchant over payments that it has to make, or a transfer to a merchant
-- of a payment that it is to receive. `merchant_id` pays the invoice, or receives the transfer;
-- `lines` are the payments' numbers. `round` counts what people asked for, `attempts` the tries since
-- then, `keys` the keys that cannot be used any more; `begun_at` is when something was asked of Stripe
-- first.
create table stripe_leg (
    leg_id uuid not null,
    settlement_id uuid not null,
    kind text not null,
    merchant_id uuid not null,
    lines int[] not null,
    amount bigint not null,
    currency text not null,
    due_days int,
    account_id text,
    state text not null,
    round int not null,
    attempts int not null,
    keys int not null,
    problem text,
    stripe_id text,
    created_at timestamptz not null,
    created_by text not null,
    begun_at timestamptz,
    changed_at timestamptz not null,
    constraint stripe_leg_pkey primary key (leg_id),
    constraint stripe_leg_settlement_fkey
        foreign key (settlement_id) references settlement (settlement_id),
    constraint stripe_leg_kind_check check (kind in ('invoice', 'transfer')),
    constraint stripe_leg_parts_check
        check ((kind = 'invoice') = (due_days is not null)
               and (kind = 'invoice' or cardinality(lines) = 1) and cardinality(lines) > 0),
    constraint stripe_leg_amount_check check (amount > 0),
    constraint stripe_leg_state_check
        check (state in ('requested', 'sending', 'open', 'cancelling', 'paid', 'sent', 'mismatch',
                         'failed', 'void')),
    constraint stripe_leg_end_check
        check ((kind = 'invoice' or state not in ('open', 'paid'))
               and (kind = 'transfer' or state <> 'sent')),
    constraint stripe_leg_known_check
        check (state not in ('open', 'paid', 'sent', 'mismatch') or stripe_id is not null),
    constraint stripe_leg_failed_check check (state <> 'failed' or problem is not null)
);
create index stripe_leg_settlement_idx on stripe_leg (settlement_id, leg_id);
-- One invoice that counts for whoever pays, and one transfer for each payment.
create unique index stripe_leg_invoice_key on stripe_leg (settlement_id, merchant_id)
    where kind = 'invoice' and state <> 'void';
create unique index stripe_leg_transfer_key on stripe_leg (settlement_id, lines)
    where kind = 'transfer' and state <> 'void';

-- settlement: what Stripe said, once each; of what it sent, the ids and nothing else. Append only.
create table stripe_event (
    event_id text not null,
    kind text not null,
    object_id text,
    leg_id uuid,
    outcome text not null,
    said_at timestamptz not null,
    received_at timestamptz not null,
    constraint stripe_event_pkey primary key (event_id),
    constraint stripe_event_outcome_check
        check (outcome in ('applied', 'nothing-new', 'foreign', 'other-object', 'ignored'))
);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on merchant_stripe, stripe_leg, stripe_event to %I', mall);
    execute format('grant update (account_id, customer_id, changed_at, changed_by) on merchant_stripe to %I', mall);
    execute format('grant update (account_id, state, round, attempts, keys, problem, stripe_id, begun_at, changed_at) on stripe_leg to %I', mall);
end
$$;
