"""The states of an instance, from launch to termination, and when it has booted."""

from __future__ import annotations

from moto.ec2.models.instances import Instance, InstanceState, StateReason

from privatelink_lab.local.api.server_state import Fact, Wait, World
from privatelink_lab.local.network.agent_client import InstanceEnded

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
TRANSITIONS = {
    "pending": ("running", "instance_running"),
    "stopping": ("stopped", "instance_stopped"),
}
"""A transitional state -> the state it leads to, and the delay."""


def launch(world: World, instance: Instance) -> None:
    """Make a new instance `pending`; with the fault `instance-fails` it terminates."""
    _enter(instance, "pending")
    if world.faults.strike("instance-fails"):
        world.scheduler.after("instance_running", lambda: _fail(world, instance))
    else:
        _enter_later(world, instance, "pending")


def start_or_stop(world: World, instance: Instance, transitional: str) -> None:
    """Make an instance `pending` or `stopping`, and later `running` or `stopped`."""
    _enter(instance, transitional)
    if transitional == "stopping":
        _post_console(world, instance)
    _enter_later(world, instance, transitional)


def reboot(world: World, instance: Instance) -> None:
    """Reboot an instance; it stays `running`."""
    _post_console(world, instance)
    _boot(world, instance)


def terminate(world: World, instance: Instance) -> None:
    """Make an instance `shutting-down`, and later `terminated`; a second call does nothing."""
    if instance.state in {"shutting-down", "terminated"}:
        return
    _post_console(world, instance)
    _enter(instance, "shutting-down")
    world.forget(Fact.RUNNING, instance.id)
    # Not moto's response method: it loads moto.autoscaling, which the lean extra lacks.
    world.scheduler.after("instance_terminated", lambda: _terminated(world, instance))


def shut_down_from_inside(world: World, instance: Instance, ended: InstanceEnded) -> None:
    """Stop, terminate or reboot an instance that was shut down from inside.

    InstanceInitiatedShutdownBehavior decides between stop and terminate.
    """
    if ended.boot != world.boots.get(instance.id) or instance.state != "running" or ended.how == "crash":
        return
    if ended.how == "restart":
        reboot(world, instance)
    elif instance.instance_initiated_shutdown_behavior == "terminate":
        terminate(world, instance)
    else:
        start_or_stop(world, instance, "stopping")


def boot_number(world: World, instance: Instance) -> int:
    """How often the instance has booted; 0 while it does not run or has not booted yet."""
    is_up = instance.state == "running" and world.is_due(Wait.BOOTED, instance.id)
    return world.boots.get(instance.id, 0) if is_up else 0


def console_output(world: World, instance: Instance, *, latest: bool) -> bytes:
    """The console output of an instance: as of the last post, or with `latest` as of now."""
    posted = world.posted.get(instance.id, b"")
    return world.traffic.console(instance.id) or posted if latest else posted


def _boot(world: World, instance: Instance) -> None:
    world.boots[instance.id] = world.boots.get(instance.id, 0) + 1
    world.put_off("instance_booted", Wait.BOOTED, instance.id)
    world.scheduler.after("instance_booted", lambda: None)  # the network plan changes then
    boot = world.boots[instance.id]

    def post() -> None:
        if boot == boot_number(world, instance):
            _post_console(world, instance)

    world.scheduler.after("console_posted", post)


def _post_console(world: World, instance: Instance) -> None:
    world.posted[instance.id] = world.traffic.console(instance.id)


def _enter_later(world: World, instance: Instance, transitional: str) -> None:
    target, delay = TRANSITIONS[transitional]

    def enter() -> None:
        if instance.state != transitional:  # it was terminated before
            return
        if target == "stopped":
            instance.stop()
            world.forget(Fact.RUNNING, instance.id)
        else:
            instance.start()
            world.record(Fact.RUNNING, instance.id)
            _boot(world, instance)

    world.scheduler.after(delay, enter)


def _terminated(world: World, instance: Instance) -> None:
    """Terminate an instance with its network interface; after an hour it is not found."""
    backend = instance.ec2_backend

    def vanish() -> None:
        for number, reservation in list(backend.reservations.items()):
            reservation.instances = [other for other in reservation.instances if other.id != instance.id]
            if not reservation.instances:
                del backend.reservations[number]
        backend.tags.pop(instance.id, None)
        world.boots.pop(instance.id, None)
        world.posted.pop(instance.id, None)

    instance.terminate()
    world.scheduler.after("instance_gone", vanish)


def _fail(world: World, instance: Instance) -> None:
    """Terminate a pending instance as AWS does after a failed launch."""
    if instance.state != "pending":
        return
    _terminated(world, instance)
    instance._reason = "Server.InternalError"
    instance.state_reason = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")


def _enter(instance: Instance, state: str) -> None:
    instance._state = InstanceState(state, CODES[state])
