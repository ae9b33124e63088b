"""mosquitto's command-line clients with both versions, over TCP and over TLS with a client certificate: each QoS, retained,
will, a session's queue; version 5's properties, and request and response with mosquitto_rr."""

import subprocess

from support import pki
from support.case import Case, main
from support.interop import ACL
from support.mqtt import mosquitto_sub, properties


class Mosquitto:
    """Mixed into a Case per transport and version."""

    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=2, tls=True, extra=ACL)
        self.port = self.b.tls_port if self.tls else self.b.plain_port
        crt, key = pki.device("dev1")
        files = ["--cafile", pki.authority() + "/ca.crt", "--cert", crt, "--key", key] if self.tls else []
        self.words = ["-V", self.version, *files]

    def sub(self, client_id, *words):
        s = mosquitto_sub(self.port, *self.words, "-i", "dev1/" + client_id, *words)
        self.addCleanup(s.end)
        return s

    def pub(self, *words, program="mosquitto_pub"):
        return subprocess.run([program, "-h", "127.0.0.1", "-p", str(self.port), *self.words, "-i", "dev1/pub", *words],
                              check=True, capture_output=True, text=True, timeout=60).stdout

    def test_each_qos(self):
        s = self.sub("sub", "-q", "2", "-t", "interop/#", "-F", "%t %q %p")
        for qos in "012":
            self.pub("-q", qos, "-t", "interop/" + qos, "-m", "hello")
        self.assertEqual(s.messages(3), [f"interop/{qos} {qos} hello" for qos in "012"])

    def test_retained(self):
        self.pub("-q", "1", "-t", "interop/kept", "-m", "on", "-r")
        s = self.sub("sub", "-q", "1", "-t", "interop/kept", "-F", "%r %p")
        self.pub("-q", "1", "-t", "interop/kept", "-m", "off", "-r")
        self.assertEqual(s.messages(2), ["1 on", "0 off"])

    def test_will(self):
        s = self.sub("sub", "-q", "2", "-t", "interop/will")
        mortal = self.sub("mortal", "-t", "interop/x", "--will-topic", "interop/will", "--will-payload", "gone", "--will-qos", "1")
        mortal.process.kill()
        self.assertEqual(s.messages(1), ["gone"])

    def test_what_a_session_missed(self):
        kept = ["-c", "-q", "2", "-t", "interop/night", *(["-x", "600"] if self.version == "mqttv5" else [])]
        self.sub("sleeper", *kept).end()
        for qos in "1122":
            self.pub("-q", qos, "-t", "interop/night", "-m", "at QoS " + qos)
        self.assertEqual(sorted(self.sub("sleeper", *kept).messages(4)), ["at QoS 1"] * 2 + ["at QoS 2"] * 2)


class Version5(Mosquitto):
    version = "mqttv5"

    def test_properties(self):
        s = self.sub("sub", "-q", "1", "-t", "interop/p", "-F", "%p|%P|%C|%D|%R|%F|%S", "-D", "subscribe",
                     "subscription-identifier", "42")
        self.pub("-q", "1", "-t", "interop/p", "-m", "hello", "-D", "publish", "user-property", "a", "1",
                 "-D", "publish", "content-type", "text/plain", "-D", "publish", "correlation-data", "cd",
                 "-D", "publish", "response-topic", "interop/answer", "-D", "publish", "payload-format-indicator", "1",
                 "-D", "publish", "topic-alias", "3")
        self.assertEqual(s.messages(1), ["hello|a:1|text/plain|cd|interop/answer|1|42"])

    def test_expiry(self):
        self.pub("-q", "1", "-r", "-t", "interop/e", "-m", "x", "-D", "publish", "message-expiry-interval", "1000")
        left, = self.sub("sub", "-t", "interop/e", "-F", "%E").messages(1)
        self.assertTrue(0 < int(left) <= 1000, left)

    def test_request_and_response(self):
        answering = self.paho(self.b)

        def answer(_client, _user, m):
            sent = properties("PUBLISH", CorrelationData=m.properties.CorrelationData)
            answering.client.publish(m.properties.ResponseTopic, m.payload.upper(), 1, properties=sent)

        answering.client.on_message = answer
        answering.subscribe("interop/question")
        said = self.pub("-q", "1", "-t", "interop/question", "-e", "interop/answer", "-m", "hello", "-W", "60",
                        "-D", "publish", "correlation-data", "number 1",
                        program="mosquitto_rr")
        self.assertEqual(said.strip(), "HELLO")


class Tcp5(Version5, Case):
    tls = False


class Tls5(Version5, Case):
    tls = True


class Tcp311(Mosquitto, Case):
    version, tls = "mqttv311", False


class Tls311(Mosquitto, Case):
    version, tls = "mqttv311", True


if __name__ == "__main__":
    main()
