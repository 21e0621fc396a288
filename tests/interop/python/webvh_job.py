"""Reads or writes one did:webvh log with PyPI's did-webvh.

    python3 webvh_job.py      a job on stdin, the answer on stdout, both as ../node/webvh.mjs has them
"""
from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from did_webvh.askar import AskarSigningKey
from did_webvh.core.state import DocumentState
from did_webvh.provision import provision_did
from did_webvh.resolver import resolve_did

TIMES = ["2026-01-01T00:00:01Z", "2026-01-02T00:00:01Z", "2026-01-03T00:00:01Z", "2026-01-04T00:00:01Z"]


def read(job: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "did.jsonl")
        log.write_text(job["log"])
        if job["witnessFile"] is not None:
            Path(folder, "did-witness.json").write_text(job["witnessFile"])
        newest = json.loads(job["log"].strip().split("\n")[-1])
        result = asyncio.run(resolve_did(newest["state"]["id"], local_history=log)).serialize()
    metadata = result.get("didDocumentMetadata") or {}
    document = result.get("didDocument") or {}
    error = (result.get("didResolutionMetadata") or {}).get("error")
    return {
        "versionId": metadata.get("versionId"),
        "deactivated": bool(metadata.get("deactivated")),
        "keys": [method["publicKeyMultibase"] for method in document.get("verificationMethod", [])],
        "error": None if error is None else json.dumps(error),
    }


def write(job: dict[str, Any]) -> dict[str, Any]:
    keys = [AskarSigningKey.from_secret_bytes("ed25519", bytes.fromhex(seed)) for seed in job["seeds"]]
    for key in keys:
        key.kid = f"did:key:{key.multikey}#{key.multikey}"
    did = "did:webvh:{SCID}:" + job["host"]
    method = {"id": f"{did}#k1", "type": "Multikey", "controller": did, "publicKeyMultibase": job["key"]}
    document = {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [method],
        "assertionMethod": [method["id"]],
    }

    def hash_of(state: DocumentState, at: int) -> str:
        return state.generate_next_key_hash(keys[at].multikey)

    # The hash function is the same before there is a SCID.
    probe = provision_did(document, params={"updateKeys": [keys[0].multikey]}, timestamp=TIMES[0])
    params = {"updateKeys": [keys[0].multikey], "nextKeyHashes": [hash_of(probe, 1)]}
    state = provision_did(document, params=params, timestamp=TIMES[0])
    lines = []
    for at in range(4 if job["end"] else 3):
        if at > 0:
            params = {"updateKeys": [keys[at].multikey], "nextKeyHashes": []}
            if at < 3:
                params["nextKeyHashes"] = [hash_of(state, at + 1)]
            else:
                params["deactivated"] = True
            state = state.create_next(None, params_update=params, timestamp=TIMES[at])
        state.sign(keys[at], timestamp=state.timestamp)
        lines.append(state.history_json() + "\n")
    return {"did": state.document_id, "log": "".join(lines)}


if __name__ == "__main__":
    task = json.load(sys.stdin)
    json.dump(read(task) if task["do"] == "read" else write(task), sys.stdout)
