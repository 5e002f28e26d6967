"""A QEMU guest whose disk is a volume: a boot sector that reads one sector and writes another."""

import pytest

from tests.support.data_path import DataPath
from tests.support.nbd_client import Client
from tests.volumes.tools import need, run

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]

CODE = bytes.fromhex(
    "31c0 8ed8 8ec0"  # xor ax, ax; mov ds, ax; mov es, ax
    "b80102 bb0080 b90200 b600 cd13 7217"  # int 13h: read sector 2 to 8000h; jc failed
    "f7160080"  # not word [8000h]
    "b80103 b90300 b600 cd13 7207"  # int 13h: write sector 3; jc failed
    "b010 e6f4 f4 9090"  # out f4h, 10h: QEMU ends with exit code 33; hlt
    "b020 e6f4 f4"  # failed: out f4h, 20h: exit code 65; hlt
)


def test_a_guest_boots_from_a_volume_and_writes_to_it(served: DataPath) -> None:
    need("qemu-system-x86_64")
    with Client(served.socket) as client:
        assert client.write(0, CODE + bytes(510 - len(CODE)) + b"\x55\xaa") == 0
        assert client.write(512, b"\x0f\xf0read by the guest") == 0
    run(
        *("qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg", "-m", "16", "-nodefaults"),
        *("-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-drive", f"file={served.uri},format=raw,if=virtio"),
        code=33,
    )
    with Client(served.socket) as client:
        assert client.read(1024, 19) == b"\xf0\x0fread by the guest"
