"""The log in front of state.db: what outlives it reaches the database, what is damaged is put aside and told of, and
/metrics says how much is written where."""

import contextlib
import glob
import os
import re
import sqlite3

from support.broker import eventually
from support.case import Case, main

PAGE = 4096


class RedoLog(Case):
    def begin(self, **options):
        self.b = self.broker(http=True, shards=2, **options)
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=3600)
        sleeper.subscribe("queue/#")
        sleeper.close()
        self.sender = self.paho(self.b, "sender")

    def woken(self, count):
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=3600, connect=False)
        self.assertEqual(sleeper.connect(), (True, 0))
        payloads = [sleeper.receive().payload for _ in range(count)]
        sleeper.subscribe("end")
        self.assertEqual(sleeper.nothing_before("end"), [])
        for _ in range(2):  # the first answer is handled after our last PUBACK was sent, the second was sent after it
            sleeper.subscribe("end")
        return payloads

    def metric(self, name):
        text = self.rest(self.b).get("/metrics").body.decode()
        return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)[1])

    def rows(self, table):
        with contextlib.closing(sqlite3.connect(self.b.path("state.db"))) as db:
            return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def kill(self):
        self.b.kill()
        self.sender.client.loop_stop()

    def test_an_orderly_stop_leaves_everything_in_the_database(self):
        self.begin()
        for i in range(20):
            self.sender.publish("queue/x", str(i))
        self.sender.close()
        self.assertGreaterEqual(self.metric('fotabroker_written_bytes_total{what="state_log"}'), 20 * PAGE)
        self.assertGreater(self.metric("fotabroker_disk_written_bytes_total"), 0)
        self.assertEqual(self.b.stop(), 0)
        self.assertEqual(self.rows("queue"), 20)
        self.assertTrue(glob.glob(self.b.path("redo", "segment-*")))
        self.b.start()
        self.assertEqual(self.woken(20), [str(i).encode() for i in range(20)])

    def test_what_came_and_went_is_not_written_to_the_database(self):
        self.begin()
        for i in range(20):
            self.sender.publish("queue/x", str(i))
        self.assertEqual(len(self.woken(20)), 20)
        self.sender.close()
        self.assertEqual(self.b.stop(), 0)
        self.assertEqual(self.rows("queue"), 0)
        self.assertEqual(self.rows("messages"), 0)

    def test_more_than_the_log_holds(self):
        self.begin(extra="\n[state]\nlog_bytes = 4194304\n")
        payloads = [b"%d" % i + bytes(60_000) for i in range(100)]  # 6 MB
        for payload in payloads:
            self.sender.publish("queue/x", payload)
        eventually(lambda: self.metric("fotabroker_state_checkpoints_total") > 2, "segments reach state.db")
        self.assertGreater(self.metric('fotabroker_written_bytes_total{what="state_db"}'), 2 << 20)
        self.assertLessEqual(len(os.listdir(self.b.path("redo"))), 4)
        self.kill()
        self.b.start()
        self.assertEqual(self.woken(100), payloads)

    def test_a_database_that_somebody_looks_at_is_a_start_that_fails_with_words(self):
        self.begin()
        self.sender.close()
        self.assertEqual(self.b.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.b.path("state.db"))) as db:
            db.execute("SELECT count(*) FROM queue").fetchone()
            self.b.spawn()
            self.assertEqual(self.b.wait(), 1)
        self.assertRegex(self.b.log(), r"state\.db: database is locked \(another process holds it; try again\)")
        self.b.start()

    def test_a_damaged_database_takes_its_log_along(self):
        self.begin()
        for i in range(10):
            self.sender.publish("queue/x", str(i))
        self.kill()
        with open(self.b.path("state.db"), "wb") as file:
            file.write(b"this is no database" * 1000)
        os.remove(self.b.path("state.db-wal"))  # it had all of a database as young as this
        self.b.start()
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=3600, connect=False)
        self.assertEqual(sleeper.connect(), (False, 0))
        self.assertRegex(self.b.log(), r"the log is another database's and has been put aside as \S*redo\.corrupt-")

    def test_a_damaged_log_is_put_aside_and_the_rest_of_it_kept(self):
        self.begin()
        for i in range(10):
            self.sender.publish("queue/x", "payload-%d" % i)
        self.kill()
        (segment,) = glob.glob(self.b.path("redo", "segment-*"))
        with open(segment, "r+b") as file:
            at = file.read().index(b"payload-4")
            file.seek(at)
            file.write(b"P")
        self.b.start()
        self.assertEqual(self.woken(9), [b"payload-%d" % i for i in range(10) if i != 4])
        self.assertRegex(self.b.log(), r"segment 1: 1 commits cannot be read back; the rest is in the database, the log "
                                       r"has been put aside as \S*redo\.corrupt-")
        (aside,) = glob.glob(self.b.path("redo.corrupt-*"))
        self.assertTrue(os.listdir(aside))


if __name__ == "__main__":
    main()
