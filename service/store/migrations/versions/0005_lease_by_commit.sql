-- A commit renews its lane's lease. Heartbeats no longer wait for a lane whose row a commit holds, or one commit
-- that is stuck would cost a worker all of its lanes; and a lane that is committed all the time is hardly ever met
-- without its lock.

-- How long its owner's leases are, as the last claim or heartbeat said.
alter table paystate.lanes add column lease_s double precision;

-- As in 0002, but for the lease.
create or replace function paystate.commit_lane_batch(
    p_lane integer, p_epoch bigint, p_seq bigint, p_next_seq bigint, p_published_seq bigint,
    p_offsets bigint[], p_next_offsets bigint[], p_fingerprints text, p_counted bigint[],
    o_id text[], o_kind text[], o_profile text[], o_currency text[], o_amount bigint[], o_state text[],
    o_version integer[], o_frozen bigint[], o_taken bigint[], o_released bigint[], o_refunded bigint[],
    o_live_kind text[], o_live_amount bigint[], o_flags text[], o_born date[], o_detail text[],
    j_seq bigint[], j_order text[], j_version integer[], j_born date[], j_event text[],
    n_id text[], n_order text[], n_kind text[], n_amount bigint[], n_state text[], n_attempts integer[],
    n_complete boolean[], n_reason text[],
    t_order text[], t_due timestamptz[],
    k_topic text[], k_offset bigint[], k_order text[], k_key bytea[], k_value bytea[], k_headers text[],
    k_time timestamptz[],
    u_topic text[], u_offset bigint[],
    d_topic text[], d_offset bigint[], d_key bytea[], d_value bytea[], d_headers text[], d_time timestamptz[],
    d_reason text[]
) returns timestamptz
language plpgsql set search_path = paystate, pg_temp as $$
declare
    found_epoch bigint;
begin
    update lanes set
        lane_seq = p_next_seq,
        published_seq = greatest(published_seq, p_published_seq),
        next_offsets = p_next_offsets,
        fingerprints = coalesce(p_fingerprints::json, fingerprints),
        counters = array(select a + b from unnest(counters, p_counted) with ordinality as c(a, b, i) order by i),
        -- Unknown of a lane that an older engine has claimed: its lease is left as it is.
        lease_until = case when owner is not null then
            greatest(lease_until, clock_timestamp() + make_interval(secs => lease_s)) end
    where lane = p_lane and epoch = p_epoch and lane_seq = p_seq and next_offsets = p_offsets
        and halt_reason is null;
    if not found then
        select epoch into found_epoch from lanes where lane = p_lane;
        if found_epoch is distinct from p_epoch then
            raise exception 'lane % is at epoch %, not %', p_lane, found_epoch, p_epoch using errcode = 'PS001';
        end if;
        raise exception 'lane % has moved', p_lane using errcode = 'PS002';
    end if;

    if cardinality(o_id) > 0 then
        insert into orders (lane, order_id, kind, profile, currency, amount_minor, state, version, frozen_minor,
            taken_minor, released_minor, refunded_minor, live_kind, live_amount_minor, flags, born, detail)
        select p_lane, id, kind, profile, currency, amount, state, version, frozen, taken, released, refunded,
            live_kind, live_amount, string_to_array(flags, ' '), born, detail::json
        from unnest(o_id, o_kind, o_profile, o_currency, o_amount, o_state, o_version, o_frozen, o_taken,
            o_released, o_refunded, o_live_kind, o_live_amount, o_flags, o_born, o_detail)
            as o(id, kind, profile, currency, amount, state, version, frozen, taken, released, refunded,
                live_kind, live_amount, flags, born, detail)
        on conflict (lane, order_id) do update set
            state = excluded.state, version = excluded.version, frozen_minor = excluded.frozen_minor,
            taken_minor = excluded.taken_minor, released_minor = excluded.released_minor,
            refunded_minor = excluded.refunded_minor, live_kind = excluded.live_kind,
            live_amount_minor = excluded.live_amount_minor, flags = excluded.flags, detail = excluded.detail;
    end if;

    if cardinality(j_seq) > 0 then
        insert into journal (lane, lane_seq, order_id, version, born, event)
        select p_lane, seq, order_id, version, born, event::json
        from unnest(j_seq, j_order, j_version, j_born, j_event) as j(seq, order_id, version, born, event);
    end if;

    if cardinality(n_id) > 0 then
        -- The ended ones first: an order may end one operation and begin the next in one batch.
        insert into operations (lane, operation_id, order_id, kind, amount_minor, state, attempts, complete, reason)
        select p_lane, id, order_id, kind, amount, state, attempts, complete, reason
        from unnest(n_id, n_order, n_kind, n_amount, n_state, n_attempts, n_complete, n_reason)
            as n(id, order_id, kind, amount, state, attempts, complete, reason)
        order by state in ('reserved', 'submitting', 'unknown')
        on conflict (lane, operation_id) do update set
            state = excluded.state, attempts = excluded.attempts, reason = excluded.reason,
            changed_at = clock_timestamp();
    end if;

    if cardinality(t_order) > 0 then
        delete from timers using unnest(t_order, t_due) as t(order_id, due)
        where timers.lane = p_lane and timers.order_id = t.order_id and t.due is null;
        insert into timers (lane, order_id, due_at)
        select p_lane, order_id, due from unnest(t_order, t_due) as t(order_id, due) where due is not null
        on conflict (lane, order_id) do update set due_at = excluded.due_at;
    end if;

    if cardinality(k_topic) > 0 then
        insert into parked (lane, topic, record_offset, order_id, record_key, value, headers, record_time)
        select p_lane, topic, record_offset, order_id, record_key, value, headers::json, record_time
        from unnest(k_topic, k_offset, k_order, k_key, k_value, k_headers, k_time)
            as k(topic, record_offset, order_id, record_key, value, headers, record_time);
    end if;

    if cardinality(u_topic) > 0 then
        delete from parked using unnest(u_topic, u_offset) as u(topic, record_offset)
        where parked.lane = p_lane and parked.topic = u.topic and parked.record_offset = u.record_offset;
    end if;

    if cardinality(d_topic) > 0 then
        insert into dead_letters (lane, topic, record_offset, record_key, value, headers, record_time, reason)
        select p_lane, topic, record_offset, record_key, value, headers::json, record_time, reason
        from unnest(d_topic, d_offset, d_key, d_value, d_headers, d_time, d_reason)
            as d(topic, record_offset, record_key, value, headers, record_time, reason);
    end if;

    return clock_timestamp();
end $$;
