"""MQTT packets by hand, right and wrong ones, over a plain socket."""

import socket
import struct

from .broker import PATIENCE_S

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, \
    DISCONNECT, AUTH = range(1, 16)


def length(n):
    """A variable byte integer."""
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def text(s):
    data = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(data)) + data


def packet(kind, body=b"", flags=None):
    if flags is None:
        flags = 2 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def connect(client_id="", *, version=5, clean=True, keepalive=60, flags=0, props=b"", tail=b""):
    body = text("MQTT") + bytes([version, flags | (2 if clean else 0)]) + struct.pack(">H", keepalive)
    if version == 5:
        body += length(len(props)) + props
    return packet(CONNECT, body + text(client_id) + tail)


def publish(topic, payload=b"", *, qos=0, packet_id=1, retain=False, dup=False, version=5, props=b""):
    body = text(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    if version == 5:
        body += length(len(props)) + props
    return packet(PUBLISH, body + payload, qos << 1 | (1 if retain else 0) | (8 if dup else 0))


def subscribe(topic_filter, qos=0, packet_id=1, version=5):
    return packet(SUBSCRIBE, struct.pack(">H", packet_id) + (b"\0" if version == 5 else b"") + text(topic_filter) +
                  bytes([qos]))


class RawClient:
    def __init__(self, port, tls=None, **options):
        """With options: sends CONNECT with them and takes the CONNACK. `tls`: an ssl.SSLContext."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        if options:
            self.send(connect(**options))
            kind, _, body = self.receive()
            assert kind == CONNACK and body[1] == 0, (kind, body)

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        """The next packet as (type, flags, body). EOFError: the connection is closed."""
        try:
            first = self._exactly(1)[0]
            size = shift = 0
            while True:
                digit = self._exactly(1)[0]
                size |= (digit & 0x7F) << shift
                shift += 7
                if not digit & 0x80:
                    return first >> 4, first & 15, self._exactly(size)
        except ConnectionResetError:
            raise EOFError from None

    def until_closed(self):
        """All packets up to the end of the connection."""
        out = []
        while True:
            try:
                out.append(self.receive())
            except EOFError:
                return out

    def close(self):
        self.socket.close()
