-- The same for runs and their epochs: what is computed from all runs is kept until it grows.
alter table revision add column runs integer not null default 0;

create trigger runs_added after insert on runs begin update revision set runs = runs + 1; end;
create trigger runs_changed after update on runs begin update revision set runs = runs + 1; end;
create trigger runs_removed after delete on runs begin update revision set runs = runs + 1; end;
create trigger epochs_added after insert on epochs begin update revision set runs = runs + 1; end;
