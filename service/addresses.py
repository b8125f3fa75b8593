"""Where servers are: what a setting has to look like before anybody connects to it.

The clients' own parsers raise whatever comes (a bare ValueError, with the text that it could not read), and not
before the first use. A wrong setting is refused when it is read, without the value: it may hold a password.
"""

import re
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from aiokafka.conn import collect_hosts

MAX_PORT: Final = 65_535
# A password that holds one of those ends too early, and the rest of it is taken for a host or a port.
_DSN: Final = (
    "should be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with / ? # @ and % in a password written as"
    " %2F %3F %23 %40 and %25"
)
_BEGINNINGS: Final = ("postgresql://", "postgres://")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# A name, an address or an IPv6 address in brackets; any of them with a port.
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::([0-9]{0,5}))?")


def checked_dsn(dsn: str) -> str:
    """A DSN as asyncpg takes it: one or more hosts, with or without ports. Raises ValueError, without the DSN."""
    try:
        parts = urlsplit(dsn)
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        raise ValueError(_DSN) from None
    # asyncpg takes the first @ for the end of the password, others the last: there may be one.
    login, _, rest = parts.netloc.partition("@")
    hosts = (rest if "@" in parts.netloc else login).split(",")
    is_sound = dsn.startswith(_BEGINNINGS) and not parts.fragment and "@" not in rest
    if not is_sound or not all(map(_is_host, hosts)) or (len(hosts) > 1 and "" in hosts):
        raise ValueError(_DSN)
    # What a query names: a host is also a folder of sockets.
    if not all(_is_port(port) for port in _listed(query, "port")):
        raise ValueError(f"port should be a number from 1 to {MAX_PORT}")
    if not all(host.startswith("/") or (host and _is_host(host)) for host in _listed(query, "host")):
        raise ValueError("host should be a name, an address or a folder")
    if not set(query.get("sslmode", ())) <= set(_SSL_MODES):
        raise ValueError(f"sslmode should be one of {', '.join(_SSL_MODES)}")
    return dsn


def checked_bootstrap(bootstrap: str) -> str:
    """Kafka brokers, as aiokafka takes them: HOST:PORT, and more of them after commas. Raises ValueError."""
    try:
        hosts = collect_hosts(bootstrap, randomize=False)
    except ValueError:
        hosts = []
    if not hosts or not all(host and _is_port(str(port)) for host, port, _ in hosts):
        raise ValueError("should be HOST:PORT, or several of them with commas between")
    return bootstrap


def is_loopback(address: str) -> bool:
    """Whether an IP address is of this machine itself; what is none is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def _listed(query: dict[str, list[str]], name: str) -> list[str]:
    return [each for value in query.get(name, ()) for each in value.split(",")]


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(unquote(text))
    return found is not None and (not found[1] or _is_port(found[1]))


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 1 <= int(text) <= MAX_PORT
