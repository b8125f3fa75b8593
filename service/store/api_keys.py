"""API keys: who may call the order API. Made and revoked as the owner of the schema, looked up as the service."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import asyncpg

from service.store.connection import Database


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


def hashed(secret: str) -> bytes:
    """What is kept of a secret. It is 32 random bytes, not a password: nothing slower is needed."""
    return sha256(secret.encode()).digest()


async def create(database: Database, key_id: str, name: str, secret: str) -> None:
    """Makes a key. Raises asyncpg.InsufficientPrivilegeError unless the role is the schema's owner."""
    async with database.acquire() as connection:
        await connection.execute(
            "insert into api_keys (id, name, secret_sha256) values ($1, $2, $3)", key_id, name, hashed(secret)
        )


async def listed(database: Database) -> list[ApiKey]:
    """All keys, the revoked ones too, oldest first."""
    async with database.acquire() as connection:
        rows = await connection.fetch(
            "select id, name, created_at, revoked_at from api_keys order by created_at, id"
        )
    return [_key(row) for row in rows]


async def revoke(database: Database, key_id: str) -> bool:
    """From the next request on the key opens nothing. False when there is no such key; repeats are harmless."""
    async with database.acquire() as connection:
        found = await connection.fetchval(
            "update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1 returning id",
            key_id,
        )
    return found is not None


async def owner_of(database: Database, key_id: str, secret: str) -> ApiKey | None:
    """The key, when the secret is its own and nobody has revoked it."""
    async with database.acquire() as connection:
        row = await connection.fetchrow(
            "select id, name, secret_sha256, created_at, revoked_at from api_keys where id = $1", key_id
        )
    if row is None or row["revoked_at"] is not None:
        return None
    return _key(row) if hmac.compare_digest(row["secret_sha256"], hashed(secret)) else None


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(row["id"], row["name"], row["created_at"], row["revoked_at"])
