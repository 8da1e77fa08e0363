-- Statements as documents: where they go, and whether they came there.

-- merchants: where a merchant's mail goes, and in which language. Personal data: it is in no log, in
-- no error and in no job.
create table merchant_contact (
    merchant_id uuid not null,
    email text not null,
    language text not null,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint merchant_contact_pkey primary key (merchant_id),
    constraint merchant_contact_merchant_fkey
        foreign key (merchant_id) references merchant (merchant_id),
    constraint merchant_contact_language_check check (language in ('zh-CN', 'zh-TW', 'en'))
);

-- notify: what was to be said to whom about what, by ids alone, and whether it was. `round` counts
-- how often somebody asked for it again; `attempts` counts those of the round.
create table message (
    message_id uuid not null,
    kind text not null,
    subject_id uuid not null,
    merchant_id uuid not null,
    state text not null,
    round int not null,
    attempts int not null,
    problem text,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    sent_at timestamptz,
    constraint message_pkey primary key (message_id),
    constraint message_subject_key unique (kind, subject_id),
    constraint message_kind_check check (kind in ('statement_issued')),
    constraint message_state_check check (state in ('queued', 'sent', 'failed')),
    constraint message_sent_check check ((state = 'sent') = (sent_at is not null)),
    constraint message_failed_check check (state <> 'failed' or problem is not null)
);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert, delete on merchant_contact to %I', mall);
    execute format('grant update (email, language, changed_at, changed_by) on merchant_contact to %I', mall);
    execute format('grant select, insert on message to %I', mall);
    execute format('grant update (state, round, attempts, problem, changed_at, sent_at) on message to %I', mall);
end
$$;
