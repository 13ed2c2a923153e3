"""Write docs/why.md: its tables are made of the causes.

`make docs` runs it.
"""

from __future__ import annotations

from pathlib import Path

from privatelink_lab.why import CAUSES
from privatelink_lab.why.cause import Cause, Stage, Stops

PAGE = Path(__file__).parent / "why.md"
HEAD = """\
# Why does it not answer?

`plab why` walks the way of a packet, names the first hop that is broken, and prints the command that repairs it. It
only describes: it sends no packet and changes nothing.

```sh
plab up --local
plab why
```

[The command](commands.md#plab-why) has its options. This page is the table that it judges by, in the order of the way;
`make docs` writes it.

**Stops**: where the cause lets no packet pass. `nothing`: it is true, and packets pass. **Who sees it**: P the
provider, C the consumer; X only a probe or a person: `plab verify` asks from inside the VPC. **Local**: the local AWS
can show it; the others are tested on saved evidence. `by verify`: `plab why` cannot see it, and `plab verify` names it.
"""


def page() -> str:
    """The whole page."""
    sections = (_section(stage, [cause for cause in CAUSES if cause.stage is stage]) for stage in Stage)
    return HEAD + "".join(sections)


def _section(stage: Stage, causes: list[Cause]) -> str:
    title = stage.value[0].upper() + stage.value[1:]
    return f"\n## {title}\n" + "".join(map(_entry, causes))


def _entry(cause: Cause) -> str:
    stops = {Stops.ALL: "all", Stops.SOME: "some", Stops.NOTHING: "nothing"}[cause.stops]
    implied = (
        f"\n- Follows from it: {', '.join(f'`{code}`' for code in sorted(cause.implies))}" if cause.implies else ""
    )
    local = ("by verify" if "X" in cause.side.split() else "yes") if cause.local else "no"
    ends = " Only time or the other side ends it; the command shows when it is over." if cause.waits else ""
    return (
        f"\n### `{cause.code}`\n\n{cause.sentence}\n\n"
        f"- The customer sees: {cause.looks}.\n"
        f"- The console shows it: {cause.console}\n"
        f"- What ends it: {cause.cure}{ends}\n"
        f"- Stops: {stops}. Who sees it: {cause.side}. Local: {local}. "
        f"Number {cause.number}, [AWS's page]({cause.page}){implied}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
