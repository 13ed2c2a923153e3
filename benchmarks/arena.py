"""The AWS that all contestants meet: one local AWS in a process of its own, without packets, that notes every call.

`python -m benchmarks.arena SPEED LOG` prints one JSON object (url and keys) when it is ready, and ends with its stdin.
Each line of LOG is the machine's monotonic time in seconds and the API operation.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.server.local_aws import LocalAws

SEED = 1  # the same ids and delays in every run of the bench


def main(speed: str, path: str) -> None:
    """Serve until whoever started this goes away."""
    with Path(path).open("w", encoding="utf-8", buffering=1) as log:

        def note(line: str) -> None:
            words = line.split()  # time, service, operation, status
            if len(words) == 4:  # noqa: PLR2004  # what is no call is one sentence
                log.write(f"{time.monotonic()} {words[2]}\n")

        with LocalAws(AwsClock(float(speed)), seed=SEED, log=note) as aws:
            keys = {"url": aws.url, "id": aws.access_key_id, "secret": aws.secret_access_key}
            print(json.dumps(keys), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
