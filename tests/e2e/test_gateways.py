"""Several gateways on one PostgreSQL, as real processes: an update triggered on one reaches a device on another, its file comes
from the peer, a gateway that is killed is taken over, and one that is cut off from the database goes on."""

import json
import os

from support import pki
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.device import Device
from support.postgres import Postgres

IMAGE = os.urandom(300_000)


class Gateways(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres().start()
        cls.addClassCleanup(cls.server.remove)

    def setUp(self):
        super().setUp()
        self.schema = "test_" + self._testMethodName[-40:]

    def new_gateway(self, name, **database):
        extra = self.server.config(schema=self.schema, **database)
        extra += f'[gateway]\nname = "{name}"\ndead_after_s = 4\npeer_ca = "{pki.authority()}/ca.crt"\n'
        return self.new_broker(tls=True, http=True, extra=extra)

    def two(self):
        return self.new_gateway("a").start(), self.new_gateway("b").start()

    def rows(self, query):
        return self.server.sql(f"SET search_path = {self.schema}; {query}")

    def one(self, query):
        rows = self.rows(query)
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def come(self, b, device_id, **options):
        d = Device(b, device_id, **options)
        self.addCleanup(d.close)
        d.status()
        return d

    def owner(self, device_id):
        return self.one(f"SELECT g.name FROM devices d JOIN gateways g ON g.id = d.gateway_id WHERE d.device_id = "
                        f"'{device_id}'")[0]

    def gauge(self, b, name):
        for line in self.rest(b).get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no {name} in /metrics")

    def test_an_update_triggered_on_one_reaches_a_device_on_the_other_with_its_file(self):
        a, b = self.two()
        d = self.come(b, "dev1")
        (update,) = self.rest(a).trigger(self.rest(a).uploaded(IMAGE)["id"], "dev1")
        command = d.command()
        self.assertEqual(command["update_id"], update["id"])
        self.assertIn(str(b.http_port), command["url"])
        d.take_update(command)  # the download is checked there
        self.assertEqual(self.rest(a).update(update["id"])["state"], "succeeded")
        self.assertEqual(self.one("SELECT count(*) FROM update_results"), ("1",))
        self.assertEqual(self.one("SELECT count(*) FROM update_events WHERE to_state = 'offered'"), ("1",))
        self.assertEqual(self.gauge(b, "fotabroker_peer_files_fetched_total"), 1)
        eventually(lambda: self.one("SELECT count(*) FROM outbox") == ("0",), "the hints are forgotten")

    def test_a_url_of_one_gateway_is_served_by_the_other_and_files_are_for_gateways_only(self):
        a, b = self.two()
        d = self.come(a, "dev1")
        firmware = self.rest(a).uploaded(IMAGE)
        self.rest(a).trigger(firmware["id"], "dev1")
        command = d.command()
        d.b = b
        path = "/" + command["url"].split("/", 3)[3]
        elsewhere = self.rest(b, token="")
        eventually(lambda: elsewhere.get(path).status == 200, "b has fetched the file that it was asked for")
        d.download(command)
        peer = "/peer/v1/files/" + firmware["checksum"][7:]
        self.assertEqual(elsewhere.get(peer).status, 401)
        self.assertEqual(self.rest(a).get(peer).status, 401, "not for operators either")

    def test_an_update_canceled_on_one_is_recalled_on_the_other(self):
        a, b = self.two()
        d = self.come(b, "dev1")
        (update,) = self.rest(b).trigger(self.rest(b).uploaded(IMAGE)["id"], "dev1")
        d.command()
        self.assertEqual(self.rest(a).post(f"/api/v1/updates/{update['id']}/cancel").status, 200)
        self.assertEqual(d.command(), {"action": "cancel", "update_id": update["id"]})

    def test_a_gateway_that_is_killed_is_taken_over(self):
        a, b = self.two()
        d = self.come(b, "dev1")
        absent = self.come(b, "dev2")
        absent.close()
        eventually(lambda: self.one("SELECT online FROM devices WHERE device_id = 'dev2'") == ("f",), "dev2 is gone")
        firmware = self.rest(b).uploaded(IMAGE)["id"]
        (update,) = self.rest(b).trigger(firmware, "dev1")
        self.rest(b).trigger(firmware, "dev2")
        command = d.command()
        d.progress(command, "installing")
        b.kill()
        # One comes back by itself, at once; nobody has to wait until b counts as dead.
        again = Device(a, "dev1", version="1.1.0")
        self.addCleanup(again.close)
        again.result(command)
        again.status()
        self.assertEqual(self.rest(a).update(update["id"])["state"], "succeeded")
        self.assertEqual(self.owner("dev1"), "a")
        # The other's time-outs are somebody's again.
        eventually(lambda: self.owner("dev2") == "a", "dev2 is taken over")
        b.start()
        self.assertEqual(self.owner("dev2"), "a")
        self.assertEqual(self.rows("SELECT device_id, online FROM devices ORDER BY 1"), [("dev1", "t"), ("dev2", "f")])
        self.assertEqual(self.one("SELECT count(*) FROM update_events WHERE to_state = 'offered'"), ("1",))

    def test_an_orderly_stop_hands_the_devices_over(self):
        a, b = self.two()
        self.come(b, "dev1").close()
        self.assertEqual(b.stop(), 0)
        eventually(lambda: self.owner("dev1") == "a", "dev1 is taken over")

    def test_gateways_that_start_at_once_make_the_schema_once(self):
        both = [self.new_gateway("a").spawn(), self.new_gateway("b").spawn()]
        for b in both:
            eventually(lambda: "ready\n" in b.log() or b._died(), "it is ready")
        versions = self.rows("SELECT version FROM schema_migrations ORDER BY 1")
        self.assertEqual(versions, [(str(n),) for n in range(1, len(versions) + 1)])
        self.assertEqual(self.one("SELECT count(*) FROM gateways"), ("2",))

    def test_a_copied_data_directory_is_noticed(self):
        a = self.new_gateway("a").start()
        copy = self.new_gateway("copy")
        os.makedirs(copy.data)
        with open(a.path("gateway.id")) as source, open(copy.path("gateway.id"), "w") as target:
            target.write(source.read())
        copy.start()
        eventually(lambda: "another process runs as this gateway" in a.log(), "the older one says so")
        self.assertEqual(self.rest(a).get("/readyz").status, 503)

    def test_an_island_goes_on_and_everything_is_in_the_database_afterwards_once(self):
        b = self.new_gateway("b").start()
        api = self.rest(b)
        downloading = self.come(b, "dev1")
        waiting = self.come(b, "dev2")
        firmware = api.uploaded(IMAGE)["id"]
        api.trigger(firmware, "dev1", "dev2")
        command, other = downloading.command(), waiting.command()
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        downloading.take_update(command)  # each report is acknowledged
        self.assertEqual(api.get("/readyz").status, 503)
        self.assertGreater(self.gauge(b, "fotabroker_spool_bytes"), 0)
        self.assertEqual(api.post("/api/v1/updates", {"firmware_id": firmware, "device_ids": ["dev1"]}).status, 503)
        b.kill()  # and even that
        self.server.start()
        b.start()
        self.come(b, "dev2").take_update(other)
        for c in (command, other):
            eventually(lambda: self.rest(b).update(c["update_id"])["state"] == "succeeded", "both have succeeded")
        self.assertEqual(self.one("SELECT count(*), count(DISTINCT update_id) FROM update_results"), ("2", "2"))
        self.assertEqual(self.rows("SELECT firmware_version FROM devices"), [("1.1.0",), ("1.1.0",)])
        eventually(lambda: self.gauge(b, "fotabroker_spool_bytes") == 0, "the spool is empty")

    def test_a_gateway_cut_off_while_its_device_is_elsewhere_does_not_take_it_back(self):
        a, b = self.two()
        d = self.come(b, "dev1")
        (update,) = self.rest(a).trigger(self.rest(a).uploaded(IMAGE)["id"], "dev1")
        d.command()
        moved = Device(a, "dev1")
        self.addCleanup(moved.close)
        self.assertEqual(moved.command()["update_id"], update["id"])
        d.close()  # b sees its connection end, after a has the device
        moved.progress(moved_command := {"update_id": update["id"]}, "accepted")
        self.assertEqual(self.owner("dev1"), "a")
        self.assertEqual(self.one("SELECT online FROM devices"), ("t",))
        self.assertEqual(self.rest(b).update(moved_command["update_id"])["state"], "accepted")


if __name__ == "__main__":
    main()
