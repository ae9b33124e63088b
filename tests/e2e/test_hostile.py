"""A thousand hostile connections (support/hostile.py) against a broker that serves well-behaved clients meanwhile.

The good ones: over TCP and over TLS, QoS 0, 1 and 2, and a persistent session whose connection breaks now and then. Each
message is verified by its number. Asserted besides: the broker stays alive, its memory stays within MEMORY_GROWTH_MAX, and
when the hostile ones are gone, so are their connections and sessions. FB_LONG=1: two minutes instead of some seconds.
"""

import json
import os
import random
import re
import subprocess
import sys
import time

from support.broker import SANITIZER_BYTES, eventually
from support.case import Case, main
from support.good import GoodPair, SleepyPair

CONNECTIONS = 1000
LONG = bool(os.environ.get("FB_LONG"))
SECONDS = 120 if LONG else 10

# Per connection at most: one incomplete packet, unsent output, a backlog and two queues. Times 1000 that would be 600 MB,
# if every one of them could fill all of it.
LIMITS = """
[limits]
packet_bytes_max = 65536
connect_timeout_s = 3
queued_messages_max = 10000
queued_bytes_max = 131072
backlog_bytes_max = 65536
output_bytes_high = 65536
output_bytes_max = 131072
retained_messages_max = 1000
retained_bytes_max = 4194304
sessions_max = 3000
"""
MEMORY_GROWTH_MAX = 128 << 20

ACL = """
[[acl]]
principal = "*"
publish = ["good/#"]
subscribe = ["good/#"]
"""


class Hostile(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=2, tls=True, http=True, extra=LIMITS + ACL)
        self.pairs = [self.tcp_pair(0), self.tcp_pair(1), self.tcp_pair(2), self.tls_pair(0), self.tls_pair(1),
                      self.tls_pair(2)]
        self.sleepy = [self.sleepy_pair(1), self.sleepy_pair(2)]

    def tcp_pair(self, qos):
        return GoodPair(self.paho(self.b), self.paho(self.b), f"good/tcp/{qos}", qos, pause_s=0.01)

    def tls_pair(self, qos):
        return GoodPair(self.device(self.b, f"sender{qos}"), self.device(self.b, f"receiver{qos}"), f"good/tls/{qos}", qos,
                        pause_s=0.01)

    def sleepy_pair(self, qos):
        sleeper = self.paho(self.b, f"sleeper{qos}", clean=False, expiry_s=3600)
        return SleepyPair(self.paho(self.b), sleeper, f"good/sleepy/{qos}", qos, pause_s=0.01)

    def counts(self):
        metrics = self.rest(self.b).get("/metrics").body.decode()
        return {name: int(re.search(rf"^fotabroker_{name} (\d+)$", metrics, re.M)[1]) for name in ("connections", "sessions")}

    def under_attack(self, seed):
        """Runs the attack to its end; returns what it did and the most memory the broker had."""
        here = os.path.dirname(os.path.abspath(__file__))
        process = subprocess.Popen([sys.executable, "-B", "-m", "support.hostile", str(self.b.plain_port),
                                    str(self.b.tls_port), str(SECONDS), str(CONNECTIONS), str(seed)],
                                   cwd=here, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        most = 0
        naps = 0
        start = time.monotonic()
        while process.poll() is None:
            most = max(most, self.b.memory_bytes())
            if time.monotonic() - start > naps + 1:
                self.sleepy[naps % 2].nap()
                naps += 1
            time.sleep(0.1)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(naps, 0)
        return json.load(process.stdout), most

    def test_good_clients_lose_nothing_while_a_thousand_hostile_ones_do_their_worst(self):
        seed = random.randrange(1 << 32)
        before, memory_before = self.counts(), self.b.memory_bytes()
        with self.subTest(seed=seed):
            attack, memory = self.under_attack(seed)
            for pair in self.pairs + self.sleepy:
                pair.stop()
            self.assertTrue(self.b.running())
            for pair in self.pairs + self.sleepy:
                pair.check(self)
            self.assertEqual(attack["wrong"], [])
            self.assertGreaterEqual(sum(attack["made"].values()), CONNECTIONS)
            self.assertLess(memory - memory_before, MEMORY_GROWTH_MAX + SANITIZER_BYTES)
            eventually(lambda: self.counts() == before, f"connections and sessions return to {before}")


if __name__ == "__main__":
    main()
