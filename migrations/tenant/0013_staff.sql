-- identity: people who work in the mall, for its operator or for one of its merchants. `email` is in
-- lower case. What opens an account is here as hashes and sealed by the server's own key:
-- `password_hash` by argon2id, `totp_secret` by an AEAD whose key is not in any database.
-- `totp_step` is the step of the last one-time code that was taken: a code works once.
create table staff (
    staff_id uuid not null,
    email text not null,
    name text not null,
    language text not null,
    time_zone text,
    theme text not null,
    state text not null,
    password_hash text,
    password_at timestamptz,
    totp_secret bytea,
    totp_since timestamptz,
    totp_step bigint,
    created_at timestamptz not null,
    created_by text not null,
    changed_at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    constraint staff_pkey primary key (staff_id),
    constraint staff_theme_check check (theme in ('system', 'light', 'dark')),
    constraint staff_state_check check (state in ('invited', 'active', 'ended')),
    constraint staff_active_check check (state <> 'active' or password_hash is not null),
    constraint staff_totp_check check (totp_since is null or totp_secret is not null),
    constraint staff_ended_check check ((state = 'ended') = (ended_at is not null))
);

create unique index staff_email_key on staff (email) where state <> 'ended';

-- identity: which roles of the policy a person has or had, a merchant's with the merchant. Nothing of
-- it is ever forgotten: a role ends.
create table staff_role (
    staff_role_id uuid not null,
    staff_id uuid not null,
    role text not null,
    merchant_id uuid,
    created_at timestamptz not null,
    created_by text not null,
    ended_at timestamptz,
    ended_by text,
    constraint staff_role_pkey primary key (staff_role_id)
);

create unique index staff_role_staff_key on staff_role (staff_id, role) where ended_at is null;
create index staff_role_merchant_idx on staff_role (merchant_id, staff_id) where merchant_id is not null;

-- identity: what lets somebody choose a password: an invitation, or a way back for who forgot it. Of
-- the token there is the SHA-256 alone; none as long as the letter that tells it is not written.
create table staff_link (
    link_id uuid not null,
    staff_id uuid not null,
    kind text not null,
    token_hash bytea,
    created_at timestamptz not null,
    created_by text not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    ended_at timestamptz,
    mail text not null,
    problem text,
    constraint staff_link_pkey primary key (link_id),
    constraint staff_link_kind_check check (kind in ('invitation', 'reset')),
    constraint staff_link_mail_check check (mail in ('none', 'queued', 'sent', 'failed'))
);

create index staff_link_staff_idx on staff_link (staff_id, link_id);

-- identity: who is signed in, and from where in short. The token changes whenever the session comes to
-- be allowed more; `expires_at` is the end that no use puts off.
create table session (
    session_id uuid not null,
    staff_id uuid not null,
    token_hash bytea not null,
    second_factor boolean not null,
    origin text not null,
    created_at timestamptz not null,
    seen_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    constraint session_pkey primary key (session_id)
);

create index session_staff_idx on session (staff_id, session_id);

-- identity: what replaces a lost telephone, each once.
create table recovery_code (
    staff_id uuid not null,
    code_hash bytea not null,
    created_at timestamptz not null,
    used_at timestamptz,
    constraint recovery_code_pkey primary key (staff_id, code_hash)
);

-- identity: how often something failed since when, by SHA-256 of what it failed for: an account, an
-- address. What is older than the window counts for nothing and is taken away by whoever comes next.
create table signin_attempt (
    subject bytea not null,
    failures int not null,
    since timestamptz not null,
    constraint signin_attempt_pkey primary key (subject)
);

create index signin_attempt_since_idx on signin_attempt (since);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on staff, staff_role, staff_link, session, recovery_code, signin_attempt to %I', mall);
    execute format('grant update (name, language, time_zone, theme, state, password_hash, password_at, totp_secret, totp_since, totp_step, changed_at, ended_at, ended_by) on staff to %I', mall);
    execute format('grant update (ended_at, ended_by) on staff_role to %I', mall);
    execute format('grant update (token_hash, used_at, ended_at, mail, problem) on staff_link to %I', mall);
    execute format('grant update (token_hash, second_factor, seen_at, ended_at) on session to %I', mall);
    execute format('grant update (used_at) on recovery_code to %I', mall);
    execute format('grant delete on recovery_code, signin_attempt to %I', mall);
    execute format('grant update (failures, since) on signin_attempt to %I', mall);
end
$$;
