-- A number that grows with every change of a score, by whatever process: what is computed
-- from all scores is kept until it does.
create table revision (number integer not null);
insert into revision (number) values (0);

create trigger results_added after insert on results begin update revision set number = number + 1; end;
create trigger results_changed after update on results begin update revision set number = number + 1; end;
create trigger results_removed after delete on results begin update revision set number = number + 1; end;
