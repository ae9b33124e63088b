"""Disks that are full, fail or become read-only, a transaction torn in the middle, a clock that jumps: what clients, the
log, /readyz and /metrics say, what goes on meanwhile, and that nothing acknowledged is missing afterwards. The faults are
made by a library the broker is started with (support/faults.c)."""

import http.client
import os
import re
import shutil
import signal
import struct
import time

from support import pki, raw
from support.broker import PATIENCE_S, SANITIZER_BYTES, eventually
from support.case import Case, main
from support.faults import Faults
from support.raw import RawClient
from support.wire import FOR_EVER

SOON = "[limits]\nack_wait_max_s = 1\n[state]\nlog_bytes = 4194304\n[mqtt]\nsys_interval_s = 1\n"
QUOTA_EXCEEDED, SERVER_UNAVAILABLE = 0x97, 0x88


class FaultCase(Case):
    def faulty_broker(self, extra=SOON, **options):
        b = self.new_broker(extra=extra, **options)
        self.faults = Faults(b)
        return b.start(**self.faults.start_options())

    def client(self, name, version=5, clean=False):
        c = RawClient(self.b.plain_port, client_id=name, clean=clean, version=version, keepalive=0,
                      props=b"" if clean else FOR_EVER)
        self.addCleanup(c.close)
        return c

    def web(self, path):
        """(status, text) of the broker's HTTP listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self.b.http_port, timeout=PATIENCE_S)
        connection.request("GET", path, headers={"Authorization": "Bearer " + self.b.admin_token()})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def metric(self, name):
        return next(line.split()[-1] for line in self.web("/metrics")[1].splitlines() if line.startswith(name + " "))

    def again(self):
        """kill -9 and a start without faults."""
        self.b.kill()
        self.faults.none()
        self.b.start()

    def sleeper(self, *filters, qos=2):
        """A persistent session with subscriptions that is away."""
        c = self.client("sleeper")
        for i, f in enumerate(filters, 1):
            c.send(raw.subscribe(f, qos, packet_id=i))
            self.assertEqual(c.receive()[0], raw.SUBACK)
        c.close()

    def publish(self, name, payload, topic="strict/1", props=b"", retain=False):
        c = self.client(name)
        c.send(raw.publish(topic, payload, qos=1, packet_id=8, props=props, retain=retain))
        self.assertEqual(c.receive()[0], raw.PUBACK)
        c.close()

    def queued(self, last):
        """What waits for the sleeper, up to the message `last`, acknowledged."""
        c = self.client("sleeper")
        payloads, unreleased = [], set()
        while not payloads or payloads[-1] != last or unreleased:
            kind, flags, body = c.receive()
            if kind == raw.PUBREL:
                unreleased.discard(body)
                c.send(raw.packet(raw.PUBCOMP, body))
            if kind != raw.PUBLISH:
                continue
            size, = struct.unpack_from(">H", body)
            packet_id, at = body[2 + size:4 + size], 4 + size
            if flags & 4:
                unreleased.add(packet_id)
            c.send(raw.packet(raw.PUBREC if flags & 4 else raw.PUBACK, packet_id))
            payloads.append(body[at + 1 + body[at]:])
        c.send(raw.packet(raw.PINGREQ))  # its answer: what was sent before has been taken
        while c.receive()[0] != raw.PINGRESP:
            pass
        c.close()
        return payloads


class Disk(FaultCase):
    def setUp(self):
        super().setUp()
        self.b = self.faulty_broker(shards=2)
        self.sleeper("strict/#")

    def test_a_full_disk(self):
        self.goes_through(self.faults.full, "No space left on device (free some space on this disk)")

    def test_a_disk_that_fails_to_write(self):
        self.goes_through(self.faults.failing_writes, "Input/output error (the disk fails: look at the kernel's log")

    def test_a_disk_that_fails_to_sync(self):
        self.goes_through(self.faults.failing_syncs, "Input/output error (the disk fails: look at the kernel's log")

    def test_a_disk_that_becomes_read_only(self):
        self.goes_through(self.faults.read_only, "Read-only file system (the kernel's log says why")

    def goes_through(self, fail, words):
        """Strict publishers get a reason and no acknowledgement, all else goes on; and then all is well again."""
        self.publish("before", b"before")
        fail()
        self.strict_publishers_get_no_acknowledgement_but_a_reason()
        self.assertGreater(self.faults.hits(), 0)
        self.others_go_on()
        self.it_is_told(words)
        self.faults.none()
        eventually(lambda: self.web("/readyz")[0] == 200, "it is ready again")
        self.assertEqual(self.metric('fotabroker_check_ok{check="state_store"}'), "1")
        self.assertIn("writing again", self.b.log())
        self.what_was_not_acknowledged_is_sent_again()
        self.again()
        self.last()

    def strict_publishers_get_no_acknowledgement_but_a_reason(self):
        waiting = []
        for name, clean, packet in (("publisher1", False, raw.publish("strict/1", b"during 1", qos=1, packet_id=7)),
                                    ("publisher2", False, raw.publish("strict/1", b"during 2", qos=2, packet_id=7)),
                                    ("keeper", True, raw.publish("kept", b"x", qos=1, retain=True)),
                                    ("subscriber", False, raw.subscribe("x", 1))):
            waiting.append(self.client(name, clean=clean))
            waiting[-1].send(packet)
        old = self.client("old", version=4)
        old.send(raw.publish("strict/1", b"during old", qos=1, packet_id=7, version=4))
        for c in waiting:
            kind, _, body = c.receive()
            self.assertEqual((kind, body[0]), (raw.DISCONNECT, QUOTA_EXCEEDED))
            self.assertIn(b"cannot store this now", body)
        self.assertEqual(old.until_closed(), [])

    def others_go_on(self):
        """Nothing of theirs has to be stored."""
        reader = self.client("reader", clean=True)
        reader.send(raw.subscribe("live", 1))
        self.assertEqual(reader.receive()[0], raw.SUBACK)
        writer = self.client("writer", clean=True)
        writer.send(raw.publish("live", b"0"), raw.publish("live", b"1", qos=1), raw.publish("live", b"2", qos=2, packet_id=2))
        self.assertEqual([writer.receive()[0] for _ in range(2)], [raw.PUBACK, raw.PUBREC])
        self.assertEqual([reader.receive()[2][-1:] for _ in range(3)], [b"0", b"1", b"2"])

    def it_is_told(self, words):
        self.assertIn("acknowledgements wait until it can be written again", self.b.log())
        status, text = self.web("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("state_store", text)
        self.assertRegex(text, re.escape(self.b.data) + "/(redo/segment-[0-9]+|state.db: [a-z I/O]+): " + re.escape(words))
        self.assertEqual(self.metric('fotabroker_check_ok{check="state_store"}'), "0")

    def what_was_not_acknowledged_is_sent_again(self):
        for quality, answer in ((1, raw.PUBACK), (2, raw.PUBREC)):
            c = self.client(f"publisher{quality}")
            c.send(raw.publish("strict/1", b"during %d" % quality, qos=quality, packet_id=7, dup=True))
            self.assertEqual(c.receive()[0], answer)
        got = self.queued(b"during 2")
        self.assertEqual(got[0], b"before")
        self.assertIn(b"during 1", got)
        self.assertEqual(got.count(b"during 2"), 1)

    def last(self):
        """It serves strict publishers after a crash, too, and QoS 2 does not come twice."""
        self.publish("publisher1", b"last")
        self.assertNotIn(b"during 2", self.queued(b"last"))

    def test_many_messages_that_cannot_be_stored_neither_end_nor_block_it(self):
        self.faults.failing_syncs()
        c = self.client("publisher1")
        for i in range(200):
            c.send(raw.publish("strict/1", b"%d" % i, qos=1, packet_id=i + 1))
        self.assertEqual([kind for kind, _, _ in c.until_closed()], [raw.DISCONNECT])
        self.others_go_on()
        self.faults.none()
        c = self.client("publisher1")
        for i in range(200):
            c.send(raw.publish("strict/1", b"%d" % i, qos=1, packet_id=i + 1, dup=True))
        self.assertEqual([c.receive()[0] for _ in range(200)], [raw.PUBACK] * 200)
        got = self.queued(b"199")
        self.assertEqual(sorted(set(map(int, got))), list(range(200)))

    def test_a_stop_while_the_disk_fails_ends_and_says_what_it_could_not_write(self):
        self.faults.failing_syncs()
        c = self.client("publisher1")
        c.send(raw.publish("strict/1", b"x", qos=1))
        eventually(lambda: self.web("/readyz")[0] == 503, "the store is in trouble")
        self.b.stop()
        self.assertIn("operations not written", self.b.log())
        self.faults.none()
        self.b.start()


class PastTheMark(FaultCase):
    """More is published than may wait for the disk. Publishers show by a PING whether they were refused."""

    BOUND = 64 << 20
    BIG = 3 << 20
    PATIENT = """
[limits]
ack_wait_max_s = 3600
queued_bytes_max = 1073741824
[[topic]]
filters = ["loose/#"]
durability = "none"
"""

    def setUp(self):
        super().setUp()
        self.b = self.faulty_broker(extra=self.PATIENT, shards=2)
        self.sleeper("strict/#")
        self.readers = {topic: self.reader(topic, clean) for topic, clean in (("live", True), ("loose/1", False))}
        self.writer = self.client("writer", clean=True)
        self.switcher = self.client("switcher", clean=True)
        self.accepted, self.refused = {}, []

    def reader(self, topic, clean):
        c = self.client("reader of " + topic, clean=clean)
        c.send(raw.subscribe(topic, 1))
        self.assertEqual(c.receive()[0], raw.SUBACK)
        return c

    def test_a_disk_that_fails_to_write(self):
        self.goes_through(self.faults.failing_writes)

    def test_a_full_disk(self):
        self.goes_through(self.faults.full)

    def goes_through(self, fail):
        """Strict publishers push ten times the bound; after each of them everybody else is served."""
        fail()
        for i in range(10 * self.BOUND // self.BIG):
            self.push(i)
            self.others_are_served()
        self.it_is_bounded_and_told()
        self.sessions_are_as_they_were()
        self.faults.none()
        self.it_goes_on_by_itself()
        self.again()
        got = [int(payload[:8]) for payload in self.queued(b"99999999")]
        self.assertEqual(sorted(got), sorted([*self.accepted, self.refused[0], 99999999]))

    def push(self, i):
        c = self.client(f"publisher{i}", clean=True)
        c.send(raw.publish("strict/1", b"%08d" % i + bytes(self.BIG), qos=1), raw.packet(raw.PINGREQ))
        kind, _, body = c.receive()
        if kind == raw.PINGRESP:
            self.accepted[i] = c
            return
        self.assertEqual((kind, body[0]), (raw.DISCONNECT, QUOTA_EXCEEDED))
        self.assertIn(b"its disk fails; send it again after reconnecting", body)
        self.refused.append(i)
        c.close()

    def others_are_served(self):
        self.writer.send(raw.publish("live", b"0"), raw.publish("loose/1", b"1", qos=1),
                         raw.publish("loose/1", b"2", qos=2, packet_id=2), raw.packet(raw.PUBREL, b"\0\2"))
        self.assertEqual([self.writer.receive()[0] for _ in range(3)], [raw.PUBACK, raw.PUBREC, raw.PUBCOMP])
        self.assertEqual(self.readers["live"].receive()[2][-1:], b"0")
        for payload in (b"1", b"2"):
            _, _, body = self.readers["loose/1"].receive()
            self.assertEqual(body[-1:], payload)
            self.readers["loose/1"].send(raw.packet(raw.PUBACK, body[9:11]))
        self.switcher.send(raw.subscribe("a/+", 1), raw.packet(raw.UNSUBSCRIBE, b"\0\2\0" + raw.text("a/+")))
        self.assertEqual([self.switcher.receive()[0] for _ in range(2)], [raw.SUBACK, raw.UNSUBACK])
        self.assertEqual(self.web("/api/v1/devices")[0], 200)

    def it_is_bounded_and_told(self):
        self.assertLessEqual((len(self.accepted) - 1) * self.BIG, self.BOUND)
        self.assertGreater(len(self.refused), 8 * self.BOUND // self.BIG)
        self.assertEqual(self.metric("fotabroker_store_refusals_total"), str(len(self.refused)))
        self.assertEqual(self.metric("fotabroker_state_refusing"), "1")
        self.assertLess(int(self.metric("fotabroker_state_waiting_bytes")), self.BOUND + 2 * self.BIG)
        self.assertLess(self.b.memory_bytes() - SANITIZER_BYTES, 300 << 20)
        for line in ("acknowledgements wait until it can be written again", "what would have to be stored is refused"):
            self.assertEqual(self.b.log().count(line), 1, line)
        self.assertIn("what would have to be stored is refused", self.web("/readyz")[1])

    def sessions_are_as_they_were(self):
        """New ones are refused, also in the place of an old one; those that are there can be resumed."""
        self.assertEqual(self.connack("newcomer", clean=False, props=FOR_EVER), SERVER_UNAVAILABLE)
        self.assertEqual(self.connack("newcomer", clean=False, version=4), 3)
        self.assertEqual(self.connack("sleeper"), SERVER_UNAVAILABLE)
        self.readers["loose/1"].close()
        self.readers["loose/1"] = self.client("reader of loose/1")
        self.others_are_served()

    def it_goes_on_by_itself(self):
        for c in self.accepted.values():
            self.assertEqual(c.receive()[0], raw.PUBACK)
        self.assertEqual(self.metric("fotabroker_state_refusing"), "0")
        for number in (self.refused[0], 99999999):
            eventually(lambda: self.is_stored(number), "strict publishers are acknowledged")
        eventually(lambda: self.connack("newcomer", clean=False, props=FOR_EVER) == 0, "new sessions are stored")
        self.others_are_served()

    def connack(self, name, **options):
        """Its code."""
        c = RawClient(self.b.plain_port)
        c.send(raw.connect(name, **options))
        code = c.receive()[2][1]
        c.close()
        return code

    def is_stored(self, number):
        """False when it is refused: one shard may hear a moment later than another that the disk is back."""
        c = self.client("last publisher", clean=True)
        c.send(raw.publish("strict/1", b"%08d" % number, qos=1))
        kind = c.receive()[0]
        c.close()
        return kind == raw.PUBACK


class DiskAtStart(FaultCase):
    def test_a_data_directory_that_cannot_be_written_is_named_and_left_as_it_is(self):
        self.b = self.faulty_broker()
        self.sleeper("strict/#")
        self.publish("publisher", b"x")
        self.assertEqual(self.b.stop(), 0)
        for fail in (self.faults.read_only, self.faults.full):
            with self.subTest(fail.__name__):
                fail()
                self.b.spawn(**self.faults.start_options())
                self.assertEqual(self.b.wait(), 1)
                self.assertIn(self.b.data, self.b.log().splitlines()[-1])
        self.faults.none()
        self.b.start()
        self.assertNotIn("put aside", self.b.log())
        self.publish("publisher", b"y")
        self.assertEqual(self.queued(b"y"), [b"x", b"y"])


class Torn(FaultCase):
    def snapshot(self):
        """What the files below the data directory hold, of a broker that does not move."""
        files = {}
        for directory, _, names in os.walk(self.b.data):
            for path in (os.path.join(directory, name) for name in names):
                if os.path.isfile(path):  # control.sock is none
                    with open(path, "rb") as f:
                        files[path] = f.read()
        return files

    def put_back(self, files):
        shutil.rmtree(self.b.data)
        for path, content in files.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)

    def test_a_transaction_torn_in_the_middle_takes_nothing_else_along(self):
        self.b = self.broker(extra=SOON)
        self.sleeper("strict/#")
        for i in range(5):
            self.publish("publisher", b"whole %d" % i)
        self.b.process.send_signal(signal.SIGSTOP)
        before = self.snapshot()
        self.b.process.send_signal(signal.SIGCONT)
        self.publish("publisher", b"torn " + os.urandom(30_000))
        self.b.kill()
        after = self.snapshot()
        changed = [path for path in after if before.get(path) != after[path] and os.path.basename(path) != "state.db-shm"]
        self.assertEqual(len(changed), 1, changed)  # the log, and not yet the database
        old, new = before.get(changed[0], b""), after[changed[0]]
        begin = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), len(old))
        end = max(i for i in range(len(new)) if i >= len(old) or old[i] != new[i]) + 1
        for eighth in range(9):
            cut = begin + (end - begin) * eighth // 8
            for rest in (old[cut:], bytes(max(0, len(old) - cut)), os.urandom(len(new) - cut)):
                with self.subTest(eighth=eighth, rest=rest[:4].hex()):
                    self.put_back({**after, changed[0]: new[:cut] + rest})
                    self.starts_with_what_was_whole(must_be_there=eighth == 8)

    def starts_with_what_was_whole(self, must_be_there):
        self.b.start()
        self.assertNotIn("put aside", self.b.log())
        self.publish("publisher", b"end")
        got = [payload.split(b" ")[0] for payload in self.queued(b"end")]
        self.assertIn(got, [[b"whole"] * 5 + [b"torn"] * n + [b"end"] for n in ((1,) if must_be_there else (0, 1))])
        self.b.kill()


class Clock(FaultCase):
    """The wall clock is set by hours while messages and sessions wait that expire much sooner or much later."""

    HOURS = 5 * 3600
    TEN_MINUTES = b"\x02\0\0\x02\x58"  # Message Expiry Interval
    ONE_SECOND = b"\x02\0\0\0\1"

    def waits_for(self, name, session_s):
        """A session of that length, which is away."""
        c = RawClient(self.b.plain_port, client_id=name, clean=False, props=b"\x11" + struct.pack(">I", session_s))
        c.send(raw.subscribe("strict/#", 1))
        self.assertEqual(c.receive()[0], raw.SUBACK)
        c.close()

    def resumes(self, name):
        """Whether the session is still there."""
        c = self.client(name)
        c.close()
        c = RawClient(self.b.plain_port)
        self.addCleanup(c.close)
        c.send(raw.connect(name, clean=False, props=FOR_EVER))
        return c.receive()[2][0] == 1

    def goes_through(self, jump_s, word):
        self.b = self.faulty_broker(shards=2)
        witness = self.client("witness", clean=True)
        self.sleeper("strict/#")
        self.waits_for("hour", 3600)
        self.publish("publisher", b"for ever")
        self.publish("publisher", b"ten minutes", props=self.TEN_MINUTES)
        self.publish("publisher", b"kept", topic="kept", props=self.TEN_MINUTES, retain=True)
        self.publish("publisher", b"one second", props=self.ONE_SECOND)
        self.waits_for("second", 1)
        self.faults.clock(jump_s)
        eventually(lambda: f"the wall clock went {word} by {self.HOURS} s" in self.b.log(), "the jump is told")
        eventually(lambda: self.metric("fotabroker_sessions_expired_total") != "0", "the session of a second ends")
        self.publish("publisher", b"end")
        self.assertEqual(self.queued(b"end"), [b"for ever", b"ten minutes", b"end"])
        self.assertEqual(self.metric("fotabroker_sessions_expired_total"), "1")
        reader = self.client("reader", clean=True)
        reader.send(raw.subscribe("kept", 0))
        self.assertEqual({reader.receive()[0] for _ in range(2)}, {raw.SUBACK, raw.PUBLISH})
        witness.send(raw.packet(raw.PINGREQ))
        self.assertEqual(witness.receive()[0], raw.PINGRESP)

    def test_a_clock_that_goes_forward(self):
        self.goes_through(self.HOURS, "forward")

    def test_a_clock_that_goes_back(self):
        self.goes_through(-self.HOURS, "back")

    def test_a_clock_that_was_set_back_while_the_broker_was_off_ends_nothing_early(self):
        self.b = self.faulty_broker()
        self.sleeper("strict/#")
        self.publish("publisher", b"ten minutes", props=self.TEN_MINUTES)
        self.b.kill()
        self.faults.clock(-self.HOURS)
        self.b.start(**self.faults.start_options())
        self.publish("publisher", b"end")
        self.assertEqual(self.queued(b"end"), [b"ten minutes", b"end"])

    def test_what_was_stored_while_the_clock_was_in_1970_is_there_when_it_is_right(self):
        self.b = self.new_broker(extra=SOON)
        self.faults = Faults(self.b)
        self.faults.clock(3600 - int(time.time()))
        self.b.start(**self.faults.start_options())
        self.sleeper("strict/#")
        self.publish("publisher", b"ten minutes", props=self.TEN_MINUTES)
        self.again()
        self.publish("publisher", b"end")
        self.assertEqual(self.queued(b"end"), [b"ten minutes", b"end"])


if __name__ == "__main__":
    pki.authority()
    main()
