#!/usr/bin/python3 -IS
"""A fence agent: what switches the power of a node, over the socket of the power switch.

The same program is called by every contestant that fences. Standard library only.
"""

import socket
import sys

DEADLINE = 15.0
METADATA = """<?xml version="1.0" ?>
<resource-agent name="fence_bench" shortdesc="Fence agent of the benchmark's power switch">
  <longdesc>Switches nodes that are made of namespaces.</longdesc>
  <vendor-url></vendor-url>
  <parameters>
    <parameter name="action" unique="0" required="1">
      <getopt mixed="action=[action]"/><content type="string"/>
      <shortdesc lang="en">What to do.</shortdesc>
    </parameter>
    <parameter name="plug" unique="0" required="1" obsoletes="port">
      <getopt mixed="plug=[node]"/><content type="string"/>
      <shortdesc lang="en">The node.</shortdesc>
    </parameter>
    <parameter name="switch" unique="0" required="1">
      <getopt mixed="switch=[path]"/><content type="string"/>
      <shortdesc lang="en">The socket of the power switch.</shortdesc>
    </parameter>
  </parameters>
  <actions>
    <action name="on" automatic="0"/>
    <action name="off"/>
    <action name="reboot"/>
    <action name="status"/>
    <action name="monitor"/>
    <action name="metadata"/>
    <action name="validate-all"/>
  </actions>
</resource-agent>
"""


def main() -> int:
    """Carries one order out; exit code 0: done, 2: `status` is off, 1: anything else."""
    pairs = (line.partition("=") for line in sys.stdin.read(65536).splitlines())
    order = {key.strip(): value.strip() for key, _, value in pairs}
    action = order.get("action", "")
    if action == "metadata":
        sys.stdout.write(METADATA)
        return 0
    try:
        return carry_out(action, order.get("plug", ""), order.get("switch", ""))
    except OSError as error:
        sys.stderr.write(f"fence_bench: {error}\n")
        return 1


def carry_out(action: str, plug: str, switch: str) -> int:
    """Raises OSError if the switch does not answer."""
    match action:
        case "monitor" | "validate-all":
            return 0 if ask(switch, "list", "-") else 1
        case "status":
            return {"on": 0, "off": 2}.get(ask(switch, "status", plug), 1)
        case "off" | "on":
            return 0 if ask(switch, action, plug) == action else 1
        case "reboot":
            done = ask(switch, "off", plug) == "off" and ask(switch, "on", plug) == "on"
            return 0 if done else 1
    sys.stderr.write(f"fence_bench: cannot do {action!r}\n")
    return 1


def ask(switch: str, action: str, plug: str) -> str:
    """One line there, one line back."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(DEADLINE)
        peer.connect(switch)
        peer.sendall(f"{action} {plug}\n".encode())
        with peer.makefile() as answer:
            return answer.readline().strip()


if __name__ == "__main__":
    sys.exit(main())
