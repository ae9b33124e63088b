"""Subscribers that do not keep up, among ten thousand that do, and alone with a publisher that does not wait for them.

Whoever reads has everything, in order. What is not given to the others has been counted as dropped, message by message; and
the broker's memory stays within the budgets of those who fell behind. The load is fotabroker-fleet's (bench/README.md).
"""

import json
import os
import re
import resource
import struct
import subprocess

from support import raw
from support.broker import PATIENCE_S, SANITIZER_BYTES
from support.case import Case, main
from support.good import GoodPair

# 10,000; fewer where each costs several times as much, or where there are not as many files to open. Less a few files of
# the broker's own, and of the fleet's.
SUBSCRIBERS = min(1000 if SANITIZER_BYTES else 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 400)
SLOW, STUCK = SUBSCRIBERS // 100, SUBSCRIBERS // 100
MESSAGES, PAYLOAD = 60, 256  # to all
HEAVY, HEAVY_PAYLOAD = 300, 4096  # to the slow and the stuck, besides
IN_FLIGHT = 10

QUEUE, BACKLOG, OUTPUT_HIGH = 256 << 10, 64 << 10, 64 << 10
LIMITS = f"""
[limits]
queued_bytes_max = {QUEUE}
backlog_bytes_max = {BACKLOG}
output_bytes_high = {OUTPUT_HIGH}
output_bytes_max = {2 * OUTPUT_HIGH}
"""
# Of one that fell behind: its output above the mark, in a buffer that has grown to twice that, and what it has in queues,
# by reference: the messages are one for all.
BUDGET = 2 * (OUTPUT_HIGH + HEAVY_PAYLOAD) + 64 * (MESSAGES + HEAVY)
# Of those who read: what can be on its way to each of them.
ON_THEIR_WAY = IN_FLIGHT * (PAYLOAD + 64)
OF_THE_PROCESS = 32 << 20  # caches, the messages themselves, what the allocator keeps

# A publisher that does not wait: more than the kernel keeps for a connection, and more than MEMORY_GROWTH_MAX.
FLOOD, FLOOD_PAYLOAD = 3000, 16384
MEMORY_GROWTH_MAX = 8 << 20


class FanOut(Case):
    def dropped(self, b):
        metrics = self.rest(b).get("/metrics").body.decode()
        return sum(int(n) for n in re.findall(r"^fotabroker_dropped_\w+_total (\d+)$", metrics, re.M))

    def crowd(self, b):
        """What the load says of its run against this broker."""
        command = [os.environ["FB_FLEET"], "crowd", "--json", "--port", b.plain_port, "--broker-pid", b.process.pid,
                   "--subscribers", SUBSCRIBERS, "--slow", SLOW, "--stuck", STUCK, "--messages", MESSAGES, "--payload", PAYLOAD,
                   "--heavy-messages", HEAVY, "--heavy-payload", HEAVY_PAYLOAD, "--inflight", IN_FLIGHT]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=4 * PATIENCE_S)
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def test_the_slow_and_the_stuck_cost_their_budget_and_disturb_nobody(self):
        b = self.broker(shards=2, http=True, extra=LIMITS)
        pairs = [GoodPair(self.paho(b), self.paho(b), f"good/{qos}", qos) for qos in (0, 1, 2)]
        before = [pair.sent for pair in pairs]
        run = self.crowd(b)
        for pair, sent in zip(pairs, before):
            self.assertGreater(pair.sent, sent, "a good pair stood still")
            pair.stop()
            pair.check(self)
        self.assertTrue(run["verified"], run)
        self.assertGreater(run["missing"], 0, "nobody fell behind: this shows nothing")
        self.assertEqual(run["missing"], self.dropped(b))
        grown = run["resident_max_bytes"] - run["resident_before_bytes"]
        self.assertLess(grown, (SLOW + STUCK) * BUDGET + SUBSCRIBERS * ON_THEIR_WAY + OF_THE_PROCESS + SANITIZER_BYTES)

    def flood(self, b, publisher, qos):
        """Publishes 0, 1, 2, ... as fast as the broker takes them; returns the most memory that it had meanwhile."""
        most, batch = 0, 100  # fewer than receive_maximum
        for first in range(0, FLOOD, batch):
            ids = range(1, batch + 1)
            publisher.send(*(raw.publish("flood", str(first + i).ljust(FLOOD_PAYLOAD).encode(), qos=qos, packet_id=i + 1)
                             for i in range(batch)))
            if qos == 0:
                publisher.send(raw.packet(raw.PINGREQ))
                self.assertEqual(publisher.receive()[0], raw.PINGRESP)
            elif qos == 1:
                self.acknowledged(publisher, raw.PUBACK, ids)
            else:
                self.acknowledged(publisher, raw.PUBREC, ids)
                publisher.send(*(raw.packet(raw.PUBREL, struct.pack(">H", i)) for i in ids))
                self.acknowledged(publisher, raw.PUBCOMP, ids)
            most = max(most, b.memory_bytes())
        return most

    def acknowledged(self, publisher, kind, ids):
        """The broker has taken the messages, whatever became of them at a subscriber."""
        for i in ids:
            got, _, body = publisher.receive()
            self.assertEqual((got, struct.unpack_from(">H", body)[0]), (kind, i))
            self.assertLess(body[2] if len(body) > 2 else 0, 0x80)

    def take(self, subscriber):
        """The number that the next message carries, acknowledged."""
        while True:
            kind, flags, body = subscriber.receive()
            if kind == raw.PUBREL:
                subscriber.send(raw.packet(raw.PUBCOMP, body[:2]))
            elif kind == raw.PUBLISH:
                break
        qos, at = flags >> 1 & 3, 2 + len("flood")
        if qos:
            subscriber.send(raw.packet(raw.PUBACK if qos == 1 else raw.PUBREC, body[at:at + 2]))
            at += 2
        return int(body[at + 1:])

    def check_flood(self, qos):
        b = self.broker(http=True, extra=LIMITS)
        subscriber, publisher = self.raw(b, client_id="slow", keepalive=0), self.raw(b, client_id="fast", keepalive=0)
        subscriber.send(raw.subscribe("flood", qos))
        self.assertEqual(subscriber.receive()[0], raw.SUBACK)
        before = b.memory_bytes()
        most = self.flood(b, publisher, qos)
        dropped = self.dropped(b)
        self.assertGreater(dropped, 0, "the kernel kept everything: this shows nothing")
        self.assertLess(most - before, MEMORY_GROWTH_MAX + SANITIZER_BYTES)
        got = [self.take(subscriber) for _ in range(FLOOD - dropped)]
        publisher.send(raw.publish("flood", str(FLOOD).encode(), qos=qos))
        self.assertEqual(self.take(subscriber), FLOOD)
        self.assertEqual(got, sorted(set(got)))
        return got

    def test_a_publisher_faster_than_its_subscriber_at_qos_0_replaces_the_oldest_messages(self):
        self.assertEqual(self.check_flood(0)[-1], FLOOD - 1)

    def test_a_publisher_faster_than_its_subscriber_at_qos_1_fills_its_queue_and_no_more(self):
        self.assertEqual(self.check_flood(1)[0], 0)

    def test_a_publisher_faster_than_its_subscriber_at_qos_2_fills_its_queue_and_no_more(self):
        self.assertEqual(self.check_flood(2)[0], 0)


if __name__ == "__main__":
    main()
