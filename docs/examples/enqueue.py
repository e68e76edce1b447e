"""Asks for a job, and waits until it is done: python3 enqueue.py KIND PAYLOAD KEY

BERTH is where Berth is (http://localhost:8080), APP_KEY what `berth keys create` has printed. No package is needed.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request


def ask(path, body=None):
    request = urllib.request.Request(
        os.environ["BERTH"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['APP_KEY']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {json.load(error)['detail']}")


kind, payload, key = sys.argv[1:]
# Under a key a request may be sent again, as after a lost answer: it is answered with the same job.
job = ask("/v1/jobs", {"kind": kind, "payload": json.loads(payload), "key": key})
while job["state"] in ("queued", "running"):
    time.sleep(0.1)
    job = ask(f"/v1/jobs/{job['id']}")
print(job["state"])
