"""Where servers are: what a client could not read is refused beforehand, and what it takes is left alone."""

import pytest

from service.addresses import checked_bootstrap, checked_dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://127.0.0.1:5432/paystate",
        "postgres://u:p%40w@db.example/z?sslmode=verify-full&application_name=x",
        "postgresql://u:p@one:1,two:2/z",
        "postgresql://u@[::1]:5432/z",
        "postgresql:///z?host=/run/postgresql&port=5432",
        "postgresql://u:@h:/z",
        "postgresql://%2Frun%2Fpostgresql/z",
    ],
)
def test_what_asyncpg_takes_is_taken(dsn: str) -> None:
    assert checked_dsn(dsn) == dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "=hush",
        "hush",
        "postgresql:hush",
        "mysql://u:hush@h/z",
        "postgresql://u:hush@127.0.0.1:1:2/z",
        "postgresql://u:hush@h:0/z",
        "postgresql://u:hush@h:65536/z",
        "postgresql://u:hush@h,/z",
        "postgresql://u:hush@[::1/z",
        # Passwords that should have been encoded.
        "postgresql://u:p/hush@h/z",
        "postgresql://u:1#hush@h/z",
        "postgresql://u:1?hush@h/z",
        "postgresql://u:1@hush@h/z",
        "postgresql://u:p@h/z?hush",
        "postgresql://u:p@h/z?port=hush",
        "postgresql://u:p@h/z?host=h:hush",
        "postgresql://u:p@h/z?sslmode=hush",
    ],
)
def test_a_dsn_that_cannot_be_read_is_refused_without_being_shown(dsn: str) -> None:
    with pytest.raises(ValueError, match="should be") as refused:
        checked_dsn(dsn)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("bootstrap", ["h", "h:1", "one:1,two:2", "one:1, two:2", "[::1]:9092", "::1"])
def test_what_aiokafka_takes_is_taken(bootstrap: str) -> None:
    assert checked_bootstrap(bootstrap) == bootstrap


@pytest.mark.parametrize("bootstrap", ["", "h:x", "h:0", "h:65536", "one:1,", ":1", "[::1"])
def test_brokers_that_cannot_be_read_are_refused(bootstrap: str) -> None:
    with pytest.raises(ValueError, match="should be HOST:PORT"):
        checked_bootstrap(bootstrap)
