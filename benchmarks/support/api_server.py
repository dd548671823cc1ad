"""An API server for benchmarks: prepared pages, a watch with as many changes a second as wanted. Run as a program of its own.

    python -m benchmarks.support.api_server FOLDER CHANGES_PER_SECOND

FOLDER holds one file of JSON lines (one object each) per resource name, what changes (changes.jsonl: attestations, sent again and
again in this order), and tls.crt and tls.key; prints its port.
"""

import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 250
CHANGING = "modelattestations"
LISTED = 1_000  # the version of every list; what changes later has a higher one, or a mirror would think that a backup came back
VERSION = b'"resourceVersion": "7"'  # of each object, as it is prepared


class Pages:
    """The answers, prepared before anybody asks."""

    def __init__(self, folder: Path) -> None:
        self.lines = {path.stem: path.read_bytes().splitlines() for path in folder.glob("*.jsonl")}

    def page(self, resource: str, start: int) -> bytes:
        """One page of a list, from an index on."""
        lines = self.lines.get(resource, [])
        following = f',"continue":"{start + PAGE}"' if start + PAGE < len(lines) else ""
        head = b'{"kind":"List","metadata":{"resourceVersion":"%d"' % LISTED + following.encode() + b'},"items":['
        return head + b",".join(lines[start : start + PAGE]) + b"]}"


class Handler(BaseHTTPRequestHandler):
    """GET of lists and watches."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as Go does; two writes for an answer would wait for an acknowledgement of 40 ms
    pages: Pages
    changes: float

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """A list or a watch."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        resource = url.path.rpartition("/")[2]
        if query.get("watch"):
            self._watch(resource)
            return
        body = self.pages.page(resource, int(query.get("continue", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, resource: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        lines = self.pages.lines.get("changes", []) if resource == CHANGING and self.changes else []
        version = LISTED
        while True:
            if lines:
                line, version = lines[(version - LISTED) % len(lines)], version + 1
                self._send(
                    b'{"type":"MODIFIED","object":' + line.replace(VERSION, b'"resourceVersion": "%d"' % version, 1) + b"}\n"
                )
                time.sleep(1 / self.changes)
            else:
                bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
                self._send(json.dumps(bookmark).encode() + b"\n")
                time.sleep(5)

    def _send(self, line: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))


def main() -> None:
    """Serve until killed."""
    folder = Path(sys.argv[1])
    Handler.pages, Handler.changes = Pages(folder), float(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write(json.dumps({"port": server.server_address[1]}) + "\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
