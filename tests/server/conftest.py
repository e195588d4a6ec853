from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import certificate as make_certificate


def pytest_asyncio_loop_factories(
    config: Any, item: Any
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Test on the loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Certificates:
    ca: str
    server: str
    server_key: str
    client: str
    client_key: str

    def read(self, name: str) -> bytes:
        """Return the PEM text of one of the files."""
        return Path(getattr(self, name)).read_bytes()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a certificate for localhost and one for a client named billing."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = make_certificate("authority", ca_key, "authority", ca_key, names=None)
    files = {"ca": _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM))}
    alternatives: dict[str, list[Any]] = {
        "server": [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
        "client": [x509.DNSName("billing.internal")],
    }
    for name, names in alternatives.items():
        key = ec.generate_private_key(ec.SECP256R1())
        subject = "localhost" if name == "server" else "billing"
        certificate = make_certificate(subject, key, "authority", ca_key, names=names)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files[f"{name}_key"] = _write(folder / f"{name}.key", pem)
        files[name] = _write(
            folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)
        )
    return Certificates(**files)


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
