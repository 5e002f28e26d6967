from holdfast.failover_decider.shell import main
from holdfast.service import run

if __name__ == "__main__":
    run("failover_decider", main)
