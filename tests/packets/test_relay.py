"""Flows through an endpoint: all bytes arrive, in order, also when one side has ended."""

from __future__ import annotations

from support.planned_network import CONSUMER, ENDPOINT, OTHER, PROVIDER, SERVER, SILENCE, PlannedNetwork, python
from support.timeouts import PATIENCE, until

from privatelink_lab.local.network.plan import HealthCheck, ListeningPort

CLIENT = f"""
import socket, sys, time
def connect(timeout={PATIENCE}, host="{ENDPOINT}"):
    return socket.create_connection((host, 80), timeout)
def read_all(connection):
    found = b""
    while data := connection.recv(1 << 20):
        found += data
    return found
"""
ECHO = """
def work(connection, _):
    while data := connection.recv(100):
        connection.sendall(data)
print("ready", flush=True)
serve(work)
"""


def start_both(network: PlannedNetwork, server: str, client: str) -> str:
    """Start a server behind the endpoint and a client; returns the client's name."""
    serving = network.add_instance(PROVIDER, "10.0.0.10", python(f"{SERVER}{server}"))
    network.set_endpoint()
    network.apply()
    network.wait_for_output(serving, "ready")
    name = network.add_instance(CONSUMER, "10.0.0.20", python(f"{CLIENT}{client}"))
    network.apply()
    return name


def test_a_half_closed_client_gets_its_answer(network: PlannedNetwork) -> None:
    """The client ends its side: the server sees the end, and what it sends afterwards arrives."""
    server = """
def work(connection, _):
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    time.sleep(0.5)
    connection.sendall(b"got %d" % count)
    time.sleep(0.2)
    connection.sendall(b", goodbye")
    connection.close()
print("ready", flush=True)
serve(work)
"""
    client = """
connection = connect()
connection.sendall(b"x" * 3_000_000)
connection.shutdown(socket.SHUT_WR)
print(read_all(connection), "done", flush=True)
"""
    assert "b'got 3000000, goodbye' done" in network.wait_for_output(start_both(network, server, client), "done")


def test_a_half_closed_server_receives_all(network: PlannedNetwork) -> None:
    """The server ends its side: the client sees the end, and what it sends afterwards arrives."""
    server = """
def work(connection, _):
    connection.sendall(b"end")
    connection.shutdown(socket.SHUT_WR)
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    print("received", count, flush=True)
print("ready", flush=True)
serve(work)
"""
    client = """
connection = connect()
print(read_all(connection), flush=True)
time.sleep(0.5)
connection.sendall(b"y" * 2_000_000)
connection.close()
print("done", flush=True)
"""
    name = start_both(network, server, client)
    assert "b'end'" in network.wait_for_output(name, "done")
    serving = next(iter(network.instances))
    assert "received 2000000" in network.wait_for_output(serving, "received")


def test_the_last_bytes_arrive_at_a_slow_reader(network: PlannedNetwork) -> None:
    """A server sends much and closes at once: a client that reads late and slowly gets all of it, in order."""
    server = """
import hashlib
data = b"".join(i.to_bytes(4, "big") for i in range(2_000_000))
print("ready", hashlib.sha256(data).hexdigest(), flush=True)
def work(connection, _):
    connection.sendall(data)
    connection.close()
serve(work)
"""
    client = """
import hashlib
connection = connect()
time.sleep(1)
found = hashlib.sha256()
while data := connection.recv(200_000):
    found.update(data)
    time.sleep(0.002)
print(found.hexdigest(), "done", flush=True)
"""
    name = start_both(network, server, client)
    digest = network.console(next(iter(network.instances))).split()[1]
    assert digest in network.wait_for_output(name, "done")


def test_the_target_sees_the_balancers_address(network: PlannedNetwork) -> None:
    """The source address at the web server is the balancer's, not the client's."""
    server = """
def work(connection, address):
    connection.sendall(address[0].encode())
    connection.close()
print("ready", flush=True)
serve(work)
"""
    assert "b'10.0.0.4' done" in network.wait_for_output(
        start_both(network, server, 'print(read_all(connect()), "done")'), "done"
    )


def test_no_answer_before_acceptance_and_a_reset_after_rejection(network: PlannedNetwork) -> None:
    """Not accepted: no answer; accepted: bytes flow; rejected: the connection is reset, and no answer again."""
    client = f"""
try:
    connect({SILENCE})
except TimeoutError:
    print("no answer", flush=True)
connection = connect()
connection.sendall(b"hello")
print(connection.recv(100), flush=True)
try:
    print(connection.recv(100), "ended", flush=True)
except ConnectionResetError:
    print("reset", flush=True)
try:
    connect({SILENCE})
except TimeoutError:
    print("no answer again", flush=True)
"""
    serving = network.add_instance(PROVIDER, "10.0.0.10", python(f"{SERVER}{ECHO}"))
    network.set_endpoint(connected=False)
    network.apply()
    network.wait_for_output(serving, "ready")
    name = network.add_instance(CONSUMER, "10.0.0.20", python(f"{CLIENT}{client}"))
    network.apply()
    network.wait_for_output(name, "no answer")
    network.set_endpoint()
    network.apply()
    network.wait_for_output(name, "hello")
    network.set_endpoint(connected=False)
    network.apply()
    network.wait_for_output(name, "reset")
    network.wait_for_output(name, "no answer again")


def test_a_removed_rule_admits_no_new_client_and_resets_nothing(network: PlannedNetwork) -> None:
    """A client that no rule admits gets no answer; an open connection survives the removal of its rule, as on AWS."""
    serving = network.add_instance(PROVIDER, "10.0.0.10", python(f"{SERVER}{ECHO}"))
    network.set_endpoint(allowed_cidrs=("10.0.0.21/32", "10.0.0.99/32"))
    network.apply()
    network.wait_for_output(serving, "ready")
    not_admitted = f"""
try:
    connect({SILENCE})
except TimeoutError:
    print("no answer", flush=True)
"""
    admitted = f"""
connection = connect()
print("open", flush=True)
try:
    while True:
        connect({SILENCE}).close()
        time.sleep(0.05)
except TimeoutError:
    connection.sendall(b"still here")
print(connection.recv(100), flush=True)
"""
    outside = network.add_instance(CONSUMER, "10.0.0.20", python(f"{CLIENT}{not_admitted}"))
    inside = network.add_instance(CONSUMER, "10.0.0.21", python(f"{CLIENT}{admitted}"))
    network.apply()
    network.wait_for_output(outside, "no answer")
    network.wait_for_output(inside, "open")
    network.set_endpoint(allowed_cidrs=())
    network.apply()
    network.wait_for_output(inside, "still here")


def test_the_name_reaches_the_endpoint_from_its_own_vpc_only(network: PlannedNetwork) -> None:
    """The name resolves everywhere, but in other VPCs no host has that address."""
    server = """
def work(connection, _):
    connection.sendall(b"page")
    connection.close()
print("ready", flush=True)
serve(work)
"""
    network.names = {"vpce-1.example": (ENDPOINT,)}
    answered = """
connection = connect(host="vpce-1.example")
print("answer", connection.recv(100), connection.getpeername()[0], flush=True)
"""
    unanswered = f"""
try:
    connect({SILENCE}, "vpce-1.example")
except OSError:
    print("no answer", socket.gethostbyname("vpce-1.example"), flush=True)
"""
    here = start_both(network, server, answered)
    elsewhere = network.add_instance(OTHER, "10.0.0.20", python(f"{CLIENT}{unanswered}"))
    network.apply()
    assert f"answer b'page' {ENDPOINT}" in network.wait_for_output(here, "answer")
    assert f"no answer {ENDPOINT}" in network.wait_for_output(elsewhere, "answer")


def test_flows_are_shared_by_healthy_targets(network: PlannedNetwork) -> None:
    """Two healthy targets share the flows; when the server of one dies, that target is unhealthy and gets none."""
    server = """
def work(connection, _):
    request = connection.recv(100)
    connection.sendall(socket.gethostname().encode()[-2:])
    connection.close()
    if request == b"die":
        os._exit(0)
print("ready", flush=True)
serve(work)
"""
    ask = """
def ask(request=b"name"):
    connection = connect()
    connection.sendall(request)
    return read_all(connection).decode()
names = sorted({ask() for _ in range(8)})
"""
    targets = [network.target("10.0.0.10", "one"), network.target("10.0.0.11", "two")]
    for target in targets:
        network.add_instance(PROVIDER, target.address, python(f"{SERVER}{server}"))
    network.set_endpoint(*targets)
    network.checks = {target.check: HealthCheck(target, 0.1, PATIENCE, 2, 2) for target in targets}
    network.apply()
    until(lambda: all(network.agent.health(target.check) == "healthy" for target in targets), "health")
    before = network.add_instance(
        CONSUMER, "10.0.0.20", python(f'{CLIENT}{ask}print(names, "killed", ask(b"die"), flush=True)')
    )
    network.apply()
    both, _, killed = network.wait_for_output(before, "killed").strip().partition(" killed ")
    assert both == "['10', '11']"
    (dead,) = [target for target in targets if target.address.endswith(killed)]
    (left,) = {"10", "11"} - {killed}
    until(lambda: network.agent.health(dead.check) == "unhealthy", "unhealthy target")
    after = network.add_instance(CONSUMER, "10.0.0.21", python(f"{CLIENT}{ask}print(names, flush=True)"))
    network.apply()
    assert network.wait_for_output(after, "]").strip() == f"['{left}']"


def test_a_health_check_over_http_compares_the_status(network: PlannedNetwork) -> None:
    """A target that answers 404 is unhealthy, unless 404 is one of the codes of the check."""
    network.add_instance(
        PROVIDER,
        "10.0.0.10",
        python("import os\nos.chdir('/srv')\nos.execvp('python3', ['python3', '-m', 'http.server', '80'])"),
    )
    network.set_endpoint()
    for name, path, codes in (("root", "/", "200-399"), ("none", "/none", "200-399"), ("odd", "/none", "302,404")):
        network.checks[name] = HealthCheck(network.target(check=name), 0.1, PATIENCE, 2, 2, path, codes)
    network.apply()
    until(
        lambda: [network.agent.health(check) for check in network.checks] == ["healthy", "unhealthy", "healthy"],
        "three results",
    )


def test_a_second_endpoint_does_not_disturb_the_first(network: PlannedNetwork) -> None:
    """500 connections stay open through one endpoint while another consumer is accepted and rejected."""
    server = """
import selectors
waiting = selectors.DefaultSelector()
listener.setblocking(False)
waiting.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj is listener:
            connection, _ = listener.accept()
            waiting.register(connection, selectors.EVENT_READ)
        elif data := key.fileobj.recv(100):
            key.fileobj.sendall(data)
        else:
            waiting.unregister(key.fileobj)
"""
    client = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
connections = [connect() for _ in range(500)]
print("open", flush=True)
for round in range(10):
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    good = sum(connection.recv(100) == b"%d" % number for number, connection in enumerate(connections))
    print("round", round, good, flush=True)
    time.sleep(0.1)
print("done", flush=True)
"""
    name = start_both(network, server, client)
    network.wait_for_output(name, "open")
    for connected in (True, False, True, False):
        network.ports["other"] = ListeningPort(OTHER, ENDPOINT, 80, ("0.0.0.0/0",), connected, (network.target(),))
        network.apply()
    assert network.wait_for_output(name, "done").count(" 500\n") == 10
