-- What was asked under an Idempotency-Key, written before anything is published: after a crash the same key
-- finds the same order and event ids here. `lane` is computed from the caller and the key, because the same
-- key must meet the same row whatever order it names.
create table paystate.idempotency_keys (
    lane integer not null,
    caller text not null,
    key text not null check (length(key) between 1 and 255),
    -- SHA-256 of the method, the path and the body: another request under the same key is a mistake.
    fingerprint bytea not null check (length(fingerprint) = 32),
    order_id text not null,
    event_id text not null,
    -- The record as it is, or was, published.
    record bytea not null,
    -- Until then the request is taken to be in progress; later the same key may carry it on.
    held_until timestamptz not null,
    -- The answer, once there is one. Never an order string: it is made again from the order.
    status integer,
    response json,
    created_at timestamptz not null default clock_timestamp(),
    primary key (lane, caller, key),
    check ((status is null) = (response is null))
) with (fillfactor = 75);
create index idempotency_keys_by_age on paystate.idempotency_keys (created_at);

-- Who may call the API. The secret itself is nowhere; it has 256 bits of chance, so a plain hash is enough.
create table paystate.api_keys (
    id text primary key,
    name text not null check (length(name) between 1 and 64),
    secret_sha256 bytea not null check (length(secret_sha256) = 32),
    created_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz
);

grant select, insert, update, delete on paystate.idempotency_keys to paystate_service;
-- Services look keys up; only the owner makes and revokes them.
grant select on paystate.api_keys to paystate_service;
