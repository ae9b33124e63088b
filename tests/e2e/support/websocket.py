"""MQTT over WebSocket by hand: a client that makes its own frames, right and wrong ones."""

import os
import socket
import struct

from .broker import PATIENCE_S
from .raw import CONNACK, RawClient, connect

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

REQUEST = ("GET {path} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: {protocol}\r\n\r\n")


def frame(payload, opcode=BINARY, final=True, masked=True):
    head = bytes([(0x80 if final else 0) | opcode])
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack(">BH", bit | 126, size)
    else:
        head += struct.pack(">BQ", bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class WebSocketClient(RawClient):
    """Everything of RawClient, in frames. `answer` is the head of the HTTP answer, `control` the control frames that
    came, as (opcode, payload). With options it says CONNECT and takes the CONNACK."""

    def __init__(self, port, tls=None, path="/mqtt", protocol="mqtt", request=None, before=b"", **options):
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.sendall(before)
        self.socket = tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain
        self.control = []
        self._payload = b""
        self.socket.sendall((request or REQUEST.format(path=path, protocol=protocol)).encode())
        self.answer = self._answer()
        if options:
            self.send(connect(**options))
            kind, _, body = self.receive()
            assert kind == CONNACK and body[1] == 0, (kind, body)

    def _answer(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            head += byte
        return head.decode()

    def status(self):
        return int(self.answer.split()[1])

    def send(self, *packets):
        self.send_frames(frame(b"".join(packets)))

    def send_frames(self, *frames):
        self.socket.sendall(b"".join(frames))

    def _from_socket(self, count):
        return super()._exactly(count)

    def _exactly(self, count):
        while len(self._payload) < count:
            self._next_frame()
        out, self._payload = self._payload[:count], self._payload[count:]
        return out

    def _next_frame(self):
        first, size = self._from_socket(2)
        assert first & 0x70 == 0 and size & 0x80 == 0, (first, size)
        if size == 126:
            size, = struct.unpack(">H", self._from_socket(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._from_socket(8))
        payload = self._from_socket(size)
        if first == 0x80 | BINARY:
            self._payload += payload
        else:
            self.control.append((first & 15, payload))
