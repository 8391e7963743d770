"""pyca/cryptography on the other side: verifies a credential, and signs one as somebody else would."""
import base64
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def did(key):
    numbers = key.public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": encoded(numbers.x.to_bytes(32)), "y": encoded(numbers.y.to_bytes(32))}
    return "did:jwk:" + encoded(json.dumps(jwk).encode())


mode, path, given = sys.argv[1:]
text = open(path, "rb").read()
if mode == "verify":
    key = serialization.load_pem_public_key(text)
    head, payload, signature = given.split(".")
    raw = decoded(signature)
    parts = [int.from_bytes(raw[at:at + 32]) for at in (0, 32)]
    key.verify(utils.encode_dss_signature(*parts), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    header, document = json.loads(decoded(head)), json.loads(decoded(payload))
    print(header["alg"], header["typ"], document["credentialSubject"]["id"])
else:
    key = serialization.load_pem_private_key(text, None)
    document = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        "type": ["VerifiableCredential", "DeviceTrustCredential"],
        "issuer": did(key.public_key()),
        "validFrom": "2026-11-01T00:00:00Z",
        "credentialSubject": {"id": given},
    }
    head = encoded(json.dumps({"alg": "ES256", "typ": "vc+jwt"}).encode()) + "." + encoded(json.dumps(document).encode())
    r, s = utils.decode_dss_signature(key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
    print(head + "." + encoded(r.to_bytes(32) + s.to_bytes(32)))
