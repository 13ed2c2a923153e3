"""The local AWS: the guard, moto's services, the agenda and the HTTP front, put together."""

from __future__ import annotations

import json
import os
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Self

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.core.responses import BaseResponse
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from privatelink_lab.local.api.clock import Agenda, Clock
from privatelink_lab.local.api.faults import Faults
from privatelink_lab.local.api.responses import Answer, Refusal, error_answer, json_answer
from privatelink_lab.local.api.world import World
from privatelink_lab.local.client import FAULTS_PATH, STATUS_PATH, VISIT_PATH
from privatelink_lab.local.ec2.backend import install as install_backend
from privatelink_lab.local.network.link import NoTraffic, Traffic
from privatelink_lab.local.server.auth import Scope, read_scope, refuse_key, refuse_stranger
from privatelink_lab.local.server.dispatch import call_service
from privatelink_lab.local.server.http import Front, bind
from privatelink_lab.local.server.services import LocalEc2, LocalElb
from privatelink_lab.local.traffic.inventory import count_resources, take_inventory
from privatelink_lab.local.traffic.sync import Ticker

if TYPE_CHECKING:
    import socket

ACCOUNT = "123456789012"
"""The account of the server's own key; AssumeRole leads to others."""

_KEY_LETTERS = string.ascii_uppercase + string.digits


_STORES = threading.Lock()
"""Held by the LocalAws that moto's stores belong to."""


class LocalAws:
    """One life of the local AWS, in this process; a context manager.

    moto's stores are global, so only one may live at a time. `start` empties them.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int | None = None,
        listener: socket.socket | None = None,
        log: Callable[[str], object] = lambda _: None,
        traffic: Traffic | NoTraffic | None = None,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.token = secrets.token_hex(16)
        self.access_key_id = "AKIA" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))
        self.secret_access_key = secrets.token_urlsafe(30)
        agenda = Agenda(clock)
        self._world = World(agenda, Faults(agenda.now, seed), traffic=traffic or NoTraffic())
        self._lock = threading.Lock()
        self._ticker = Ticker(self._world, self._lock)
        self._log = log
        self._front = Front(listener or bind(), self.respond)
        self._thread = threading.Thread(target=self._serve, name="local-aws", daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._front.server_address[1])

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL wants."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Empty moto's stores, load what is slow, and serve in a thread.

        Raises RuntimeError while another one lives in this process.
        """
        if not _STORES.acquire(blocking=False):
            self._front.server_close()
            raise RuntimeError("moto's stores are global: stop the other LocalAws first")
        BackendDict.reset()
        reset_model_data()
        install_backend()
        self.warm_up()
        self._log(self._world.traffic.why_not or "packets flow")
        mock_random.seed(self.seed)  # ids come from here, and the same seed gives the same ones
        self._thread.start()
        self._ticker.start()
        return self

    def stop(self) -> None:
        """Close every socket, end all traffic, and wait for every thread. A second call does nothing."""
        if self._thread.is_alive():
            self._front.hang_up()
            self._thread.join()
            self._ticker.stop()
            _STORES.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def warm_up(self) -> None:
        """Call each service once, so that no user waits for its models and catalogues."""
        for service, headers, body in _FIRST_CALLS:
            scope = f"{self.access_key_id}/20260101/us-east-1/{service}/aws4_request"
            signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}"}
            self.respond("POST", "/", headers | signed | {"Host": self.url[7:]}, body)

    def inventory(self) -> dict[str, list[str]]:
        """Kind -> everything that users have made and that exists now, each with its tags."""
        with self._lock:
            self._ticker.settle()
            return take_inventory()

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one HTTP request, and one line in the log."""
        scope = read_scope(headers) or Scope()
        refused = refuse_stranger(headers, self.port) or self._refuse_key(scope)
        if refused is None and (method, path) == ("GET", STATUS_PATH):
            action, answer = "status", json_answer(self._status())
        elif refused is None and (method, path) == ("PUT", FAULTS_PATH):
            action, answer = "faults", self._choose_faults(body)
        elif refused is None and (method, path) == ("PUT", VISIT_PATH):
            action, answer = "visit", self._visit(body)
        elif refused is None and path == "/":
            action, answer = self._call(scope, headers, body)
        else:
            action, answer = "refused", error_answer(refused or _NO_PAGE, scope.service)
        self._log(f"{time.strftime('%H:%M:%S')} {scope.service or '-'} {action} {answer.status}")
        return answer

    def _serve(self) -> None:
        self._front.serve_forever(poll_interval=0.05)

    def _visit(self, body: bytes) -> Answer:
        """Let somebody into the subnet that a JSON string names."""
        try:
            number = self._ticker.visit(str(json.loads(body)))
        except (LookupError, ValueError, RecursionError) as error:
            return error_answer(Refusal(404, "InvalidSubnetID.NotFound", f"There is no subnet {error}"), "ssm")
        if number is None:
            why = self._world.traffic.why_not or "The visitor's machine did not start"
            return error_answer(Refusal(503, "Unavailable", why), "ssm")
        return json_answer({"pid_namespace": number})

    def _refuse_key(self, scope: Scope) -> Refusal | None:
        with self._lock:
            return refuse_key(scope, [self.access_key_id, *_assumed_keys()])

    def _status(self) -> dict[str, object]:
        with self._lock:
            self._ticker.settle()
            resources = count_resources()
        return {
            "token": self.token,
            "pid": os.getpid(),
            "speed": self.clock.speed,
            "slow": self.clock.slow,
            "resources": resources,
            "faults": self._world.faults.said(),
            "traffic": not self._world.traffic.why_not,
            "why_not": self._world.traffic.why_not,
        }

    def choose_faults(self, rows: object) -> None:
        """Switch on exactly these faults (JSON objects, see `faults.KINDS`); raises InvalidFault."""
        with self._lock:
            self._world.faults.choose(rows)

    def _choose_faults(self, body: bytes) -> Answer:
        try:
            self.choose_faults(json.loads(body))
        except (ValueError, RecursionError) as error:  # of JSON, and InvalidFault
            return error_answer(Refusal(400, "InvalidFault", f"{error}"), "ssm")
        return json_answer(self._status())

    def _call(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> tuple[str, Answer]:
        make = _SERVICES.get(scope.service)
        if make is None or scope.region not in ec2_backends[ACCOUNT].regions:
            refused = _NO_REGION if make else _NO_SERVICE
            return "refused", error_answer(refused, scope.service)
        with self._lock:
            self._ticker.settle()
            reset_model_data()  # moto keeps every object that it ever made, for a dashboard that is not here
            action, answer = call_service(make(self._world), f"{self.url}/", headers, body, self._world.faults)
            if not action.startswith(_READS):
                self._ticker.touch()
        return action, answer


_SERVICES: Mapping[str, Callable[[World], BaseResponse]] = {
    "ec2": LocalEc2,
    "elasticloadbalancing": LocalElb,
    "sts": lambda _: TokenResponse(),
    "ssm": lambda _: SimpleSystemManagerResponse(),
}

_READS = ("Describe", "Get")
_NO_SERVICE = Refusal(400, "UnknownService", f"The local AWS has only: {', '.join(_SERVICES)}.")
_NO_REGION = Refusal(400, "InvalidRegion", "The request is not signed for a region of AWS.")
_NO_PAGE = Refusal(404, "NotFound", "There is no such page.")

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter"}
_AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_OFFERINGS = (
    b"Action=DescribeInstanceTypeOfferings&LocationType=availability-zone"
    b"&Filter.1.Name=instance-type&Filter.1.Value.1=t3.micro"
)
_FIRST_CALLS = (
    ("ec2", _FORM, _OFFERINGS),
    ("elasticloadbalancing", _FORM, b"Action=DescribeLoadBalancers"),
    ("sts", _FORM, b"Action=GetCallerIdentity"),
    ("ssm", _JSON, b'{"Name": "%s"}' % _AMI.encode()),
)


def _assumed_keys() -> Iterator[str]:
    """The access key ids that AssumeRole has given out."""
    for account in iam_backends.values():
        for backend in account.values():
            yield from backend.access_keys
