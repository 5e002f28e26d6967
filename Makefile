# Everything runs in a virtual environment of its own; PYTHON may name any Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo compose-demo test check chaos drills fencing network network-soak volumes postgres simulation simulate crash crash-replay soak model bench generate clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/holdfast demo $(DEMO_FLAGS)

compose-demo: $(STAMP)
	docker build --quiet --tag holdfast:dev .
	$(BIN)/holdfast demo --compose $(DEMO_FLAGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

# Three at a time on two cores: most tests wait for real servers and processes, not for the
# processor. The longest files first (tests/conftest.py), which xdist's own order would undo.
test: check
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not compose and not chaos and not simulation and not fencing'

# Any one process killed at every step of every flow; volumes and policies; some two hours.
chaos: $(STAMP)
	$(BIN)/pytest -m chaos tests/integration

# Real clusters: what `holdfast whatif` predicts is made true and compared, N times from SEED on.
drills: N = 50
drills: $(STAMP)
	DRILLS=$(N) DRILL_SEED=$(SEED) $(BIN)/pytest -m drill -s tests/drills
# Every installed fence agent, IPMI, watchdogs, and a guest's kernel with its own (Debian:
# fence-agents, openipmi, ipmitool, user-mode-linux, kmod, iproute2).
fencing: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m fencing tests/integration

# Clusters on real networks (root, iproute2, nftables), two at a time. The soak is N random faults
# from SEED on, on one network and on two, between hosts with a fence device, with a watchdog, with
# nothing but leases. JSON=file.json keeps what each showed, for file.md, and is where it goes on.
N ?= 20
SEED ?= 1
network: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m network tests/network

network-soak: $(STAMP)
	NETWORK_RUNS=$(N) NETWORK_SEED=$(SEED) NETWORK_JSON=$(JSON) $(BIN)/pytest -m network tests/network/test_random.py

# A data path under ordinary NBD clients, file systems and a guest: those whose packages are here
# (nbdkit libnbd-bin qemu-utils qemu-system-x86 fio e2fsprogs xfsprogs fuse3; root for the mounts).
# Members under random faults are RUNS runs from SEED on, some twelve seconds each, and a third as many
# with async members; root, iproute2 and nftables for those of the network.
volumes: RUNS = 10
volumes: $(STAMP)
	VOLUME_RUNS=$(RUNS) VOLUME_SEED=$(SEED) $(BIN)/pytest -m volumes tests/volumes

# PostgreSQL under pgbench on ext4 on a volume: its host is killed N times from SEED on (Debian:
# postgresql libnbd-bin fuse3 e2fsprogs nbdkit; root).
postgres: N = 20
postgres: $(STAMP)
	POSTGRES_ROUNDS=$(N) POSTGRES_SEED=$(SEED) $(BIN)/pytest -m postgres -s tests/postgres

# The safety core on virtual time: planted bugs and more seeds than `make test` has (0 to 1,999); one
# seed as a timeline; N seeds from FIRST on in figures, also kept in a file FIGURES (.md or .json).
simulation: $(STAMP)
	$(BIN)/pytest -m simulation tests/simulation --ignore=tests/simulation/test_volumes_planted.py
	$(MAKE) soak N=1000 FIRST=2000

simulate: $(STAMP)
	$(BIN)/python -m tests.simulation.simulator replay $(SEED)

# Volumes, crashed at any step: N seeds, then every planted bug; or one seed as a timeline.
crash: N = 5000
crash: $(STAMP)
	$(BIN)/python -m tests.simulation.volumes soak $(N)
	$(BIN)/pytest -m simulation tests/simulation/test_volumes_planted.py

crash-replay: $(STAMP)
	$(BIN)/python -m tests.simulation.volumes replay $(SEED)

soak: N = 20000
soak: FIRST = 0
soak: $(STAMP)
	$(BIN)/python -m tests.simulation.simulator soak $(N) $(FIRST) $(FIGURES)

# The lease protocol as a model that spin searches (spin, gcc): some minutes.
model:
	tests/model/run

# Measures beside peers in one run (root; installs Debian packages): docs/benchmarks. N faults each,
# or with WHAT=volumes up to N rounds, at most about 12 minutes.
WHAT ?= failover
bench: N = 5
bench: $(STAMP)
	tests/benchmarks/$(WHAT)/setup
	$(BIN)/python -m tests.benchmarks.$(WHAT) --runs $(N) $(BENCH_FLAGS)

generate: $(STAMP)
	$(BIN)/python -m holdfast.events.generate
	$(BIN)/python -m holdfast.config.generate

clean:
	rm -rf $(VENV) .demo dist
