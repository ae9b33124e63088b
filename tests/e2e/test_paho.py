"""paho, a client library of many applications: what the command-line clients cannot say. Request and response, user
properties, message expiry, subscription options, flow control, a reconnect of its own."""

import time

import paho.mqtt.client as mqtt

from support.case import Case, main
from support.mqtt import V5, V311, properties


class WithPaho(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=2)

    def test_properties_travel_with_a_message(self):
        c = self.paho(self.b)
        c.subscribe("p")
        sent = properties("PUBLISH", ResponseTopic="answers/1", CorrelationData=b"\x00\x01", ContentType="text/plain",
                          PayloadFormatIndicator=1)
        sent.UserProperty = [("a", "1"), ("a", "2")]
        c.client.publish("p", b"body", 1, properties=sent)
        got = c.receive().properties
        self.assertEqual((got.ResponseTopic, got.CorrelationData, got.ContentType, got.PayloadFormatIndicator),
                         ("answers/1", b"\x00\x01", "text/plain", 1))
        self.assertEqual(got.UserProperty, [("a", "1"), ("a", "2")])

    def test_a_message_that_expired_in_the_queue_is_not_delivered(self):
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=600)
        sleeper.subscribe("news")
        sleeper.close()
        other = self.paho(self.b)
        other.client.publish("news", b"stale", 1, properties=properties("PUBLISH", MessageExpiryInterval=1))
        other.publish("news", b"fresh")
        time.sleep(2)  # the expiry that was asked for
        again = self.paho(self.b, "sleeper", clean=False, expiry_s=600)
        self.assertEqual(again.receive().payload, b"fresh")

    def test_a_shared_subscription_gives_each_message_to_one_member(self):
        members = [self.paho(self.b) for _ in range(3)]
        for member in members:
            self.assertEqual(member.subscribe("$share/g/jobs", "end"), [1, 1])
        publisher = self.paho(self.b)
        sent = [b"%d" % i for i in range(12)]
        for payload in sent:
            publisher.publish("jobs", payload)
        publisher.publish("end", b"end")  # by the same publisher: only its own messages are sure to be there before
        got = [[m.payload for m in member.until("end")] for member in members]
        self.assertEqual(sorted(p for part in got for p in part), sorted(sent))
        self.assertTrue(all(got), "everybody has a share")

    def test_no_local_and_retain_handling_are_honoured(self):
        c = self.paho(self.b)
        c.publish("r", b"kept", retain=True)
        c.client.subscribe([("echo", mqtt.SubscribeOptions(qos=1, noLocal=True)),
                            ("r", mqtt.SubscribeOptions(qos=1, retainHandling=2))])
        c.subscribe("end")
        c.publish("echo", b"mine")
        self.assertEqual(c.nothing_before("end"), [])

    def test_version_3_1_1_gets_what_version_5_publishes_without_its_properties(self):
        old = self.paho(self.b, "old", version=V311)
        self.assertEqual(old.subscribe("x", qos=2), [2])
        new = self.paho(self.b, "new", version=V5)
        sent = properties("PUBLISH", ContentType="text/plain")
        new.client.publish("x", b"hello", 2, properties=sent)
        m = old.receive()
        self.assertEqual((m.payload, m.qos), (b"hello", 2))

    def test_a_flood_of_unacknowledged_messages_is_paced_and_complete(self):
        receiver = self.paho(self.b)
        receiver.subscribe("flood", qos=2)
        sender = self.paho(self.b)
        count = 2000
        for i in range(count):
            sender.publish("flood", str(i), qos=2, wait=False)
        self.assertEqual([int(receiver.receive().payload) for _ in range(count)], list(range(count)))

    def test_clients_come_back_by_themselves_after_a_restart(self):
        c = self.paho(self.b, "steady", clean=False, expiry_s=600, auto_reconnect=True)
        c.subscribe("s")
        self.assertEqual(self.b.stop(), 0)
        self.b.start()
        session_present, code = c.connack.get(timeout=60)
        self.assertEqual((session_present, code), (True, 0))
        self.paho(self.b).publish("s", b"after")
        self.assertEqual(c.receive().payload, b"after")

    def test_an_empty_client_id_is_assigned(self):
        c = self.paho(self.b, "", version=V5)
        d = self.paho(self.b, "", version=V5)
        c.subscribe("both")
        d.subscribe("both")
        c.publish("both", b"1")
        self.assertEqual((c.receive().payload, d.receive().payload), (b"1", b"1"))


if __name__ == "__main__":
    main()
