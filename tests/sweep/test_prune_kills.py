"""`plab up --prune` is killed right before or right after each of its changes: the next one removes what is left.

A sample always runs; `make sweep` runs all cases and prints their number.
"""

from __future__ import annotations

import signal

import pytest
from support.proxied_lab import ROLE, Count, ProxiedLab

SAMPLE = {"before": (2,), "after": (1,)}
PRUNE = ("up", "--prune", "-y", "-q")


@pytest.mark.parametrize("moment", SAMPLE)
def test_prune_is_killed_at_any_change(lab: ProxiedLab, record_property: Count, moment: str, *, whole: bool) -> None:
    """A consumer of another account left the config: its permission and resources are gone in the end, no others."""
    config, done = lab.folder / "plab.yaml", 0
    with_beta = config.read_text()
    without_beta = with_beta[: with_beta.index("  - name: beta")]

    def kill() -> bool:
        lab.send(signal.SIGKILL)
        return True

    for number in range(1, 100) if whole else SAMPLE[moment]:
        lab.run_well("up", "-q")
        config.write_text(without_beta)
        lab.proxy.set_hook(number, kill, after=moment == "after")
        code, output = lab.run_proxied(*PRUNE)
        if not lab.proxy.hooked_action:
            assert (code, number > len(SAMPLE)) == (0, True), output
            break
        assert code == -signal.SIGKILL, output
        lab.run_well(*PRUNE)
        left = [line for lines in lab.cloud.aws.inventory().values() for line in lines]
        assert not any("beta/" in line or ROLE.split(":")[4] + ":root" in line for line in left), (
            lab.proxy.hooked_action
        )
        assert any("acme/endpoint" in line for line in left)
        config.write_text(with_beta)
        done += 1
    config.write_text(with_beta)
    lab.run_well("down", "-y", "-q")
    assert lab.leaked() == []
    record_property("kills of prune", done)
