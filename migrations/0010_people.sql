-- People, and what they prove themselves with. Of passwords there are hashes by argon2, of everything else SHA-256:
-- who reads this file can sign in with nothing in it.
create table users (
    id integer primary key,
    -- In small letters.
    name text not null unique,
    -- PHC string; null where there are tokens alone.
    password text,
    role text not null check (role in ('viewer', 'member', 'admin')),
    disabled integer not null default 0 check (disabled in (0, 1)),
    created_at integer not null
) strict;

-- Sessions of browsers, tokens of programs, and the one link by which the first admin is made, which has no user yet.
create table credentials (
    hash text primary key,
    user integer references users (id) on delete cascade,
    kind text not null check (kind in ('session', 'token', 'link')),
    name text not null,
    role text not null check (role in ('viewer', 'member', 'admin')),
    -- How the secret begins.
    prefix text not null,
    created_at integer not null,
    seen_at integer not null,
    expires_at integer,
    ip text not null,
    agent text not null,
    check ((user is null) = (kind = 'link'))
) strict;
create index credentials_of_a_user on credentials (user, kind);

-- Who has changed what. By name, so that it stays readable whatever becomes of the user.
create table audit (
    id integer primary key,
    at integer not null,
    user text not null,
    -- Prefix of the credential; empty for the command line and a machine without users.
    credential text not null,
    action text not null,
    object text not null,
    before text not null,
    after text not null,
    ip text not null
) strict;
-- What happened stays as it was written.
create trigger audit_stays before update on audit begin select raise(abort, 'the audit is never changed'); end;
