-- Whoever asks for an order that is not there is told why it was refused, and asks often.
-- A hash, because a key may be longer than a tree takes. Dead letters wait while it is made, and their lanes with them.
create index dead_letters_by_key on paystate.dead_letters using hash (record_key);
