"""EC2's instance metadata service, version 2, for instances that are containers: python metadata.py CONFIGURATION.

The configuration, JSON by the instance's address, is read at each request. What the launch template says is kept:
without a token there is nothing, and the answer with the token lives for as many hops as it allows.
"""

import http.server
import json
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

ADDRESS = "169.254.169.254"
_tokens: set[str] = set()


class Metadata(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _instance(self) -> Any:
        return json.loads(Path(sys.argv[1]).read_text())[self.client_address[0]]

    def _answer(self, status: int, text: str = "", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        if self.path != "/latest/api/token":
            return self._answer(404)
        hops = self._instance()["hops"]
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        token = secrets.token_urlsafe()
        _tokens.add(token)
        return self._answer(200, token, X_Aws_Ec2_Metadata_Token_Ttl_Seconds="21600")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") not in _tokens:
            return self._answer(401)
        instance = self._instance()
        role = "/latest/meta-data/iam/security-credentials/"
        texts = {
            "/latest/meta-data/instance-id": instance["id"],
            "/latest/meta-data/placement/region": instance["region"],
            "/latest/meta-data/placement/availability-zone": instance["region"] + "a",
            "/latest/dynamic/instance-identity/document": json.dumps({"region": instance["region"]}),
            role: "instance",
            role + "instance": json.dumps(instance["credentials"]),
        }
        return self._answer(200, texts[self.path]) if self.path in texts else self._answer(404)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer((ADDRESS, 80), Metadata).serve_forever()
