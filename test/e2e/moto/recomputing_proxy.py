"""Stands between the gateway and moto and has botocore, AWS's own library, compute every signature again from the request as it arrived.

recomputing_proxy.py MOTO_PORT: prints its port, then one line of JSON for each request that it passed on. It learns the secret keys from the answers of STS,
and refuses (403) what moto itself would not notice: moto does not check signatures.
"""

import hashlib
import json
import re
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

MOTO_PORT = int(sys.argv[1])
SECRETS = {}
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$"
)


def refusal(method, url, headers, body):
    found = AUTHORIZATION.match(headers.get("authorization", ""))
    if not found:
        return "no signature of this algorithm"
    key_id, region, service, signed, signature = found.groups()
    if key_id not in SECRETS:
        return "a key that STS did not make"
    payload = headers.get("x-amz-content-sha256")
    if payload != hashlib.sha256(body).hexdigest():
        return "the digest is not that of the body"
    unsigned = [name for name in headers if name.startswith("x-amz-") and name not in signed.split(";")]
    if unsigned:
        return f"not signed: {unsigned}"
    parts = urlsplit(url)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    request = AWSRequest(method=method, url=f"http://{headers['host']}{parts.path}", params=params, data=body)
    for name in signed.split(";"):
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials(key_id, SECRETS[key_id], headers.get("x-amz-security-token"))
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return None if signer.signature(to_sign, request) == signature else "the signature is another one"


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_session = b"AssumeRoleWithWebIdentity" in body and "authorization" not in headers
        fault = None if is_session else refusal(self.command, self.path, headers, body)
        if fault is None:
            upstream = HTTPConnection("127.0.0.1", MOTO_PORT)
            upstream.request(self.command, self.path, body, {name: value for name, value in headers.items() if name != "connection"})
            answer = upstream.getresponse()
            status, fields, data = answer.status, answer.getheaders(), answer.read()
        else:
            status, fields, data = 403, [("content-type", "text/plain")], fault.encode()
        if is_session:
            text = data.decode()
            SECRETS[re.search("<AccessKeyId>(.*?)<", text)[1]] = re.search("<SecretAccessKey>(.*?)<", text)[1]
        print(json.dumps({"method": self.command, "path": self.path, "target": headers.get("x-amz-target"), "session": is_session, "status": status, "fault": fault}), flush=True)
        self.send_response(status)
        for name, value in fields:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(server.server_address[1], flush=True)
server.serve_forever()
