"""An authority, and certificates of a server and a client, as PEM files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make(folder: Path) -> dict[str, str]:
    """Write them into a folder; return their paths by what they are."""
    authority_key, authority = _issued("authority", None, None)
    paths = {"ca": _write(folder / "ca.pem", authority)}
    for who in ("server", "client"):
        key, certificate = _issued("localhost", authority_key, authority)
        paths[f"{who}_cert"] = _write(folder / f"{who}.pem", certificate)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{who}.key").write_bytes(pem)
        paths[f"{who}_key"] = str(folder / f"{who}.key")
    return paths


def _issued(name: str, issuer_key: Any, issuer: Any) -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return key, built.sign(issuer_key or key, hashes.SHA256())


def _write(path: Path, certificate: Any) -> str:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)
