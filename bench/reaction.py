#!/usr/bin/env python3
"""Two gateways on one PostgreSQL: how long from the operator's request to one of them until the update's command is at a
device of the other, one update after the other. Everything on this machine.
"""

import argparse
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/e2e"))
from support import pki
from support.case import Case
from support.device import Device
from support.postgres import Postgres


def gateway(name):
    return f'[gateway]\nname = "{name}"\npeer_ca = "{pki.authority()}/ca.crt"\n'


class Reaction(Case):
    def measure(self, devices):
        """Seconds, one for each device."""
        server = Postgres().start()
        self.addCleanup(server.remove)
        a, b = (self.new_broker(tls=True, http=True, extra=server.config() + gateway(name)).start()
                for name in "ab")
        api = self.rest(a)
        firmware = api.uploaded(os.urandom(10_000))
        took = []
        for n in range(devices):
            d = Device(b, f"dev{n}")
            self.addCleanup(d.close)
            d.status()
            begin = time.monotonic()
            api.trigger(firmware["id"], d.id)
            d.command()
            took.append(time.monotonic() - begin)
        return sorted(took)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build/release", help="build directory")
    p.add_argument("--devices", type=int, default=200)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    os.environ["FB_BROKER"] = str(args.build.resolve() / "fotabroker")
    test = Reaction()
    test.setUp()
    try:
        took = test.measure(args.devices)
    finally:
        test.doCleanups()
    result = {"devices": len(took), "p50_ms": took[len(took) // 2] * 1e3, "p99_ms": took[len(took) * 99 // 100] * 1e3,
              "max_ms": took[-1] * 1e3}
    if args.json:
        print(json.dumps(result))
    else:
        print("{devices} updates from one gateway to a device of the other: p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, at most "
              "{max_ms:.0f} ms".format(**result))


if __name__ == "__main__":
    main()
