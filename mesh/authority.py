"""A throw-away certificate authority for local mode and tests. In a cluster cert-manager does this."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity import Identity
from mesh.tls import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CLOCK_SKEW = dt.timedelta(minutes=5)
_LONGEST_COMMON_NAME = 64
"""X.520, ub-common-name. Only people read it; the identity is the SPIFFE id."""


class CertificateAuthority:
    """Signs P-256 certificates with a SPIFFE-style identity; its own key stays in its folder, for its owner only."""

    def __init__(self, folder: Path, *, trust_domain: str = "argo.local", now: dt.datetime | None = None) -> None:
        """Opens the authority of a folder, or makes one there (also when the old one ends within a day).

        Args:
            folder: holds ``ca.pem`` and ``ca-key.pem``; is made if it does not exist.
            trust_domain: of every identity that it signs.
            now: the time for validity periods; the present one if none is given.
        """
        self.folder = folder
        self.trust_domain = trust_domain
        self.ca_file = folder / "ca.pem"
        self._now = now or dt.datetime.now(dt.UTC)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = folder / "ca-key.pem"
        if not (self.ca_file.exists() and key_file.exists() and self._open(key_file)):
            self._create(key_file)

    def issue(
        self,
        path: str,
        *,
        dns_names: Sequence[str] = (),
        validity: dt.timedelta = dt.timedelta(days=30),
        folder: Path | None = None,
    ) -> TlsFiles:
        """Writes a certificate and its key for an identity; overwrites older ones, so it also rotates them.

        The certificate of a service or system is also for servers and carries the service's name, ``localhost``,
        127.0.0.1 and ``dns_names`` as host names; the one of a person or an authority is for clients only.

        Args:
            path: identity path, for example ``"service/registry"`` or ``"tenants/amiat/operator/mrossi"``.
            dns_names: more host names or IP addresses of a server.
            validity: from now on.
            folder: where ``{path}.pem`` and ``{path}-key.pem`` go, with ``-`` for ``/``; the authority's own
                if none is given.

        Raises:
            ValueError: the path is not one of a known kind.
        """
        identity = Identity.parse(f"spiffe://{self.trust_domain}/{path}")
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(identity, key.public_key(), dns_names, validity)
        folder = folder or self.folder
        folder.mkdir(parents=True, exist_ok=True)
        stem = path.replace("/", "-")
        files = TlsFiles(certificate=folder / f"{stem}.pem", key=folder / f"{stem}-key.pem", ca=self.ca_file)
        _replace(files.key, _private_pem(key), mode=0o600)
        _replace(files.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        return files

    def _sign(
        self,
        identity: Identity,
        public_key: ec.EllipticCurvePublicKey,
        dns_names: Sequence[str],
        validity: dt.timedelta,
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if identity.is_machine:
            names += [_general_name(name) for name in (identity.name, "localhost", "127.0.0.1", *dns_names)]
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        return (
            self._builder(identity.path[-_LONGEST_COMMON_NAME:], public_key, validity)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _open(self, key_file: Path) -> bool:
        self._certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return False
        self._key = key
        return self._certificate.not_valid_after_utc - self._now > dt.timedelta(days=1)

    def _create(self, key_file: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"throw-away authority of {self.trust_domain}")])
        self._certificate = (
            self._builder(name, self._key.public_key(), dt.timedelta(days=365), issuer=name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _replace(key_file, _private_pem(self._key), mode=0o600)
        _replace(self.ca_file, self._certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)

    def _builder(
        self,
        subject: str | x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        validity: dt.timedelta,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        if isinstance(subject, str):
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _CLOCK_SKEW)
            .not_valid_after(self._now + validity)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
