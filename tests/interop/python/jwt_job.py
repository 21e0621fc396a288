"""Issues or verifies one vc+jwt with PyJWT: a second opinion beside npm's jose.

    python3 jwt_job.py issue | verify      a job on stdin, the answer on stdout, both as ../node/{issue,verify}.mjs have them

Of the job of `verify` only `credential` and `didDocument` are read: validity is `vc+jwt`'s own members, which PyJWT does not know.
"""
from __future__ import annotations

import json
import sys
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ED25519_MULTIKEY = b"\xed\x01"


def multikey(text: str) -> Ed25519PublicKey:
    number = 0
    for digit in text[1:]:
        number = number * 58 + BASE58.index(digit)
    raw = number.to_bytes(34, "big")
    if text[:1] != "z" or raw[:2] != ED25519_MULTIKEY:
        raise ValueError(f"expected an Ed25519 Multikey, got {text}")
    return Ed25519PublicKey.from_public_bytes(raw[2:])


def issue(job: dict[str, Any]) -> str:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(job["seed"]))
    headers = {"typ": "vc+jwt", "cty": "vc", "kid": job["verificationMethod"]}
    return jwt.encode(job["credential"], key, algorithm="EdDSA", headers=headers)


def verify(job: dict[str, Any]) -> None:
    token, document = job["credential"], job["didDocument"]
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "vc+jwt":
        raise ValueError(f"expected typ vc+jwt, got {header.get('typ')}")
    kid = header.get("kid")
    method = next((m for m in document["verificationMethod"] if m["id"] == kid), None)
    if method is None or method["controller"] != document["id"] or kid not in document["assertionMethod"]:
        raise ValueError(f"the DID document has no key {kid} that may assert")
    credential = jwt.decode(token, multikey(method["publicKeyMultibase"]), algorithms=["EdDSA"])
    issuer = credential["issuer"]
    issuer = issuer["id"] if isinstance(issuer, dict) else issuer
    if issuer != document["id"]:
        raise ValueError(f"the issuer {issuer} is not {document['id']}")


def main() -> None:
    job = json.load(sys.stdin)
    if sys.argv[1] == "issue":
        print(issue(job), end="")
        return
    try:
        verify(job)
    except (ValueError, KeyError, jwt.PyJWTError) as error:
        print(json.dumps({"verified": False, "error": str(error)}))
    else:
        print(json.dumps({"verified": True, "error": None}))


main()
