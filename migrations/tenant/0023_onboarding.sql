-- merchants: by which conditions merchants join, and what they agree to: a version each time that the
-- operator changes one. `texts` is an object of language and text; `digest` the SHA-256 of its
-- canonical form.
create table merchant_text (
    merchant_text_id uuid not null,
    kind text not null,
    version int not null,
    texts jsonb not null,
    digest text not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint merchant_text_pkey primary key (merchant_text_id),
    constraint merchant_text_kind_check check (kind in ('conditions', 'agreement')),
    constraint merchant_text_version_check check (version > 0)
);

create unique index merchant_text_version_key on merchant_text (kind, version);

-- merchants: somebody's wish to join the alliance with a company. `form` is what can be shown of what
-- they said; `sealed` what cannot (the number of an identity card, of a bank account), by an AEAD whose
-- key is not in any database. `asked` is what the operator wants to know besides, field by field.
-- Conditions and agreement are kept as they were accepted: version, digest, who, when, from where.
create table application (
    application_id uuid not null,
    email text not null,
    language text not null,
    state text not null,
    form jsonb not null,
    sealed bytea,
    licence_key text,
    asked jsonb not null,
    reason text,
    conditions_version int not null,
    conditions_digest text not null,
    conditions_at timestamptz not null,
    conditions_from text not null,
    agreement_version int,
    agreement_digest text,
    agreed_at timestamptz,
    agreed_by text,
    agreed_from text,
    merchant_id uuid,
    revision int not null,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    submitted_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    constraint application_pkey primary key (application_id),
    constraint application_state_check check (state in ('draft', 'submitted', 'under_review', 'information_asked', 'resubmitted', 'approved', 'live', 'rejected', 'withdrawn')),
    constraint application_merchant_check check ((state in ('approved', 'live')) = (merchant_id is not null)),
    constraint application_agreed_check check ((state = 'live') = (agreed_at is not null))
);

create index application_state_idx on application (state, application_id);
-- One application of an address that is not over.
create unique index application_email_key on application (email) where state not in ('live', 'rejected', 'withdrawn');
create index application_address_idx on application (email, application_id);
-- One company joins once.
create unique index application_licence_key on application (licence_key) where state not in ('draft', 'rejected', 'withdrawn');
create unique index application_merchant_key on application (merchant_id) where merchant_id is not null;

-- merchants: what happened to an application, and to the merchant that came of it: never changed, but
-- for what became of the letter that tells it. Of the token in that letter there is the SHA-256 alone.
create table application_event (
    application_event_id uuid not null,
    application_id uuid not null,
    number int not null,
    kind text not null,
    actor text not null,
    origin text,
    reason text,
    happened_at timestamptz not null,
    token_hash bytea,
    expires_at timestamptz not null,
    mail text not null,
    problem text,
    constraint application_event_pkey primary key (application_event_id),
    constraint application_event_mail_check check (mail in ('none', 'queued', 'sent', 'failed'))
);

create unique index application_event_number_key on application_event (application_id, number);

-- merchants: a file that belongs to an application. The bytes are in the store for files under the
-- row's id, and are there before the row is. `name` is what the sender called it, and is text alone.
create table application_file (
    application_file_id uuid not null,
    application_id uuid not null,
    kind text not null,
    name text not null,
    media text not null,
    size bigint not null,
    digest text not null,
    created_at timestamptz not null,
    removed_at timestamptz,
    constraint application_file_pkey primary key (application_file_id),
    constraint application_file_kind_check check (kind in ('licence', 'identity', 'other')),
    constraint application_file_size_check check (size > 0)
);

create index application_file_application_idx on application_file (application_id, application_file_id);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on merchant_text, application, application_event, application_file to %I', mall);
    execute format('grant update (language, state, form, sealed, licence_key, asked, reason, conditions_version, conditions_digest, conditions_at, conditions_from, agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from, merchant_id, revision, changed_at, submitted_at, decided_at, decided_by) on application to %I', mall);
    execute format('grant update (token_hash, expires_at, mail, problem) on application_event to %I', mall);
    execute format('grant update (removed_at) on application_file to %I', mall);
end
$$;
