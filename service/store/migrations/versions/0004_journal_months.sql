-- The journal's months, made beside whoever reads and commits. `create table … partition of` takes the journal for
-- itself (ACCESS EXCLUSIVE): it waits for every reader's transaction, a dump's for hours, and behind it waits every
-- lane's commit, which holds its lane's row, and so every heartbeat. A table that is attached asks the journal for
-- SHARE UPDATE EXCLUSIVE, which neither readers nor commits mind.

-- It answers something now, and a function's type cannot be replaced.
drop function paystate.make_journal_partition(date);

-- Makes the partition for the month of a day. False if it could not, because somebody reads the journal: try again.
create function paystate.make_journal_partition(p_day date) returns boolean
language plpgsql security definer set search_path = paystate, pg_temp
-- Attaching takes the default partition for itself, as it may hold rows of the month. Readers of the whole journal,
-- the relays among them, wait behind that wait, so it is a short one. Commits write into other partitions.
set lock_timeout = '200ms' as $$
declare
    first_day date := date_trunc('month', p_day)::date;
    partition text := 'journal_' || to_char(p_day, 'YYYYMM');
begin
    if to_regclass('paystate.' || partition) is not null then
        return true;
    end if;
    -- "pays" in ASCII, and the first of its locks. Another engine is at it: it will try again, too, if it has to.
    if not pg_try_advisory_xact_lock(1885436275, 1) then
        return true;
    end if;
    -- With the journal's keys and checks. It is empty, so a CHECK of its range would spare no scan.
    execute format('create table paystate.%I (like paystate.journal including all)', partition);
    execute format('alter table paystate.journal attach partition paystate.%I for values from (%L) to (%L)',
        partition, first_day, (first_day + interval '1 month')::date);
    return true;
exception
    when lock_not_available then return false;
    -- Another engine made it first, or the default partition already has rows of that month: both do.
    when duplicate_table or check_violation then return true;
end $$;

-- It makes tables as the owner: for the service alone.
revoke execute on function paystate.make_journal_partition from public;
grant execute on function paystate.make_journal_partition to paystate_service;
