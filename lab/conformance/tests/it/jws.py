# Verifies an artefact in JWS (general JSON serialization) and prints what it says. Arguments: the artefact, the anchor.
import base64
import json
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


def decode(text):
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


jws = json.load(open(sys.argv[1]))
[signature] = jws["signatures"]
header = json.loads(decode(signature["protected"]))
assert header["alg"] == "ES256" and header["typ"] == "voucher-jws+json"
chain = [x509.load_der_x509_certificate(base64.b64decode(certificate)) for certificate in header["x5c"]]

raw = decode(signature["signature"])
assert len(raw) == 64
der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
signed = f"{signature['protected']}.{jws['payload']}".encode()
chain[0].public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))

anchor = x509.load_pem_x509_certificate(open(sys.argv[2], "rb").read())
path = [certificate for certificate in chain if certificate != anchor] + [anchor]
for leaf, issuer in zip(path, path[1:]):
    assert leaf.issuer == issuer.subject
    algorithm = ec.ECDSA(leaf.signature_hash_algorithm)
    issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, algorithm)

print(decode(jws["payload"]).decode())
