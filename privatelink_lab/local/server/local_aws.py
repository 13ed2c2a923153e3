"""One local AWS, and the path of its requests: `LocalAws.respond` has the list of handlers."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Self

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random

from privatelink_lab.local import control_client
from privatelink_lab.local.api.clock import AwsClock, Scheduler
from privatelink_lab.local.api.faults import Faults
from privatelink_lab.local.api.responses import Refusal, Response, error_response, json_response
from privatelink_lab.local.api.server_state import World
from privatelink_lab.local.ec2.backend import FastBackend
from privatelink_lab.local.network.agent_client import AgentClient, NoAgent
from privatelink_lab.local.server.auth import ProxyPorts, refuse_other_origin, refuse_signature
from privatelink_lab.local.server.dispatch import SERVICES, call_service
from privatelink_lab.local.server.http import HttpServer, bind
from privatelink_lab.local.server.keys import Keys
from privatelink_lab.local.sigv4 import HttpMessage, Signature, read_signature, without_signature
from privatelink_lab.local.traffic.network_sync import NetworkSync
from privatelink_lab.local.traffic.resource_count import count_resources

if TYPE_CHECKING:
    import socket

ACCOUNT = "123456789012"
"""The account of the server's own key; AssumeRole leads to others."""

REFUSALS_EVERY = 60.0  # seconds between two lines about refused requests

_STORES = threading.Lock()
"""Held by the LocalAws that uses moto's stores."""


class HttpRequest(NamedTuple):
    """One HTTP request, and what it says of its signature; None without one."""

    message: HttpMessage
    signature: Signature | None

    @property
    def service(self) -> str:
        """The service that it is signed for; '' without a signature."""
        return self.signature.service if self.signature else ""


Handled = tuple[str, Response]
"""The action for the log, and the response."""


class LocalAws:
    """One life of the local AWS, in this process; a context manager.

    moto's stores are global, so only one may live at a time. `start` empties them.
    """

    def __init__(
        self,
        clock: AwsClock,
        *,
        seed: int | None = None,
        listener: socket.socket | None = None,
        log: Callable[[str], object] = lambda _: None,
        traffic: AgentClient | NoAgent | None = None,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.token = secrets.token_hex(16)
        self._keys, self._proxies = Keys(), ProxyPorts()
        self.access_key_id, self.secret_access_key = self._keys.own.id, self._keys.own.secret
        scheduler = Scheduler(clock)
        self._world = World(scheduler, Faults(scheduler.now, seed), traffic=traffic or NoAgent())
        self._lock = threading.Lock()
        self._refusals, self._refusals_told = 0, -REFUSALS_EVERY
        self._sync = NetworkSync(self._world, self._lock)
        self._log = log
        self._http = HttpServer(listener or bind(), self.respond)
        self._holds_stores = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=[0.05], name="local-aws", daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The value for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Empty moto's stores, load what is slow, and serve in a thread.

        Raises RuntimeError while another one lives in this process.
        """
        if not _STORES.acquire(blocking=False):
            self._http.server_close()
            raise RuntimeError("moto's stores are global: stop the other LocalAws first")
        self._holds_stores = True
        try:
            self._load()
            self._thread.start()
            self._sync.start()
        except BaseException:  # the next one can start
            self.stop()
            raise
        return self

    def _load(self) -> None:
        BackendDict.reset()
        reset_model_data()
        ec2_backends.backend = FastBackend
        for service, headers, body in _FIRST_CALLS:  # so that no user waits until its model is loaded
            first = Signature(self.access_key_id, "20260101", "us-east-1", service, ("host",), "", "")
            message = HttpMessage("POST", "/", _with_signature(headers, first), body)
            self._call_service(HttpRequest(message, first))
        self._log(self._world.traffic.why_not or "packets flow")
        mock_random.seed(self.seed)  # ids come from here, and the same seed gives the same ones

    def stop(self) -> None:
        """Close every socket, end all traffic, and wait for every thread. A second call does nothing."""
        if not self._holds_stores:
            return
        self._holds_stores = False
        if self._thread.is_alive():
            self._http.close_connections()
            self._thread.join()
        else:
            self._http.server_close()
        self._sync.stop()
        _STORES.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def choose_faults(self, rows: object) -> None:
        """Switch on exactly these faults (JSON objects, see `faults.KINDS`); raises InvalidFault."""
        with self._lock:
            self._world.faults.choose(rows)

    # The path of a request.

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """The response to one HTTP request, and one line in the log: the first handler with a response ends the path.

        `http` reads the request before this path; `call_service` is the path inside a service.
        """
        message = HttpMessage(method, path, headers, body)
        request = HttpRequest(message, read_signature(message))
        handlers = (
            self._refuse_other_origin,
            self._refuse_signature,
            self._answer_own_path,
            self._refuse_other_path,
            self._refuse_unknown_service,
            self._refuse_unknown_region,
            self._call_service,
        )
        action, response = next(handled for handle in handlers if (handled := handle(request)))
        if response.signed:
            self._log(f"{time.strftime('%H:%M:%S')} {request.service or '-'} {action} {response.status}")
        else:
            self._count_refusal()
        return response

    def _count_refusal(self) -> None:
        """Who has no key cannot fill the log: one line a minute."""
        with self._lock:
            self._refusals += 1
            if time.monotonic() - self._refusals_told < REFUSALS_EVERY:
                return
            count, self._refusals, self._refusals_told = self._refusals, 0, time.monotonic()
        self._log(f"{time.strftime('%H:%M:%S')} refused without a valid signature: {count}")

    def _refuse_other_origin(self, request: HttpRequest) -> Handled | None:
        return _unsigned(_refused(request, refuse_other_origin(request.message.headers, self.port)))

    def _refuse_signature(self, request: HttpRequest) -> Handled | None:
        return _unsigned(_refused(request, refuse_signature(*request, self._keys, self._proxies)))

    def _answer_own_path(self, request: HttpRequest) -> Handled | None:
        """What plab's own commands call."""
        match request.message.method, request.message.path:
            case ("GET", control_client.STATUS_PATH):
                return "status", json_response(self._status())
            case ("PUT", control_client.FAULTS_PATH):
                return "faults", self._answer_faults(request.message.body)
            case ("PUT", control_client.VISIT_PATH):
                return "visit", self._answer_visit(request.message.body)
        return None

    def _refuse_other_path(self, request: HttpRequest) -> Handled | None:
        return _refused(request, None if _form(request) is not None else _NO_PAGE)

    def _refuse_unknown_service(self, request: HttpRequest) -> Handled | None:
        return _refused(request, None if request.service in SERVICES else _NO_SERVICE)

    def _refuse_unknown_region(self, request: HttpRequest) -> Handled | None:
        is_known = request.signature and request.signature.region in ec2_backends[ACCOUNT].regions
        return _refused(request, None if is_known else _NO_REGION)

    def _call_service(self, request: HttpRequest) -> Handled:
        with self._lock:
            self._sync.run_due()
            reset_model_data()  # moto keeps every object that it ever made, for a dashboard that is not here
            name, url, form = request.service, f"{self.url}/", _form(request) or b""
            action, response = call_service(self._world, name, url, _headers_for_moto(request), form)
            if not action.startswith(_READS):
                self._sync.mark_changed()
        return action, response

    def _answer_faults(self, body: bytes) -> Response:
        try:
            self.choose_faults(json.loads(body))
        except (ValueError, RecursionError) as error:  # of JSON, and InvalidFault
            return error_response(Refusal(400, "InvalidFault", f"{error}"), "ssm")
        return json_response(self._status())

    def _answer_visit(self, body: bytes) -> Response:
        try:
            number = self._sync.visit(str(json.loads(body)))
        except (LookupError, ValueError, RecursionError) as error:
            return error_response(Refusal(404, "InvalidSubnetID.NotFound", f"There is no subnet {error}"), "ssm")
        if number is None:
            why = self._world.traffic.why_not or "The visitors' machine did not start"
            return error_response(Refusal(503, "Unavailable", why), "ssm")
        return json_response({"pid_namespace": number})

    def _status(self) -> dict[str, object]:
        with self._lock:
            self._sync.run_due()
            resources = count_resources()
        return {
            "token": self.token,
            "pid": os.getpid(),
            "speed": self.clock.speed,
            "slow": self.clock.slow,
            "resources": resources,
            "faults": self._world.faults.as_rows(),
            "traffic": not self._world.traffic.why_not,
            "why_not": self._world.traffic.why_not,
        }


def _refused(request: HttpRequest, refusal: Refusal | None) -> Handled | None:
    return ("refused", error_response(refusal, request.service)) if refusal else None


def _unsigned(handled: Handled | None) -> Handled | None:
    return (handled[0], replace(handled[1], signed=False)) if handled else None


def _form(request: HttpRequest) -> bytes | None:
    """What is asked: the body, or of a presigned request the query; None for another page than the service's."""
    page, _, query = request.message.path.partition("?")
    if page != "/" or (query and not (request.signature and request.signature.expires)):
        return None
    return without_signature(request.message.path).encode() if query else request.message.body


def _headers_for_moto(request: HttpRequest) -> Mapping[str, str]:
    """Moto reads account and region from the Authorization header, and a form only with its content type."""
    if request.signature and request.signature.expires:
        return _with_signature(dict(request.message.headers) | _FORM, request.signature)
    return request.message.headers


def _with_signature(headers: Mapping[str, str], signature: Signature) -> dict[str, str]:
    return {**headers, "Authorization": signature.authorization}


_READS = ("Describe", "Get")
_NO_SERVICE = Refusal(400, "UnknownService", f"The local AWS has only: {', '.join(SERVICES)}.")
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
