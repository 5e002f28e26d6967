"""What each key of the cluster file means, for the reference page. A test keeps it complete."""

_CHECK = {
    "interval": "seconds from the beginning of one look to that of the next",
    "deadline": "seconds after which a look counts as failed",
    "failures": "failed looks in a row that count as failed",
}
_RESOURCE = {
    "after": "resources of the group that must be started before it and stopped after it",
    "start_timeout": "seconds until a start counts as failed",
    "stop_timeout": "seconds until a stop counts as failed; a process is killed then",
    "checks": "how the monitor sees that it works; also run after each start, before it counts",
    "recovery": "restarts on the same node before the group moves",
}

MEANINGS: dict[str, dict[str, str]] = {
    "ClusterFile": {
        "cluster": "",
        "networks": "further networks between all places, by name; "
        "[two in ten lines](setup.md#two-networks)",
        "nodes": "hosts, by name",
        "witnesses": "by name; none is needed with three hosts",
        "volumes": "by name",
        "groups": "what is protected, by name",
        "monitor": "",
        "notifications": "",
        "telemetry": "",
        "audit": "",
    },
    "Cluster": {
        "name": "in the source of every event, and nats-server's cluster name",
        "voters": "places whose failover_decider has a vote; an odd number",
        "profile": "[how long leases last](tuning.md)",
        "time_zone": "of calendar windows: `Europe/Berlin`, `UTC`",
        "fencing": "whether every node must have a fence device or a watchdog; "
        "[what lease-only risks](tuning.md#fencing)",
        "fence_limit": "how many nodes may be switched off, or wait to be, within `fence_window`; "
        "more wait for [an operator](failure-guide.md#a-fence-is-held). Default: half of the "
        "nodes, and never a majority of them",
        "fence_window": "seconds",
        "admission": "whether a group that never ran may be started although the loss of a node "
        "could then not be borne ([N+1](policies.md#capacity-and-n1)): `warn` tells, `enforce` "
        "refuses it",
    },
    "Node": {
        "address": "where all other places, and operators, reach it",
        "addresses": "its address in each network of `[networks]`",
        "bus": "ports of its nats-server",
        "fence": "its fence devices, by [levels](setup.md#levels)",
        "watchdog": "",
        "capacity": "what the groups on it may take together, in a unit of your own; without it "
        "there is no limit",
        "max_failures": "losses of the node, and groups that failed on it, within "
        "`failures_window`, after which it is quarantined",
        "failures_window": "seconds",
        "quarantine": "seconds until a quarantine ends by itself; without it an operator clears it",
    },
    "Network": {},
    "Witness": {
        "address": "as of a node",
        "addresses": "as of a node",
        "bus": "ports of its nats-server",
    },
    "Bus": {
        "client_port": "services and operators connect here",
        "route_port": "the other places' nats-servers connect here",
        "monitor_port": "nats-server's /healthz and /jsz; on loopback only",
    },
    "FenceDevice": {
        "agent": "name or path of a program that speaks the fence-agent API",
        "level": "devices of one level must all be off together; the next level is tried when one "
        "of them fails. On all devices of a node or on none; default: each device is a level",
        "plug": "how the device names this node; default the node's name",
        "options": "further options of the agent, e.g. `ip`, `username`",
        "secret_file": "whole path of a file with `key=value` lines, e.g. `password=…`; "
        "on every place with a vote, readable by failover_decider only",
        "timeout": "seconds for one run of the agent",
    },
    "Watchdog": {
        "device": "a character device, e.g. of `softdog` or the machine's own",
        "timeout": "seconds, at most `ttl` less `margin` and `renew_every` "
        "([profiles](tuning.md)), which is the default",
    },
    "ReplicatedVolume": {
        "size": "of the volume, as `20GiB`; to grow it, raise this, then `holdfast volume resize`",
        "members": "the nodes that keep a copy, by name",
        "mode": "`sync`: acknowledged when every in-sync member has it; `async`: when the primary "
        "has it, in order and within `max_lag` elsewhere",
        "max_lag": "of async: what a failover may lose by itself; without it only an operator "
        "may accept a loss",
        "on_full": "of async, when a member is over its bound: resync it later (`bitmap`), "
        "or let writes wait for it (`hold`)",
        "member_timeout": "seconds of silence after which a member is taken out; default the "
        "longest stall that [the profile](tuning.md#profiles) bears",
    },
    "VolumeMember": {
        "path": "a raw file, made if it is missing, or a device by its `/dev/disk/by-id` link",
        "port": "where this node's data path listens for the others",
        "network": "the network of that port",
        "socket": "where clients on this node find the volume (NBD); default "
        "`<state>/storage_replication/<volume>/nbd.sock`",
        "nbd_port": "also serve it over TCP, with TLS unless the address is a loopback one",
    },
    "MaxLag": {"bytes": "written and not there yet", "seconds": "age of the oldest such write"},
    "DirectoryVolume": {
        "path": "the folder, the same on every node",
        "probe_interval": "seconds between two writes that test the volume while it is used",
        "probe_deadline": "seconds after which such a write counts as failed",
    },
    "Group": {
        "nodes": "where it may run, the preferred first",
        "resources": "by name",
        "load": "what it takes of a node's `capacity`, in the same unit",
        "requires": "groups that must be active, anywhere, before it is started",
        "together_with": "groups at whose node it must run, wherever that is; it follows them",
        "prefer_together_with": "the same as a wish",
        "apart_from": "groups with which it must never share a node",
        "prefer_apart_from": "the same as a wish",
        "failback": "whether it moves back by itself when a node that comes earlier in `nodes` "
        "is well again; never to a boot of a node on which the group itself failed",
        "failback_after": "seconds for which that node must have been well, and the group active",
        "failback_window": "it may begin only then: `02:00-04:00`, `Sat,Sun 02:00-04:00`; local "
        "time in `cluster.time_zone`",
        "max_moves": "starts and moves within `moves_window` after which it is quarantined; "
        "failovers from a lost host do not count",
        "moves_window": "seconds",
        "quarantine": "seconds until a quarantine ends by itself; without it an operator clears it",
    },
    "ProcessResource": {
        **_RESOURCE,
        "command": "program and arguments, without a shell",
        "environment": "added to that of the recovery service",
        "directory": "working folder, a whole path",
    },
    "CommandResource": {
        **_RESOURCE,
        "start": "exits 0 when started",
        "stop": "exits 0 when told to stop; `probe` then decides whether it stopped",
        "probe": "exits 0 if it runs, 7 if not; anything else is unknown",
    },
    "VolumeResource": {**_RESOURCE, "volume": "a name of `[volumes]`; one resource per volume"},
    "LocalRecovery": {
        "attempts": "within `window`; then the group moves",
        "window": "seconds",
        "backoff": "seconds before the second attempt; the first is made at once",
        "backoff_factor": "each later attempt waits this many times longer",
    },
    "ProcessCheck": {},
    "TcpCheck": {"host": "address it listens on", "port": "", **_CHECK},
    "HttpCheck": {"url": "", **_CHECK},
    "CommandCheck": {"command": "program and arguments, without a shell", **_CHECK},
    "Thresholds": {
        "interval": "seconds between two samples",
        "pressure_degraded": "share of time stalled for CPU, memory or I/O (PSI)",
        "memory_available_degraded": "less memory available than this",
        "disk_free_degraded": "less room than this on the state folder's or a volume's disk",
        "load_per_core_degraded": "a load per core above this; not a percentage",
    },
    "Notifications": {
        "channels": "by name; each event goes to all of them",
        "events": "names of [events](events.md)",
    },
    "LogChannel": {"path": "a file, or `-`"},
    "WebhookChannel": {
        "url": "never written to a log or an event, because it may hold a secret",
        "deadline": "seconds for one attempt",
        "attempts": "then it is given up and `notification_failed` says so",
    },
    "Audit": {
        "inputs_megabytes": "room on each place for the decider's recorded inputs, the oldest go "
        "first; [how long that lasts](replay.md#how-much-is-kept); 0: nothing is recorded",
    },
    "Telemetry": {
        "endpoint": "e.g. `http://collector:4318`; "
        "without it the variable `OTEL_EXPORTER_OTLP_ENDPOINT` counts",
    },
}
