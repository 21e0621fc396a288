"""A stranger's client of C2SP tlog-witness, with nothing but Python's standard library.

    python3 add_checkpoint.py < job.json

stdin   {"prefix": "http://127.0.0.1:7413", "note": "<checkpoint note>", "leaves": ["<leaf hash, hex>", …], "witness": "<verifier key>"}
stdout  {"statuses": [409, 200], "sizes": [1], "time": 1795000000, "verified": true}

As the specification has it, it asks with an old size of 0 first, learns the size that the witness cosigned last from the 409, makes
the consistency proof from there (RFC 6962, section 2.1.2) and asks again. It then checks the cosignature (RFC 8032) over
the message that C2SP tlog-cosignature prescribes. It knows nothing of Standfast.
"""
from __future__ import annotations

import base64
import hashlib
import json
import sys
import urllib.error
import urllib.request

# ---- Ed25519, RFC 8032 section 5.1, for verifying only --------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def recover_x(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point(data: bytes) -> tuple[int, int, int, int] | None:
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(a, b):
    s, t = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    u, v = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = t - s, v - u, v + u, t + s
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(k: int, a):
    result = (0, 1, 1, 0)
    while k:
        if k & 1:
            result = add(result, a)
        a, k = add(a, a), k >> 1
    return result


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def ed25519_verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or len(signature) != 64:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return not ((left[0] * right[2] - right[0] * left[2]) % P or (left[1] * right[2] - right[1] * left[2]) % P)


# ---- RFC 6962 -------------------------------------------------------------------------------------------------------


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def split(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1)


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = split(n)
    if m <= k:
        return subproof(m, leaves[:k], whole) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def consistency(m: int, leaves: list[bytes]) -> list[bytes]:
    return subproof(m, leaves, True) if 0 < m < len(leaves) else []


# ---- the client -----------------------------------------------------------------------------------------------------


def post(prefix: str, old: int, proof: list[bytes], note: str) -> tuple[int, str, str]:
    lines = "".join(base64.b64encode(h).decode() + "\n" for h in proof)
    body = f"old {old}\n{lines}\n{note}".encode()
    request = urllib.request.Request(prefix + "/add-checkpoint", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers.get_content_type(), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read().decode()


def cosigned_at(note: str, lines: str, witness: str) -> int | None:
    """The time of the cosignature by this key, if there is one that holds."""
    name, key_id, encoded = witness.split("+", 2)
    key = base64.b64decode(encoded)
    assert key[0] == 4, "a key for cosignatures"
    for line in lines.splitlines():
        dash, by, signature = line.split(" ")
        blob = base64.b64decode(signature)
        if dash != "\u2014" or by != name or blob[:4].hex() != key_id:
            continue
        time = int.from_bytes(blob[4:12], "big")
        text = note[: note.rindex("\n\n") + 1]
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        if ed25519_verifies(key[1:], message, blob[12:]):
            return time
    return None


def main() -> None:
    job = json.load(sys.stdin)
    leaves = [bytes.fromhex(leaf) for leaf in job["leaves"]]
    statuses, sizes, old, time = [], [], 0, None
    for _ in range(4):
        status, kind, text = post(job["prefix"], old, consistency(old, leaves), job["note"])
        statuses.append(status)
        if status == 409:
            assert kind == "text/x.tlog.size" and text.endswith("\n"), (kind, text)
            old = int(text)
            sizes.append(old)
            continue
        if status == 200:
            time = cosigned_at(job["note"], text, job["witness"])
        break
    json.dump({"statuses": statuses, "sizes": sizes, "time": time, "verified": time is not None}, sys.stdout)


if __name__ == "__main__":
    main()
