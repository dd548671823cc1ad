"""Whether the API server asks modeltrust: a policy with a field that no version knows is created with dry-run, and must be refused.

Run by `helm test`, in a Pod. The API server alone would admit it, since unknown fields of a spec are kept until we refuse them; so
a refusal in our words proves the whole way there and back. Nothing is stored.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATH = "/apis/modeltrust.dev/v1alpha1/modelpolicies?dryRun=All"
SECONDS = 120
POLICY = {
    "apiVersion": "modeltrust.dev/v1alpha1",
    "kind": "ModelPolicy",
    "metadata": {"name": "modeltrust-test"},
    "spec": {
        "mode": "Audit",
        "match": {"namespaces": {"names": ["modeltrust-test"]}, "models": ["**"]},
        "requirements": [{"type": "Pinned"}],
        "thisFieldIsNoField": True,
    },
}


def ask(url: str, account: Path) -> tuple[int, str]:
    """The status and the message of one try."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {(account / 'token').read_text().strip()}"}
    request = urllib.request.Request(url + PATH, data=json.dumps(POLICY).encode(), headers=headers, method="POST")
    context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error).get("message", "")
    except OSError as error:
        return 0, f"no answer: {type(error).__name__}"


def main() -> int:
    """Try until it is refused, or the time is over."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    deadline = time.monotonic() + SECONDS
    while True:
        status, message = ask(url, ACCOUNT)
        if "admission.modeltrust.dev" in message and "modeltrust:" in message:
            print(f"denied, as it must be: {message.splitlines()[0]}")
            return 0
        if time.monotonic() > deadline:
            print(f"FAILED: the API server answered {status} {message!r}; expected a refusal by admission.modeltrust.dev.")
            print("Look at: kubectl -n <release namespace> get pods; the caBundle of validatingwebhookconfiguration modeltrust.")
            return 1
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
