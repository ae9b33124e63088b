"""Well-behaved clients: paho wrapped so that a test can wait for things, and mosquitto's command-line clients."""

import queue
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .broker import PATIENCE_S

V5, V311 = mqtt.MQTTv5, mqtt.MQTTv311


def properties(packet, **values):
    """properties("CONNECT", SessionExpiryInterval=60)"""
    out = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(out, name, value)
    return out


class Paho:
    """A connected client with its network thread. `messages` is a queue of what arrived."""

    def __init__(self, port, client_id="", *, version=V5, clean=True, expiry_s=0, tls=None, will=None, keepalive=60,
                 connect=True, auto_reconnect=False):
        self.port = port
        self.version = version
        self.messages = queue.Queue()
        self.connack = queue.Queue()
        self.disconnects = queue.Queue()
        self._acks = {}
        self._acked = threading.Condition()
        options = {} if version == V5 else {"clean_session": clean}
        self.client = mqtt.Client(client_id, protocol=version, reconnect_on_failure=auto_reconnect, **options)
        self.client.on_message = lambda _c, _u, m: self.messages.put(m)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda _c, _u, rc, *_: self.disconnects.put(rc)
        self.client.on_publish = lambda _c, _u, mid: self._note(mid, 0)
        self.client.on_subscribe = lambda _c, _u, mid, granted, *_: self._note(mid, granted)
        if tls:
            self.client.tls_set(*tls)
        if will:
            self.client.will_set(**will)
        if version == V5:
            self._connect_options = {"clean_start": clean,
                                     "properties": properties("CONNECT", SessionExpiryInterval=expiry_s)}
        else:
            self._connect_options = {}
        self._connect_options["keepalive"] = keepalive
        if connect:
            self.connect()

    def connect(self):
        """Connects and returns (session present, reason code)."""
        self.client.connect("127.0.0.1", self.port, **self._connect_options)
        self.client.loop_start()
        return self.connack.get(timeout=PATIENCE_S)

    def _on_connect(self, _client, _user, flags, reason, _properties=None):
        code = reason.value if hasattr(reason, "value") else reason
        self.connack.put((bool(flags["session present"]), code))

    def _note(self, mid, what):
        with self._acked:
            self._acks[mid] = what
            self._acked.notify_all()

    def _wait(self, mid, what):
        with self._acked:
            if not self._acked.wait_for(lambda: mid in self._acks, PATIENCE_S):
                raise AssertionError(f"no acknowledgement of {what}")
            return self._acks.pop(mid)

    def subscribe(self, *filters, qos=1):
        """Returns the reason codes."""
        if self.version == V5:
            result, mid = self.client.subscribe([(f, mqtt.SubscribeOptions(qos=qos)) for f in filters])
        else:
            result, mid = self.client.subscribe([(f, qos) for f in filters])
        assert result == 0, result
        granted = self._wait(mid, f"SUBSCRIBE {filters}")
        return [g.value if hasattr(g, "value") else g for g in granted]

    def publish(self, topic, payload, qos=1, retain=False, wait=True):
        info = self.client.publish(topic, payload, qos, retain)
        if wait and qos > 0:
            self._wait(info.mid, f"PUBLISH {topic}")

    def receive(self, topic=None, patience_s=PATIENCE_S):
        """The next message; with a topic, the next one on it."""
        while True:
            try:
                m = self.messages.get(timeout=patience_s)
            except queue.Empty:
                raise AssertionError(f"no message on {topic or 'any topic'}") from None
            if topic is None or m.topic == topic:
                return m

    def nothing_before(self, topic, payload=b"end"):
        """Publishes to `topic`, which must be subscribed, and returns what arrived before that: an answer to "nothing
        else comes" without waiting."""
        self.publish(topic, payload)
        return self.until(topic, payload)

    def until(self, topic, payload=b"end"):
        """What arrived before that message."""
        before = []
        while True:
            m = self.receive()
            if m.topic == topic and m.payload == payload:
                return before
            before.append(m)

    def drop(self):
        """The connection breaks: no DISCONNECT."""
        self.client.socket().shutdown(2)
        self.disconnects.get(timeout=PATIENCE_S)
        self.client.loop_stop()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def mosquitto_pub(port, *words):
    return subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), *words], capture_output=True, text=True,
                          timeout=PATIENCE_S)


class mosquitto_sub:
    """mosquitto_sub in the background: its lines, once it is subscribed. -d makes it say so."""

    def __init__(self, port, *words):
        self.said = []  # what -d says
        self._subscribed = threading.Event()
        self._messages = queue.Queue()
        self.process = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", str(port), *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if not self._subscribed.wait(PATIENCE_S):
            raise AssertionError("mosquitto_sub said: " + "\n".join(self.said))

    def _read(self):
        for line in self.process.stdout:
            if line.startswith(("Client ", "Subscribed")):
                self.said.append(line)
                if line.startswith("Subscribed"):
                    self._subscribed.set()
            else:
                self._messages.put(line.rstrip("\n"))

    def messages(self, count):
        """The next `count` messages."""
        try:
            return [self._messages.get(timeout=PATIENCE_S) for _ in range(count)]
        except queue.Empty:
            raise AssertionError("mosquitto_sub said: " + "".join(self.said)) from None

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        self.process.stdout.close()
