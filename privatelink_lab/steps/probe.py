"""The probe: a small instance in a consumer's subnet that asks the endpoint for the page, and writes what it saw.

No step of `up`: `plab verify` makes one, reads its console with EC2 calls alone (no internet, no SSM, no public
address), and removes it. A probe that was left behind is found by its tag, and ends itself after a quarter of an hour.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

from privatelink_lab import prices
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import (
    LONG_PATIENCE,
    SLOW_GRACE_PERIOD,
    Found,
    Patience,
    Phase,
    Resource,
    ResourceType,
    Step,
    Token,
)
from privatelink_lab.resource_key import make_key, split_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._existing import port
from privatelink_lab.steps._instance import KIND, STATES, launch, terminate
from privatelink_lab.steps._security_group import group_key
from privatelink_lab.steps._vpc import subnet_ids, subnet_keys
from privatelink_lab.steps.consumer_endpoint import endpoint_key

NAME = "probe"
LINE_PREFIX = "PLAB-PROBE"  # begins the probe's lines on the console, where the system writes too
BOOT_TIME = 120.0  # seconds from its launch to its first request, and until its console is shown
LIFETIME = 15  # minutes until a forgotten probe ends itself
LONGEST, SLOWEST = 1 << 16, 5  # bytes and seconds of one answer
PING_TIME = 0.3  # seconds
BODIES, MOST_PROBLEMS = 3, 50  # different ones that are written out: a console keeps 64 KiB
# What a probe writes: kind of row -> its fields, each with what stands for a missing one, and its types.
_WORD, _TEXT, _NUMBER = (None, str), ("", str), (None, int, float)
ROWS: dict[str, dict[str, tuple[Any, ...]]] = {
    "status": {"status": (None, int), "digest": _WORD, "address": _WORD, "body": _TEXT}
    | {"connect_ms": _NUMBER, "total_ms": _NUMBER},
    "problem": {"problem": _WORD, "address": _TEXT, "detail": _TEXT},
    "end": {"end": (None, bool), "tries": (None, int), "ping": (None, bool, type(None))},
}
USER_DATA = """\
#!/bin/bash
shutdown -h +{lifetime}
python3 - {settings} > /dev/console 2>&1 <<'END'
import base64, hashlib, json, socket, struct, sys, time

task = json.loads(base64.b64decode(sys.argv[1]))

def write(**row):
    print({prefix!r}, json.dumps(row), flush=True)

def report_problem(**problem):
    if problem != problems[-1] and len(problems) < {most_problems}:
        problems.append(problem)
        write(**problem)

def ask(address):
    began = time.monotonic()
    with socket.create_connection((address, task["port"]), timeout=3) as there:
        connected = time.monotonic()
        if task["only_tcp"]:
            asked.add(address)
            took = round(1000 * (connected - began), 2)
            write(address=address, status=0, digest="", connect_ms=took, total_ms=took)
            return
        there.sendall("GET / HTTP/1.0\\r\\nHost: {{}}\\r\\n\\r\\n".format(task["name"]).encode())
        answer = b""
        while more := there.recv(65536):
            answer += more
            if len(answer) > {longest} or time.monotonic() > began + {slowest}:
                raise OSError("the answer does not end")
    ended = time.monotonic()
    if not answer:
        raise OSError("the connection was closed without a word")
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    words = head.split()
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    body = body if is_http else answer
    digest = hashlib.sha256(body).hexdigest()
    row = dict(
        address=address,
        status=int(words[1]) if is_http else 0,
        digest=digest,
        connect_ms=round(1000 * (connected - began), 2),
        total_ms=round(1000 * (ended - began), 2),
    )
    asked.add(address)
    if digest not in bodies and len(bodies) < {bodies}:
        bodies.add(digest)
        row["body"] = body[:160].decode("utf-8", "ignore")
    write(**row)

def attempt(turn):
    try:
        rows = socket.getaddrinfo(task["name"], task["port"], socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        report_problem(problem="dns", detail=str(error))
        return 0
    addresses = sorted({{row[4][0] for row in rows}})
    address = addresses[turn % len(addresses)]
    try:
        ask(address)
    except OSError as error:
        report_problem(problem="no answer", address=address, detail=str(error) or type(error).__name__)
        return 0
    return len(addresses)

def ping(address):
    end = time.monotonic() + {ping_time}
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as there:
            there.settimeout({ping_time})
            there.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FD, 1, 1), (address, 0))
            while time.monotonic() < end:
                packet, (sender, _) = there.recvfrom(2048)
                if sender == address and packet[20] == 0:
                    return True
            return False
    except TimeoutError:
        return False
    except OSError:
        return None

problems, bodies, asked = [None], set(), set()
turn, tries, wanted, end = 0, 0, task["requests"], time.monotonic() + task["seconds"]
while tries < wanted and time.monotonic() < end:
    addresses = attempt(turn)
    turn += 1
    if addresses and not tries:
        end = time.monotonic() + task["seconds"]
    if addresses or tries:
        tries, wanted = tries + 1, max(wanted, addresses)
    if not addresses:
        time.sleep(0.2)
write(end=True, tries=tries, ping=ping(min(asked)) if asked else None)
END
"""


@dataclass(frozen=True)
class ProbeTask:
    """What a probe is to do: how many requests, and how many seconds the first answer, and then all others, may take.

    `run` is new for each `verify`, so that no token of an earlier one brings back an instance that has ended.
    """

    requests: int
    seconds: float
    run: str


@dataclass(frozen=True)
class ProbeReport:
    """What a probe has written so far: one row per answer, the last problem, and whether it is done.

    `tries` counts its requests from the first answer on; it asks each address of the endpoint in turn. `ping` says
    whether one that has answered also answers a ping; None where that was not asked.
    """

    answers: tuple[dict[str, Any], ...] = ()
    problem: str = ""
    detail: str = ""
    ended: bool = False
    tries: int = 0
    ping: bool | None = None


def probe_key(consumer: str) -> str:
    """The key of a consumer's probe."""
    return make_key(consumer, NAME)


def user_data(name: str, port: int, task: ProbeTask, *, only_tcp: bool = False) -> str:
    """The shell script of the probe; everything that varies reaches the shell as base64 only.

    `only_tcp`: what the server speaks is not known, so a connection is all that can be proved.
    """
    settings = {"name": name, "port": port, "requests": task.requests, "seconds": task.seconds, "run": task.run}
    settings["only_tcp"] = only_tcp
    encoded = base64.b64encode(json.dumps(settings).encode()).decode()
    return USER_DATA.format(
        lifetime=LIFETIME,
        settings=encoded,
        prefix=LINE_PREFIX,
        bodies=BODIES,
        most_problems=MOST_PROBLEMS,
        longest=LONGEST,
        slowest=SLOWEST,
        ping_time=PING_TIME,
    )


def read_report(console: str) -> ProbeReport:
    """The report in a console's output; lines of others, and broken ones, are passed over."""
    answers: list[dict[str, Any]] = []
    problem = detail = ""
    bodies: dict[str, str] = {}  # by digest: each is written out once
    ended, tries, ping = False, 0, None
    for line in console.splitlines():
        kind, row = _read_row(line)
        if kind == "status":
            body = bodies.setdefault(row["digest"], row.get("body", "").removesuffix("\n"))
            answers.append(row | {"body": body})
        elif kind == "problem":
            problem, detail = row["problem"], " ".join(filter(None, (row.get("address"), row.get("detail"))))
        elif kind == "end":
            ended, tries, ping = True, row["tries"], row.get("ping")
    return ProbeReport(tuple(answers), problem, detail, ended, tries, ping)


def _read_row(line: str) -> tuple[str, dict[str, Any]]:
    """What kind of row the line is, and its fields; '' for what the probe does not write: a console is anybody's."""
    _, prefix, rest = line.partition(f"{LINE_PREFIX} ")
    try:
        row = json.loads(rest) if prefix else None
    except (ValueError, RecursionError):
        return "", {}
    if isinstance(row, dict):
        for kind, fields in ROWS.items():
            if kind in row and all(type(row.get(name, default)) in types for name, (default, *types) in fields.items()):
                return kind, row
    return "", {}


@calls("ec2:GetConsoleOutput")
def _read(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    consumer, id_, state = resource.party, row["InstanceId"], row["State"]["Name"]
    phase = STATES.get(state, Phase.FAILED)
    if phase is not Phase.READY:
        return Found(id_, Phase.FAILED if phase is Phase.DRIFTED else phase, state)
    if resource.options is None:  # only `verify` reads the console, which may not be readable, and is a stranger's word
        return Found(id_, phase, state)
    console = snapshot.of_parent(lab.account(consumer), "console", id_, lambda: console_of(lab, consumer, id_))
    report = read_report(console)
    if report.ended:
        return Found(id_, Phase.READY, f"{len(report.answers)} answers", {"console": console})
    return Found(id_, Phase.PENDING, report.problem if not report.answers and report.problem else "at work")


def console_of(lab: Lab, party: str, instance: str) -> str:
    """What an instance has written until now; types without Nitro show it only minutes later. Raises AwsError."""
    ec2 = lab.account(party).ec2
    try:
        return ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")
    except AwsError as error:
        if error.code != "UnsupportedOperation":
            raise
    return ec2.get_console_output(InstanceId=instance).get("Output", "")


@calls("ec2:RunInstances", "ssm:GetParameter")
def _create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    consumer = resource.party
    name = snapshot.found(endpoint_key(consumer))[0].shows.get("dns_name", "")
    return launch(
        lab,
        resource,
        token,
        subnet=subnet_ids(lab, snapshot, consumer)[0],
        group=snapshot.id(group_key(consumer)),  # it lets everything out
        user_data=user_data(name, port(lab), resource.options, only_tcp=not lab.config.provider.has_network),
        InstanceInitiatedShutdownBehavior="terminate",
    )


PROBE_TYPE = ResourceType("probe", KIND, read=_read, create=_create, delete=terminate, patience=LONG_PATIENCE)


def probe(lab: Lab, consumer: str, task: ProbeTask | None = None) -> Resource:
    """The probe of a consumer, READY with its report in `console`; without a `task` it can only be found and ended."""
    patience = Patience(BOOT_TIME, SLOW_GRACE_PERIOD, also=2 * task.seconds) if task else LONG_PATIENCE
    needs = (endpoint_key(consumer), *subnet_keys(lab, consumer)[:1], group_key(consumer))
    cost = prices.instance(lab.config.provider.web_server.instance_type)
    return Resource(
        probe_key(consumer), replace(PROBE_TYPE, patience=patience), needs, options=task, usd_per_hour=cost
    ).in_step(NAME)


def _rebuild(lab: Lab, key: str) -> Resource | None:
    consumer = split_key(key)[0]
    return probe(lab, consumer) if key == probe_key(consumer) else None


STEP = Step(NAME, lambda _: (), _rebuild, (KIND,))
