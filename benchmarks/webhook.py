"""The process: HTTPS CPU per request against a static raw-ASGI answer of the same server, start-up seconds, memory.

CPU per request is read from /proc/PID/schedstat of the server over a closed loop on one kept connection, in interleaved rounds:
``/validate`` with a full decision against the same settings serving a constant. Start-up is from ``exec`` to the first 200 of
``/readyz``, the best of several (facts/performance.md section 9).
"""

import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import reviews, trusted
from tests.support.processes import Running, running
from tests.support.statements import attestor_entry
from tests.support.tls import write_certificate

ROUNDS, REQUESTS, STARTS = 7, 400, 5
RATIO_GOAL, START_GOAL, MEMORY_GOAL = 2.5, 0.8, 80.0
STATIC = """
import sys
from pathlib import Path
from modeltrust.webhook.health import Health
from modeltrust.webhook.serve import Server
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.listening import configuration, listen
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
s = listen("127.0.0.1:0")
config = configuration(app, Certificate(Path(sys.argv[1]), Path(sys.argv[2])))
print('{"port": %d, "metricsPort": 0}' % s.getsockname()[1], flush=True)
Server(config, health=Health(lambda now: ()), drain_seconds=0, clock=lambda: 0.0).run(sockets=[s])
"""


def main() -> int:
    """Print what was measured; 1 when a goal is missed."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        trust = write_trust(root / "trust")
        certificate, key = write_certificate(root)
        starts, memory = [], 0.0
        for number in range(STARTS):
            started = time.perf_counter()
            with running(trust, certificate, key, root / f"{number}.log") as webhook:
                starts.append(time.perf_counter() - started)
                memory = resident(webhook)
        missed = report("process to ready", min(starts), "s", START_GOAL) + report(
            "resident, small store", memory, "MB", MEMORY_GOAL
        )
        with running(trust, certificate, key, root / "log") as webhook, static(certificate, key) as constant:
            bodies = {"Deployment": reviews.deployment_create(), "InferenceService": reviews.inference_service_update()}
            for body_name, body in bodies.items():
                ratios = []
                for _ in range(ROUNDS):
                    ours, theirs = cpu_per_request(webhook, body), cpu_per_request(constant, body)
                    ratios.append(ours / theirs)
                ratios.sort()
                print(f"last round: {ours * 1e6:.0f} us against {theirs * 1e6:.0f} us")
                missed += report(f"HTTPS CPU to static, {body_name}", ratios[len(ratios) // 2], "x", RATIO_GOAL)
    return int(missed > 0)


def report(what: str, value: float, unit: str, goal: float) -> int:
    """Print one line; 1 when the goal is missed."""
    print(f"{what:36} {value:7.2f} {unit}  goal <= {goal}: {'met' if value <= goal else 'MISSED'}")
    return int(value > goal)


def write_trust(folder: Path) -> Path:
    """The small world of the tests, as files."""
    folder.mkdir()
    now = int(time.time())
    objects = [trusted.policy(), trusted.audit_policy(), trusted.other_policy(), trusted.signer(), trusted.namespace("team-a")]
    for number, model in enumerate((trusted.GUARD, trusted.ADAPTER)):
        said = trusted.statement(model, issued_at=now, expires_at=now + 86_400)
        objects.append(trusted.attestation(f"a{number}", said))
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    (folder / "attestors.yaml").write_text(yaml.safe_dump([attestor_entry(trusted.ATTESTOR_KEY)]))
    return folder


@contextmanager
def static(certificate: Path, key: Path) -> Iterator[Running]:
    """The same server settings with a constant answer."""
    process = subprocess.Popen([sys.executable, "-c", STATIC, str(certificate), str(key)], stdout=subprocess.PIPE)
    try:
        port = json.loads(process.stdout.readline() if process.stdout else b"")["port"]
        yield Running(process, port, 0, ssl.create_default_context(cafile=str(certificate)), certificate)
    finally:
        process.kill()
        process.wait()


def cpu_per_request(server: Running, body: bytes) -> float:
    """Seconds of server CPU for one request."""
    link = server.connect()
    headers = {"Content-Type": "application/json"}

    def post(count: int) -> None:
        for _ in range(count):
            link.request("POST", "/validate?timeout=3s", body, headers)
            link.getresponse().read()

    post(50)
    before = cpu(server)
    post(REQUESTS)
    after = cpu(server)
    link.close()
    return (after - before) / REQUESTS


def cpu(server: Running) -> float:
    """Seconds of CPU of the process, all threads."""
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident(server: Running) -> float:
    """MB of resident memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
