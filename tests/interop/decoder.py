"""A second decoder of entries, written from specs/register.md alone: Python's standard library, and another method.

Where ours checks each rule of deterministic CBOR while it reads, this one reads loosely, writes what it understood, and insists
on the same bytes.

    python3 decoder.py < cases.json
stdin   [{"state": {"<key>": "<digest hex>"}, "entries": ["<hex>", …]}, …]
stdout  [[answer, …], …]: null = refused, "upgrade" = of a later version,
        or {"time": 0, "changes": [["<key>", "<digest hex>" | null], …], "root": "<hex of the state after it>"}
"""
from __future__ import annotations

import json
import sys
from hashlib import sha256
from typing import Any, Optional

ENTRY_SIZE_MAX, TRANSPORT_SIZE_MAX, KEY_SIZE_MAX, TIME_MAX = 16 << 10, 65_535, 1_024, 253_402_300_799
PARTS = dict.fromkeys(("did", "status", "context", "schema", "type", "member", "notice"), 1) | {"trust": 3}
WRITE_ONCE = ("context", "schema", "type")
UINT, BYTES, TEXT, ARRAY, MAP = 0, 2, 3, 4, 5


class Refused(Exception):
    pass


def need(rule: bool) -> None:
    if not rule:
        raise Refused


class Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        need(count <= len(self.data) - self.at)
        self.at += count
        return self.data[self.at - count:self.at]

    def head(self, major: int) -> int:
        first = self.take(1)[0]
        need(first >> 5 == major and first & 31 < 28)
        return first & 31 if first & 31 < 24 else int.from_bytes(self.take(1 << (first & 31) - 24), "big")

    def text(self) -> str:
        try:
            return self.take(self.head(TEXT)).decode()
        except UnicodeDecodeError:
            raise Refused from None

    def digest(self) -> bytes:
        digest = self.take(self.head(BYTES))
        need(len(digest) == 32)
        return digest


def head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    width = next(w for w in range(4) if number >> (8 << w) == 0)
    return bytes([major << 5 | 24 + width]) + number.to_bytes(1 << width, "big")


Change = tuple[str, Optional[bytes]]


def write(time: int, changes: list[Change], root: bytes) -> bytes:
    def string(major: int, value: bytes) -> bytes:
        return head(major, len(value)) + value

    out = head(MAP, 4) + head(UINT, 0) + head(UINT, 1) + head(UINT, 1) + head(UINT, time) + head(UINT, 2) + head(ARRAY, len(changes))
    for key, digest in changes:
        put = digest is not None
        out += head(ARRAY, 3 if put else 2) + head(UINT, 0 if put else 1) + string(TEXT, key.encode())
        out += string(BYTES, digest) if put else b""
    return out + head(UINT, 3) + string(BYTES, root)


def later_version(data: bytes) -> bool:
    """It opens, in shortest form, as a map whose first key is 0 with an unsigned number above 1."""
    reader = Reader(data)
    try:
        pairs = reader.head(MAP)
        need(pairs > 0 and data[:reader.at] == head(MAP, pairs) and reader.take(1) == b"\0")
        start = reader.at
        version = reader.head(UINT)
        return version > 1 and data[start:reader.at] == head(UINT, version)
    except Refused:
        return False


def read(data: bytes) -> tuple[int, list[Change], bytes]:
    reader = Reader(data)
    need(len(data) <= ENTRY_SIZE_MAX and reader.head(MAP) == 4)
    need(reader.head(UINT) == 0 and reader.head(UINT) == 1 and reader.head(UINT) == 1)
    time = reader.head(UINT)
    need(time <= TIME_MAX and reader.head(UINT) == 2)
    count, changes = reader.head(ARRAY), []
    need(count > 0)
    for _ in range(count):
        length, kind = reader.head(ARRAY), reader.head(UINT)
        need((length, kind) in ((3, 0), (2, 1)))
        key = reader.text()
        need(well_formed(key))
        changes.append((key, reader.digest() if kind == 0 else None))
    need(reader.head(UINT) == 3)
    root = reader.digest()
    keys = [key.encode() for key, _ in changes]
    need(keys == sorted(set(keys)) and write(time, changes, root) == data)
    return time, changes, root


def well_formed(key: str) -> bool:
    if not 0 < len(key.encode()) <= KEY_SIZE_MAX or any(c < " " or "\x7f" <= c <= "\x9f" for c in key):
        return False
    prefix, *parts = key.split("/")
    if not prefix or any(not "a" <= c <= "z" for c in prefix) or parts in ([], [""]):
        return False
    if prefix not in PARTS:
        return True
    escapes = "".join(parts).count("%25") + "".join(parts).count("%2F")
    return len(parts) == PARTS[prefix] and all(parts) and sum(p.count("%") for p in parts) == escapes


def root_of(leaves: list[tuple[int, bytes]], depth: int = 0) -> bytes:
    """Of leaves (path as a number, leaf hash): half of them left, half right, by one bit after the other."""
    if len(leaves) < 2:
        return leaves[0][1] if leaves else bytes(32)
    sides: tuple[list, list] = ([], [])
    for leaf in leaves:
        sides[leaf[0] >> 255 - depth & 1].append(leaf)
    return sha256(b"\3" + root_of(sides[0], depth + 1) + root_of(sides[1], depth + 1)).digest()


def state_root(state: dict[str, bytes]) -> bytes:
    paths = [(sha256(key.encode()).digest(), digest) for key, digest in state.items()]
    leaves = [(int.from_bytes(path, "big"), sha256(b"\2" + path + digest).digest()) for path, digest in paths]
    return root_of(leaves) if leaves else sha256(b"").digest()


def answer(state: dict[str, bytes], data: bytes) -> Any:
    if len(data) <= TRANSPORT_SIZE_MAX and later_version(data):
        return "upgrade"
    try:
        time, changes, root = read(data)
        after = dict(state)
        for key, digest in changes:
            need(not (key.split("/")[0] in WRITE_ONCE and key in state))
            if digest is None:
                need(after.pop(key, None) is not None)
            else:
                after[key] = digest
        need(state_root(after) == root)
    except Refused:
        return None
    return {"time": time, "changes": [[key, digest and digest.hex()] for key, digest in changes], "root": root.hex()}


cases = json.load(sys.stdin)
json.dump([[answer({k: bytes.fromhex(d) for k, d in case["state"].items()}, bytes.fromhex(entry)) for entry in case["entries"]]
           for case in cases], sys.stdout)
