"""Draws the pictures of the docs: `make docs` writes the SVG files beside this script.

One function per picture, and above them the few shapes that all pictures share. A line of text begins with a mark
that says how it looks: `#` bold, `$` a command or a word of the API, `-` small, none for plain text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

Point = tuple[int, int]

WIDTH = 800
LIGHT, DARK = 0, 1
SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'
FILLS = {  # kind of a box -> its fill and its border, in light and in dark
    "page": (("#ffffff", "#ffffff"), ("#0d1117", "#0d1117")),
    "plain": (("#ffffff", "#7d8792"), ("#161b22", "#76808b")),
    "group": (("#f4f6f8", "#a3acb5"), ("#11161d", "#4f5863")),
    "blue": (("#e6f0fe", "#2f6fd0"), ("#10233f", "#589df6")),
    "green": (("#e4f5ea", "#1f7a44"), ("#0f2a1c", "#46b878")),
    "amber": (("#fff1cc", "#9a6700"), ("#33270a", "#d9a62e")),
    "red": (("#ffe9e7", "#c5362f"), ("#3a1719", "#f0716a")),
    "violet": (("#efe6ff", "#7448c8"), ("#2a1c48", "#b08cff")),
}
INKS = {  # colour of text and lines, in light and in dark: readable on every fill
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#4a535d", "#adb7c1"),
    "brown": ("#785000", "#efc252"),
}
LINES = {"solid": "ink", "thick": "ink", "thin": "soft", "dashed": "soft", "command": "brown"}  # kind of an arrow
MARKS = {"#": "bold", "$": "code", "-": "note"}  # how a line of text looks -> its class
WIDE, NARROW = frozenset("mwMW@%&"), frozenset("iljtfrI.,:;'!|()[]/- ")


@dataclass(frozen=True)
class Box:
    """A rectangle that has been drawn; arrows begin and end at its sides."""

    x: int
    y: int
    width: int
    height: int

    def left(self, y: int | None = None) -> Point:
        """A point on the left side, its middle by default."""
        return self.x, self.y + self.height // 2 if y is None else y

    def right(self, y: int | None = None) -> Point:
        """A point on the right side, its middle by default."""
        return self.x + self.width, self.y + self.height // 2 if y is None else y

    def top(self, x: int | None = None) -> Point:
        """A point on the upper side, its middle by default."""
        return self.x + self.width // 2 if x is None else x, self.y

    def bottom(self, x: int | None = None) -> Point:
        """A point on the lower side, its middle by default."""
        return self.x + self.width // 2 if x is None else x, self.y + self.height


@dataclass
class Picture:
    """One SVG file: its title and description for those who do not see it, and its shapes from back to front."""

    name: str
    title: str
    description: str
    height: int
    size: int = 15  # pixels of plain text
    shapes: list[str] = field(default_factory=list)

    def box(self, kind: str, place: tuple[int, int, int, int], *lines: str, dashed: bool = False) -> Box:
        """A box at (x, y, width, height) with lines of text in its middle."""
        box = self._rectangle(kind, place, dashed=dashed)
        heights = [self._leading(line) for line in lines]
        y = box.y + (box.height - sum(heights)) / 2
        for line, height in zip(lines, heights, strict=True):
            baseline = round(y + height / 2 + self._pixels(line) * 0.35)
            self.text((box.x + box.width // 2, baseline), line, anchor="middle", room=box.width - 8)
            y += height
        return box

    def frame(self, kind: str, place: tuple[int, int, int, int], line: str = "", *, dashed: bool = False) -> Box:
        """A box that holds others: its line of text is in the upper left corner."""
        box = self._rectangle(kind, place, dashed=dashed)
        if line:
            self.text((box.x + 12, box.y + 8 + self._pixels(line)), line, room=box.width - 20)
        return box

    def text(self, at: Point, line: str, ink: str = "", anchor: str = "start", room: int | None = None) -> None:
        """One line of text, its baseline at y; raises ValueError when it may be wider than room."""
        style, words = self._style(line)
        width = self._width(line)
        room = room or (WIDTH - at[0] if anchor == "start" else 2 * min(at[0], WIDTH - at[0]))
        if width > room:
            raise ValueError(f"{self.name}: {words!r} may be {width} pixels wide, and has {room}.")
        colour = ink or ("soft" if style == "note" else "ink")
        self.shapes.append(
            f'<text class="{style} {colour}" x="{at[0]}" y="{at[1]}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def arrow(self, *points: Point, kind: str = "solid") -> None:
        """A line along these points, horizontal and vertical only, with its head at the last one."""
        if any(a != c and b != d for (a, b), (c, d) in pairwise(points)):
            raise ValueError(f"{self.name}: the arrow along {points} is not straight.")
        (x0, y0), (x, y) = points[-2:]
        right, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
        length, half = (13, 7) if kind == "thick" else (10, 5)
        neck = x - right * length, y - down * length
        wings = [(neck[0] - side * down, neck[1] + side * right) for side in (half, -half)]
        route, head = (" L".join(f"{a} {b}" for a, b in line) for line in ((*points[:-1], neck), ((x, y), *wings)))
        ink = LINES[kind]
        self.shapes.append(f'<path class="line {kind} {ink}-line" d="M{route}"/><path class="{ink}" d="M{head}Z"/>')

    def svg(self) -> str:
        """The file's text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img" aria-labelledby="title desc">'
        )
        about = f'<title id="title">{escape(self.title)}</title>\n<desc id="desc">{escape(self.description)}</desc>'
        page = f'<rect class="page" width="{WIDTH}" height="{self.height}"/>'
        return "\n".join([head, about, f"<style>\n{self._css()}\n</style>", page, *self.shapes, "</svg>\n"])

    def _css(self) -> str:
        code, note = self._pixels("$"), self._pixels("-")
        rules = (
            f"text{{font:{self.size}px {SANS}}}",
            f".bold{{font-weight:600}} .note{{font-size:{note}px}} .code{{font:{code}px {MONO}}}",
            "rect{stroke-width:1.5} .line{fill:none;stroke-width:2;stroke-linejoin:round}",
            ".thick{stroke-width:3.5} .dashed{stroke-dasharray:6 5}",
            *_colours(LIGHT),
            "@media (prefers-color-scheme:dark){",
            *_colours(DARK),
            "}",
        )
        return "\n".join(rules)

    def _rectangle(self, kind: str, place: tuple[int, int, int, int], *, dashed: bool) -> Box:
        box = Box(*place)
        classes = f"{kind} dashed" if dashed else kind
        size = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
        self.shapes.append(f'<rect class="{classes}" {size} rx="8"/>')
        return box

    def _style(self, line: str) -> tuple[str, str]:
        return (MARKS[line[0]], line[2:]) if line[:1] in MARKS and line[1:2] == " " else ("body", line)

    def _pixels(self, line: str) -> int:
        return self.size - {"$": 1, "-": 2}.get(line[:1], 0)

    def _leading(self, line: str) -> int:
        return round(self._pixels(line) * 1.4)

    def _width(self, line: str) -> int:
        """Pixels that the line may take in the widest of the usual fonts."""
        style, words = self._style(line)
        if style == "code":
            return round(0.61 * len(words) * self._pixels(line))
        ems = sum(0.98 if letter in WIDE else 0.4 if letter in NARROW else 0.64 for letter in words)
        return round(ems * self._pixels(line) * (1.1 if style == "bold" else 1.0))


def _colours(scheme: int) -> list[str]:
    fills = [f".{kind}{{fill:{both[scheme][0]};stroke:{both[scheme][1]}}}" for kind, both in FILLS.items()]
    return fills + [f".{ink}{{fill:{both[scheme]}}} .{ink}-line{{stroke:{both[scheme]}}}" for ink, both in INKS.items()]


# The pictures.


def lab() -> Picture:
    """For the top of README: who reaches what, and who decides."""
    picture = Picture(
        "lab",
        "What plab builds: a PrivateLink service and its consumers",
        "An interface endpoint in a consumer VPC sends traffic to the provider's endpoint service. The service requires"
        " acceptance: no traffic passes before the provider accepts the connection. Behind the service, an internal"
        " network load balancer and a target group lead to the web server, an EC2 instance in a private subnet of the"
        " provider VPC. The endpoint of a second consumer waits for plab accept. The first consumer VPC has the same"
        " addresses as the provider VPC, 10.0.0.0/16: no route joins the VPCs.",
        height=500,
        size=18,
    )
    first = _consumer_vpc(picture, 12, "10.0.0.0/16", accepted=True)
    second = _consumer_vpc(picture, 206, "10.1.0.0/16", accepted=False)

    service = picture.frame("blue", (300, 12, 168, 364))
    for y, line in ((40, "# endpoint"), (64, "# service"), (222, "acceptance"), (246, "required")):
        picture.text((384, y), line, anchor="middle", room=service.width)
    accepted = picture.box("green", (314, 100, 140, 58), "accepted")
    waiting = picture.box("amber", (314, 294, 140, 58), "waits for", "$ plab accept", dashed=True)

    provider = picture.frame("blue", (546, 12, 242, 364), "# provider VPC")
    picture.box("violet", (558, 50, 130, 28), "- 10.0.0.0/16")
    picture.frame("group", (558, 86, 218, 278), dashed=True)
    picture.text((572, 353), "- private subnet")
    balancer = picture.box("plain", (572, 103, 190, 52), "# internal NLB")
    picture.frame("plain", (572, 190, 190, 140), dashed=True)
    picture.text((586, 320), "- target group")
    server = picture.box("plain", (584, 202, 166, 94), "# web server", "- EC2 instance")

    picture.arrow(first.right(), accepted.left(), kind="thick")
    picture.arrow(accepted.right(), balancer.left(), kind="thick")
    picture.arrow(balancer.bottom(), server.top(), kind="thick")
    picture.arrow(second.right(), waiting.left(), kind="dashed")
    picture.arrow(provider.left(323), waiting.right(), kind="command")
    picture.text((507, 312), "- accepts", ink="brown", anchor="middle", room=78)

    picture.arrow((40, 410), (118, 410), kind="thick")
    picture.text((160, 416), "traffic: only a consumer opens connections")
    picture.arrow((40, 443), (118, 443), kind="dashed")
    picture.text((160, 449), "a request: no traffic until the provider accepts it")
    picture.box("violet", (14, 462, 130, 28), "- 10.0.0.0/16")
    picture.text((160, 482), "the same addresses do not matter: no route joins the VPCs")
    return picture


def _consumer_vpc(picture: Picture, y: int, cidr: str, *, accepted: bool) -> Box:
    """A consumer VPC; returns its interface endpoint."""
    picture.frame("green", (12, y, 244, 170), "# consumer VPC")
    picture.box("violet" if accepted else "plain", (24, y + 38, 130, 28), f"- {cidr}")
    client = picture.box("plain", (24, y + 84, 66, 66), "client")
    endpoint = picture.box("plain", (124, y + 84, 120, 66), "# interface", "# endpoint")
    picture.arrow(client.right(), endpoint.left(), kind="thick" if accepted else "dashed")
    return endpoint


def acceptance() -> Picture:
    """The life of a connection: AWS's states, and what moves it from one to the next."""
    picture = Picture(
        "acceptance",
        "The states of a connection, and the commands that change them",
        "plab up makes an endpoint. It is pendingAcceptance, or pending where the service requires no acceptance."
        " plab accept, or plab up with accept: auto, moves it from pendingAcceptance to pending, which is"
        " progress and not an error; then AWS makes it available. plab reject moves it from pendingAcceptance,"
        " pending or available to rejected, where it stays until its owner deletes it. AWS moves a request that is too"
        " old to expired, and an endpoint that cannot be set up to failed. plab down moves it from any state to"
        " deleting, then it is deleted. Only pendingAcceptance, pending and available keep the endpoint service from"
        " being deleted.",
        height=526,
    )
    up = picture.box("plain", (12, 130, 80, 74), "$ plab up")
    picture.frame("group", (124, 92, 656, 130), "- the endpoint service cannot be deleted", dashed=True)
    waits = picture.box("amber", (136, 130, 168, 74), "$ pendingAcceptance", "- the provider", "- has to decide")
    pending = picture.box("plain", (424, 130, 124, 74), "$ pending", "- progress,", "- not an error")
    available = picture.box("green", (608, 130, 136, 74), "$ available", "- traffic passes")
    failed = picture.box("red", (608, 20, 136, 50), "$ failed", "- see LastError")
    expired = picture.box("red", (12, 274, 110, 50), "$ expired", "- too old")
    rejected = picture.box(
        "red",
        (190, 274, 590, 100),
        "$ rejected",
        "- It exists, and costs its owner money, until its owner deletes it.",
        "- plab never accepts it again. Another try is a new endpoint:",
        "$ plab up --replace CONSUMER/endpoint",
    )
    every = picture.box("group", (12, 412, 110, 54), "any state", dashed=True)
    deleting = picture.box("plain", (262, 412, 150, 54), "$ deleting")
    deleted = picture.box("plain", (490, 412, 150, 54), "$ deleted", "- then not found")

    picture.arrow(up.right(), waits.left(), kind="command")
    picture.arrow(up.top(), (52, 45), (466, 45), pending.top(466), kind="command")
    picture.text((64, 37), "$ acceptance_required: false", ink="brown")
    picture.arrow(waits.right(), pending.left(), kind="command")
    for y, line in ((157, "$ plab accept"), (186, "- or plab up,"), (204, "- accept: auto")):
        picture.text((364, y), line, ink="brown", anchor="middle", room=118)
    picture.arrow(pending.right(), available.left(), kind="dashed")
    picture.arrow(pending.top(506), (506, 45), failed.left(), kind="dashed")
    picture.arrow(waits.bottom(156), (156, 299), expired.right(), kind="dashed")
    for box in (waits, pending, available):
        x, _ = box.bottom()
        picture.arrow(box.bottom(), rejected.top(x), kind="command")
        picture.text((x + 9, 254), "$ plab reject", ink="brown")
    picture.arrow(every.right(), deleting.left(), kind="command")
    picture.text((192, 430), "$ plab down", ink="brown", anchor="middle", room=138)
    picture.arrow(deleting.right(), deleted.left(), kind="dashed")

    picture.arrow((12, 502), (66, 502), kind="command")
    picture.text((78, 507), "a command of plab")
    picture.arrow((262, 502), (316, 502), kind="dashed")
    picture.text((328, 507), "AWS, by itself")
    return picture


FLOORS = (  # of the house: a module imports from its own floor or from lower ones, never from a higher one
    ("cli",),
    ("commands",),
    ("engine", "steps", "ui", "why"),
    ("admission", "lab", "resource", "snapshot"),
    ("aws", "config", "lock", "state"),
    (
        "clock",
        "digest",
        "expiry",
        "attributes",
        "errors",
        "events",
        "iam_actions",
        "kind",
        "memo",
        "missing_extra",
        "printable",
        "prices",
        "resource_key",
        "retry_classes",
        "signal_flag",
        "tags",
        "text_file",
        "timeline",
    ),
)


def house() -> Picture:
    """For docs/architecture.md: the rooms of the package, and the direction of the imports."""
    picture = Picture(
        "house",
        "The rooms of privatelink_lab, and the one direction of their imports",
        "Imports run down, never up. cli imports commands; commands imports engine, steps and ui. engine and steps do"
        " not import each other: both know lab, resource and snapshot. lab imports state, config and aws. ui knows"
        " events and errors only. On the lowest floor are errors, events, clock, timeline and other modules that know"
        " no room. aws speaks HTTP to an address: AWS, or the local AWS. local is a house of its own: only commands"
        " starts it, and it imports no room.",
        height=672,
    )
    y = {name: top for names, top in zip(FLOORS, (50, 136, 226, 316, 406, 506), strict=True) for name in names}
    picture.frame("group", (12, 12, 576, 574), "# privatelink_lab")
    cli = picture.box("blue", (32, y["cli"], 536, 54), "# cli", "- click: options in, exit code out")
    commands = picture.box("blue", (32, y["commands"], 536, 54), "# commands", "- one file per command")
    ui = picture.box("plain", (32, y["ui"], 148, 54), "# ui", "- rich: the screen")
    engine = picture.box("plain", (208, y["engine"], 172, 54), "# engine", "- the loop: up, down")
    steps = picture.box("plain", (396, y["steps"], 172, 54), "# steps", "- the resources")
    contract = picture.box(
        "violet", (208, y["lab"], 360, 54), "# lab, resource, snapshot", "- what engine and steps share"
    )
    state = picture.box("plain", (208, y["state"], 104, 54), "# state", "- a file")
    config = picture.box("plain", (328, y["config"], 124, 54), "# config", "- pydantic, YAML")
    aws = picture.box("plain", (468, y["aws"], 100, 54), "# aws", "- boto3")
    ground = picture.box(
        "plain",
        (32, y["errors"], 536, 60),
        "# errors, events, clock, timeline ...",
        "- single modules that know no room",
    )
    local = picture.box(
        "green", (644, 136, 144, 234), "# local", "- the local AWS:", "- a server with", "- moto behind it"
    )
    cloud = picture.box("plain", (644, 406, 144, 54), "# AWS")

    picture.arrow(cli.bottom(), commands.top())
    for room in (ui, engine, steps):
        x, _ = room.top()
        picture.arrow(commands.bottom(x), room.top())
    for room in (engine, steps):
        x, _ = room.bottom()
        picture.arrow(room.bottom(), contract.top(x))
    for room in (state, config, aws):
        x, _ = room.top()
        picture.arrow(contract.bottom(x), room.top())
        picture.arrow(room.bottom(), ground.top(x))
    picture.arrow(ui.bottom(), ground.top(ui.bottom()[0]))
    picture.text((116, 390), "- errors and")
    picture.text((116, 408), "- events only")
    picture.arrow(commands.right(), local.left(163))
    picture.text((616, 154), "- starts", anchor="middle", room=56)
    picture.arrow(aws.right(), cloud.left(), kind="dashed")
    picture.arrow(aws.right(), (608, 433), (608, 336), local.left(336), kind="dashed")
    picture.text((616, 393), "- HTTP: one of the two")

    picture.arrow((12, 610), (66, 610))
    picture.text((78, 615), "imports; some that skip a floor are not drawn")
    picture.arrow((12, 642), (66, 642), kind="dashed")
    picture.text((78, 647), "calls an address, and does not know whose it is")
    return picture


def local_aws() -> Picture:
    """For docs/architecture.md: the way of a request in the local AWS, and of the packets."""
    picture = Picture(
        "local-aws",
        "The way of a request in the local AWS",
        "A client sends a signed HTTP request to 127.0.0.1. In server/, http reads it, auth refuses web pages, foreign"
        " hosts and unknown keys, local_aws answers plab's own paths, and dispatch finds the service and the action and"
        " lets faults strike. In ec2/, elbv2/ or privatelink/, a method carries out the action on moto's stores and the"
        " PrivateLink objects. traffic/ builds the plan of the network from these objects; network/ sends it to the"
        " agent, a process of its own in a user namespace, which makes bridges, instances, relays and health checks."
        " The agent reports health, console output and ended instances.",
        height=836,
    )
    client = picture.box("plain", (32, 12, 300, 40), "plab, AWS CLI, Terraform ...")
    picture.text((390, 37), "- The first refusal or answer ends the path.")
    picture.frame("blue", (12, 80, 776, 286))
    picture.text((390, 102), "# server/")
    rows = (
        ("http", "reads one request, up to 1 MiB", "red", "refused: no length, or too long"),
        ("auth", "whose request it is", "red", "refused: web page, foreign host, unknown key"),
        ("local_aws", "the list of handlers", "green", "answered: plab local status, faults, shell"),
        ("dispatch", "service, action, parameters", "red", "refused: unknown action, or a fault strikes"),
        ("a method for the action", "moto's own, or one over it", "red", "refused: what AWS refuses"),
        ("objects", "moto's, PrivateLink's, what is due", "green", "answered: as AWS answers"),
    )
    picture.frame("blue", (12, 394, 776, 158))
    picture.text((390, 416), "# ec2/, elbv2/, privatelink/, on api/")
    above = client
    for y, (name, does, kind, end) in zip((112, 176, 240, 304, 426, 490), rows, strict=True):
        box = picture.box("plain", (32, y, 300, 46), f"# {name}", f"- {does}")
        picture.arrow(above.bottom(), box.top())
        picture.arrow(box.right(), picture.box(kind, (390, y + 4, 380, 38), f"- {end}").left(), kind="thin")
        above = box

    picture.frame("blue", (12, 580, 776, 94))
    picture.text((390, 602), "# traffic/, network/")
    traffic = picture.box("plain", (32, 612, 300, 46), "# network_sync, build_plan", "- the plan of the network")
    sender = picture.box("plain", (390, 612, 380, 46), "# agent_client", "- sends plans, keeps reports")
    agent = picture.frame(
        "green", (12, 716, 776, 108), "# network/agent: a process of its own, in namespaces, without root"
    )
    for x, width, lines in (
        (32, 160, ("a bridge", "- for a VPC")),
        (206, 160, ("processes", "- for an instance")),
        (380, 220, ("a relay", "- for endpoint and balancer")),
        (614, 156, ("health checks", "- for targets")),
    ):
        picture.box("plain", (x, 758, width, 52), *lines)
    picture.arrow(above.bottom(150), traffic.top(150))
    picture.arrow(traffic.top(214), above.bottom(214), kind="dashed")
    picture.arrow(traffic.right(626), sender.left(626))
    picture.arrow(sender.left(645), traffic.right(645), kind="dashed")
    picture.arrow(sender.bottom(500), agent.top(500))
    picture.text((490, 700), "- plan", anchor="end")
    picture.arrow(agent.top(560), sender.bottom(560), kind="dashed")
    picture.text((570, 700), "- health, console, shutdowns")
    return picture


def reconcile() -> Picture:
    """For docs/architecture.md: the loop of `up` and `down`."""
    picture = Picture(
        "reconcile",
        "The loop of plab up and plab down",
        "A snapshot reads what may have changed. Each resource is judged: ready, waiting, missing or failed. When"
        " nothing is open, the run ends. Otherwise every call that can go out is sent, in parallel; the state is saved"
        " before the calls and after the answers. After progress the next snapshot is taken at once; otherwise plab"
        " waits, 0.2 to 10 seconds, longer the longer nothing changes.",
        height=324,
    )
    snapshot = picture.box("blue", (244, 24, 170, 88), "# snapshot", "- reads what may", "- have changed")
    judge = picture.box("blue", (460, 24, 170, 88), "# judge", "- ready, waiting,", "- missing or failed")
    done = picture.box("green", (676, 24, 112, 88), "# done", "- nothing", "- is open")
    calls = picture.box(
        "amber", (460, 196, 170, 104), "# calls", "- up: create, update", "- down: delete", "- all in parallel"
    )
    state = picture.box("plain", (244, 196, 170, 104), "# state", "- saved before calls", "- and after answers")
    wait = picture.box("plain", (12, 196, 142, 104), "# wait", "- 0.2 to 10 s:", "- longer while", "- nothing changes")

    picture.arrow(snapshot.right(), judge.left())
    picture.arrow(judge.right(), done.left())
    picture.arrow(judge.bottom(), calls.top())
    picture.text((555, 159), "- what is open")
    picture.arrow(calls.left(), state.right())
    picture.arrow(state.top(), snapshot.bottom())
    picture.text((339, 159), "- progress: at once")
    picture.arrow(state.left(), wait.right())
    picture.text((199, 238), "- no progress", anchor="middle", room=90)
    picture.arrow(wait.top(), (83, 68), snapshot.left())
    return picture


PICTURES: tuple[Callable[[], Picture], ...] = (acceptance, house, lab, local_aws, reconcile)


def main() -> None:
    """Write every picture."""
    for draw in PICTURES:
        picture = draw()
        (Path(__file__).parent / f"{picture.name}.svg").write_text(picture.svg(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
