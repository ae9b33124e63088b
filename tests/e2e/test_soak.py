"""Gateways, devices and a database that are killed, cut and stopped at random, while updates go on: whatever was acknowledged is
in the database once, histories have no gaps, and every update ends or says what it waits for. FB_LONG=1: five minutes."""

import json
import os
import random
import threading
import time
from collections import defaultdict

from support import pki
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.mqtt import V5
from support.postgres import Postgres

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SECONDS = 300 if os.environ.get("FB_LONG") else 20
GATEWAYS, DEVICES = 3, 9
SEED = int(os.environ.get("FB_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)

ENDED = {"succeeded", "failed", "rejected", "canceled", "expired", "superseded", "skipped"}


class SoakDevice:
    """Does what it is told, now and then fails, moves between gateways, and says a result again until it is acknowledged: what a
    device with a flash for its state does. Everything happens under its lock, on its own thread or paho's."""

    def __init__(self, device_id, gateways, seed):
        self.id = device_id
        self.gateways = gateways
        self.random = random.Random(seed)
        self.version = "1.0.0"
        self.lock = threading.RLock()
        self.done = {}  # (update, attempt): the result it had
        self.unsaid = {}  # (update, attempt): the same, as long as nobody acknowledged it
        self.acknowledged = set()  # (update, attempt, status)
        self.canceled = set()
        self.in_flight = {}
        self.client = None
        self.stopping = threading.Event()
        self.calm = threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self):
        while not self.stopping.is_set():
            gateway = self.random.choice(self.gateways)
            try:
                self._connect(gateway)
            except OSError:
                self.stopping.wait(0.2)
                continue
            lasts = time.monotonic() + (3600 if self.calm.is_set() else self.random.uniform(0.5, 6))
            while self.client.is_connected_or_trying and not self.stopping.is_set():
                if self.calm.is_set():
                    lasts = time.monotonic() + 3600
                if time.monotonic() > lasts:
                    break
                self._repeat()
                self.stopping.wait(0.1)
            self._leave()

    def _connect(self, gateway):
        client = mqtt.Client(self.id, protocol=V5, reconnect_on_failure=False)
        client.is_connected_or_trying = True
        crt, key = pki.device(self.id)
        client.tls_set(pki.authority() + "/ca.crt", crt, key)
        client.on_connect = lambda *_: self._connected(client)
        client.on_message = lambda _c, _u, m: self._message(json.loads(m.payload))
        client.on_publish = lambda _c, _u, mid: self._acknowledged(client, mid)
        client.on_disconnect = lambda *_: setattr(client, "is_connected_or_trying", False)
        with self.lock:
            self.client = client
            self.in_flight = {}
        properties = Properties(PacketTypes.CONNECT)
        client.connect("127.0.0.1", gateway.tls_port, clean_start=True, properties=properties)
        client.loop_start()

    def _leave(self):
        client = self.client
        try:
            if self.random.random() < 0.5 and client.socket():
                client.socket().shutdown(2)
            else:
                client.disconnect()
        except OSError:
            pass
        client.loop_stop()

    def _connected(self, client):
        client.subscribe(f"device/{self.id}/update", 1)
        self._say("status", {"version": self.version, "type": "sensor"})

    def _say(self, what, body, remember=None):
        with self.lock:
            info = self.client.publish(f"device/{self.id}/{what}", json.dumps(body), 1)
            if remember:
                self.in_flight[info.mid] = remember

    def _message(self, command):
        with self.lock:
            if command.get("action") == "cancel":
                self.canceled.add(command["update_id"])
                return
            key = (command["update_id"], command["attempt"])
            if key in self.done:  # the same command: the same answer
                self.unsaid[key] = self.done[key]
            else:
                self._say("update/progress", {"update_id": key[0], "state": "installing"})
                status = "failed" if self.random.random() < 0.15 else "success"
                if status == "success":
                    self.version = command["version"]
                self.done[key] = self.unsaid[key] = {"status": status, "version": command["version"], "update_id": key[0],
                                                     "attempt": key[1]}
        self._repeat()

    def _repeat(self):
        with self.lock:
            for key, result in self.unsaid.items():
                if key not in self.in_flight.values() and self.client.is_connected():
                    self._say("update/result", result, key)

    def _acknowledged(self, client, mid):
        """paho calls this for every PUBACK; one that ended with an error closes the connection here."""
        with self.lock:
            key = self.in_flight.pop(mid, None) if client is self.client else None
            if key and key in self.unsaid:
                self.acknowledged.add((*key, self.unsaid.pop(key)["status"]))

    def end(self):
        self.stopping.set()
        self.thread.join(PATIENCE_S)


class Soak(Case):
    def setUp(self):
        super().setUp()
        self.server = Postgres().start()
        self.addCleanup(self.server.remove)
        self.random = random.Random(SEED)
        print(f"FB_SOAK_SEED={SEED}")

    def new_gateway(self, name):
        extra = self.server.config(start_wait_s=1)
        extra += f'[gateway]\nname = "{name}"\ndead_after_s = 4\npeer_ca = "{pki.authority()}/ca.crt"\n'
        extra += ("[fota]\noffer_timeout_s = 3\noffers_max = 1000\naccepted_timeout_s = 5\ninstall_timeout_s = 5\n"
                  "verify_timeout_s = 5\nretry_backoff_s = 1\nfail_streak_max = 1000\nattempts_max = 10\n")
        return self.new_broker(tls=True, http=True, extra=extra)

    def living(self):
        return [g for g in self.gateways if g.running()]

    def ask(self, g, *request):
        """An operator whose request may fail in any way, as long as gateways die."""
        try:
            return self.rest(g).request(*request)
        except OSError:
            return None

    def trigger(self):
        for g in self.random.sample(self.living(), len(self.living())):
            body = {"firmware_id": self.random.choice(self.firmwares), "device_ids": self.random.sample(self.ids, 3),
                    "allow_downgrade": True}
            if self.ask(g, "POST", "/api/v1/updates", body):
                return

    def cancel(self):
        g = self.random.choice(self.living())
        answer = self.ask(g, "GET", "/api/v1/updates?limit=5")
        if answer and answer.status == 200:
            for update in answer.json()["items"]:
                self.ask(g, "POST", f"/api/v1/updates/{update['id']}/cancel")

    def kill_a_gateway(self):
        if len(self.living()) > 1:
            self.random.choice(self.living()).kill()

    def start_the_dead(self):
        for g in self.gateways:
            if not g.running():
                g.spawn()

    def cut_connections(self):
        if self.server.process:
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                            "application_name = 'fotabroker'")

    def stop_the_database(self):
        if self.server.process:
            self.server.stop()

    def start_the_database(self):
        if not self.server.process:
            self.server.start()

    def one(self, query):
        (row,) = self.server.sql(query)
        return row[0]

    def test_nothing_acknowledged_is_lost_or_doubled_whatever_dies(self):
        self.gateways = [self.new_gateway(f"g{n}") for n in range(GATEWAYS)]
        self.gateways[0].start()
        for g in self.gateways[1:]:
            g.start()
        api = self.rest(self.gateways[0])
        self.firmwares = [api.uploaded(os.urandom(2000), f"2.0.{n}")["id"] for n in range(6)]
        self.ids = [f"dev{n}" for n in range(DEVICES)]
        devices = [SoakDevice(d, self.gateways, SEED + n) for n, d in enumerate(self.ids)]
        self.addCleanup(lambda: [d.end() for d in devices])
        eventually(lambda: self.one("SELECT count(*) FROM devices") == str(DEVICES), "all devices are known")

        deeds = ([self.trigger] * 10 + [self.cancel, self.kill_a_gateway, self.cut_connections, self.stop_the_database]
                 + [self.start_the_dead, self.start_the_database] * 3)
        done = defaultdict(int)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            deed = self.random.choice(deeds)
            done[deed.__name__] += 1
            deed()
            time.sleep(self.random.uniform(0, 0.4))

        self.start_the_database()
        self.start_the_dead()
        for g in self.gateways:
            eventually(lambda: self.ask(g, "GET", "/readyz") and self.ask(g, "GET", "/readyz").status == 200,
                       "every gateway is well again")
        for d in devices:
            d.calm.set()
        eventually(lambda: not any(d.unsaid for d in devices), "every result is acknowledged")
        eventually(self.settled, "every update has ended", 3 * PATIENCE_S)
        for d in devices:  # as after its next connect
            d._say("status", {"version": d.version, "type": "sensor"})
        eventually(lambda: self.versions() == {d.id: d.version for d in devices}, "the versions are those that run")
        self.check(devices)
        print(dict(done), "results:", self.one("SELECT count(*) FROM update_results"), "updates:",
              self.server.sql("SELECT state, count(*) FROM updates GROUP BY 1 ORDER BY 1"))

    def settled(self):
        """The devices do all they are asked, so nothing has a reason to wait for long."""
        states = ", ".join(f"'{s}'" for s in ENDED)
        waiting = self.one(f"SELECT count(*) FROM updates WHERE state NOT IN ({states})")
        spools = [self.gauge(g, "fotabroker_spool_bytes") for g in self.gateways]
        return waiting == "0" and not any(spools) and self.one("SELECT count(*) FROM outbox") == "0"

    def versions(self):
        return dict(self.server.sql("SELECT device_id, firmware_version FROM devices"))

    def gauge(self, g, name):
        for line in self.rest(g).get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no {name}")

    def check(self, devices):
        stored = defaultdict(int)
        for update, attempt, status in self.server.sql("SELECT update_id, attempt, status FROM update_results WHERE update_id "
                                                       "IS NOT NULL"):
            stored[(update, int(attempt), status)] += 1
        for d in devices:
            for result in d.acknowledged:
                self.assertEqual(stored[result], 1, f"{d.id}: acknowledged {result}")
        said = {(*key, result["status"]) for d in devices for key, result in d.done.items()}
        self.assertEqual([r for r in stored if r not in said], [], "nothing that nobody said")
        self.assertTrue(all(count == 1 for count in stored.values()))
        last = {}
        for update, before, after in self.server.sql("SELECT update_id, coalesce(from_state, ''), to_state FROM update_events "
                                                     "ORDER BY update_id, id"):
            self.assertEqual(before, last.get(update, ""), f"the history of {update} has a gap")
            last[update] = after
        self.assertEqual(last, dict(self.server.sql("SELECT id, state FROM updates")), "histories end where updates are")


if __name__ == "__main__":
    main()
