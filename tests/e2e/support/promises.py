"""Clients that remember what the broker promised them, and say in `problems` what it did not keep.

Messages of a Publisher are counted per QoS, from 0: a subscriber knows from the numbers what is missing, twice or out of
order. Topics are t/<publisher>/<QoS>/<even or odd number>."""

import struct

from . import raw
from .wire import FOR_EVER, Wire

LANES = ("even", "odd")


def id_bytes(packet_id):
    return struct.pack(">H", packet_id)


class Publisher(Wire):
    """Keeps a window full of QoS 1 and 2 messages and sends again with DUP what was not acknowledged."""

    def __init__(self, loop, problems, client_id, version, dice, window=8, qualities=(1, 2)):
        super().__init__(loop, client_id, version, FOR_EVER)
        self.problems, self.dice, self.window, self.qualities = problems, dice, window, qualities
        self.count = {1: 0, 2: 0}       # messages begun
        self.acknowledged = {1: 0, 2: 0}
        self.flying = {}                # packet id -> [QoS, number, topic, payload, PUBREC has come]
        self.last_id = 0
        self.sent_here = set()          # packet ids sent on this connection
        self.active = False
        self.known = False              # the broker has acknowledged something: it must know the session

    def unanswered(self):
        """What was sent on this connection and not yet committed as far as the client knows."""
        return [i for i, m in self.flying.items() if i in self.sent_here and not m[4]]

    def lost(self):
        self.uncommitted = len(self.unanswered())

    def connected(self, present):
        if self.known and not present:
            self.problems.append(f"{self.client_id}: its session is gone")
        self.sent_here = set()
        for packet_id, (qos, _, topic, payload, recorded) in self.flying.items():
            self._send(packet_id, qos, topic, payload, recorded, dup=True)
        self.fill()

    def _send(self, packet_id, qos, topic, payload, recorded, dup=False):
        self.sent_here.add(packet_id)
        if recorded:
            return self.send(raw.packet(raw.PUBREL, id_bytes(packet_id)))
        self.send(raw.publish(topic, payload, qos=qos, packet_id=packet_id, dup=dup, retain=self.retains(),
                              version=self.version))

    def retains(self):
        return False

    def fill(self):
        while self.active and self.served and len(self.flying) < self.window:
            qos = self.dice.choice(self.qualities)
            number = self.count[qos]
            self.count[qos] += 1
            while (packet_id := self.last_id % 65535 + 1) in self.flying:
                self.last_id = packet_id
            self.last_id = packet_id
            topic, payload = self.message(qos, number)
            self.flying[packet_id] = [qos, number, topic, payload, False]
            self._send(packet_id, *self.flying[packet_id][:1], topic, payload, False)

    def message(self, qos, number):
        size = self.dice.choice((0, 20, 200, 200, 5000))
        return f"t/{self.client_id}/{qos}/{LANES[number % 2]}", b"%d %s" % (number, b"." * size)

    def received(self, kind, flags, body):
        packet_id, = struct.unpack_from(">H", body)
        message = self.flying.get(packet_id)
        reason = body[2] if len(body) > 2 else 0
        if reason >= 0x80 and (kind, reason) != (raw.PUBCOMP, 0x92):  # that one: released before the broker died
            self.problems.append(f"{self.client_id}: refused with {reason:#x}")
        if message is None:
            return
        self.known = True
        if kind == raw.PUBREC:
            if not message[4]:
                message[4] = True
                self.accepted(message)
            return self.send(raw.packet(raw.PUBREL, id_bytes(packet_id)))
        if not message[4]:
            self.accepted(message)
        del self.flying[packet_id]
        self.fill()

    def accepted(self, message):
        """The broker answers for it from now on."""
        self.acknowledged[message[0]] += 1


class Keeper(Publisher):
    """Publishes retained messages on a few topics, some of them empty; what is retained is judged by `judge`."""

    TOPICS = 5

    def __init__(self, loop, problems, client_id, version, dice, qos):
        super().__init__(loop, problems, client_id, version, dice, qualities=(qos,))
        self.history = {f"kept/{client_id}/{i}": [b""] for i in range(self.TOPICS)}  # payloads in order
        self.last = dict.fromkeys(self.history, 0)  # the place of the last one acknowledged
        self.places = {}                            # number -> place

    def retains(self):
        return True

    def message(self, qos, number):
        topic = self.dice.choice(list(self.history))
        payload = b"" if self.dice.random() < 0.2 else b"%d" % number
        self.places[number] = len(self.history[topic])
        self.history[topic].append(payload)
        return topic, payload

    def accepted(self, message):
        super().accepted(message)
        _, number, topic, _, _ = message
        self.last[topic] = max(self.last[topic], self.places[number])

    def judge(self, kept):
        """`kept`: topic -> payload, as a new subscriber got it. Either what was acknowledged last or something later."""
        for topic, history in self.history.items():
            possible = history[self.last[topic]:]
            if kept.get(topic, b"") not in possible:
                self.problems.append(f"{topic}: retained is {kept.get(topic)}, not one of {possible}")


class Subscriber(Wire):
    """Subscribed to all messages of Publishers, or to the even ones. `lazy`: so many acknowledgements are kept back."""

    def __init__(self, loop, problems, client_id, version, qos, lanes=LANES, lazy=0, props=FOR_EVER):
        super().__init__(loop, client_id, version, props)
        self.problems, self.qos, self.lanes, self.lazy = problems, qos, lanes, lazy
        self.subscribed = False
        self.next = {}       # (publisher, QoS) -> the first number not seen
        self.open_ids = {}   # QoS 2: packet id -> payload, until PUBREL
        self.kept_back = []
        self.twice = 0

    def connected(self, present):
        self.kept_back = []
        if self.subscribed and not present:
            self.problems.append(f"{self.client_id}: its session is gone")
            self.open_ids.clear()
        if not self.subscribed or not present:
            lane = "+" if self.lanes == LANES else self.lanes[0]
            self.send(raw.subscribe(f"t/+/+/{lane}", self.qos, version=self.version))

    def received(self, kind, flags, body):
        if kind == raw.SUBACK:
            self.subscribed = True
        elif kind == raw.PUBREL:
            self.open_ids.pop(struct.unpack_from(">H", body)[0], None)
            self.send(raw.packet(raw.PUBCOMP, body[:2]))
        elif kind == raw.PUBLISH:
            self.take(*self.publish_of(flags, body))

    def take(self, topic, payload, qos, packet_id):
        if qos == 2:
            if packet_id not in self.open_ids:
                self.arrived(topic, payload, qos)
            elif self.open_ids[packet_id] != payload:
                self.problems.append(f"{self.client_id}: packet id {packet_id} used for a second message before PUBREL")
            self.open_ids[packet_id] = payload
        else:
            self.arrived(topic, payload, qos)
        self.kept_back.append(raw.packet(raw.PUBREC if qos == 2 else raw.PUBACK, id_bytes(packet_id)))
        while len(self.kept_back) > self.lazy:
            self.send(self.kept_back.pop(0))

    def arrived(self, topic, payload, qos):
        _, publisher, published_qos, _ = topic.split("/")
        number = int(payload.split(b" ")[0])
        if qos != min(self.qos, int(published_qos)):
            self.problems.append(f"{self.client_id}: {topic} {number} came with QoS {qos}")
        stream = (publisher, int(published_qos))
        expected = self.next.get(stream, self._first())
        if number > expected:
            self.problems.append(f"{self.client_id}: {stream} {expected} is missing, {number} came")
        elif number < expected:
            return self._again(stream, number, qos)
        self.next[stream] = number + self._step()

    def _again(self, stream, number, qos):
        self.twice += 1
        if qos == 2:
            self.problems.append(f"{self.client_id}: {stream} {number} came twice with QoS 2")

    def _step(self):
        return 1 if self.lanes == LANES else 2

    def _first(self):
        return 0 if self.lanes == LANES else LANES.index(self.lanes[0])

    def has_all_of(self, publisher):
        last_missing = lambda qos: self.next.get((publisher.client_id, qos), self._first())
        return all(last_missing(qos) >= publisher.count[qos] for qos in (1, 2))

    def be_eager(self):
        """Acknowledges what it kept back, and keeps nothing back any more."""
        self.lazy = 0
        self.send(*self.kept_back)
        self.kept_back = []


class Nomad(Wire):
    """Subscribes, unsubscribes and begins anew, one step after another; asks after each connect what is left, by messages
    to itself on all of its topics: with QoS 0, which does not wait for a queue that is still to be read."""

    TOPICS = 4

    def __init__(self, loop, problems, client_id, version, dice):
        super().__init__(loop, client_id, version, FOR_EVER)
        self.problems, self.dice = problems, dice
        self.subscribed = [False] * self.TOPICS  # None: not known, the broker died over it
        self.known = False                       # the broker must have the session
        self.begins_anew = False
        self.passing = False                     # a clean session of 3.1.1, which ends with its connection
        self.probe = 0
        self.checks = 0
        self.active = True
        self.step = lambda: None                 # what the next acknowledgement confirms

    def connect(self, port):
        self.port = port
        if self.passing:
            self.subscribed = [False] * self.TOPICS
        self.passing = False
        self.begins_anew = self.dice.random() < 0.2
        if self.begins_anew:  # until CONNACK comes it is open which of the two holds
            self.known = False
            self.subscribed = [False if s is False else None for s in self.subscribed]
        self.open(port, clean=self.begins_anew)

    def connected(self, present):
        if present and self.begins_anew:
            self.problems.append(f"{self.client_id}: a clean start found a session")
        if not present:
            if self.known:
                self.problems.append(f"{self.client_id}: its session is gone")
            self.subscribed = [False] * self.TOPICS
        self.passing = self.begins_anew and self.version == 4
        self.probe += 1
        self.heard = set()
        for i in range(self.TOPICS):
            self.send(raw.publish(self._topic(i), b"%d" % self.probe, version=self.version))
        self.send(raw.packet(raw.PINGREQ))

    def _topic(self, i):
        return f"n/{self.client_id}/{i}"

    def received(self, kind, flags, body):
        if kind == raw.PUBLISH:
            topic, payload, qos, packet_id = self.publish_of(flags, body)
            if int(payload) == self.probe:
                self.heard.add(int(topic[-1]))
            if qos:
                self.send(raw.packet(raw.PUBACK, id_bytes(packet_id)))
        elif kind == raw.PINGRESP:
            self._compare()
            self.go_on()
        else:
            self.step()
            self.go_on()

    def _compare(self):
        self.checks += 1
        for i, subscribed in enumerate(self.subscribed):
            if subscribed is not None and subscribed != (i in self.heard):
                self.problems.append(f"{self.client_id}: {self._topic(i)} subscribed: {not subscribed}, "
                                     f"acknowledged: {subscribed}")
            self.subscribed[i] = i in self.heard

    def go_on(self):
        if not self.active:
            return
        i = self.dice.randrange(self.TOPICS)
        if self.dice.random() < 0.1:
            self.close()
            self.connect(self.port)
        elif self.dice.random() < 0.6:
            self.subscribed[i] = self.subscribed[i] or None
            self.step = lambda: self._confirmed(i, True)
            self.send(raw.subscribe(self._topic(i), 1, version=self.version))
        else:
            self.subscribed[i] = self.subscribed[i] and None
            self.step = lambda: self._confirmed(i, False)
            properties = b"\0" if self.version == 5 else b""
            self.send(raw.packet(raw.UNSUBSCRIBE, id_bytes(1) + properties + raw.text(self._topic(i)), 2))

    def _confirmed(self, i, subscribed):
        self.subscribed[i] = subscribed
        self.known = not self.passing


def kept_messages(client, filter_, last_topic):
    """topic -> payload of what is retained under the filter, for a new RawClient; `last_topic` is retained."""
    client.send(raw.subscribe(filter_, 1, packet_id=1), raw.subscribe(last_topic, 1, packet_id=2))
    kept = {}
    while last_topic not in kept:
        kind, flags, body = client.receive()
        if kind == raw.PUBLISH:
            size, = struct.unpack_from(">H", body)
            at = 2 + size + (2 if flags & 6 else 0)
            kept[body[2:2 + size].decode()] = body[at + 1 + body[at]:]
            if flags & 6:
                client.send(raw.packet(raw.PUBACK, body[2 + size:4 + size]))
    return kept
