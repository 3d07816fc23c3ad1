"""Memory of a halted target, read over gdb's remote serial protocol.

OpenOCD, J-Link, pyOCD, QEMU and gdbserver speak it. The framing, run lengths, escapes and packets
are those of "Debugging with GDB", appendix "GDB Remote Serial Protocol".
"""

from __future__ import annotations

import re
import socket
import time
from binascii import unhexlify
from typing import NoReturn, Self

__all__ = ["Target"]

_DEFAULT_PACKET = 256  # characters, of a server that does not say
_LARGEST_PACKET = 16384  # that is made use of, whatever the server says
_SLACK = 1024
_MOST_BYTES = 1 << 20  # received before one answer is complete
_TRIES = 5  # of a packet that was damaged on its way
_LONGEST = 86_400.0  # seconds

_WHERE = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]*):([0-9]{1,5})", re.ASCII)
_MARK = re.compile(rb"[-$%]")
_END = re.compile(rb"#..", re.DOTALL)
_ERROR = re.compile(rb"E(?:[0-9a-fA-F]{2}|\..*)", re.DOTALL)
_PACKET_SIZE = re.compile(rb"(?:^|;)PacketSize=([0-9a-fA-F]{1,8})(?:;|$)")
_STOPPED = re.compile(rb"[ST]([0-9a-fA-F]{2})")
_RUN = re.compile(rb"(.)\*(.)", re.DOTALL)
_ESCAPED = re.compile(rb"\}(.)", re.DOTALL)


class Target:
    """A connection to a gdb server, that reads and does nothing else.

    Three packets are sent: ``qSupported``, ``?`` (why the target stands still) and ``m`` (read
    memory). Nothing is written, stepped, resumed, detached or killed, and closing the connection
    leaves the target as the server leaves it then: by itself, halted.

    Parameters
    ----------
    where : str
        ``"HOST:PORT"``; ``":PORT"`` is of localhost, and an IPv6 address stands in brackets.
    timeout : float, keyword-only
        Seconds after which an answer is no longer waited for.

    Attributes
    ----------
    where : str
        HOST:PORT.
    halted : bool
        False where the server gives no reason for a stop (signal 0): the target may be running, and
        its memory change between two reads.

    Raises
    ------
    ValueError
        Where there is no such place, no server, or none of gdb's, or the program has ended. After
        an error of the connection it is closed.

    Examples
    --------
    >>> with Target("localhost:3333") as target:  # doctest: +SKIP
    ...     target.read(0x2000_0000, 4)
    b'\\x08\\x00\\x00 '
    >>> Target("localhost")
    Traceback (most recent call last):
        ...
    ValueError: 'localhost' is no place of a gdb server; it must be HOST:PORT, ...
    """

    def __init__(self, where: str, *, timeout: float = 20.0) -> None:
        found = _WHERE.fullmatch(where)
        if found is None or not 0 < int(found[2]) < 1 << 16:
            raise ValueError(
                f"{where!r} is no place of a gdb server; it must be HOST:PORT, as localhost:3333, "
                ":3333 or [::1]:3333"
            )
        if not 0 < timeout <= _LONGEST:
            raise ValueError(
                f"timeout is {timeout!r}; it must be seconds, more than 0, up to a day"
            )
        host, port = found[1] or "localhost", int(found[2])
        self.where = f"{host}:{port}"
        self._timeout = timeout
        self._held = bytearray()  # received, and not looked at
        self._heard = b""  # the first of what was no packet
        self._spoken = False  # a packet was received
        self._deadline, self._allowed = 0.0, 0
        try:
            self._socket = socket.create_connection((host.strip("[]"), port), timeout)
            # A '+' would wait for the server's, and the next packet for it: 40 ms each.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ValueError(f"no gdb server at {self.where}: {why}") from None
        self._chunk = _chunk(self._ask(b"qSupported"))
        self.halted = self._ask_halted()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and say nothing more: the target stays as it is."""
        self._socket.close()

    def read(self, address: int, size: int) -> bytes | None:
        """The bytes there; None if the server cannot read all of them.

        Raises
        ------
        ValueError
            If the connection fails, or there is no such range of addresses.
        """
        if size < 0 or not 0 <= address <= (1 << 64) - size:
            raise ValueError(f"there are no {size} bytes at {address:#x}")
        found = bytearray()
        while len(found) < size:
            count = min(size - len(found), self._chunk)
            answer = self._ask(b"m%x,%x" % (address + len(found), count))
            if not answer or _ERROR.fullmatch(answer):
                return None
            try:
                data = unhexlify(answer)
            except ValueError:
                data = b""
            if not 0 < len(data) <= count:
                self._give_up(f"answers {_shown(answer)} when asked for {count} bytes of memory")
            found += data  # fewer than were asked for is an answer: what is left is asked for next
        return bytes(found)

    def _ask_halted(self) -> bool:
        answer = self._ask(b"?")
        stopped = _STOPPED.match(answer)
        if answer[:1] in (b"W", b"X"):
            self._give_up("has no program that could be looked at: it has ended")
        if stopped is None:
            self._give_up(f"is no gdb server: it answers {_shown(answer)} when asked for its state")
        return int(stopped[1], 16) != 0

    def _ask(self, packet: bytes) -> bytes:
        """The answer to a packet."""
        if self._socket.fileno() < 0:
            raise ValueError(f"the connection to {self.where} is closed")
        self._deadline, self._allowed = time.monotonic() + self._timeout, _MOST_BYTES
        try:
            return self._exchange(packet)
        except TimeoutError:
            what = f"does not answer within {self._timeout:g} s; is it serving another gdb?"
        except OSError as error:
            what = f"closed the connection: {error.strerror or error}"
        except ValueError as error:
            what = str(error)
        except BaseException:  # an interrupt: what comes now answers nothing that is asked later
            self.close()
            raise
        if self._heard and not self._spoken:
            what = f"is no gdb server: it says {_shown(self._heard)}"
        self._give_up(what)

    def _give_up(self, what: str) -> NoReturn:
        self.close()
        raise ValueError(f"{self.where} {what}")

    def _exchange(self, packet: bytes) -> bytes:
        framed = b"$%b#%02x" % (packet, _checksum(packet))
        self._send(framed)
        damaged = 0
        while damaged < _TRIES:
            came = self._next()
            data = came[1:-3].rpartition(b"$")[2]  # one that was broken off is begun anew
            if came == b"-":
                damaged += 1
                self._send(framed)
            elif came[:1] == b"$" and came[-2:].lower() != b"%02x" % _checksum(data):
                damaged += 1
                self._send(b"-")
            elif came[:1] == b"$":
                self._spoken = True
                self._send(b"+")
                console = data[:1] == b"O" and data != b"OK"
                # A server that halts its target for whoever connects says so unasked.
                stop = packet != b"?" and _STOPPED.match(data)
                if not console and not stop:
                    return _decoded(data)
        raise ValueError("receives or sends damaged packets, time after time")

    def _next(self) -> bytes:
        """What comes next that means anything: ``-``, or a packet, or a notification (``%``)."""
        while (mark := _MARK.search(self._held)) is None:
            self._skip(len(self._held))
            self._receive()
        self._skip(mark.start())
        if self._held[:1] == b"-":
            end = 1
        else:
            while (found := _END.search(self._held)) is None:
                if len(self._held) > _LARGEST_PACKET + _SLACK:
                    raise ValueError(f"sends a packet of more than {_LARGEST_PACKET} characters")
                self._receive()
            end = found.end()
        came = bytes(self._held[:end])
        del self._held[:end]
        return came

    def _skip(self, count: int) -> None:
        """Drop what belongs to no packet; its beginning tells who speaks, if nothing else does."""
        self._heard = (self._heard + self._held[:count].replace(b"+", b""))[:60]
        del self._held[:count]

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def _receive(self) -> None:
        self._socket.settimeout(self._left())
        data = self._socket.recv(4096)
        if not data:
            raise ValueError("closed the connection")
        self._allowed -= len(data)
        if self._allowed < 0:
            raise ValueError("sends without end, and no answer")
        self._held += data

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _chunk(supported: bytes) -> int:
    """Bytes of memory that an answer holds, at two characters each, by what a server supports."""
    said = _PACKET_SIZE.search(supported)
    size = min(int(said[1], 16), _LARGEST_PACKET) if said else _DEFAULT_PACKET
    return max(4, (size - 4) // 2 // 4 * 4)  # whole words, and room for what a server counts in


def _checksum(data: bytes) -> int:
    return sum(data) & 0xFF


def _decoded(data: bytes) -> bytes:
    """A packet's data, run lengths and escapes resolved."""
    data = _RUN.sub(_repeated, data)
    if len(data) > _LARGEST_PACKET + _SLACK:
        raise ValueError(f"sends a packet of more than {_LARGEST_PACKET} characters")
    return _ESCAPED.sub(lambda found: bytes([found[1][0] ^ 0x20]), data)


def _repeated(found: re.Match[bytes]) -> bytes:
    """A character, and as many more as the one after the star says: a space is 3."""
    if not 32 <= found[2][0] <= 126:
        raise ValueError("sends a packet with a run of no length")
    return found[1] * (1 + found[2][0] - 29)


def _shown(data: bytes) -> str:
    return ascii(data[:60].decode("latin-1"))
