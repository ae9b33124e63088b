"""FOTA's data in PostgreSQL, against a real server: a whole update; a server that stops in the middle of one, while
everything else goes on; starts without a database, without rights, with a password."""

import contextlib
import json
import os
import sqlite3
import subprocess
import tempfile

from support import backups
from support import pki
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.device import Device
from support.postgres import Postgres

IMAGE = os.urandom(50_000)


class OnPostgres(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres().start()
        cls.addClassCleanup(cls.server.remove)

    def setUp(self):
        super().setUp()
        self.schema = "test_" + self._testMethodName[-40:]

    def broker_on(self, **database):
        return self.new_broker(tls=True, http=True, extra=self.server.config(schema=self.schema, **database))

    def one(self, query):
        rows = self.server.sql(f"SET search_path = {self.schema}; {query}")
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def fotabroker(self, *arguments, **environment):
        return subprocess.run([os.environ["FB_BROKER"], *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **environment})

    def offered(self, device, api):
        device.status()
        (update,) = api.trigger(api.uploaded(IMAGE)["id"], device.id)
        command = device.command()
        self.assertEqual(command["update_id"], update["id"])
        return command

    def test_a_whole_update(self):
        b = self.broker_on().start()
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        d.take_update(self.offered(d, self.rest(b)))
        self.assertEqual(self.one("SELECT state, attempt, sent_at IS NOT NULL FROM updates"), ("succeeded", "1", "t"))
        self.assertEqual(self.one("SELECT status, firmware_version FROM update_results"), ("success", "1.1.0"))
        self.assertEqual(self.one("SELECT firmware_version, online FROM devices"), ("1.1.0", "t"))
        self.assertFalse(os.path.exists(b.path("fota.db")))

    def test_a_server_that_stops_in_the_middle_of_an_update(self):
        b = self.broker_on().start()
        api = self.rest(b)
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        command = self.offered(d, api)
        d.progress(command, "accepted")
        watcher = self.paho(b)
        watcher.subscribe("telemetry", "end")

        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        d.result(command)  # acknowledged: it is in the spool
        self.paho(b).publish("telemetry", "goes on", qos=1)
        self.assertEqual(watcher.receive("telemetry").payload, b"goes on")
        eventually(lambda: api.get("/readyz").status == 503, "/readyz tells")
        self.assertEqual(api.get("/api/v1/updates").status, 503)

        self.server.start()
        eventually(lambda: api.get("/readyz").status == 200, "/readyz is well again")
        eventually(lambda: self.state(api, command) == "succeeded", "the result is booked")
        self.assertEqual(self.one("SELECT count(*) FROM update_results"), ("1",))

    def test_without_a_spool_reports_are_not_acknowledged_while_the_server_is_away(self):
        b = self.broker_on(spool_bytes_max=0).start()
        api = self.rest(b)
        d = Device(b, "dev1")
        command = self.offered(d, api)
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        report = json.dumps({"status": "success", "version": "1.1.0", "update_id": command["update_id"], "attempt": 1})
        told = d.paho.client.publish(d.topic("update/result"), report, 1)
        d.paho.disconnects.get(timeout=PATIENCE_S)
        self.assertFalse(told.is_published())
        self.server.start()
        eventually(lambda: api.get("/readyz").status == 200, "/readyz is well again")
        again = Device(b, "dev1")
        self.addCleanup(again.close)
        again.take_update(again.command() if self.state(api, command) == "offered" else command)
        self.assertEqual(self.state(api, command), "succeeded")
        self.assertEqual(self.one("SELECT count(*) FROM update_results"), ("1",))

    def test_a_backup_says_where_the_fleet_is_or_takes_it_along(self):
        b = self.broker_on().start()
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        d.status()
        for flags, words, with_export in (((), "pg_dump", False), (("--with-database",), "db import", True)):
            file = os.path.join(b.directory, f"{len(flags)}.fbk")
            self.assertIn(words, backups.backup(b, file, *flags)["note"])
            data = os.path.join(b.directory, f"restored-{len(flags)}")
            self.assertIn(words, backups.restore(file, data)["note"])
            export = os.path.join(data, "restored", "fota.jsonl")
            self.assertEqual(os.path.exists(export), with_export)
            self.assertFalse(os.path.exists(os.path.join(data, "fota.db")))
            self.assertEqual(self.spooled(data), 0)
        fresh = tempfile.mkdtemp(dir=b.directory)
        imported = self.fotabroker("db", "import", export, "--data-dir", fresh, "--json")
        self.assertEqual((imported.returncode, json.loads(imported.stdout)["rows"]["devices"]), (0, 1), imported.stderr)

    def test_a_backup_has_the_reports_that_wait_for_the_server(self):
        b = self.broker_on().start()
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        d.status()
        file = os.path.join(b.directory, "island.fbk")
        backups.backup(b, file)
        data = os.path.join(b.directory, "restored")
        backups.restore(file, data)
        self.assertEqual(self.spooled(data), 1)

    def spooled(self, data):
        with contextlib.closing(sqlite3.connect(os.path.join(data, "spool.db"))) as db:
            return db.execute("SELECT count(*) FROM reports").fetchone()[0]

    def state(self, api, command):
        return api.update(command["update_id"])["state"]

    def test_a_restart_of_the_broker_goes_on_with_what_is_stored(self):
        b = self.broker_on().start()
        d = Device(b, "dev1")
        command = self.offered(d, self.rest(b))
        d.progress(command, "installing")
        b.kill()
        b.start()
        again = Device(b, "dev1", version="1.1.0")
        self.addCleanup(again.close)
        again.status()
        self.assertEqual(self.state(self.rest(b), command), "succeeded")

    def test_a_start_without_a_database_serves_mqtt_and_updates_go_on_when_it_is_there(self):
        b = self.broker_on(start_wait_s=0).start()
        api = self.rest(b)
        d = Device(b, "dev1")
        command = self.offered(d, api)
        d.close()
        firmware = api.uploaded(IMAGE, version="2.0.0")
        self.assertEqual(b.stop(), 0)
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())

        b.start(database=False)
        self.assertIn("MQTT is served, reports of devices are kept", b.log())
        self.assertIn(self.server.directory, b.log())
        watcher = self.paho(b)
        watcher.subscribe("telemetry", "end")
        self.paho(b).publish("telemetry", "goes on", qos=1)
        self.assertEqual(watcher.receive("telemetry").payload, b"goes on")
        d = Device(b, "dev1")
        d.result(command)  # acknowledged: it is in the spool
        d.close()
        b.kill()
        b.start(database=False)
        d = Device(b, "dev1", version="1.1.0")
        self.addCleanup(d.close)
        d.status()
        self.assertEqual(b.stop(), 0, "nobody waits for the database then")
        b.start(database=False)
        d = Device(b, "dev1", version="1.1.0")
        self.addCleanup(d.close)
        d.status()

        self.server.start()
        eventually(lambda: "the database is there" in b.log(), "updates begin")
        eventually(lambda: self.state(api, command) == "succeeded", "the result is booked")
        self.assertEqual(self.one("SELECT count(*) FROM update_results"), ("1",))
        self.assertEqual(self.one("SELECT firmware_version, online FROM devices"), ("1.1.0", "t"))
        (update,) = api.trigger(firmware["id"], d.id)
        self.assertEqual(d.command()["update_id"], update["id"], "it is known who has been connected before")

    def test_without_a_spool_a_start_without_a_database_acknowledges_no_report(self):
        b = self.broker_on(start_wait_s=0, spool_bytes_max=0).start()
        self.assertEqual(b.stop(), 0)
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        b.start(database=False)
        d = Device(b, "dev1")
        told = d.paho.client.publish(d.topic("status"), json.dumps({"version": "1.0.0"}), 1)
        d.paho.disconnects.get(timeout=PATIENCE_S)
        self.assertFalse(told.is_published())

    def test_a_start_waits_for_a_database_that_is_starting(self):
        self.server.stop()
        self.addCleanup(lambda: self.server.process or self.server.start())
        waiting = self.broker_on(start_wait_s=3600).spawn()
        eventually(lambda: "waiting for it, at most 3600 s" in waiting.log(), "it waits")
        self.server.start()
        eventually(lambda: "ready\n" in waiting.log(), "it starts when the database does")
        self.assertNotIn("MQTT is served", waiting.log())

    def test_what_waiting_does_not_cure_fails_at_once(self):
        for change, words in ((("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
                              (("fotabroker@", "nobody@"), 'role "nobody" does not exist')):
            with self.subTest(words):
                b = self.new_broker(extra=self.server.config().replace(*change)).spawn()
                self.assertEqual(b.wait(), 1)
                self.assertIn(words, b.log())
                self.assertNotIn("waiting", b.log())

    def test_a_password_from_a_file_or_the_environment_is_never_told(self):
        self.server.sql("CREATE ROLE with_password LOGIN SUPERUSER PASSWORD 'open-sesame'")
        config = self.server.config(schema=self.schema, password_file="secret").replace("fotabroker@", "with_password@")
        b = self.new_broker(extra=config)
        os.makedirs(b.data)
        with open(b.path("secret"), "w") as file:
            file.write("wrong-sesame\n")
        b.spawn()
        self.assertEqual(b.wait(), 1)
        self.assertIn("password authentication failed", b.log())
        with open(b.path("secret"), "w") as file:
            file.write("open-sesame\n")
        b.start()
        self.assertEqual(b.stop(), 0)
        self.assertIn("others on this machine can read this password", b.log())
        self.assertNotIn("sesame", b.log())

        url = self.server.url("with_password")
        listed = self.fotabroker("token", "list", "--database", url, PGPASSWORD="open-sesame",
                                 PGOPTIONS=f"-c search_path={self.schema}")
        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        refused = self.fotabroker("token", "list", "--database", url.replace("with_password", "with_password:open-sesame"))
        self.assertEqual(refused.returncode, 2)
        self.assertIn("holds a password", refused.stderr)
        self.assertNotIn("sesame", refused.stderr)

    def test_over_the_network_by_tls(self):
        server = Postgres(tls=True).start()
        self.addCleanup(server.remove)
        server.sql("CREATE ROLE remote LOGIN SUPERUSER PASSWORD 'open-sesame'")
        ca = pki.authority() + "/ca.crt"

        def broker_by(ca_file, mode):
            url = (f"postgresql://remote@127.0.0.1:{server.port}/postgres?sslmode={mode}&sslrootcert={ca_file}")
            b = self.new_broker(tls=True, http=True, extra=f'[database]\nurl = "{url}"\npassword_file = "secret"\n')
            os.makedirs(b.data)
            with open(b.path("secret"), "w") as file:
                file.write("open-sesame\n")
            return b

        b = broker_by(ca, "verify-full").start()
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        d.take_update(self.offered(d, self.rest(b)))
        rows = server.sql("SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = "
                          "'remote'")
        self.assertEqual(rows[0][1], "t")
        self.assertGreater(int(rows[0][0]), 2)
        stranger = broker_by(pki.device("dev1")[0], "verify-full").spawn()
        self.assertEqual(stranger.wait(), 1)
        self.assertIn("certificate verify failed", stranger.log())
        plain = broker_by(ca, "disable").spawn()
        self.assertEqual(plain.wait(), 1)
        self.assertIn("no encryption", plain.log())
        self.assertNotIn("sesame", b.log() + stranger.log() + plain.log())

    def db(self, command, *more, database=None):
        """`fotabroker db` on this test's schema, or in a data directory."""
        place = ["--config", self.db_config] if database is None else ["--data-dir", database]
        return self.fotabroker("db", command, *more, *place)

    def test_the_database_is_made_looked_at_and_copied_by_the_command_line(self):
        b = self.broker_on()
        self.db_config = b.config
        self.assertEqual(self.db("check").returncode, 1)
        version = json.loads(self.db("status", "--json").stdout)["program_version"]
        self.assertIn(f"schema version 0 became {version}", self.db("migrate").stdout)
        self.assertIn("nothing to do", self.db("migrate").stdout)
        b.start()
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        d.take_update(self.offered(d, self.rest(b)))
        status = json.loads(self.db("status", "--json").stdout)
        self.assertEqual((status["schema_version"], status["rows"]["devices"]), (version, 1))
        self.assertTrue(status["engine"].startswith("PostgreSQL "))
        checked = self.db("check")
        self.assertEqual(checked.returncode, 0, checked.stdout)

        first, second = os.path.join(b.directory, "first"), os.path.join(b.directory, "second")
        exported = self.db("export", first)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        copy = os.path.join(b.directory, "copy")
        os.makedirs(copy)
        imported = self.db("import", first, database=copy)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertEqual(self.db("export", second, database=copy).returncode, 0)
        with open(first) as one, open(second) as other:
            self.assertEqual(one.read(), other.read())

        acted = self.server.sql(f"SELECT actor, action FROM {self.schema}.audit_log ORDER BY seq")
        self.assertEqual(tuple(acted[0]), ("fotabroker", "token.create"))
        self.assertIn("update.trigger", [action for _, action in acted])
        self.assertEqual(self.db("check", database=copy).returncode, 0)
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "fota.db"))) as damaged, damaged:
            damaged.execute("DELETE FROM audit_log WHERE seq = 2")
        checked = self.db("check", database=copy)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("audit_log: row 3 does not follow row 1", checked.stdout)
        self.server.sql(f"UPDATE {self.schema}.audit_log SET actor = 'nobody' WHERE seq = 2")
        checked = self.db("check")
        self.assertEqual(checked.returncode, 1)
        self.assertIn("audit_log: row 2 was changed", checked.stdout)

        self.server.sql(f"UPDATE {self.schema}.updates SET state = 'odd'")
        checked = self.db("check")
        self.assertEqual(checked.returncode, 1)
        self.assertIn("1 updates are in a state", checked.stdout)
        self.server.sql(f"TRUNCATE {', '.join(self.schema + '.' + table for table in status['rows'])}")
        self.assertEqual(self.db("import", first).returncode, 0)
        self.assertEqual(self.one("SELECT state FROM updates"), ("succeeded",))


if __name__ == "__main__":
    main()
