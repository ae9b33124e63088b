"""Well-behaved clients that talk all the time while others misbehave; `check` says that nothing was lost, repeated, out of
order or disturbed."""

import threading
import time

from .broker import PATIENCE_S


class GoodPair:
    """A publisher that sends 0, 1, 2, ... and a subscriber that must get exactly these, in order."""

    def __init__(self, publisher, subscriber, topic="good/traffic", qos=1, pause_s=0.005):
        self.publisher, self.subscriber, self.topic, self.qos, self.pause_s = publisher, subscriber, topic, qos, pause_s
        subscriber.subscribe(topic, qos=qos)
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            self.publisher.publish(self.topic, str(self.sent), qos=self.qos)
            self.sent += 1
            self._stop.wait(self.pause_s)

    def stop(self):
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def received(self):
        return [int(self.subscriber.receive().payload) for _ in range(self.sent)]

    def check(self, case):
        case.assertFalse(self._thread.is_alive(), f"{self.topic}: the publisher waits for an acknowledgement")
        case.assertGreater(self.sent, 0)
        case.assertEqual(self.received(), list(range(self.sent)), self.topic)
        case.assertTrue(self.subscriber.messages.empty(), self.topic)
        case.assertTrue(self.undisturbed(), f"{self.topic}: a good client was disconnected")

    def undisturbed(self):
        return self.subscriber.disconnects.empty() and self.publisher.disconnects.empty()


class SleepyPair(GoodPair):
    """The same with a subscriber whose session outlives its connection, which breaks every now and then. What was sent and
    not acknowledged before comes again, marked as a duplicate."""

    def nap(self):
        self.subscriber.drop()
        present, code = self.subscriber.connect()
        assert (present, code) == (True, 0), (present, code)

    def received(self):
        got = []
        end = time.monotonic() + PATIENCE_S
        while len(got) < self.sent and time.monotonic() < end:
            m = self.subscriber.receive()
            if not (m.dup and self.qos == 1 and got and int(m.payload) <= got[-1]):
                got.append(int(m.payload))
        return got

    def undisturbed(self):
        return self.publisher.disconnects.empty()
