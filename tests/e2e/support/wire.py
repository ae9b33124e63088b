"""MQTT clients that share one thread and never block: a Loop turns, a Wire is one client and its connection. For tests
that need many clients which know exactly what was sent, received and acknowledged when the broker dies."""

import selectors
import socket
import struct
import time

from . import raw
from .broker import PATIENCE_S

FOR_EVER = b"\x11\xff\xff\xff\xff"  # a session that never expires


class Loop:
    def __init__(self):
        self._selector = selectors.DefaultSelector()

    def watch(self, wire):
        self._selector.register(wire.socket, selectors.EVENT_READ, wire)

    def forget(self, wire):
        self._selector.unregister(wire.socket)

    def want_write(self, wire, wanted):
        self._selector.modify(wire.socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0), wire)

    def turn(self, timeout_s=0.05):
        for key, events in self._selector.select(timeout_s):
            wire = key.data
            if events & selectors.EVENT_WRITE and wire.socket is key.fileobj:
                wire.flush()
            if events & selectors.EVENT_READ and wire.socket is key.fileobj:
                wire.readable()

    def until(self, done, what):
        end = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > end:
                raise AssertionError(f"did not happen within {PATIENCE_S} s: {what}")
            self.turn()

    def close(self):
        self._selector.close()


class Wire:
    """A client with a persistent session. Derived classes take packets in connected(present) and received(...)."""

    def __init__(self, loop, client_id, version=5, props=FOR_EVER):
        self.loop, self.client_id, self.version, self.props = loop, client_id, version, props
        self.socket = None
        self.served = False  # CONNACK has come

    def open(self, port, clean=False):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        except OSError:  # the broker is dead: as if the connection had broken at once
            self.socket = None
            return
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._input, self._output = bytearray(), bytearray()
        self.loop.watch(self)
        self.send(raw.connect(self.client_id, version=self.version, clean=clean, props=self.props))

    def is_open(self):
        return self.socket is not None

    def close(self):
        """The connection ends here and now, without DISCONNECT."""
        if self.socket is None:
            return
        self.loop.forget(self)
        self.socket.close()
        self.socket = None
        self.served = False
        self.lost()

    def lost(self):
        pass

    def send(self, *packets):
        if self.socket is None:
            return
        idle = not self._output
        for packet in packets:
            self._output += packet
        if idle:
            self.flush()

    def flush(self):
        try:
            while self._output:
                del self._output[:self.socket.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:  # what the broker said before it died is still to be read
            self._output.clear()
        self.loop.want_write(self, bool(self._output))

    def readable(self):
        ended = False
        try:
            data = self.socket.recv(1 << 18)
            ended = not data
            self._input += data
        except BlockingIOError:
            return
        except OSError:
            ended = True
        self._take_packets()
        if ended:
            self.close()

    def _take_packets(self):
        data, at = self._input, 0
        while self.socket is not None and data is self._input and (found := _packet_end(data, at)):
            start, end = found
            first, body = data[at], bytes(data[start:end])
            at = end
            if first >> 4 == raw.CONNACK:
                self.served = body[1] == 0
                self.connected(body[0] & 1) if self.served else self.ended(body[1])
            elif first >> 4 == raw.DISCONNECT:
                self.ended(body[0] if body else 0)
            else:
                self.received(first >> 4, first & 15, body)
        del data[:at]

    def connected(self, present):
        pass

    def received(self, kind, flags, body):
        pass

    def ended(self, reason):
        """The broker refused the connection or ended it with a reason."""
        raise AssertionError(f"{self.client_id}: the broker ended the connection with {reason:#x}")

    def publish_of(self, flags, body):
        """(topic, payload, QoS, packet id) of a PUBLISH."""
        size, = struct.unpack_from(">H", body)
        topic, at, packet_id = body[2:2 + size].decode(), 2 + size, 0
        if flags & 6:
            packet_id, = struct.unpack_from(">H", body, at)
            at += 2
        if self.version == 5:
            at += 1 + body[at]  # the few properties here are shorter than 128 bytes
        return topic, body[at:], flags >> 1 & 3, packet_id


def _packet_end(data, at):
    """(where its body begins, where it ends) of a whole packet, or None."""
    size = shift = 0
    for i in range(at + 1, len(data)):
        size |= (data[i] & 0x7F) << shift
        shift += 7
        if not data[i] & 0x80:
            return (i + 1, i + 1 + size) if len(data) >= i + 1 + size else None
    return None
