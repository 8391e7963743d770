# Verifies a JWT by ES256 with a public key or certificate in PEM, or by its own x5c, and prints its claims. Arguments: the token, the key.
import base64
import json
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


def decode(text):
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


header, payload, signature = open(sys.argv[1]).read().strip().split(".")
fields = json.loads(decode(header))
assert fields["alg"] == "ES256" and fields["typ"] == "eat+jwt", fields
pem = open(sys.argv[2], "rb").read()
key = x509.load_pem_x509_certificate(pem).public_key()
if "x5c" in fields:
    own = x509.load_der_x509_certificate(base64.b64decode(fields["x5c"][0]))
    assert own.public_key().public_numbers() == key.public_numbers()
spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
digest = hashes.Hash(hashes.SHA256())
digest.update(spki)
assert fields["kid"] == digest.finalize().hex()
raw = decode(signature)
assert len(raw) == 64
der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
key.verify(der, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
print(decode(payload).decode())
