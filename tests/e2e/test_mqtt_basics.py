"""mosquitto's clients against the broker: versions 3.1.1 and 5, QoS 0-2, retained, will, persistent session, takeover;
each with one shard and with four (where most pairs of clients meet across shards)."""

import subprocess
import time

from support.broker import eventually
from support.case import Case, main
from support.mqtt import mosquitto_pub, mosquitto_sub


class Basics:
    """Mixed into a Case per number of shards."""

    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=self.shards)
        self.port = self.b.plain_port

    def pub(self, *words):
        done = mosquitto_pub(self.port, *words)
        self.assertEqual(done.returncode, 0, done.stderr)

    def sub(self, *words):
        s = mosquitto_sub(self.port, *words)
        self.addCleanup(s.end)
        return s

    def test_each_qos_and_version_reaches_each_version(self):
        for sub_version in ("mqttv311", "mqttv5"):
            for qos in "012":
                s = self.sub("-V", sub_version, "-q", qos, "-t", f"a/{qos}/+", "-v")
                for pub_version in ("mqttv311", "mqttv5"):
                    self.pub("-V", pub_version, "-q", qos, "-t", f"a/{qos}/{pub_version}", "-m", "hello world")
                self.assertEqual(s.messages(2), [f"a/{qos}/{v} hello world" for v in ("mqttv311", "mqttv5")])

    def test_messages_of_one_publisher_arrive_in_order(self):
        count = 500
        for qos in "12":
            s = self.sub("-q", qos, "-t", "order", "-V", "mqttv5")
            lines = "".join(f"{i}\n" for i in range(count))
            subprocess.run(["mosquitto_pub", "-p", str(self.port), "-h", "127.0.0.1", "-q", qos, "-t", "order", "-l", "-V",
                            "mqttv5"], input=lines, text=True, check=True, timeout=120)
            self.assertEqual(s.messages(count), [str(i) for i in range(count)])

    def test_a_large_message_arrives_whole(self):
        content = "x" * 1_000_000
        s = self.sub("-q", "1", "-t", "big")
        path = self.b.directory + "/big"
        with open(path, "w") as out:
            out.write(content)
        self.pub("-q", "1", "-t", "big", "-f", path)
        self.assertEqual(s.messages(1), [content])

    def test_sys_topics_tell_what_mosquitto_would(self):
        self.pub("-q", "1", "-t", "a", "-m", "x")
        lines = dict(line.split(" ", 1) for line in self.sub("-t", "$SYS/broker/+", "-v").messages(2))
        self.assertRegex(lines["$SYS/broker/version"], r"^fotabroker version \d+\.\d+\.\d+$")
        self.assertRegex(lines["$SYS/broker/uptime"], r"^\d+ seconds$")
        s = self.sub("-t", "$SYS/broker/clients/connected", "-t", "$SYS/broker/load/bytes/received/5min", "-F", "%p")
        self.assertEqual(len(s.messages(2)), 2)

    def test_a_retained_message_greets_new_subscribers_until_it_is_cleared(self):
        self.pub("-q", "1", "-t", "lamp/1", "-m", "on", "-r")
        self.pub("-q", "1", "-t", "lamp/2", "-m", "off", "-r")
        self.assertEqual(sorted(self.sub("-t", "lamp/#", "-v").messages(2)), ["lamp/1 on", "lamp/2 off"])
        self.pub("-q", "1", "-t", "lamp/1", "-n", "-r")
        s = self.sub("-t", "lamp/#", "-v")
        self.pub("-t", "lamp/3", "-m", "end")
        self.assertEqual(s.messages(2), ["lamp/2 off", "lamp/3 end"])

    def test_a_will_is_published_when_the_connection_breaks_and_not_after_a_disconnect(self):
        watcher = self.paho(self.b, "watcher")
        watcher.subscribe("will/#")
        for name, drop in (("broken", True), ("polite", False)):
            c = self.paho(self.b, name, will={"topic": "will/" + name, "payload": b"gone", "qos": 1})
            c.drop() if drop else c.close()
        self.assertEqual(watcher.receive().topic, "will/broken")
        self.assertEqual(watcher.nothing_before("will/end"), [])

    def test_a_persistent_session_gets_what_was_published_while_it_was_away(self):
        for version, more in (("mqttv311", ("-c",)), ("mqttv5", ("-c", "-x", "3600"))):
            words = ("-V", version, "-i", "sleeper-" + version, "-q", "1", "-t", "night/" + version, *more)
            self.sub(*words).end()
            for i in range(3):
                self.pub("-q", "1", "-t", "night/" + version, "-m", f"m{i}")
            self.assertEqual(self.sub(*words).messages(3), ["m0", "m1", "m2"])

    def test_a_second_connection_with_the_same_client_id_takes_over(self):
        first = self.paho(self.b, "twin", clean=False, expiry_s=60)
        first.subscribe("t")
        second = self.paho(self.b, "twin", clean=False, expiry_s=60, connect=False)
        session_present, code = second.connect()
        self.assertEqual((session_present, code), (True, 0))
        first.disconnects.get(timeout=60)
        second.publish("t", b"to the second")
        self.assertEqual(second.receive().payload, b"to the second")
        self.assertTrue(first.messages.empty())

    def test_twenty_clients_everywhere_hear_each_other_exactly_once(self):
        clients = [self.paho(self.b, f"c{i}") for i in range(20)]
        for c in clients:
            c.subscribe("hall", qos=2)
        for i, c in enumerate(clients):
            c.publish("hall", str(i), qos=2)
        for c in clients:
            self.assertEqual(sorted(int(c.receive().payload) for _ in clients), list(range(20)))
        for c in clients:
            self.assertEqual([m.payload for m in c.nothing_before("hall", b"end " + c.client._client_id)
                              if not m.payload.startswith(b"end")], [])

    def test_ipv4_clients_that_do_nothing_stay_connected(self):
        idle = self.raw(self.b, client_id="idle", keepalive=0)
        self.pub("-t", "x", "-m", "y")
        idle.send(b"\xc0\x00")
        self.assertEqual(idle.receive()[0], 13)

    def test_wildcards_match_levels(self):
        watcher = self.paho(self.b)
        watcher.subscribe("a/+/c", "b/#", "end")
        for topic in ("a/x/c", "a/x/y/c", "b", "b/1/2", "c"):
            watcher.publish(topic, b"")
        got = sorted(m.topic for m in watcher.nothing_before("end"))
        self.assertEqual(got, ["a/x/c", "b", "b/1/2"])

    def test_the_session_of_a_client_that_expired_is_gone(self):
        c = self.paho(self.b, "brief", clean=False, expiry_s=1)
        c.subscribe("x")
        c.close()

        def is_gone():
            time.sleep(2)  # longer than the expiry that was asked for
            again = self.paho(self.b, "brief", clean=False, expiry_s=1, connect=False)
            session_present, _ = again.connect()
            again.close()
            return not session_present or None

        eventually(is_gone, "the session expires")


class OneShard(Basics, Case):
    shards = 1


class FourShards(Basics, Case):
    shards = 4


if __name__ == "__main__":
    main()
