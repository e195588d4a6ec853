"""An authority, and certificates of a server and a client, as PEM files."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import certificate


def make(folder: Path) -> dict[str, str]:
    """Write them into a folder; return their paths by what they are."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate("authority", ca_key, "authority", ca_key, names=None)
    paths = {"ca": _write(folder / "ca.pem", authority)}
    for who in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost")]
        issued = certificate("localhost", key, "authority", ca_key, names=names)
        paths[f"{who}_cert"] = _write(folder / f"{who}.pem", issued)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{who}.key").write_bytes(pem)
        paths[f"{who}_key"] = str(folder / f"{who}.key")
    return paths


def _write(path: Path, written: x509.Certificate) -> str:
    path.write_bytes(written.public_bytes(serialization.Encoding.PEM))
    return str(path)
