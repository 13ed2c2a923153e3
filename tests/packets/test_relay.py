"""Flows through an endpoint: what is sent arrives, in order, to the last byte, for as long as both want."""

from __future__ import annotations

from support.patience import PATIENCE, until
from support.planned_network import CONSUMER, ENDPOINT, OTHER, PROVIDER, SERVE, SILENCE, Scene, python

from privatelink_lab.local.network.plan import Check, Door

CLIENT = f"""
import socket, sys, time
def connect(timeout={PATIENCE}, host="{ENDPOINT}"):
    return socket.create_connection((host, 80), timeout)
def rest(there):
    found = b""
    while more := there.recv(1 << 20):
        found += more
    return found
"""
ECHO = """
def work(there, _):
    while more := there.recv(100):
        there.sendall(more)
print("ready", flush=True)
each(work)
"""


def meet(scene: Scene, server: str, client: str) -> str:
    """The name of a client that meets a server through the endpoint."""
    serving = scene.add(PROVIDER, "10.0.0.10", python(f"{SERVE}{server}"))
    scene.endpoint()
    scene.show()
    scene.says(serving, "ready")
    name = scene.add(CONSUMER, "10.0.0.20", python(f"{CLIENT}{client}"))
    scene.show()
    return name


def test_a_client_that_has_ended_still_gets_its_answer(scene: Scene) -> None:
    """Half-closed by the client: the server sees the end, and what it sends after that arrives."""
    server = """
def work(there, _):
    count = 0
    while more := there.recv(65536):
        count += len(more)
    time.sleep(0.5)
    there.sendall(b"got %d" % count)
    time.sleep(0.2)
    there.sendall(b", goodbye")
    there.close()
print("ready", flush=True)
each(work)
"""
    client = """
there = connect()
there.sendall(b"x" * 3_000_000)
there.shutdown(socket.SHUT_WR)
print(rest(there), "done", flush=True)
"""
    assert "b'got 3000000, goodbye' done" in scene.says(meet(scene, server, client), "done")


def test_a_server_that_has_ended_still_hears_its_client(scene: Scene) -> None:
    """Half-closed by the server: the client sees the end, and what it sends after that arrives."""
    server = """
def work(there, _):
    there.sendall(b"that is all")
    there.shutdown(socket.SHUT_WR)
    count = 0
    while more := there.recv(65536):
        count += len(more)
    print("heard", count, flush=True)
print("ready", flush=True)
each(work)
"""
    client = """
there = connect()
print(rest(there), flush=True)
time.sleep(0.5)
there.sendall(b"y" * 2_000_000)
there.close()
print("done", flush=True)
"""
    name = meet(scene, server, client)
    assert "b'that is all'" in scene.says(name, "done")
    serving = next(iter(scene.machines))
    assert "heard 2000000" in scene.says(serving, "heard")


def test_the_last_bytes_arrive_at_a_slow_reader(scene: Scene) -> None:
    """A server that sends much and closes at once: a client that reads late and slowly gets all of it, in order."""
    server = """
import hashlib
data = b"".join(i.to_bytes(4, "big") for i in range(2_000_000))
print("ready", hashlib.sha256(data).hexdigest(), flush=True)
def work(there, _):
    there.sendall(data)
    there.close()
each(work)
"""
    client = """
import hashlib
there = connect()
time.sleep(1)
found = hashlib.sha256()
while more := there.recv(200_000):
    found.update(more)
    time.sleep(0.002)
print(found.hexdigest(), "done", flush=True)
"""
    name = meet(scene, server, client)
    digest = scene.said(next(iter(scene.machines))).split()[1]
    assert digest in scene.says(name, "done")


def test_the_target_sees_the_balancer(scene: Scene) -> None:
    """The source address at the web server is the balancer's node, whatever the client has; they may be the same."""
    server = """
def work(there, address):
    there.sendall(address[0].encode())
    there.close()
print("ready", flush=True)
each(work)
"""
    assert "b'10.0.0.4' done" in scene.says(meet(scene, server, 'print(rest(connect()), "done")'), "done")


def test_silence_before_acceptance_and_a_cut_after_rejection(scene: Scene) -> None:
    """Not connected: no answer to a knock; connected: it flows; rejected: what flows is cut, and silence again."""
    client = f"""
try:
    connect({SILENCE})
except TimeoutError:
    print("silence", flush=True)
there = connect()
there.sendall(b"hello")
print(there.recv(100), flush=True)
try:
    print(there.recv(100), "ended", flush=True)
except ConnectionResetError:
    print("cut", flush=True)
try:
    connect({SILENCE})
except TimeoutError:
    print("silence again", flush=True)
"""
    serving = scene.add(PROVIDER, "10.0.0.10", python(f"{SERVE}{ECHO}"))
    scene.endpoint(connected=False)
    scene.show()
    scene.says(serving, "ready")
    name = scene.add(CONSUMER, "10.0.0.20", python(f"{CLIENT}{client}"))
    scene.show()
    scene.says(name, "silence")
    scene.endpoint()
    scene.show()
    scene.says(name, "hello")
    scene.endpoint(connected=False)
    scene.show()
    scene.says(name, "cut")
    scene.says(name, "silence again")


def test_a_group_without_a_rule_is_silence_and_cuts_nothing(scene: Scene) -> None:
    """Who is not let in gets no answer; who is inside stays inside when the rule goes, as tracked connections do."""
    serving = scene.add(PROVIDER, "10.0.0.10", python(f"{SERVE}{ECHO}"))
    scene.endpoint(admits=("10.0.0.21/32", "10.0.0.99/32"))
    scene.show()
    scene.says(serving, "ready")
    stranger = f"""
try:
    connect({SILENCE})
except TimeoutError:
    print("silence", flush=True)
"""
    guest = f"""
there = connect()
print("inside", flush=True)
try:
    while True:
        connect({SILENCE}).close()
        time.sleep(0.05)
except TimeoutError:
    there.sendall(b"still here")
print(there.recv(100), flush=True)
"""
    outside = scene.add(CONSUMER, "10.0.0.20", python(f"{CLIENT}{stranger}"))
    inside = scene.add(CONSUMER, "10.0.0.21", python(f"{CLIENT}{guest}"))
    scene.show()
    scene.says(outside, "silence")
    scene.says(inside, "inside")
    scene.endpoint(admits=())
    scene.show()
    scene.says(inside, "still here")


def test_the_name_reaches_the_endpoint_from_its_own_vpc_only(scene: Scene) -> None:
    """The name resolves everywhere; elsewhere there is nobody under that address."""
    server = """
def work(there, _):
    there.sendall(b"page")
    there.close()
print("ready", flush=True)
each(work)
"""
    scene.names = {"vpce-1.example": (ENDPOINT,)}
    answered = """
there = connect(host="vpce-1.example")
print("answer", there.recv(100), there.getpeername()[0], flush=True)
"""
    unanswered = f"""
try:
    connect({SILENCE}, "vpce-1.example")
except OSError:
    print("no answer", socket.gethostbyname("vpce-1.example"), flush=True)
"""
    here = meet(scene, server, answered)
    elsewhere = scene.add(OTHER, "10.0.0.20", python(f"{CLIENT}{unanswered}"))
    scene.show()
    assert f"answer b'page' {ENDPOINT}" in scene.says(here, "answer")
    assert f"no answer {ENDPOINT}" in scene.says(elsewhere, "answer")


def test_flows_spread_over_healthy_targets(scene: Scene) -> None:
    """Two healthy targets share the flows; when one's server dies it turns unhealthy and gets none."""
    server = """
def work(there, _):
    word = there.recv(100)
    there.sendall(socket.gethostname().encode()[-2:])
    there.close()
    if word == b"die":
        os._exit(0)
print("ready", flush=True)
each(work)
"""
    ask = """
def ask(word=b"who"):
    there = connect()
    there.sendall(word)
    return rest(there).decode()
names = sorted({ask() for _ in range(8)})
"""
    targets = [scene.target("10.0.0.10", "one"), scene.target("10.0.0.11", "two")]
    for each in targets:
        scene.add(PROVIDER, each.address, python(f"{SERVE}{server}"))
    scene.endpoint(*targets)
    scene.checks = {each.check: Check(each, 0.1, PATIENCE, 2, 2) for each in targets}
    scene.show()
    until(lambda: all(scene.traffic.health(each.check) == "healthy" for each in targets), "health")
    before = scene.add(CONSUMER, "10.0.0.20", python(f'{CLIENT}{ask}print(names, "killed", ask(b"die"), flush=True)'))
    scene.show()
    both, _, killed = scene.says(before, "killed").strip().partition(" killed ")
    assert both == "['10', '11']"
    (dead,) = [each for each in targets if each.address.endswith(killed)]
    (left,) = {"10", "11"} - {killed}
    until(lambda: scene.traffic.health(dead.check) == "unhealthy", "verdict")
    after = scene.add(CONSUMER, "10.0.0.21", python(f"{CLIENT}{ask}print(names, flush=True)"))
    scene.show()
    assert scene.says(after, "]").strip() == f"['{left}']"


def test_a_health_check_over_http_wants_the_right_code(scene: Scene) -> None:
    """A target that connects and answers 404 is unhealthy, unless 404 is what is asked for."""
    web = scene.add(
        PROVIDER,
        "10.0.0.10",
        python("import os\nos.chdir('/srv')\nos.execvp('python3', ['python3', '-m', 'http.server', '80'])"),
    )
    del web
    scene.endpoint()
    for name, path, codes in (("root", "/", "200-399"), ("none", "/none", "200-399"), ("odd", "/none", "302,404")):
        scene.checks[name] = Check(scene.target(check=name), 0.1, PATIENCE, 2, 2, path, codes)
    scene.show()
    until(
        lambda: [scene.traffic.health(each) for each in scene.checks] == ["healthy", "unhealthy", "healthy"], "verdicts"
    )


def test_a_second_door_does_not_disturb_the_first(scene: Scene) -> None:
    """500 connections are held through one endpoint while another consumer is accepted and rejected."""
    server = """
import selectors
waiting = selectors.DefaultSelector()
listener.setblocking(False)
waiting.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj is listener:
            there, _ = listener.accept()
            waiting.register(there, selectors.EVENT_READ)
        elif more := key.fileobj.recv(100):
            key.fileobj.sendall(more)
        else:
            waiting.unregister(key.fileobj)
"""
    client = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = [connect() for _ in range(500)]
print("held", flush=True)
for turn in range(10):
    for number, there in enumerate(held):
        there.sendall(b"%d" % number)
    good = sum(there.recv(100) == b"%d" % number for number, there in enumerate(held))
    print("turn", turn, good, flush=True)
    time.sleep(0.1)
print("done", flush=True)
"""
    name = meet(scene, server, client)
    scene.says(name, "held")
    for connected in (True, False, True, False):
        scene.doors["other"] = Door(OTHER, ENDPOINT, 80, ("0.0.0.0/0",), connected, (scene.target(),))
        scene.show()
    assert scene.says(name, "done").count(" 500\n") == 10
