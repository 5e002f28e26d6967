from holdfast.monitor.shell import main
from holdfast.service import run

run("monitor", main)
