"""A start with queues that take their time: clients are served before their queues have been read, and then get
everything, in order, QoS 2 once; after an orderly stop, after kill -9, and after another one in between.

The thread that reads the queues is held (support/faults.c), so "before" is no question of time.
"""

import sqlite3
import struct

from support import raw
from support.broker import eventually
from support.case import main
from support.raw import RawClient
from support.wire import FOR_EVER
from test_faults import FaultCase

SESSIONS, MESSAGES, RETAINED = 12, 120, 300
TWICE = 3  # every third session subscribes with QoS 2
WINDOW = 40  # publications without acknowledgement


def taken_apart(flags, body):
    """(packet id, payload) of a PUBLISH in MQTT 5."""
    size, = struct.unpack_from(">H", body)
    at = 2 + size
    packet_id = body[at:at + 2] if flags & 6 else b""
    at += len(packet_id)
    return packet_id, body[at + 1 + body[at]:].decode()


class Restart(FaultCase):
    def setUp(self):
        super().setUp()
        self.b = self.faulty_broker(extra="[state]\nlog_bytes = 4194304\n", shards=2)
        for i in range(SESSIONS):
            c = self.session(i)
            c.send(raw.subscribe(f"q/{i}", 2 if i % TWICE == 0 else 1))
            self.assertEqual(c.receive()[0], raw.SUBACK)
            c.close()
        self.publish_all([(f"q/{i}", f"{n}", 1 + n % 2, False) for n in range(MESSAGES) for i in range(SESSIONS)])
        self.publish_all([(f"kept/{n}", "old", 1, True) for n in range(RETAINED)])

    def session(self, i, clean=False):
        return self.client(f"s{i}", clean=clean)

    def publish_all(self, publications):
        """(topic, payload, QoS, retain) each; all acknowledged."""
        c = self.client("publisher", clean=True)
        for at in range(0, len(publications), WINDOW):
            some = publications[at:at + WINDOW]
            c.send(*(raw.publish(topic, payload.encode(), qos=qos, packet_id=n, retain=retain)
                     for n, (topic, payload, qos, retain) in enumerate(some, 1)))
            missing = len(some)
            while missing:
                kind, _, body = c.receive()
                if kind == raw.PUBREC:
                    c.send(raw.packet(raw.PUBREL, body[:2]))
                missing -= kind in (raw.PUBACK, raw.PUBCOMP)
        c.close()

    def unread(self):
        return int(self.metric("fotabroker_state_queues_unread"))

    def start_held(self):
        self.faults.queues_held()
        self.b.start(**self.faults.start_options())

    def retained(self):
        """What a newcomer gets of kept/#: topic -> payload, how many in all."""
        c = self.client("reader", clean=True)
        c.send(raw.subscribe("kept/#", 0), raw.packet(raw.PINGREQ))
        got, count = {}, 0
        while count < RETAINED:
            kind, flags, body = c.receive()
            if kind == raw.PUBLISH:
                size, = struct.unpack_from(">H", body)
                got[body[2:2 + size].decode()] = taken_apart(flags, body)[1]
                count += 1
        c.close()
        return got

    def nothing_more(self, c):
        c.send(raw.packet(raw.PINGREQ))
        self.assertEqual(c.receive()[0], raw.PINGRESP)

    def everybody_is_served_while_the_queues_are_held(self, sessions=SESSIONS, kept_7="old"):
        self.assertEqual(self.unread(), sessions)
        early = RawClient(self.b.plain_port)
        self.addCleanup(early.close)
        early.send(raw.connect("s0", clean=False, props=FOR_EVER), raw.packet(raw.PINGREQ))
        kind, _, body = early.receive()
        self.assertEqual((kind, body[:2]), (raw.CONNACK, b"\x01\0"))  # the session is present
        self.assertEqual(early.receive()[0], raw.PINGRESP)
        self.assertEqual(self.retained(), {f"kept/{n}": "old" for n in range(RETAINED)} | {"kept/7": kept_7})
        self.publish_all([(f"q/{i}", word, qos, False) for i in range(SESSIONS)
                          for word, qos in (("new", 1), ("new too", 2))])
        self.publish_all([("kept/7", "new", 1, True)])
        self.assertEqual(self.retained()["kept/7"], "new")
        fresh = self.session(1, clean=True)  # what it had goes, read or not
        fresh.send(raw.subscribe("q/1", 1))
        self.assertEqual(fresh.receive()[0], raw.SUBACK)
        self.nothing_more(fresh)
        fresh.close()
        self.assertEqual(self.unread(), sessions)
        return early

    def everything_is_delivered(self, early, times):
        """`times`: how often the new messages were published."""
        self.faults.none()
        eventually(lambda: self.unread() == 0, "all queues are read")
        numbers = [str(n) for n in range(MESSAGES)]
        for i in range(SESSIONS):
            c = early if i == 0 else self.session(i)
            if i != 1:
                some = self.collect(c, times)
                if i % TWICE == 0:
                    self.assertEqual(some[2], numbers[1::2] + times * ["new too"], f"session {i}")
                    self.assertEqual(some[1], numbers[0::2] + times * ["new"], f"session {i}")
                else:
                    self.assertEqual(some[1], numbers + times * ["new", "new too"], f"session {i}")
            self.nothing_more(c)
            c.close()
        self.assertIn("all queues read", self.b.log())
        self.assertEqual(self.b.stop(), 0)
        self.b.start(**self.faults.start_options())
        eventually(lambda: self.unread() == 0, "all queues are read")
        for i in range(SESSIONS):
            c = self.session(i)
            self.nothing_more(c)
            c.close()

    def collect(self, c, times):
        """QoS -> the payloads that come, acknowledged."""
        got, unfinished = {1: [], 2: []}, set()
        while unfinished or len(got[1]) + len(got[2]) < MESSAGES + 2 * times:
            kind, flags, body = c.receive()
            if kind == raw.PUBREL:
                unfinished.discard(body[:2])
                c.send(raw.packet(raw.PUBCOMP, body[:2]))
            if kind != raw.PUBLISH:
                continue
            packet_id, payload = taken_apart(flags, body)
            qos = flags >> 1 & 3
            got[qos].append(payload)
            if qos == 2:
                unfinished.add(packet_id)
            c.send(raw.packet(raw.PUBREC if qos == 2 else raw.PUBACK, packet_id))
        return got

    def test_after_an_orderly_stop(self):
        self.assertEqual(self.b.stop(), 0)
        self.start_held()
        self.everything_is_delivered(self.everybody_is_served_while_the_queues_are_held(), 1)

    def test_after_kill_9(self):
        self.b.kill()
        self.start_held()
        self.everything_is_delivered(self.everybody_is_served_while_the_queues_are_held(), 1)

    def test_after_another_kill_9_before_they_were_read(self):
        self.b.kill()
        self.start_held()
        self.everybody_is_served_while_the_queues_are_held()
        self.b.kill()
        self.start_held()
        early = self.everybody_is_served_while_the_queues_are_held(SESSIONS - 1, "new")
        self.everything_is_delivered(early, 2)

    def test_damage_found_after_the_start_is_put_aside_and_everybody_begins_anew(self):
        self.assertEqual(self.b.stop(), 0)
        page = int(self.sql_of_state("SELECT rootpage FROM sqlite_schema WHERE name = 'queue_message'"))
        with open(self.b.path("state.db"), "r+b") as f:
            f.seek((page - 1) * 4096)
            f.write(b"Z" * 512)
        self.start_held()
        self.session(0).close()
        self.faults.none()
        eventually(lambda: "state.db.corrupt" in self.b.log() and self.b.log().count("ready\n") == 3,
                   "it serves again, without them")
        fresh = RawClient(self.b.plain_port)
        self.addCleanup(fresh.close)
        fresh.send(raw.connect("s0", clean=False, props=FOR_EVER))
        self.assertEqual(fresh.receive()[2][:2], b"\0\0")
        self.assertEqual(self.b.stop(), 0)

    def sql_of_state(self, query):
        with sqlite3.connect(self.b.path("state.db")) as db:
            return db.execute(query).fetchone()[0]


if __name__ == "__main__":
    main()
