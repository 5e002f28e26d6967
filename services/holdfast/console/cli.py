"""`holdfast`: the command line. Commands are imported when they are called, so it starts fast.

Exit codes: 0 it is as it should be, 1 it is not, 2 the command could not do its work.
"""

import logging
import sys

from cyclopts import App, CycloptsError, Parameter

from holdfast.errors import HoldfastError

_COMMANDS = {
    "demo": ("holdfast.console.demo.command:demo", "See it save a service, twice, in a minute."),
    "up": ("holdfast.console.up:up", "Run a whole cluster on this machine."),
    "down": ("holdfast.console.up:down", "Stop the cluster that `up` left running."),
    "status": ("holdfast.console.status:status", "Show nodes and groups."),
    "events": ("holdfast.console.events:events", "Show what happened, and what happens."),
    "why": ("holdfast.console.record_commands:explain", "Explain an incident, cause by cause."),
    "switchover": ("holdfast.console.group:switchover", "Move a group to another node, in order."),
    "stop": ("holdfast.console.group:stop", "Stop a group and keep it stopped."),
    "start": ("holdfast.console.group:start", "Start a group that is held or stopped."),
    "lead": ("holdfast.console.lead:lead", "Hand the deciders' leadership to a place."),
    "whatif": ("holdfast.console.whatif:whatif", "What would happen if? Asked of the live state."),
    "init": ("holdfast.console.init:init", "Make keys and certificates for a cluster."),
    "bus-config": ("holdfast.console.init:bus_config", "Write a nats-server configuration."),
}
_GROUPS = {
    "config": (
        "The cluster file.",
        {"check": ("holdfast.console.config_check:check", "Find every problem of a cluster file.")},
    ),
    "volume": (
        "Replicated volumes.",
        {
            "list": ("holdfast.console.volume:show", "Show every copy of every volume."),
            "status": ("holdfast.console.volume:show", "The same, of one volume if it is named."),
            "create": ("holdfast.console.volume:create", "Make a volume of the cluster file."),
            "attach": ("holdfast.console.volume_attach:attach", "Make it a disk of this host."),
            "detach": ("holdfast.console.volume_attach:detach", "Undo that."),
            "members": ("holdfast.console.volume:members", "Add or remove a copy."),
            "verify": ("holdfast.console.volume:verify", "Compare a copy with the primary's."),
            "resize": ("holdfast.console.volume:resize", "Grow it to the cluster file's size."),
            "fallback": ("holdfast.console.volume:fallback", "Undo an unfinished resync."),
        },
    ),
    "fence": (
        "An operator's signed word about a node.",
        {
            "confirm": ("holdfast.console.fence:confirm", "Vouch that a silent node is off."),
            "allow": ("holdfast.console.fence:allow", "Let a held node be switched off."),
        },
    ),
    "audit": (
        "The record as evidence.",
        {
            "verify": (
                "holdfast.console.record_commands:audit_verify",
                "Prove that the record is whole and every action has a cause.",
            ),
            "replay": (
                "holdfast.console.replay:audit_replay",
                "Run recorded inputs through the decider again: the same decisions?",
            ),
        },
    ),
    "maintenance": (
        "Work on the cluster, a node or a group without the decider's interference.",
        {
            "on": ("holdfast.console.maintenance:on", "Begin it, for a time and with a reason."),
            "off": ("holdfast.console.maintenance:off", "End it."),
            "list": ("holdfast.console.maintenance:list_", "Show maintenance and quarantine."),
        },
    ),
    "group": (
        "One group.",
        {"clear": ("holdfast.console.maintenance:clear_group", "Forget what failed in it.")},
    ),
    "node": (
        "One node.",
        {"clear": ("holdfast.console.maintenance:clear_node", "Forget what failed on it.")},
    ),
    "host": (
        "One host of a cluster on this machine.",
        {
            "kill": ("holdfast.console.up:kill_host", "Kill a host as a loss of power would."),
            "start": ("holdfast.console.up:start_host", "Start a host that is off."),
        },
    ),
}


def build() -> App:
    """The command line as an application."""
    app = App(
        name="holdfast",
        help="Keeps stateful services alive, and proves why it did what.",
        default_parameter=Parameter(negative=()),
    )
    _register(app, _COMMANDS)
    for name, (text, commands) in _GROUPS.items():
        group = App(name=name, help=text)
        _register(group, commands)
        app.command(group)
    return app


def _register(app: App, commands: dict[str, tuple[str, str]]) -> None:
    for name, (target, text) in commands.items():
        app.command(target, name=name, help=text)


def main() -> None:
    """Entry point; ends the process with the command's exit code."""
    # What the bus logs of its tries is for services; a command says its error itself, once.
    logging.getLogger("holdfast").addHandler(logging.NullHandler())
    try:
        build()(sys.argv[1:], exit_on_error=False)
    except HoldfastError as error:
        _say(error)
        sys.exit(2)
    except CycloptsError:
        sys.exit(2)  # it printed what is wrong
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nothing is left to say
        sys.exit(0)


def _say(error: HoldfastError) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(f'{error.place}: {error.problem}')}")
    console.print(f"[bold]cure:[/] {escape(error.cure)}")
