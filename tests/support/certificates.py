"""A throw-away certificate authority with a server's and a client's certificate, for TLS on loopback."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates:
    """Three PEM files in a folder: `authority`, and `server` and `client`, which hold their key as well."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.server = folder / "server.pem"
        self.client = folder / "client.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        self._name, self._key = _named("Test authority"), key
        root = self._builder(self._name, key).add_extension(x509.BasicConstraints(True, None), True)
        use = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        root = root.add_extension(use, True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        root = root.add_extension(identifier, False)
        self._authority_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        certificate = root.sign(key, hashes.SHA256())
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._issue(self.server, "localhost")
        self._issue(self.client, "gateway")

    def server_context(self) -> ssl.SSLContext:
        """What a server needs to listen."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )

    def _issue(self, file: Path, host: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(host), key)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        builder = builder.add_extension(self._authority_id, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
