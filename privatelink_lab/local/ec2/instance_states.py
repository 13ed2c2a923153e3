"""How an instance goes from state to state, and when it has booted."""

from __future__ import annotations

from moto.ec2.models.instances import Instance, InstanceState, StateReason

from privatelink_lab.local.api.world import Fact, Wait, World
from privatelink_lab.local.network.link import Ended

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
"""A state on the way -> where it leads, and how long it takes."""


def launch(world: World, instance: Instance) -> None:
    """A new instance is `pending`; a fault may let it fail."""
    _enter(instance, "pending")
    if world.faults.happens("instance-fails"):
        world.scheduler.after("instance_running", lambda: _fail(world, instance))
    else:
        _arrive_later(world, instance, "pending")


def start_or_stop(world: World, instance: Instance, between: str) -> None:
    """On to `pending` or `stopping`, and from there to where that leads."""
    _enter(instance, between)
    if between == "stopping":
        _post_console(world, instance)
    _arrive_later(world, instance, between)


def reboot(world: World, instance: Instance) -> None:
    """It stays `running`, and boots anew."""
    _post_console(world, instance)
    _boot(world, instance)


def terminate(world: World, instance: Instance) -> None:
    """On to `shutting-down`, unless it is there already, and from there to `terminated`."""
    if instance.state in {"shutting-down", "terminated"}:
        return
    _post_console(world, instance)
    _enter(instance, "shutting-down")
    world.forget(Fact.RUNNING, instance.id)
    # Not moto's response method: it loads moto.autoscaling, which the lean extra lacks.
    world.scheduler.after("instance_terminated", lambda: _terminated(world, instance))


def shut_down_from_inside(world: World, instance: Instance, ended: Ended) -> None:
    """Somebody inside has shut it down, or rebooted it: what its InstanceInitiatedShutdownBehavior asks for."""
    if ended.boot != world.boots.get(instance.id) or instance.state != "running" or ended.how == "crash":
        return
    if ended.how == "restart":
        reboot(world, instance)
    elif instance.instance_initiated_shutdown_behavior == "terminate":
        terminate(world, instance)
    else:
        start_or_stop(world, instance, "stopping")


def boot_number(world: World, instance: Instance) -> int:
    """How often it has booted; 0 while it does not run or its system is not up yet."""
    is_up = instance.state == "running" and world.is_due(Wait.BOOTED, instance.id)
    return world.boots.get(instance.id, 0) if is_up else 0


def console_output(world: World, instance: Instance, *, latest: bool) -> bytes:
    """What it wrote to its console: until now, or until the last post, which comes a while after each transition."""
    posted = world.posted.get(instance.id, b"")
    return world.traffic.console(instance.id) or posted if latest else posted


def _boot(world: World, instance: Instance) -> None:
    clock = world.scheduler.clock
    world.boots[instance.id] = world.boots.get(instance.id, 0) + 1
    world.put_off(clock.delay("instance_booted"), Wait.BOOTED, instance.id)
    world.scheduler.after("instance_booted", lambda: None)  # the picture changes then
    boot = world.boots[instance.id]

    def post() -> None:
        if boot == boot_number(world, instance):
            _post_console(world, instance)

    world.scheduler.after("console_posted", post)


def _post_console(world: World, instance: Instance) -> None:
    world.posted[instance.id] = world.traffic.console(instance.id)


def _arrive_later(world: World, instance: Instance, between: str) -> None:
    target, delay = TRANSITIONS[between]

    def arrive() -> None:
        if instance.state != between:  # ended meanwhile
            return
        if target == "stopped":
            instance.stop()
            world.forget(Fact.RUNNING, instance.id)
        else:
            instance.start()
            world.record(Fact.RUNNING, instance.id)
            _boot(world, instance)

    world.scheduler.after(delay, arrive)


def _terminated(world: World, instance: Instance) -> None:
    """Its interface is gone with it, and after an hour nobody remembers it."""
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
    """What a launch looks like that AWS could not carry out."""
    if instance.state != "pending":
        return
    _terminated(world, instance)
    instance._reason = "Server.InternalError"
    instance.state_reason = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")


def _enter(instance: Instance, state: str) -> None:
    instance._state = InstanceState(state, CODES[state])
