"""jwcrypto on the other side: verifies a credential, signs one, and answers an event with the same one."""
import base64
import json
import sys

from jwcrypto import jwk, jws

mode, text = sys.argv[1], sys.stdin.read().split("\n")


def opened(key, token):
    signed = jws.JWS()
    signed.allowed_algs = ["ES256", "ES384", "EdDSA"]
    signed.deserialize(token, jwk.JWK.from_json(key))
    return signed.jose_header, json.loads(signed.payload)


def sign(key, typ, payload):
    signed = jws.JWS(json.dumps(payload))
    signed.add_signature(key, None, json.dumps({"alg": "ES256", "typ": typ}))
    return signed.serialize(compact=True)


if mode == "verify":
    header, payload = opened(*text)
    print(header["typ"], payload["id"], payload["credentialSubject"]["id"])
elif mode == "sign":
    key = jwk.JWK.generate(kty="EC", crv="P-256")
    did = base64.urlsafe_b64encode(key.export_public().encode()).decode().rstrip("=")
    print(sign(key, "vc+jwt", {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential", "DeviceTrustCredential"],
        "issuer": {"id": "did:jwk:" + did, "name": "somebody"},
        "validFrom": "2026-11-01T00:00:00Z",
        "credentialSubject": {"id": text[0]},
    }))
elif mode == "event":
    header, payload = opened(*text)
    assert header["typ"] == "secevent+jwt" and "exp" not in payload
    payload["iss"], payload["aud"] = payload["aud"], [payload["iss"]]
    key = jwk.JWK.generate(kty="EC", crv="P-256")
    print(key.export_public())
    print(sign(key, "secevent+jwt", payload))
