"""What the cluster file has run here no more, or otherwise, although it may run here still.

A node is taken out of a group, a resource or a whole group out of the file, while it runs: if the
hands forgot it at their next start, nothing would stop it with the lease, and no report would tell
of it. So the configuration of what may run is kept beside the journal, and planned until each
part of it was seen to be stopped. A resource that is changed while it runs is stopped as it was
started: the new commands would look past what the old ones left.
"""

import logging
from dataclasses import replace

from holdfast.config.model import ClusterFile, Resource
from holdfast.recovery.journal import Journal, JournalError
from holdfast.recovery.plan import GroupPlan, plans, with_retired
from holdfast.recovery.state import GroupState

_log = logging.getLogger("holdfast.recovery")


def all_plans(cluster: ClusterFile, node: str, boot: str, journal: Journal) -> dict[str, GroupPlan]:
    """The plan of every group that may run on `node`, or may be left running there; each is kept.

    Raises JournalError when what is kept cannot be read.
    """
    found = plans(cluster, node, boot)
    for group in journal.planned():
        here = found.get(group) or GroupPlan(group=group, node=node, boot=boot, resources={})
        state = journal.load(group)
        left = _left(journal.load_plan(group), state)
        if group in found or left:
            # What an earlier boot ran is over, and its commands may be gone with it.
            over = state is not None and state.boot not in ("", boot)
            planned = with_retired(here, left)
            found[group] = replace(planned, former={}) if over else planned
        else:
            journal.forget_plan(group)
    for group, plan in found.items():
        if plan.retired:
            names = ", ".join(sorted(plan.retired))
            _log.warning("group %s: not run here by the file, stopped with it: %s", group, names)
        if plan.former:
            names = ", ".join(sorted(plan.former))
            _log.warning("group %s: changed while it runs, stopped as it was: %s", group, names)
        _keep(journal, plan)
    return found


def _left(kept: dict[str, Resource], state: GroupState | None) -> dict[str, Resource]:
    """What was planned for the group and was not seen to be stopped."""
    return {
        name: config
        for name, config in kept.items()
        if state is None or state.resource(name).state != "stopped"
    }


def _keep(journal: Journal, plan: GroupPlan) -> None:
    try:
        journal.store_plan(plan.group, {**plan.resources, **plan.former})
    except JournalError as error:
        # Nothing can be started either, for that is stored first; what runs has its old plan.
        _log.critical("group %s: %s", plan.group, error)
