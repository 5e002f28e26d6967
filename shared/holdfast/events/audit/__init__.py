"""Proving the record: chains of producers, chains of causes, and the tree of an incident. Pure."""

from holdfast.events.audit.causes import verify_causes
from holdfast.events.audit.chains import verify_chains
from holdfast.events.audit.findings import CURES, Finding, Kind, Producer, Report
from holdfast.events.audit.tree import Incident, NotFound, Step, find_incident, incident
from holdfast.events.audit.verify import Audit

__all__ = [
    "CURES",
    "Audit",
    "Finding",
    "Incident",
    "Kind",
    "NotFound",
    "Producer",
    "Report",
    "Step",
    "find_incident",
    "incident",
    "verify_causes",
    "verify_chains",
]
