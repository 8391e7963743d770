"""Makes a bundle with securesystemslib, the library under python-tuf: its keys, its canonical form, its signatures."""
import hashlib
import json
import os

from securesystemslib.formats import encode_canonical
from securesystemslib.keys import create_signature, generate_ecdsa_key, generate_ed25519_key

keys = {"root": generate_ed25519_key(), "timestamp": generate_ecdsa_key(),
        "snapshot": generate_ed25519_key(), "targets": generate_ecdsa_key()}


def part(kind, **more):
    return {"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": "2026-12-01T00:00:00Z", **more}


def write(name, role, signed):
    signature = create_signature(keys[role], encode_canonical(signed).encode())
    data = json.dumps({"signatures": [{"keyid": signature["keyid"], "sig": signature["sig"]}], "signed": signed}, indent=1)
    with open(name, "w", encoding="utf-8") as file:
        file.write(data)
    return {"version": 1, **told(data.encode())}


def told(data):
    return {"length": len(data), "hashes": {"sha512": hashlib.sha512(data).hexdigest()}}


def public(key):
    return {"keytype": key["keytype"], "scheme": key["scheme"], "keyval": {"public": key["keyval"]["public"]}}


write("1.root.json", "root", part(
    "root", consistent_snapshot=False,
    keys={key["keyid"]: public(key) for key in keys.values()},
    roles={role: {"keyids": [key["keyid"]], "threshold": 1} for role, key in keys.items()}))
data = '{"ä": "\\""}'.encode()
os.makedirs("targets/feeds")
with open("targets/feeds/kev.json", "wb") as file:
    file.write(data)
targets = write("targets.json", "targets", part("targets", targets={"feeds/kev.json": told(data)}))
snapshot = write("snapshot.json", "snapshot", part("snapshot", meta={"targets.json": targets}))
write("timestamp.json", "timestamp", part("timestamp", meta={"snapshot.json": snapshot}))
