"""Messages on the bus that are not events: pulses, lease votes, orders, administration.

They are small, bounded and typed; `wire` is their version, refused when it is not ours. Nothing
here is trusted because of where it comes from: every order carries epoch, boot and expiry.
"""

from holdfast.wire.leases import (
    Claim,
    Learn,
    LeaseReply,
    LeaseRequest,
    LeaseTerm,
    Release,
    Renew,
    Terms,
    Vote,
)
from holdfast.wire.orders import (
    Acknowledged,
    Order,
    OrderReply,
    Suspend,
    VolumeOrder,
    Watch,
    WatchedResource,
)
from holdfast.wire.proofs import (
    FencedOff,
    FenceProof,
    LeaseExpired,
    OperatorWord,
    Proof,
    WatchdogExpired,
)
from holdfast.wire.pulses import (
    GroupReport,
    HandsPulse,
    MonitorPulse,
    Pulse,
    SignalSummary,
    WatchdogReport,
)
from holdfast.wire.replies import (
    MAX_SNAPSHOT_BYTES,
    Begun,
    GroupStatus,
    LossStatus,
    MarkStatus,
    NodeStatus,
    PathStatus,
    Refused,
    SnapshotReply,
    StatusReply,
)
from holdfast.wire.requests import (
    AdminRequest,
    ClearRequest,
    FenceRequest,
    GroupRequest,
    LeadRequest,
    MaintenanceRequest,
    SnapshotRequest,
    StandingRequest,
    StatusRequest,
)

MAX_MESSAGE_BYTES = 64 * 1024

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SNAPSHOT_BYTES",
    "Acknowledged",
    "AdminRequest",
    "Begun",
    "Claim",
    "ClearRequest",
    "FenceProof",
    "FenceRequest",
    "FencedOff",
    "GroupReport",
    "GroupRequest",
    "GroupStatus",
    "HandsPulse",
    "LeadRequest",
    "Learn",
    "LeaseExpired",
    "LeaseReply",
    "LeaseRequest",
    "LeaseTerm",
    "LossStatus",
    "MaintenanceRequest",
    "MarkStatus",
    "MonitorPulse",
    "NodeStatus",
    "OperatorWord",
    "Order",
    "OrderReply",
    "PathStatus",
    "Proof",
    "Pulse",
    "Refused",
    "Release",
    "Renew",
    "SignalSummary",
    "SnapshotReply",
    "SnapshotRequest",
    "StandingRequest",
    "StatusReply",
    "StatusRequest",
    "Suspend",
    "Terms",
    "VolumeOrder",
    "Vote",
    "Watch",
    "WatchdogExpired",
    "WatchdogReport",
    "WatchedResource",
]
