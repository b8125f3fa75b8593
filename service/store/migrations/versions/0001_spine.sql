-- The spine: lanes, orders, journal, operations, timers, parked and dead letters.
-- Every key starts with `lane`, which is computed from the order id and never updated, so that one
-- Postgres can become many without a change of schema.

create table paystate.installation (
    one boolean primary key default true check (one),
    lane_count integer not null check (lane_count > 0)
);

create table paystate.workers (
    worker text primary key,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null
);

-- One narrow row a lane, rewritten with every batch: half of each page stays free for HOT updates.
-- Arrays of three follow the order orders.events, wallet.callbacks, service.completions.
create table paystate.lanes (
    lane integer primary key,
    epoch bigint not null default 0,
    owner text,
    lease_until timestamptz,
    halt_reason text,
    lane_seq bigint not null default 0,
    published_seq bigint not null default 0,
    first_offsets bigint[],
    next_offsets bigint[],
    fingerprints json,
    -- What became of every input record, in the order of schemas/store: they add up to the offsets.
    counters bigint[] not null default array_fill(0::bigint, array[9]),
    check (published_seq between 0 and lane_seq)
) with (fillfactor = 50);

create table paystate.orders (
    lane integer not null,
    order_id text not null,
    kind text not null check (kind in ('payment', 'preauth')),
    profile text not null,
    currency text not null check (length(currency) = 3),
    amount_minor bigint not null check (amount_minor > 0),
    state text not null,
    version integer not null check (version > 0),
    frozen_minor bigint not null,
    taken_minor bigint not null,
    released_minor bigint not null,
    refunded_minor bigint not null,
    live_kind text check (live_kind in ('close', 'capture', 'release', 'refund')),
    live_amount_minor bigint,
    flags text[] not null,
    born date not null,
    detail json not null,
    primary key (lane, order_id),
    -- The money invariants of the lifecycle, once more, where no bug of ours can pass them.
    constraint amounts_are_not_negative
        check (least(frozen_minor, taken_minor, released_minor, refunded_minor) >= 0),
    constraint refunds_are_covered
        check (refunded_minor + case when live_kind = 'refund' then live_amount_minor else 0 end <= taken_minor),
    constraint a_payment_is_taken_whole
        check (kind <> 'payment' or (taken_minor in (0, amount_minor) and frozen_minor = 0 and released_minor = 0)),
    constraint an_authorization_is_frozen_whole
        check (kind <> 'preauth' or frozen_minor in (0, amount_minor)),
    constraint captures_and_releases_are_covered
        check (kind <> 'preauth' or taken_minor + released_minor
            + case when live_kind in ('capture', 'release') then live_amount_minor else 0 end <= frozen_minor),
    constraint nothing_is_kept_of_an_ended_order
        check (state not in ('expired', 'closed', 'voided') or taken_minor = refunded_minor),
    constraint paid_means_taken
        check (state <> 'paid' or (taken_minor = amount_minor and refunded_minor = 0)),
    constraint refunded_means_all_of_it
        check (state <> 'refunded' or (refunded_minor = taken_minor and taken_minor > 0)),
    constraint authorized_means_frozen
        check (state <> 'authorized' or (frozen_minor > 0 and taken_minor = 0))
) with (fillfactor = 75);

-- Append-only, and the outbox: the relay reads it by (lane, lane_seq). An order's entries share the month
-- of its birth, so that retention is DROP PARTITION and takes whole orders.
create table paystate.journal (
    lane integer not null,
    lane_seq bigint not null,
    order_id text not null,
    version integer not null,
    born date not null,
    event json not null,
    primary key (lane, lane_seq, born),
    unique (lane, order_id, version, born)
) partition by range (born);

create table paystate.journal_default partition of paystate.journal default;

create table paystate.operations (
    lane integer not null,
    operation_id text not null,
    order_id text not null,
    kind text not null check (kind in ('close', 'capture', 'release', 'refund')),
    amount_minor bigint not null check (amount_minor >= 0),
    state text not null
        check (state in ('reserved', 'submitting', 'unknown', 'succeeded', 'rejected', 'superseded')),
    attempts integer not null,
    complete boolean not null,
    reason text not null,
    began_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (lane, operation_id)
) with (fillfactor = 75);

-- At most one live operation an order: the database says so too.
create unique index operations_live on paystate.operations (lane, order_id)
    where state in ('reserved', 'submitting', 'unknown');
create index operations_of_order on paystate.operations (lane, order_id);

create table paystate.timers (
    lane integer not null,
    order_id text not null,
    due_at timestamptz not null,
    primary key (lane, order_id)
) with (fillfactor = 75);
create index timers_due on paystate.timers (lane, due_at);

-- Records whose order is not known yet.
create table paystate.parked (
    lane integer not null,
    topic text not null,
    record_offset bigint not null,
    order_id text not null,
    record_key bytea,
    value bytea not null,
    headers json not null,
    record_time timestamptz not null,
    parked_at timestamptz not null default clock_timestamp(),
    primary key (lane, topic, record_offset)
);
create index parked_of_order on paystate.parked (lane, order_id);

create table paystate.dead_letters (
    lane integer not null,
    topic text not null,
    record_offset bigint not null,
    record_key bytea,
    value bytea,
    headers json not null,
    record_time timestamptz not null,
    reason text not null,
    died_at timestamptz not null default clock_timestamp(),
    primary key (lane, topic, record_offset)
);

-- Makes the journal's partition for the month of a day; the owner does it ahead of time.
create function paystate.make_journal_partition(p_day date) returns void
language plpgsql security definer set search_path = paystate, pg_temp as $$
declare
    first_day date := date_trunc('month', p_day)::date;
    partition text := 'journal_' || to_char(p_day, 'YYYYMM');
begin
    if to_regclass('paystate.' || partition) is null then
        execute format('create table paystate.%I partition of paystate.journal for values from (%L) to (%L)',
            partition, first_day, (first_day + interval '1 month')::date);
    end if;
exception
    -- Another migration made it first, or the default partition already has rows of that month: both do.
    when duplicate_table or check_violation then null;
end $$;

select paystate.make_journal_partition((current_date + make_interval(months => n))::date)
from generate_series(-1, 12) as n;

-- It makes tables as the owner: for the service alone.
revoke execute on function paystate.make_journal_partition from public;
grant execute on function paystate.make_journal_partition to paystate_service;

grant usage on schema paystate to paystate_service, paystate_reader;
grant select on all tables in schema paystate to paystate_reader, paystate_service;
grant insert, update, delete on paystate.workers, paystate.timers, paystate.parked to paystate_service;
grant update on paystate.lanes to paystate_service;
grant insert, update on paystate.orders, paystate.operations to paystate_service;
-- The journal and the dead letters are history: the service adds, and nobody changes.
grant insert on paystate.journal, paystate.dead_letters to paystate_service;
