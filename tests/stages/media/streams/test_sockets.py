import socket
import threading
from collections.abc import Iterator

import pytest

from stages.media.streams.sockets import Line


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def call(server: socket.socket) -> socket.socket:
    """Connect, as FFmpeg would between the beginning of a line and `find`."""
    return socket.create_connection(server.getsockname())


def test_a_read_that_hangs_ends_when_its_line_is_cut_and_writing_goes_on(server: socket.socket) -> None:
    line = Line()
    with call(server) as connection:
        line.find(*server.getsockname())
        heard: list[bytes] = []
        reader = threading.Thread(target=lambda: heard.append(connection.recv(10)))
        reader.start()
        assert line.cut()
        reader.join(5)
        assert heard == [b""]
        connection.sendall(b"goodbye")
    other, _ = server.accept()
    with other:
        assert other.recv(10) == b"goodbye"


def test_connections_to_somebody_else_or_from_before_are_left_alone(server: socket.socket) -> None:
    with call(server), socket.create_server(("127.0.0.1", 0)) as elsewhere:
        line = Line()
        with call(elsewhere):
            line.find(*server.getsockname())
            assert not line.cut()


def test_of_two_connections_made_one_after_the_other_each_line_has_its_own(server: socket.socket) -> None:
    first = Line()
    with call(server) as one:
        second = Line()
        with call(server) as two:
            second.find(*server.getsockname())
            first.find(*server.getsockname())
            assert first.cut()
            two.settimeout(0.05)
            assert one.recv(1) == b""
            with pytest.raises(TimeoutError):
                two.recv(1)
            assert second.cut()
            assert two.recv(1) == b""
    first.forget()
    second.forget()


def test_of_two_connections_that_cannot_be_told_apart_none_is_cut(server: socket.socket) -> None:
    lines = Line(), Line()
    with call(server), call(server):
        for line in lines:
            line.find(*server.getsockname())
        assert not any(line.cut() for line in lines)


def test_a_forgotten_line_cuts_nothing(server: socket.socket) -> None:
    line = Line()
    with call(server):
        line.find(*server.getsockname())
        line.forget()
        assert not line.cut()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", None), ("no.such.host.invalid", 554)])
def test_an_address_that_leads_nowhere_finds_nothing(host: str, port: int | None) -> None:
    line = Line()
    line.find(host, port)
    assert not line.cut()
