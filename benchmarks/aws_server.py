"""The AWS that all compared tools call: a local AWS in a process of its own, without packets, that logs every call.

`python -m benchmarks.aws_server SPEED LOG` prints one JSON object (url and keys) when it is ready, and ends when its
stdin is closed. A line of LOG is time.monotonic() in seconds and the API operation.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.server.local_aws import LocalAws

SEED = 1  # for the same ids and delays in every run of the bench


def main(speed: str, path: str) -> None:
    """Serve until stdin is closed."""
    with Path(path).open("w", encoding="utf-8", buffering=1) as log:

        def note(line: str) -> None:
            words = line.split()  # time, service, operation, status
            if len(words) == 4:  # noqa: PLR2004  # other lines are sentences
                log.write(f"{time.monotonic()} {words[2]}\n")

        with LocalAws(AwsClock(float(speed)), seed=SEED, log=note) as aws:
            keys = {"url": aws.url, "id": aws.access_key_id, "secret": aws.secret_access_key}
            print(json.dumps(keys), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
