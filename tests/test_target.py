"""A client of gdb's remote serial protocol, against a server in this process that says anything."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtosheap.device import Target

BASE = 0x2000_0000
READS = re.compile(rb"qSupported|\?|m[0-9a-f]+,[0-9a-f]+")
PACKET = re.compile(rb"\$([^#]*)#([0-9a-f]{2})|-")
#: What a server answers a packet: bytes as they go over the line; None: it hangs up.
Answer = Callable[[bytes], bytes | None]


def framed(data: bytes) -> bytes:
    return b"$%b#%02x" % (data, sum(data) & 0xFF)


class Server(threading.Thread):
    """Serves one client, and keeps what it sent; leaving the context checks that it only read."""

    def __init__(
        self, answer: Answer, *, first: bytes = b"", size: int = 1 << 20, only: int = 1 << 20
    ) -> None:
        super().__init__(daemon=True)
        self.answer, self.first = answer, first
        self.size, self.only = size, only  # bytes at once; packets after which it says no more
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.raw = b""
        self.packets: list[bytes] = []  # and refusals, as b"-"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # for a client that never came
            socket.create_connection(self.listener.getsockname()).close()
        self.join()
        self.listener.close()
        assert all(READS.fullmatch(packet) or packet == b"-" for packet in self.packets)
        assert not PACKET.sub(b"", self.raw).strip(b"+")

    def run(self) -> None:
        client, _ = self.listener.accept()
        with client, contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(self.first)
            at = 0
            while data := client.recv(4096):
                self.raw += data
                while found := PACKET.search(self.raw, at):
                    at = found.end()
                    packet = found[1] if found[1] is not None else b"-"
                    assert found[2] is None or framed(packet) == found[0]
                    self.packets.append(packet)
                    if len(self.packets) > self.only:
                        continue
                    said = self.answer(packet)
                    if said is None:
                        return
                    for start in range(0, len(said), self.size):
                        client.sendall(said[start : start + self.size])
                    if len(self.packets) == self.only:
                        client.shutdown(socket.SHUT_WR)


def serving(
    *reads: bytes | None, supported: bytes = b"PacketSize=100", state: bytes = b"T05thread:01;"
) -> Answer:
    """A sound server, whose answers to whatever comes after the first two packets are given raw."""
    script = iter([b"+" + framed(supported), b"+" + framed(state), *reads])
    return lambda packet: next(script, None)


def memory_of(data: bytes, most: int = 1 << 20) -> Answer:
    """A sound server of these bytes at BASE, of which it gives at most so many at once."""

    def answer(packet: bytes) -> bytes:
        if packet == b"qSupported":
            return b"+" + framed(b"qXfer:features:read+;PacketSize=%x;swbreak+" % (2 * most))
        if packet == b"?":
            return b"+" + framed(b"S05")
        address, size = (int(word, 16) for word in packet[1:].split(b","))
        at = address - BASE
        if not 0 <= at <= at + size <= len(data):
            return b"+" + framed(b"E14")
        return b"+" + framed(data[at : at + min(size, most)].hex().encode())

    return answer


def refused(server: Server, message: str) -> None:
    """Reading ends in an error that names the place, in one line."""
    with pytest.raises(ValueError, match=message) as caught, Target(server.where) as target:
        target.read(BASE, 4)
    assert str(caught.value).startswith(server.where)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- the place


@pytest.mark.parametrize(
    ("where", "place"),
    [
        (":3333", ("localhost", 3333)),
        ("board:1", ("board", 1)),
        ("10.0.0.2:65535", ("10.0.0.2", 65535)),
        ("[::1]:3333", ("::1", 3333)),
    ],
)
def test_places(where: str, place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def connect(where: tuple[str, int], timeout: float) -> Any:
        asked.append(where)
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    name = where if where[0] != ":" else "localhost" + where
    with pytest.raises(ValueError, match=f"^no gdb server at {re.escape(name)}: Connection ref"):
        Target(where)
    assert asked == [place]


@pytest.mark.parametrize(
    "where",
    ["", "3333", "localhost", "localhost:", ":", ":0", ":65536", ":-1", "::1:3333", "[]:1", "a:b",
     "[::1]", "[::1]3333", "tcp:localhost:3333", "localhost:3333 ", "a:\u0661", "/dev/tty", "[a:1"],
)  # fmt: skip
def test_what_is_no_place(where: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT, as localhost:3333") as caught:
        Target(where)
    assert str(caught.value).startswith(repr(where))


@pytest.mark.parametrize("where", ["no.such.host.invalid:3333", "a..b:3333", "a\0b:3333"])
def test_hosts_that_are_none(where: str) -> None:
    with pytest.raises(ValueError, match=f"^no gdb server at {re.escape(where)}: "):
        Target(where)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with pytest.raises(ValueError, match=f"^no gdb server at 127.0.0.1:{port}: Connection refused"):
        Target(f"127.0.0.1:{port}")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_time(timeout: float) -> None:
    with pytest.raises(ValueError, match=f"timeout is {timeout!r}"):
        Target(":3333", timeout=timeout)


# ---------------------------------------------------------------------- who answers


def test_a_server_that_is_silent() -> None:
    with Server(lambda packet: b"") as server:  # noqa: SIM117
        with pytest.raises(ValueError, match=r"does not answer within 0\.05 s; is it serving anot"):
            Target(server.where, timeout=0.05)


def test_a_server_that_falls_silent() -> None:
    with Server(serving(b"+", b"never")) as server, Target(server.where, timeout=0.5) as target:
        with pytest.raises(ValueError, match=r"does not answer within 0\.5 s"):
            target.read(BASE, 4)
        with pytest.raises(ValueError, match=f"the connection to {server.where} is closed"):
            target.read(BASE, 4)


HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: x-1\r\nContent-Length: 7\r\n\r\n$50 #1%\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda packet: None, "closed the connection"),
        (serving(None), "closed the connection"),
        (lambda packet: HTTP, "no gdb server: it says 'HTTP/"),
        (
            lambda packet: b"Open On-Chip\r\n> " + framed(packet),
            "is no gdb server: it answers",
        ),
        (lambda packet: framed(b""), "is no gdb server: it answers '' when asked for its state"),
        (lambda packet: framed(b"OK"), "is no gdb server: it answers 'OK'"),
        (serving(state=b"W00"), "it has ended"),
        (serving(state=b"X09;process:1"), "it has ended"),
        (lambda packet: b"-", "damaged packets, time after time"),
        (lambda packet: b"+$OK#00", "damaged packets, time after time"),
        (lambda packet: b"$" + b"O" * 40_000, "packet of more than 16384 characters"),
        (lambda packet: b"%" + b"O" * 40_000, "packet of more than 16384 characters"),
        (lambda packet: framed(b"0*~" * 300), "packet of more than 16384 characters"),
        (lambda packet: framed(b"0*\x1f"), "a run of no length"),
        (lambda packet: framed(b"0*\x7f"), "a run of no length"),
        (lambda packet: b"+" * (2 << 20), "sends without end"),
        (lambda packet: framed(b"O" + b"61" * 2000) * 400, "sends without end"),
        (lambda packet: b"%Stop:T05#00" * 100_000, "sends without end"),
    ],
)
def test_servers_that_are_none(answer: Answer, message: str) -> None:
    with Server(answer) as server:
        refused(server, message)


def test_the_banner_of_another_protocol() -> None:
    with Server(lambda packet: None, first=b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        refused(server, r"is no gdb server: it says 'SSH")


def test_a_server_of_gdbs_that_hangs_up_after_rubbish() -> None:
    with Server(serving(b"\0rubbish"), only=3) as server:
        refused(server, "closed the connection")


# ---------------------------------------------------------------------- what it answers


@pytest.mark.parametrize(
    ("state", "halted"), [(b"S05", True), (b"T02thread:1;", True), (b"S00", False)]
)
def test_whether_it_is_halted(state: bytes, halted: bool) -> None:
    with Server(serving(state=state)) as server, Target(server.where) as target:
        assert (target.where, target.halted) == (server.where, halted)


def test_a_server_that_says_unasked_that_it_halts_its_target() -> None:
    """As QEMU does of one that runs, before it has read a packet."""
    with (
        Server(memory_of(bytes(64)), first=framed(b"T02thread:01;")) as server,
        Target(server.where) as target,
    ):
        assert target.halted
        assert target.read(BASE, 64) == bytes(64)


#: What comes over the line for four bytes, and what is read.
ANSWERS = {
    "plain": (b"+" + framed(b"30313233"), b"0123"),
    "no acknowledgement": (framed(b"30313233"), b"0123"),
    "capitals": (b"+" + framed(b"ABCDEFab"), b"\xab\xcd\xef\xab"),
    "its checksum in capitals": (b"+$6a6a6a6a#5C", b"jjjj"),
    "an error": (b"+" + framed(b"E01"), None),
    "an error in words": (b"+" + framed(b"E.no memory"), None),
    "nothing": (b"+" + framed(b""), None),
    "a run": (b"+" + framed(b'0*"00'), bytes(4)),
    "runs": (b"+" + framed(b"0* f* "), b"\0\0\xff\xff"),
    "an escape": (b"+" + framed(b"}\x13}\x10313233"), b"0123"),
    "a notification before": (b"+%Stop:T05#00" + framed(b"30313233"), b"0123"),
    "the console before": (b"+" + framed(b"O6869") + framed(b"30313233"), b"0123"),
    "a stop before": (b"+" + framed(b"T05thread:01;") + framed(b"30313233"), b"0123"),
    "rubbish before": (b"\0\r\n++ab#12" + framed(b"30313233"), b"0123"),
    "a packet broken off": (b"+$3031" + framed(b"30313233"), b"0123"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    raw, expected = ANSWERS[name]
    with Server(serving(raw, raw)) as server, Target(server.where) as target:
        assert [target.read(BASE, 4) for _ in range(2)] == [expected] * 2
    assert server.packets == [b"qSupported", b"?", *[b"m20000000,4"] * 2]
    assert server.raw.endswith(b"+")


def test_answers_that_come_byte_by_byte() -> None:
    raw = b"+%Stop:T05#00" + framed(b"O6869") + framed(b"0* f* ")
    with Server(serving(raw), size=1) as server, Target(server.where) as target:
        assert target.read(BASE, 4) == b"\0\0\xff\xff"


def test_a_damaged_answer_is_asked_for_again() -> None:
    right = framed(b"30313233")
    answers = b"+" + right[:-1] + b"_", right, b"+" + right
    with Server(serving(*answers)) as server, Target(server.where) as target:
        assert [target.read(BASE, 4), target.read(BASE, 4)] == [b"0123"] * 2
    assert server.packets[2:] == [b"m20000000,4", b"-", b"m20000000,4"]


def test_a_packet_that_was_damaged_is_sent_again() -> None:
    answers = b"-", b"-", b"+" + framed(b"30313233")
    with Server(serving(*answers)) as server, Target(server.where) as target:
        assert target.read(BASE, 4) == b"0123"
    assert server.packets[2:] == [b"m20000000,4"] * 3


@pytest.mark.parametrize(
    "raw",
    [b"3031323", b"303132333", b"3031323334", b"zz", b"30 3132", b"OK", b"30*", b"*0", b"}"],
)
def test_what_is_no_memory(raw: bytes) -> None:
    with Server(serving(framed(raw))) as server, Target(server.where) as target:
        with pytest.raises(ValueError, match="when asked for 4 bytes of memory"):
            target.read(BASE, 4)
        with pytest.raises(ValueError, match="is closed"):
            target.read(BASE, 4)


# ---------------------------------------------------------------------- how much at once


@pytest.mark.parametrize(
    ("supported", "count"),
    [
        (b"PacketSize=1000", 2044),
        (b"qXfer:memory-map:read+;PacketSize=3fff;QStartNoAckMode+", 8188),
        (b"PacketSize=FFFFFFFF", 8188),
        (b"PacketSize=0", 4),
        (b"PacketSize=1", 4),
        (b"PacketSize=", 124),
        (b"PacketSize=x", 124),
        (b"xPacketSize=1000", 124),
        (b"", 124),
        (b"E01", 124),
    ],
)
def test_the_servers_packets_are_filled(supported: bytes, count: int) -> None:
    size = 20_000
    with (
        Server(serving(framed(b"0*~" * 2), None, supported=supported)) as server,
        Target(server.where) as target,
        contextlib.suppress(ValueError),
    ):
        target.read(BASE, size)
    assert server.packets[2] == b"m20000000,%x" % count


@pytest.mark.parametrize("most", [1, 3, 100, 5000])
def test_memory(most: int) -> None:
    data = random.Random(most).randbytes(5000)
    with Server(memory_of(data, most)) as server, Target(server.where) as target:
        assert target.read(BASE, 5000 if most > 3 else 50) == data[: 5000 if most > 3 else 50]
        assert target.read(BASE + 17, 1) == data[17:18]
        assert target.read(BASE, 0) == b""
        assert target.read(BASE + 4999, 2) is None
        assert target.read(BASE - 1, 1) is None
        assert target.read(BASE + 10, 30) == data[10:40]


@pytest.mark.parametrize(("address", "size"), [(-1, 1), (0, -1), (1 << 64, 1), ((1 << 64) - 1, 2)])
def test_what_is_no_range(address: int, size: int) -> None:
    with Server(memory_of(b"")) as server, Target(server.where) as target:
        with pytest.raises(ValueError, match=f"there are no {size} bytes at {address:#x}"):
            target.read(address, size)
        assert target.read((1 << 64) - 1, 1) is None  # and is still connected


def test_an_answer_that_is_short_is_gone_on_with() -> None:
    answers = [b"+" + framed(data) for data in (b"3031", b"32", b"", b"30")]
    with Server(serving(*answers)) as server, Target(server.where) as target:
        assert target.read(BASE, 4) is None
        assert target.read(BASE, 1) == b"0"
    asked = [b"m20000000,4", b"m20000002,2", b"m20000003,1", b"m20000000,1"]
    assert server.packets[2:] == asked


def test_leaving_says_nothing() -> None:
    with Server(memory_of(bytes(64))) as server:
        with Target(server.where) as target:
            target.read(BASE, 64)
        target.close()
    assert server.packets == [b"qSupported", b"?", b"m20000000,40"]


# ---------------------------------------------------------------------- hostile servers

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"+", b"-", b"$", b"#", b"%", b"*", b"}", b"+$", b"$#00", b"\r\n"]),
    st.binary(max_size=20).map(framed),
    st.sampled_from([b"PacketSize=20", b"T05", b"S00", b"OK", b"O61", b"E01", b"00", b"0* "]).map(
        framed
    ),
)


@given(st.lists(st.lists(PIECES, max_size=4).map(b"".join), max_size=8))
def test_whatever_a_server_says(answers: list[bytes]) -> None:
    """Bytes, nothing, or an error of a ValueError's kind; the server hangs up once it has."""
    with (
        Server(lambda packet: b"".join(answers), only=1) as server,
        contextlib.suppress(ValueError),
        Target(server.where) as target,
    ):
        for _ in range(4):
            data = target.read(BASE, 4)
            assert data is None or len(data) == 4
