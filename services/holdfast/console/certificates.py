"""A certificate authority of the cluster's own, and what it signs: EC P-256, no passwords.

The authority's key stays in `<out>/ca`; no place gets it.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast.config.model import Node, Witness
from holdfast.console.files import folder, write
from holdfast.errors import HoldfastError

CA_DAYS = 3650
LEAF_DAYS = 825
SKEW = timedelta(hours=1)
"""Hosts' clocks may differ; a certificate is valid a little before it was made."""

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue_missing(
    places: Mapping[str, Node | Witness],
    people: Iterable[str],
    out: Path,
    names: Mapping[str, list[str]],
) -> list[Path]:
    """Sign what is missing; returns the certificates made. Raises HoldfastError."""
    if unknown := set(names) - set(places):
        raise HoldfastError(
            "not a place", place=f"--san {unknown.pop()}", cure=f"one of {', '.join(places)}"
        )
    made: list[Path] = []
    signer = _authority(out, made)
    for place, described in places.items():
        hosts = [place, *described.all_addresses(), "localhost", "127.0.0.1"]
        hosts += names.get(place, [])
        made += _leaf(signer, out / place, "server", place, hosts)
        made += _leaf(signer, out / place, "client", place, [])
    for person in people:
        made += _leaf(signer, out / person, "client", person, [])
    return made


def _authority(out: Path, made: list[Path]) -> Signer:
    certificate_file, key_file = out / "ca" / "ca.pem", out / "ca" / "ca.key"
    if not certificate_file.exists():
        folder(out / "ca")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Holdfast cluster CA")])
        builder = (
            _builder(subject, subject, key, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        write(key_file, _pem(key))
        write(certificate_file, _public(builder.sign(key, hashes.SHA256())), 0o644)
        made.append(certificate_file)
    try:
        private = serialization.load_pem_private_key(key_file.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (OSError, ValueError) as error:
        raise HoldfastError(
            f"the cluster's CA cannot be read: {error}",
            place=str(key_file),
            cure="bring the `ca` folder back to where `holdfast init` runs",
        ) from error
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return certificate, private


def _leaf(signer: Signer, where: Path, kind: str, name: str, hosts: list[str]) -> list[Path]:
    """One certificate for TLS; a server's is also a client's, as servers call each other."""
    certificate_file = where / f"{kind}.pem"
    if not where.is_dir() or certificate_file.exists():
        return []
    ca, ca_key = signer
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if hosts:
        purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(subject, ca.subject, key, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    if hosts:
        alternatives = [_alternative(host) for host in dict.fromkeys(hosts)]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    write(where / "ca.pem", _public(ca), 0o644)
    write(where / f"{kind}.key", _pem(key))
    write(certificate_file, _public(builder.sign(ca_key, hashes.SHA256())), 0o644)
    return [certificate_file]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
