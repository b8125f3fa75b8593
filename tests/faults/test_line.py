"""The line that faults cut: what it does to bytes and connections, and to the address that a broker names."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.line import Line

PATIENCE_S = 5.0
SILENCE_S = 0.3


class _Echo:
    """Sends back what it is sent, to one client after another."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                while chunk := connection.recv(1024):
                    connection.sendall(chunk)

    def close(self) -> None:
        # A thread that is in `accept` does not notice that its socket is closed.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[_Echo]:
    server = _Echo()
    yield server
    server.close()


@pytest.fixture
def line(echo: _Echo) -> Iterator[Line]:
    laid = Line(echo.port, names_itself=True).lay()
    yield laid
    laid.end()


def _connect(line: Line) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), PATIENCE_S)


def _read(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += connection.recv(count - len(got))
    return got


def test_a_silent_line_keeps_what_is_sent_until_it_heals(line: Line) -> None:
    with _connect(line) as connection:
        connection.sendall(b"one")
        assert _read(connection, 3) == b"one"
        line.fall_silent()
        connection.sendall(b"two")
        connection.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            connection.recv(3)
        connection.settimeout(PATIENCE_S)
        line.heal()
        assert _read(connection, 3) == b"two"


def test_held_answers_come_when_the_line_heals_and_count_as_none(line: Line) -> None:
    with _connect(line) as connection:
        line.hold_answers()
        connection.sendall(b"one")
        connection.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            connection.recv(3)
        healed_at = time.monotonic()
        line.heal()
        connection.settimeout(PATIENCE_S)
        assert _read(connection, 3) == b"one"
        assert line.answered_at < healed_at
        connection.sendall(b"two")
        assert _read(connection, 3) == b"two"
        assert line.answered_at > healed_at


def test_a_reset_line_ends_its_connections_and_refuses_until_it_heals(line: Line) -> None:
    with _connect(line) as connection:
        connection.sendall(b"one")
        assert _read(connection, 3) == b"one"
        line.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(3)
    with pytest.raises(ConnectionRefusedError):
        _connect(line)
    line.heal()
    with _connect(line) as connection:
        connection.sendall(b"two")
        assert _read(connection, 3) == b"two"


def test_it_names_itself_in_the_place_of_the_server_even_in_pieces(line: Line, echo: _Echo) -> None:
    theirs = b"127.0.0.1" + echo.port.to_bytes(4, "big")
    ours = b"127.0.0.1" + line.port.to_bytes(4, "big")
    read = b""
    with _connect(line) as connection:
        connection.settimeout(PATIENCE_S)
        # No two pieces may arrive as one: each is answered, or has time, before the next.
        for piece, answered in ((b"<" + theirs[:4], b"<"), (theirs[4:11], b""), (theirs[11:], ours), (b">", b">")):
            connection.sendall(piece)
            if not answered:
                time.sleep(SILENCE_S)
            read += _read(connection, len(answered))
        assert read == b"<" + ours + b">"
        connection.sendall(theirs * 2)
        assert _read(connection, len(ours) * 2) == ours * 2
