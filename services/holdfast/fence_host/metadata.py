"""What the agent says about itself, in the form of the fence-agent API."""

METADATA = """<?xml version="1.0" ?>
<resource-agent name="fence_holdfast_host" shortdesc="Fence agent for simulated Holdfast hosts">
  <longdesc>Ends a host that is simulated as one Unix session of processes on this machine: kills
every process of the session and verifies that none is left. It cannot start a host.
Stricter than other agents: a missing action and an unknown key are errors, on and reboot are
refused, and parameters are read from standard input only. Exit codes of status: 0 on, 2 off,
1 unknown. A process that left the session (setsid) is not part of the host.</longdesc>
  <vendor-url></vendor-url>
  <parameters>
    <parameter name="action" unique="0" required="1">
      <getopt mixed="action=[action]"/>
      <content type="string"/>
      <shortdesc lang="en">What to do; there is no default.</shortdesc>
    </parameter>
    <parameter name="plug" unique="0" required="1" obsoletes="port">
      <getopt mixed="plug=[node]"/>
      <content type="string"/>
      <shortdesc lang="en">Name of the host, which is its folder in run_dir.</shortdesc>
    </parameter>
    <parameter name="port" unique="0" required="0" deprecated="1">
      <getopt mixed="port=[node]"/>
      <content type="string"/>
      <shortdesc lang="en">Older name of plug.</shortdesc>
    </parameter>
    <parameter name="nodename" unique="0" required="0">
      <getopt mixed="nodename=[node]"/>
      <content type="string"/>
      <shortdesc lang="en">Name of the host if neither plug nor port is given.</shortdesc>
    </parameter>
    <parameter name="run_dir" unique="0" required="1">
      <getopt mixed="run_dir=[folder]"/>
      <content type="string"/>
      <shortdesc lang="en">Folder that holds NAME/host.json of each host.</shortdesc>
    </parameter>
    <parameter name="boot_id" unique="0" required="0">
      <getopt mixed="boot_id=[id]"/>
      <content type="string"/>
      <shortdesc lang="en">The boot that is meant; any other is left alone.</shortdesc>
    </parameter>
    <parameter name="timeout" unique="0" required="0">
      <getopt mixed="timeout=[seconds]"/>
      <content type="second" default="10"/>
      <shortdesc lang="en">Seconds within which off must be verified.</shortdesc>
    </parameter>
  </parameters>
  <actions>
    <action name="off"/>
    <action name="status"/>
    <action name="monitor"/>
    <action name="list"/>
    <action name="metadata"/>
    <action name="validate-all"/>
  </actions>
</resource-agent>
"""
