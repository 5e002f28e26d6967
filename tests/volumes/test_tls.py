"""TLS on TCP with the certificates that `holdfast init` makes."""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.config.load import load
from holdfast.console.certificates import issue_missing
from holdfast.nbd_protocol import (
    CLIENT_FLAGS,
    GREETING,
    Command,
    Option,
    OptionReply,
)
from holdfast.storage_replication.nbd.room import MAX_CONNECTIONS
from tests.support.cluster_file import write_cluster_file
from tests.support.data_path import DataPath, running
from tests.support.nbd_client import (
    Client,
    connect,
    exactly,
    go,
    option,
    option_replies,
    request,
)
from tests.volumes.tools import need, run

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place of this cluster and one of another, also under the names that libnbd wants."""
    folder = tmp_path_factory.mktemp("secrets")
    places = load(write_cluster_file(folder, [])).places()
    for cluster in ("ours", "theirs"):
        (folder / cluster / "alpha").mkdir(parents=True)
        issue_missing(places, [], folder / cluster, {})
        place = folder / cluster / "alpha"
        for name, known_as in (("client.pem", "client-cert.pem"), ("client.key", "client-key.pem")):
            (place / known_as).symlink_to(place / name)
        (place / "ca-cert.pem").symlink_to(folder / "ours" / "alpha" / "ca.pem")
    return folder


@pytest.fixture(scope="module")
def served(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPath]:
    """Certificates of the cluster `ours`."""
    path = DataPath(tmp_path_factory.mktemp("volume"), size=64 * 1024 * 1024)
    with running(path, "--tcp", "127.0.0.1:0", "--secrets", str(secrets / "ours" / "alpha")):
        yield path


def test_clients_of_the_cluster_are_served(served: DataPath, secrets: Path) -> None:
    need("nbdinfo", "nbdcopy", "qemu-io")
    place = secrets / "ours" / "alpha"
    uri = f"nbds://127.0.0.1:{served.port}/v1?tls-certificates={place}"
    assert '"TLS": true' in run("nbdinfo", "--json", uri)
    copy = secrets / "copy"
    copy.write_bytes(bytes(range(256)) * 4096 * 64)
    run("nbdcopy", copy, uri)
    assert served.file.read_bytes() == copy.read_bytes()
    image = (
        f"driver=nbd,host=127.0.0.1,port={served.port},export=v1,tls-creds=t,tls-hostname=localhost"
    )
    credentials = f"tls-creds-x509,id=t,endpoint=client,dir={place}"
    steps = ["-c", "write -P 7 0 40M", "-c", "flush", "-c", "read -P 7 0 40M"]
    run("qemu-io", "--object", credentials, "--image-opts", *steps, image)


def test_strangers_and_the_clear_are_refused(served: DataPath, secrets: Path) -> None:
    need("nbdinfo")
    run("nbdinfo", f"nbd://127.0.0.1:{served.port}/v1", code=1)
    stranger = secrets / "theirs" / "alpha"
    uri = f"nbds://127.0.0.1:{served.port}/v1?tls-certificates={stranger}"
    run("nbdinfo", uri, code=1)
    with Client(served.socket) as here:  # the unix socket has no TLS
        assert here.read(0, 1)


def test_a_client_that_takes_nothing_costs_no_more_with_tls(
    served: DataPath, secrets: Path
) -> None:
    place = secrets / "ours" / "alpha"
    context = ssl.create_default_context(cafile=str(place / "ca.pem"))
    context.load_cert_chain(place / "client.pem", place / "client.key")
    with Client(served.socket) as filler:
        assert filler.write(0, os.urandom(32 * MIB)) == 0
    before = served.resident()
    stalled = []
    for _ in range(4):
        sock = connect(("127.0.0.1", served.port))
        start_tls(sock)
        encrypted = context.wrap_socket(sock, server_hostname="localhost")
        encrypted.sendall(option(Option.STRUCTURED_REPLY) + go())
        assert option_replies(encrypted)[0][0] == OptionReply.ACK
        assert option_replies(encrypted)[-1][0] == OptionReply.ACK
        encrypted.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                encrypted.sendall(request(Command.READ, 0, 32 * MIB) * 1000)
        stalled.append(encrypted)
    with Client(served.socket) as good:
        for number in range(100):
            assert good.write(40 * MIB, b"%8d" % number) == 0
            assert good.read(40 * MIB, 8) == b"%8d" % number
    grown = served.resident() - before
    for encrypted in stalled:
        encrypted.close()
    assert grown < len(stalled) * 16 * MIB, f"{grown / MIB:.0f} MiB"


def test_a_broken_handshake_harms_nobody(served: DataPath) -> None:
    where = ("127.0.0.1", served.port)
    for words in (b"", bytes(1000), b"\x16\x03\x01" + b"\xff" * 500):
        with connect(where) as sock:
            start_tls(sock)
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
    with connect(where) as sock:
        start_tls(sock)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.raises((ssl.SSLError, ConnectionError)):
            without_certificate(sock, context)


def test_strangers_in_the_middle_of_a_handshake_keep_nobody_away(
    served: DataPath, secrets: Path
) -> None:
    place, where = secrets / "ours" / "alpha", ("127.0.0.1", served.port)
    context = ssl.create_default_context(cafile=str(place / "ca.pem"))
    context.load_cert_chain(place / "client.pem", place / "client.key")
    with contextlib.ExitStack() as open_ones:
        for _ in range(MAX_CONNECTIONS + 8):
            sock = open_ones.enter_context(connect(where))
            start_tls(sock)
            sock.sendall(b"\x16\x03\x01")
        assert open_ones.enter_context(Client(served.socket)).write(0, b"here") == 0
        late = open_ones.enter_context(connect(where))
        start_tls(late)
        encrypted = context.wrap_socket(late, server_hostname="localhost")
        encrypted.sendall(go())
        assert option_replies(encrypted)[-1][0] == OptionReply.ACK
        encrypted.sendall(request(Command.READ, 0, 4))
        assert exactly(encrypted, 20)[-4:] == b"here"
        encrypted.close()


def test_what_follows_starttls_in_the_clear_is_never_obeyed(served: DataPath) -> None:
    with connect(("127.0.0.1", served.port)) as sock:
        exactly(sock, GREETING.size)
        sock.sendall(CLIENT_FLAGS.pack(3) + option(Option.STARTTLS) + go())
        assert option_replies(sock)[0][0] == OptionReply.ACK
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""


def start_tls(sock: socket.socket) -> None:
    """Up to the point where TLS begins."""
    exactly(sock, GREETING.size)
    sock.sendall(CLIENT_FLAGS.pack(3) + option(Option.STARTTLS))
    assert option_replies(sock) == [(OptionReply.ACK, b"")]


def without_certificate(sock: socket.socket, context: ssl.SSLContext) -> None:
    """With TLS 1.3 the client learns of the refusal when it reads."""
    with context.wrap_socket(sock) as encrypted:
        encrypted.sendall(go())
        if not encrypted.recv(1):
            raise ConnectionError
