-- Work that waits, is done or was done, and the truth about it: whoever does it asks this table first. A job's name is
-- its kind and key, so that the same work is one row however often it is asked for.
create table jobs (
    -- Grows in order of arrival.
    id integer primary key,
    name text not null unique,
    kind text not null,
    key text not null,
    title text not null,
    -- The work itself, as JSON.
    work text not null,
    -- Whether it is done although its scores are there.
    anew integer not null check (anew in (0, 1)),
    state text not null check (state in ('queued', 'running', 'finished', 'failed', 'cancelled')),
    -- The highest is done first.
    priority integer not null,
    -- Workers take jobs of their pools alone. `@NAME` is the pool of the one worker of this name.
    pool text not null,
    -- Grows with every claim and never falls: who holds an older number has lost the job.
    attempt integer not null,
    -- The attempt after which it is given up.
    most_attempts integer not null,
    -- Who works on it, or did last.
    worker text,
    claimed_at integer,
    beat_at integer,
    -- When the job goes back to the queue unless its worker is heard of before.
    lease_until integer,
    -- What its worker does, and how much of that is done.
    stage text not null,
    done integer not null,
    total integer not null,
    -- Who asked that it stops; a running one does so a little later.
    cancel_by text,
    asked_by text not null,
    asked_at integer not null,
    -- It is not claimed before: so a failed one waits for its next attempt.
    not_before integer not null,
    finished_at integer,
    -- Why the last attempt ended that did not finish.
    error text
) strict;
create index jobs_to_claim on jobs (state, priority desc, asked_at, id);

-- What happened to jobs, in order; only added to. Numbers are never used twice, since readers ask for what came after one.
create table events (
    id integer primary key autoincrement,
    at integer not null,
    job text not null,
    attempt integer not null,
    kind text not null,
    -- JSON; its form depends on the kind.
    data text not null
) strict;
create index events_of_a_job on events (job, id);

-- Who does jobs.
create table workers (
    name text primary key,
    host text not null,
    device text not null,
    version text not null,
    -- Separated by commas.
    pools text not null,
    seen_at integer not null,
    -- Whether it finishes what it has and takes nothing more.
    draining integer not null check (draining in (0, 1))
) strict;
