-- Runs know the job that they belong to: its lock tells whether a process still works on it.
alter table runs add column job text not null default '';

-- A score says how the features were read, under which protocol, and whether it is the
-- answer among the configurations of its job.
alter table results add column probe text not null default 'head' check (probe in ('head', 'knn', 'logistic'));
alter table results add column protocol text not null default 'standard' check (protocol in ('standard', 'virb'));
alter table results add column selected integer not null default 1 check (selected in (0, 1));
-- Below the data folder; empty where there is none.
alter table results add column head text not null default '';
alter table results add column predictions text not null default '';

create index results_of_a_cell on results (encoder, task, probe, selected);
