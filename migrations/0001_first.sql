-- The catalogue lives in the program; these two tables give the others something to refer
-- to and keep results of encoders that a later catalogue may rename.
create table encoders (
    key text primary key,
    name text not null,
    architecture text not null
) strict;

create table tasks (
    key text primary key,
    name text not null,
    category text not null,
    metric text not null
) strict;

-- One training of one head. `running` rows of a process that died become `interrupted`.
create table runs (
    id integer primary key,
    encoder text not null references encoders (key),
    task text not null references tasks (key),
    configuration text not null,
    seed integer not null,
    device text not null,
    version text not null,
    status text not null check (status in ('running', 'finished', 'failed', 'interrupted')),
    error text,
    started_at integer not null,
    finished_at integer
) strict;

create table epochs (
    run integer not null references runs (id) on delete cascade,
    epoch integer not null,
    train_loss real not null,
    test_metric real,
    primary key (run, epoch)
) strict;

-- A score with everything that is needed to question it. The same configuration and seed
-- on the same weights and data replaces its older self.
create table results (
    id integer primary key,
    run integer references runs (id),
    encoder text not null references encoders (key),
    task text not null references tasks (key),
    score real not null,
    constant real,
    source text not null check (source in ('measured', 'imported')),
    encoder_sha256 text not null,
    dataset_sha256 text not null,
    configuration text not null,
    seed integer not null,
    device text not null,
    version text not null,
    finished_at integer not null,
    seconds real not null,
    test_samples integer not null,
    unique (encoder, task, source, encoder_sha256, dataset_sha256, configuration, seed)
) strict;

create table images (
    sha256 text primary key,
    width integer not null,
    height integer not null,
    bytes integer not null,
    created_at integer not null
) strict;

-- `version` names the weights of encoder and head, so that a retrained head answers anew.
create table predictions (
    image text not null references images (sha256),
    encoder text not null,
    task text not null,
    version text not null,
    output text not null,
    milliseconds real not null,
    created_at integer not null,
    primary key (image, encoder, task, version)
) strict;
