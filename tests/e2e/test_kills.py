"""kill -9 under load, again and again on one data directory, one shard and two by turns. Every client remembers what was
acknowledged; after each restart and at the end nothing of it may be missing: messages once, in order and with QoS 2
exactly once, retained messages, sessions, subscriptions.

FB_LONG=1 kills 200 times. FB_KILL_SEED repeats the choices of a run; the machine still has its share in the moments.
The last test shows that the checker notices: acknowledgements before the commit do lose messages."""

import os
import random
import re
import threading

from support import promises
from support.case import Case, main
from support.raw import RawClient
from support.wire import FOR_EVER, Loop

KILLS = 200 if os.environ.get("FB_LONG") else 30
LATEST_KILL_S = 0.25  # after the load begins
ROOM = "[limits]\nqueued_messages_max = 1000000\nqueued_bytes_max = 1000000000\n"
SHORT_LOG = "[state]\nlog_bytes = 4194304\n"  # so that it is brought into the database again and again
RECEIVE_MAXIMUM_20 = b"\x21\0\x14"


class World:
    """The broker's clients and what they know."""

    def __init__(self, b, seed):
        self.b = b
        self.dice = random.Random(seed)
        self.loop = Loop()
        self.problems = []
        make = lambda kind, name, version, *more, **options: kind(self.loop, self.problems, name, version, *more, **options)
        self.publishers = [make(promises.Publisher, f"p{i}", 4 + i % 2, self.dice) for i in range(6)]
        self.keepers = [make(promises.Keeper, f"k{i}", 4 + i % 2, self.dice, qos=1 + i // 2) for i in range(4)]
        self.online = [make(promises.Subscriber, f"s{i}", 4 + i % 2, 1 + i // 2) for i in range(4)]
        self.lazy = [make(promises.Subscriber, f"lazy{qos}", 5, qos, lanes=promises.LANES[:1], lazy=10,
                          props=FOR_EVER + RECEIVE_MAXIMUM_20) for qos in (1, 2)]
        self.wavering = [make(promises.Subscriber, f"w{qos}", 6 - qos, qos, lanes=promises.LANES[1:]) for qos in (1, 2)]
        self.asleep = [make(promises.Subscriber, f"a{qos}", 6 - qos, qos) for qos in (1, 2)]
        self.nomads = [make(promises.Nomad, f"n{i}", 4 + i % 2, self.dice) for i in range(4)]
        self.writers = self.publishers + self.keepers
        self.subscribers = self.online + self.lazy + self.wavering + self.asleep
        self.kills = self.kills_with_work = 0
        self.shards = 1

    def use_shards(self, count):
        """From the next start on."""
        with open(self.b.config) as f:
            text = f.read()
        with open(self.b.config, "w") as f:
            f.write(re.sub(r"^shards = \d+", f"shards = {count}", text, flags=re.MULTILINE))
        self.shards = count

    def prepare(self):
        """Every session is there and subscribed before the first message."""
        for c in self.writers + self.subscribers:
            c.open(self.b.plain_port)
        self.loop.until(lambda: all(s.subscribed for s in self.subscribers), "the subscribers are subscribed")
        for s in self.asleep + self.wavering:
            s.close()
        for n in self.nomads:
            n.connect(self.b.plain_port)
        self.loop.until(lambda: all(p.served for p in self.writers), "the publishers are connected")

    def load_and_kill(self):
        """Load until the broker dies at some moment, and what it said up to then."""
        for p in self.writers:
            p.active = True
            p.fill()
        killer = threading.Timer(self.dice.uniform(0.005, LATEST_KILL_S), self.b.process.kill)
        killer.start()
        while any(c.is_open() for c in self.writers):
            self.loop.turn()
            if self.dice.random() < 0.05:
                self.waver(self.dice.choice(self.wavering))
        killer.join()
        self.b.kill()
        for c in self.subscribers + self.nomads:
            if c.is_open():
                self.loop.until(lambda: not c.is_open(), "the connections end")
        self.count_kill()

    def waver(self, s):
        s.close() if s.is_open() else s.open(self.b.plain_port)

    def count_kill(self):
        self.kills += 1
        self.kills_with_work += any(p.uncommitted for p in self.writers)

    def restart(self):
        self.use_shards(3 - self.shards)
        self.b.start()
        self.judge_retained()
        awake = self.online + self.lazy + (self.asleep if self.kills % 10 == 0 else [])
        for c in self.writers + awake:
            c.open(self.b.plain_port)
        for n in self.nomads:
            n.connect(self.b.plain_port)
        self.loop.until(lambda: any(p.served for p in self.publishers), "a publisher is connected again")

    def judge_retained(self):
        c = RawClient(self.b.plain_port, client_id="judge")
        kept = promises.kept_messages(c, "kept/#", "known")
        c.close()
        for k in self.keepers:
            k.judge(kept)

    def end(self):
        """No more is begun; what was begun is acknowledged and arrives, everywhere."""
        for c in self.writers + self.nomads:
            c.active = False
        for s in self.wavering + self.asleep:
            if not s.is_open():
                s.open(self.b.plain_port)
        for s in self.lazy:
            s.be_eager()
        self.loop.until(lambda: not any(p.flying for p in self.writers), "all is acknowledged")
        self.loop.until(lambda: self.problems or all(s.has_all_of(p) for s in self.subscribers for p in self.publishers),
                        "every message arrives")
        self.judge_retained()

    def close(self):
        for c in self.writers + self.subscribers + self.nomads:
            c.active = False
            c.close()
        self.loop.close()

    def report(self):
        accepted = sum(sum(p.acknowledged.values()) for p in self.writers)
        print(f"  {self.kills} kills, {self.kills_with_work} with uncommitted work; {accepted} messages acknowledged, "
              f"{sum(s.twice for s in self.subscribers)} arrived again, "
              f"{sum(n.checks for n in self.nomads)} looks at "
              f"subscriptions", flush=True)


class Kills(Case):
    def world(self, top):
        seed = int(os.environ.get("FB_KILL_SEED", random.randrange(1 << 30)))
        print(f"  FB_KILL_SEED={seed}", flush=True)
        b = self.broker(top=top, extra=ROOM + SHORT_LOG)
        self.paho(b).publish("known", b"x", retain=True)
        w = World(b, seed)
        self.addCleanup(w.close)
        w.prepare()
        return w

    def test_nothing_acknowledged_is_lost_by_kills_under_load(self):
        w = self.world(top="")
        for _ in range(KILLS):
            w.load_and_kill()
            w.restart()
            self.assertEqual(w.problems, [])
        w.end()
        w.report()
        self.assertEqual(w.problems, [])
        self.assertGreaterEqual(w.kills_with_work, 0.9 * w.kills)

    def test_acknowledgements_before_the_commit_would_be_noticed(self):
        w = self.world(top='durability = "batched"')
        while not w.problems and w.kills < KILLS:
            w.load_and_kill()
            w.restart()
        w.report()
        self.assertNotEqual(w.problems, [])


if __name__ == "__main__":
    main()
