"""`python -m holdfast.storage_replication`."""

from holdfast.service import run
from holdfast.storage_replication.service import main

run("storage_replication", main)
