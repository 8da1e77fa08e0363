-- identity: codes that members' telephones are told, so that they come in. The code itself is in no table:
-- it is made of the id and the hash of the asker's token under a secret of the server. Rows go a day
-- after they were made, and the numbers with them.
create table sign_in_code (
    code_id uuid not null,
    phone text not null,
    language text not null,
    token_hash bytea not null,
    tries int not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    sending text not null,
    problem text,
    constraint sign_in_code_pkey primary key (code_id),
    constraint sign_in_code_tries_check check (tries between 0 and 5),
    constraint sign_in_code_sending_check check (sending in ('queued', 'sent', 'failed'))
);

create index sign_in_code_created_idx on sign_in_code (created_at);

-- identity: that a member is signed in, and from where in short. `expires_at` is the end that no use puts
-- off.
create table member_session (
    session_id uuid not null,
    member_id uuid not null,
    token_hash bytea not null,
    origin text not null,
    created_at timestamptz not null,
    seen_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    constraint member_session_pkey primary key (session_id),
    constraint member_session_member_fkey foreign key (member_id) references member (member_id)
);

create index member_session_member_idx on member_session (member_id, session_id);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on sign_in_code, member_session to %I', mall);
    execute format('grant delete, update (tries, used_at, sending, problem) on sign_in_code to %I', mall);
    execute format('grant update (seen_at, ended_at) on member_session to %I', mall);
end
$$;
