"""The server process: `python -m privatelink_lab.local.server FOLDER --speed N`.

FOLDER/local.json holds its address and its keys while it is ready. stdout is the log. SIGTERM ends
it; SIGINT does not, since it must outlive a Ctrl-C of plab.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.control_client import ServerOptions, forget, server_path
from privatelink_lab.local.network.agent_client import AgentClient
from privatelink_lab.local.server.http import bind

CHECK_INTERVAL = 2.0  # seconds between two checks that local.json exists and the network runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, until local.json is deleted (no command finds the server then), or the network ends."""
    parser = argparse.ArgumentParser(prog="privatelink_lab.local.server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args(arguments)
    serve(options.folder, ServerOptions(options.speed, options.slow, options.seed))
    return 0


def serve(folder: Path, pace: ServerOptions) -> None:
    """Bind first, then load moto: its import takes two seconds and may start threads."""
    ended = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    listener = bind()
    traffic = AgentClient()  # it starts while moto is loaded
    from privatelink_lab.local.server.local_aws import LocalAws  # only after the bind

    path = server_path(folder)
    clock = AwsClock(pace.speed, slow=pace.slow)
    network = traffic.wait()
    with LocalAws(clock, seed=pace.seed, listener=listener, log=log_line, traffic=network) as aws:
        write_private(
            path,
            {
                "url": aws.url,
                "pid": os.getpid(),
                "token": aws.token,
                "access_key_id": aws.access_key_id,
                "secret_access_key": aws.secret_access_key,
                "speed": pace.speed,
                "slow": pace.slow,
            },
        )
        log_line(f"ready at {aws.url}, {pace.speed:g} times as fast as AWS{' on a slow day' if pace.slow else ''}")
        while not ended.wait(CHECK_INTERVAL) and path.exists():
            if network.has_ended():
                log_line(
                    "the network has ended, and with it everything that ran here; start again with `plab up --local`"
                )
                break
        forget(folder, aws.token)
    log_line("ended")


def write_private(path: Path, data: Mapping[str, object]) -> None:
    """Write the file in one step, readable by its owner only."""
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def log_line(line: str) -> None:
    """Write one line to the log at once; `print` alone would write the line end apart, after another thread's text."""
    print(f"{line}\n", end="", flush=True)


if __name__ == "__main__":
    # Freeing moto's stores would take another second, and `stop` waits for the end.
    os._exit(main())
