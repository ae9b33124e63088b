"""Hostile connections, many at a time in one thread of a process of its own:

    python3 -m support.hostile PLAIN_PORT TLS_PORT SECONDS CONNECTIONS SEED

Each connection has one way to misbehave (KINDS) and starts again when the broker cuts it. At the end all of them go without
a word, and one line of JSON says per kind how many connections were made and how often one was reset.
"""

import asyncio
import collections
import functools
import json
import random
import resource
import ssl
import struct
import sys

from support import raw

FOREVER_S = 3600
BEGIN_S_MAX = 120
FLOOD = "hostile/flood"
SESSION_EXPIRY_1S = b"\x11\0\0\0\1"


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, *packets):
        self.writer.write(b"".join(packets))
        await self.writer.drain()

    async def until_cut(self):
        """Reads and forgets."""
        while await self.reader.read(65536):
            pass

    async def hold(self):
        """Neither reads nor writes, and notices nothing."""
        await asyncio.sleep(FOREVER_S)


class Attacker:
    """One of many: what its kind of misbehaviour may use."""

    def __init__(self, plain_port, tls_port, seed):
        self.plain_port, self.tls_port = plain_port, tls_port
        self.random = random.Random(seed)
        self.transport = None
        self.was_connected = asyncio.Event()

    async def connection(self, port=None):
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.plain_port, limit=4096)
        self.transport = writer.transport
        self.was_connected.set()
        return Connection(reader, writer)

    async def client(self, client_id=None, **options):
        """Behind a good CONNECT. The CONNACK is not waited for."""
        c = await self.connection()
        await c.send(raw.connect(self.name() if client_id is None else client_id, **options))
        return c

    def end(self):
        """Without a word, and with whatever is unsent or unread."""
        if self.transport:
            self.transport.abort()
        self.transport = None

    def name(self):
        return f"hostile-{self.random.getrandbits(48):x}"

    def bytes(self, most):
        return self.random.randbytes(self.random.randrange(1, most))

    async def pause(self, most_s):
        await asyncio.sleep(self.random.uniform(most_s / 4, most_s))


async def garbage(a):
    c = await a.connection()
    await c.send(a.bytes(2000))
    await c.until_cut()


async def garbage_after_connect(a):
    c = await a.client()
    for _ in range(20):
        await c.send(a.bytes(300))
        await a.pause(0.1)
    await c.until_cut()


async def half_packets(a):
    """All of a large PUBLISH but its last byte."""
    c = await a.client()
    whole = raw.publish("hostile/half", b"x" * 60_000, qos=1)
    await c.send(whole[:-1])
    await c.until_cut()


async def slow_loris(a):
    c = await a.connection()
    for byte in raw.connect("loris" * 40):
        await c.send(bytes([byte]))
        await a.pause(0.5)


async def giant_lengths(a):
    c = await a.connection()
    if a.random.random() < 0.5:
        await c.send(raw.connect(a.name()))
    await c.send(bytes([a.random.choice((0x10, 0x30, 0x82, 0xF0))]) + raw.length(a.random.choice((70_000, 268_435_455))))
    await c.send(b"\0" * 50_000)
    await c.until_cut()


async def connect_flood(a):
    c = await a.client(props=SESSION_EXPIRY_1S, clean=False)
    if a.random.random() < 0.5:
        await c.reader.read(1)
    await a.pause(0.05)


async def same_client_id(a):
    c = await a.client("hostile-twin", clean=a.random.random() < 0.5, props=SESSION_EXPIRY_1S)
    await c.send(raw.subscribe("#", 2))
    await c.until_cut()
    await a.pause(0.3)


async def never_reading(a):
    """Subscribes to everything, and sends what wants an answer, too."""
    c = await a.client(clean=False, props=SESSION_EXPIRY_1S)
    await c.send(raw.subscribe("#", a.random.randrange(3)))
    await c.send(raw.packet(raw.PINGREQ) * 2000)
    await c.hold()


async def never_acknowledging(a):
    c = await a.client()
    await c.send(raw.subscribe(FLOOD, 2))
    await c.until_cut()


async def absurd_filters(a):
    c = await a.client()
    for packet_id in range(1, 200):
        absurd = a.random.choice((
            "+/" * 31 + "#", "/" * 1000, "a/" * 600, "#/#", "$share//x", "$share/g/#", "x" * 65_000, "+" * 20, "\ufffd/" * 20,
            *(f"{a.random.getrandbits(16):x}/+/{a.random.getrandbits(16):x}/#" for _ in range(30))))
        await c.send(raw.subscribe(absurd, 2, packet_id))
        await a.pause(0.05)
    await c.until_cut()


async def qos_2_never_released(a):
    c = await a.client(clean=False, props=SESSION_EXPIRY_1S)
    for packet_id in range(1, 400):
        await c.send(raw.publish("hostile/unreleased", b"x" * 1000, qos=2, packet_id=packet_id))
        await a.pause(0.02)
    await c.until_cut()


async def keep_alive_cheat(a):
    c = await a.client(keepalive=a.random.choice((0, 1, 65535)))
    await c.until_cut()


@functools.cache
def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


async def half_tls(a):
    """A TLS handshake left in the middle."""
    hello = client_hello()
    c = await a.connection(a.tls_port)
    await c.send(hello[:a.random.choice((1, 5, len(hello) // 2, len(hello)))])
    await c.until_cut()


async def alias_abuse(a):
    """Sets aliases over and over with long topics, then uses one that is not there."""
    c = await a.client()
    for alias in range(1, 33):
        await c.send(raw.publish("hostile/" + "x" * 900, b"", props=b"\x23" + struct.pack(">H", alias)))
        await a.pause(0.05)
    await c.send(raw.publish("", b"", props=b"\x23" + struct.pack(">H", a.random.choice((0, 33, 65535)))))
    await c.until_cut()


async def endless_publishes(a):
    c = await a.client()
    size = a.random.choice((10, 1000, 30_000, 100_000))
    for packet_id in range(1, 5000):
        await c.send(raw.publish(FLOOD, b"f" * size, qos=a.random.randrange(3), packet_id=packet_id))
        await a.pause(0.05)


async def retained_flood(a):
    c = await a.client()
    while not c.reader.at_eof():
        await c.send(raw.publish(f"hostile/retained/{a.random.getrandbits(32):x}", b"r" * 1000, retain=True))
        await a.pause(0.05)


async def will_flood(a):
    """Goes without a word again and again: each time a retained will of the largest size."""
    will = b"\0" + raw.text(f"hostile/will/{a.random.getrandbits(8):x}") + raw.text(b"w" * 30_000)
    c = await a.client(flags=0x04 | 0x20 | 0x08, tail=will)
    await c.reader.read(1)
    await a.pause(1)


KINDS = {  # of 1000 connections
    garbage: 60, garbage_after_connect: 40, half_packets: 80, slow_loris: 80, giant_lengths: 60, connect_flood: 60,
    same_client_id: 40, never_reading: 80, never_acknowledging: 20, absurd_filters: 60, qos_2_never_released: 60,
    keep_alive_cheat: 80, half_tls: 100, alias_abuse: 40, endless_publishes: 40, retained_flood: 40, will_flood: 60,
}


async def misbehave(a, kind, made, cut):
    while True:
        made[kind.__name__] += 1
        try:
            await kind(a)
        except OSError:
            cut[kind.__name__] += 1
        finally:
            a.end()
        await a.pause(0.2)


async def attack(plain_port, tls_port, seconds, connections, seed):
    """The time begins when everybody has been connected once."""
    made, cut = collections.Counter(), collections.Counter()
    all_kinds = [kind for kind, share in KINDS.items() for _ in range(share)]
    attackers = [Attacker(plain_port, tls_port, f"{seed} {i}") for i in range(connections)]
    tasks = [asyncio.create_task(misbehave(a, all_kinds[i * len(all_kinds) // connections], made, cut))
             for i, a in enumerate(attackers)]
    async with asyncio.timeout(BEGIN_S_MAX):
        await asyncio.gather(*(a.was_connected.wait() for a in attackers))
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    wrong = {repr(e) for e in ended if not isinstance(e, asyncio.CancelledError)}
    return {"made": made, "cut": cut, "wrong": sorted(wrong)}


def main():
    plain_port, tls_port, seconds, connections, seed = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(asyncio.run(attack(int(plain_port), int(tls_port), float(seconds), int(connections), seed))))


if __name__ == "__main__":
    main()
