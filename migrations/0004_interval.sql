-- Where a score lies with a confidence of 95 % when test samples are drawn anew.
alter table results add column low real;
alter table results add column high real;
