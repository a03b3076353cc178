-- Scores of encoders that were trained along with the head are kept beside those of frozen ones.
create table new_results (
    id integer primary key,
    run integer references runs (id),
    encoder text not null references encoders (key),
    task text not null references tasks (key),
    score real not null,
    low real,
    high real,
    constant real,
    source text not null check (source in ('measured', 'imported')),
    probe text not null check (probe in ('head', 'knn', 'logistic', 'fine-tuned')),
    protocol text not null check (protocol in ('standard', 'virb')),
    precision text not null,
    selected integer not null check (selected in (0, 1)),
    encoder_sha256 text not null,
    dataset_sha256 text not null,
    configuration text not null,
    key text not null,
    seed integer not null,
    device text not null,
    version text not null,
    finished_at integer not null,
    seconds real not null,
    test_samples integer not null,
    -- Below the data folder; empty where there is none.
    head text not null,
    predictions text not null,
    unique (encoder, task, source, probe, protocol, encoder_sha256, dataset_sha256, key, seed)
) strict;

insert into new_results
select id, run, encoder, task, score, low, high, constant, source, probe, protocol, precision, selected,
    encoder_sha256, dataset_sha256, configuration, key, seed, device, version, finished_at, seconds, test_samples,
    head, predictions
from results;

-- Its triggers and its index go with it.
drop table results;
alter table new_results rename to results;
create index results_of_a_cell on results (encoder, task, probe, selected);
create trigger results_added after insert on results begin update revision set number = number + 1; end;
create trigger results_changed after update on results begin update revision set number = number + 1; end;
create trigger results_removed after delete on results begin update revision set number = number + 1; end;
