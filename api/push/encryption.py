"""Encrypts a push message for one browser, so that its push service cannot read it (RFC 8291 and RFC 8188). Pure.

The message is one record of the content encoding `aes128gcm`. All cryptography is that of the package `cryptography`;
this module only puts the parts in the order of the RFCs, and a test compares them with the RFC's example.
"""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.domain.push import AUTH_BYTES, POINT_BYTES, Subscription

CONTENT_ENCODING = "aes128gcm"
RECORD_BYTES = 4096
MAX_PAYLOAD_BYTES = RECORD_BYTES - 16 - 4 - 1 - POINT_BYTES - 16 - 1
"""A push service takes at least 4096 bytes (RFC 8030, 7.2): the header, the record with its tag, and a delimiter."""
_SALT_BYTES = 16
_LAST_RECORD = b"\x02"
_CURVE = ec.SECP256R1()


def is_usable(p256dh: bytes, auth: bytes) -> bool:
    """Returns whether these can be a browser's keys: a point of P-256, and a secret of the right length."""
    if len(p256dh) != POINT_BYTES or len(auth) != AUTH_BYTES:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, p256dh)
    except ValueError:
        return False
    return True


def encrypted(
    payload: bytes,
    subscription: Subscription,
    *,
    own_key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Returns the body of the request to the push service. Each has a key and a salt of its own; a test may give them.

    Raises ValueError if the payload has more than MAX_PAYLOAD_BYTES, or the browser's key is no point of P-256.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a push message of {len(payload)} bytes, of at most {MAX_PAYLOAD_BYTES}")
    own_key = own_key or ec.generate_private_key(_CURVE)
    salt = salt or os.urandom(_SALT_BYTES)
    own_point = own_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, subscription.p256dh)
    shared_secret = own_key.exchange(ec.ECDH(), point)
    # RFC 8291, 3.4: first the secret of the two, then with the salt the key and the nonce of the only record.
    info = b"WebPush: info\0" + subscription.p256dh + own_point
    secret = _derived(shared_secret, subscription.auth, info, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + struct.pack("!LB", RECORD_BYTES, len(own_point)) + own_point
    return header + AESGCM(key).encrypt(nonce, payload + _LAST_RECORD, None)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
