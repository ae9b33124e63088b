"""The REST API and firmware downloads, spoken to over TLS with Python's own client."""

import http.client
import json
import os
import ssl


class Response:
    def __init__(self, raw):
        self.status = raw.status
        self.headers = {k.lower(): v for k, v in raw.getheaders()}
        self.body = raw.read()

    def json(self):
        return json.loads(self.body)

    def is_problem(self):
        return self.headers.get("content-type", "").startswith("application/problem+json")


class Rest:
    def __init__(self, port, ca, token, certificate=None):
        self.port = port
        self.token = token
        self.context = ssl.create_default_context(cafile=ca)
        if certificate:
            self.context.load_cert_chain(*certificate)

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=60)

    def request(self, method, path, body=None, headers=()):
        connection = self.connect()
        headers = dict(headers)
        if self.token:
            headers.setdefault("Authorization", "Bearer " + self.token)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            return Response(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def upload(self, content, version="1.1.0", device_type="sensor", filename="firmware.bin", **headers):
        body, content_type = multipart(content, version, device_type, filename)
        return self.request("POST", "/api/v1/firmwares", body,
                            {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def uploaded(self, content, version="1.1.0", device_type="sensor"):
        answer = self.upload(content, version, device_type)
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json()

    def trigger(self, firmware_id, *device_ids, **more):
        answer = self.post("/api/v1/updates", {"firmware_id": firmware_id, "device_ids": list(device_ids), **more})
        assert answer.status in (200, 201), (answer.status, answer.body)
        return answer.json()["updates"]

    def update(self, update_id):
        return self.get("/api/v1/updates/" + update_id).json()


def multipart(content, version, device_type, filename="firmware.bin"):
    """The form of an upload: (body, content type)."""
    boundary = "fb" + os.urandom(12).hex()
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    body = b"".join([
        f'{part}"device_type"\r\n\r\n{device_type}\r\n'.encode(),
        f'{part}"version"\r\n\r\n{version}\r\n'.encode(),
        f'{part}"file"; filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode(),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ])
    return body, "multipart/form-data; boundary=" + boundary
