"""memory_bytes_max: messages beyond half of it lie in a file and arrive all the same; without that file nothing is queued
for the absent beyond it, and everybody else is served as always."""

import re

from support.broker import SANITIZER_BYTES, eventually
from support.case import Case, main

MIB = 1 << 20
PAYLOAD_BYTES = 60_000


def payload(i):
    return b"%08d" % i * (PAYLOAD_BYTES // 8)


class Memory(Case):
    def begin(self, limits):
        limits = "".join(f"{name} = {value}\n" for name, value in limits.items())
        self.b = self.broker(http=True, shards=2, top='durability = "none"\n', extra="\n[limits]\n" + limits)
        self.at_rest = self.private_bytes()
        for name in ("a", "b"):
            sleeper = self.paho(self.b, name, clean=False, expiry_s=3600)
            sleeper.subscribe(f"to/{name}")
            sleeper.close()
        self.sender = self.paho(self.b, "sender")

    def private_bytes(self):
        """Not of files."""
        with open(f"/proc/{self.b.process.pid}/status") as status:
            return int(re.search(r"^RssAnon:\s+(\d+) kB", status.read(), re.M)[1]) << 10

    def metric(self, name):
        text = self.rest(self.b).get("/metrics").body.decode()
        return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)[1])

    def send(self, count):
        """To both, in turn. Returns the most memory seen meanwhile."""
        most = 0
        for i in range(count):
            self.sender.publish(f"to/{'ab'[i % 2]}", payload(i), wait=i % 16 == 15)
            most = max(most, self.private_bytes())
        return most - self.at_rest

    def woken(self, name):
        sleeper = self.paho(self.b, name, clean=False, expiry_s=3600, connect=False)
        self.assertEqual(sleeper.connect(), (True, 0))
        sleeper.subscribe("end")
        self.sender.publish("end", b"end")
        return [m.payload for m in sleeper.until("end")]

    def test_messages_beyond_the_budget_lie_in_a_file_and_arrive(self):
        self.begin({"memory_bytes_max": 32 * MIB, "queued_bytes_max": 128 * MIB})
        count = 1200  # 72 MB
        self.assertLess(self.send(count), 30 * MIB + SANITIZER_BYTES)
        self.assertLess(self.metric("fotabroker_memory_bytes"), 20 * MIB)
        self.assertGreater(self.metric("fotabroker_spill_bytes"), 48 * MIB)
        self.assertEqual(self.metric("fotabroker_dropped_queue_full_total"), 0)
        for first, name in enumerate("ab"):
            self.assertEqual(self.woken(name), [payload(i) for i in range(first, count, 2)])
        self.assertLess(self.private_bytes() - self.at_rest, 34 * MIB + SANITIZER_BYTES)
        eventually(lambda: self.metric("fotabroker_spill_bytes") == 0, "the last are acknowledged")
        self.assertLess(self.metric("fotabroker_spill_file_bytes"), 8 * MIB)

    def test_without_that_file_nothing_more_is_queued_for_the_absent(self):
        self.begin({"memory_bytes_max": 8 * MIB, "spill_bytes_max": 0})
        reader = self.paho(self.b, "reader")
        reader.subscribe("now")
        self.assertLess(self.send(600), 16 * MIB + SANITIZER_BYTES)
        dropped = self.metric("fotabroker_dropped_queue_full_total")
        self.assertGreater(dropped, 400)
        for i in range(20):
            self.sender.publish("now", b"%d" % i)
            self.assertEqual(reader.receive("now").payload, b"%d" % i)
        kept = [self.woken(name) for name in "ab"]
        self.assertEqual(len(kept[0]) + len(kept[1]), 600 - dropped)
        self.assertEqual(kept[0], [payload(2 * i) for i in range(len(kept[0]))])


if __name__ == "__main__":
    main()
