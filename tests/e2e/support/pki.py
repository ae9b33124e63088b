"""Certificates, made by `fotabroker cert` once per test process."""

import functools
import os
import ssl
import subprocess
import tempfile

_directory = tempfile.TemporaryDirectory(prefix="fotabroker-pki-")


def _cert(*words):
    subprocess.run([os.environ["FB_BROKER"], "cert", *words], check=True, stdout=subprocess.DEVNULL)


def authority(name="own"):
    """The directory of a CA with a server certificate: ca.crt, server.crt, server.key."""
    return _authority(name)


def device(device_id, by="own"):
    """Certificate and key of a device, as (crt, key)."""
    return _device(device_id, by)


@functools.lru_cache(maxsize=None)
def _authority(name):
    out = os.path.join(_directory.name, name)
    _cert("init", "--out", out, "--name", name)
    _cert("server", "--ca", out, "--out", out, "--name", "localhost", "--name", "127.0.0.1", "--name", "::1")
    return out


@functools.lru_cache(maxsize=None)
def _device(device_id, by):
    out = authority(by)
    _cert("device", device_id, "--ca", out, "--out", out)
    return os.path.join(out, device_id + ".crt"), os.path.join(out, device_id + ".key")


def client_context(device_id=None, by="own"):
    """What a client needs for TLS with our server; with a device id, its certificate too."""
    context = ssl.create_default_context(cafile=authority() + "/ca.crt")
    if device_id:
        context.load_cert_chain(*device(device_id, by))
    return context
