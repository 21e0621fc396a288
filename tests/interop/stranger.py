"""A stranger: checks what Standfast hands out with nothing but a charter, written from specs/register.md §1–4 and §10–12.

Python's standard library, and `cryptography` for Ed25519.

    python3 stranger.py proof FILE CHARTER NOW      a file of `record prove`
    python3 stranger.py mirror DIR CHARTER NOW      a folder of `register export`
stdout  proof:   {"record": "notice/1", "present": true, "sha256": "<hex>" | null, "steps": [["did:…", size, time], …]}
        mirror:  {"origin": "…", "size": 3, "witnessed": 3, "entries": 3, "bodies": 2, "tiles": 2}
Ends with 1 and a reason on stderr when anything does not hold.
"""
from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Iterator, Optional

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTE, COSIGNATURE = 1, 4


class Refused(Exception):
    pass


def need(rule: Any, what: str) -> None:
    if not rule:
        raise Refused(what)


def base64(text: str) -> bytes:
    data = b64decode(text, validate=True)
    need(b64encode(data).decode() == text, "base64 that is not canonical")
    return data


# ---- signed notes -------------------------------------------------------------------------------------------------------


class Key:
    def __init__(self, vkey: str):
        self.name, key_id, material = vkey.split("+", 2)
        data = base64(material)
        self.algorithm, self.public = data[0], data[1:]
        self.id = sha256(self.name.encode() + b"\n" + data).digest()[:4]
        need(self.id.hex() == key_id and self.algorithm in (NOTE, COSIGNATURE), "a verifier key")

    def time(self, text: str, blob: bytes) -> int:
        """Checks a signature; a cosignature's time, 0 for a plain one."""
        time, message = 0, text.encode()
        if self.algorithm == COSIGNATURE:
            time = int.from_bytes(blob[:8], "big")
            blob, message = blob[8:], f"cosignature/v1\ntime {time}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(blob, message)
        except InvalidSignature:
            raise Refused(f"a signature by {self.name}") from None
        return time


class Note:
    def __init__(self, data: bytes):
        whole = data.decode()
        need(not any(c < " " and c != "\n" for c in whole), "a control character")
        text, found, tail = whole.rpartition("\n\n")
        need(found and tail.endswith("\n"), "a signed note")
        self.text = text + "\n"
        self.lines = []
        for line in tail[:-1].split("\n"):
            dash, name, blob = line.split(" ")
            need(dash == "\u2014", "a signature line")
            self.lines.append((name, base64(blob)))

    def signers(self, keys: list[Key]) -> Iterator[tuple[Key, int]]:
        """Of known keys; one that does not hold refuses the note."""
        for name, blob in self.lines:
            for key in keys:
                if (key.name, key.id) == (name, blob[:4]):
                    yield key, key.time(self.text, blob[4:])

    def checkpoint(self) -> tuple[str, int, bytes]:
        origin, size, root, end = self.text.split("\n")
        need(end == "" and str(int(size)) == size, "three lines")
        return origin, int(size), base64(root)


# ---- the charter --------------------------------------------------------------------------------------------------------


class Charter:
    def __init__(self, data: bytes):
        note = Note(data)
        self.document = json.loads(note.text)
        roots = self.document["roots"]
        signed = {key.public for key, _ in note.signers([Key(k) for k in roots["keys"]])}
        need(len(signed) >= roots["threshold"], "root keys' signatures")
        witnesses = self.document["witnesses"]
        self.admitting = {name for name, kind in witnesses["kinds"].items() if kind["kind"] == "admitting"}
        self.witnesses, self.groups, self.quorum = {}, {}, None
        for words in (line.split() for line in witnesses["policy"].splitlines()):
            if words and words[0] == "witness":
                self.witnesses[words[1]] = Key(words[2])
            elif words and words[0] == "group":
                threshold = {"any": 1, "all": len(words) - 3}.get(words[2]) or int(words[2])
                self.groups[words[1]] = (threshold, words[3:])
            elif words and words[0] == "quorum":
                self.quorum = None if words[1] == "none" else words[1]

    def quorum_time(self, times: dict[str, int], name: Optional[str] = None) -> Optional[int]:
        name = name or self.quorum
        if name in self.groups:
            threshold, members = self.groups[name]
            known = sorted((t for t in (self.quorum_time(times, m) for m in members) if t is not None), reverse=True)
            return known[threshold - 1] if len(known) >= threshold else None
        return times.get(name)

    def head(self, note: Note, origin: str, keys: list[Key]) -> tuple[int, bytes, dict[str, int]]:
        """A head of a register: its size, root, and the times of the admitting witnesses that cosigned it."""
        named, size, root = note.checkpoint()
        need(named == origin, "a head of the register")
        own = [key for key in keys if key.algorithm == NOTE and key.name == origin]
        need(list(note.signers(own)), "a head by a bound key")
        times = {}
        for key, time in note.signers(list(self.witnesses.values())):
            name = next(n for n, k in self.witnesses.items() if k is key)
            if name in self.admitting:
                times[name] = max(time, times.get(name, 0))
        return size, root, times

    def need_quorum(self, times: dict[str, int]) -> None:
        need(self.quorum is None or self.quorum_time(times) is not None, "a quorum of witnesses")


# ---- trees --------------------------------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf).digest()


def tree_root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(hashes[:half]) + tree_root(hashes[half:])).digest()


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """By the definition of RFC 6962 §2.1.1, from the root down."""
    def walk(index: int, size: int, proof: list[bytes]) -> bytes:
        if size == 1:
            need(not proof, "a shorter inclusion proof")
            return leaf_hash(leaf)
        need(proof, "a longer inclusion proof")
        half = 1 << (size - 1).bit_length() - 1
        if index < half:
            return sha256(b"\1" + walk(index, half, proof[:-1]) + proof[-1]).digest()
        return sha256(b"\1" + proof[-1] + walk(index - half, size - half, proof[:-1])).digest()

    need(index < size, "an index in the tree")
    return walk(index, size, proof)


def state_root(state: dict[str, bytes]) -> bytes:
    def root_of(leaves: list[tuple[int, bytes]], depth: int) -> bytes:
        if len(leaves) < 2:
            return leaves[0][1] if leaves else bytes(32)
        sides: tuple[list, list] = ([], [])
        for leaf in leaves:
            sides[leaf[0] >> 255 - depth & 1].append(leaf)
        return sha256(b"\3" + root_of(sides[0], depth + 1) + root_of(sides[1], depth + 1)).digest()

    paths = [(sha256(key.encode()).digest(), digest) for key, digest in state.items()]
    leaves = [(int.from_bytes(path, "big"), sha256(b"\2" + path + digest).digest()) for path, digest in paths]
    return root_of(leaves, 0) if leaves else sha256(b"").digest()


def root_by_path(key: str, body: Optional[bytes], siblings: list[bytes], other: Optional[list[bytes]]) -> bytes:
    path = sha256(key.encode()).digest()
    bit = lambda of, depth: of[depth // 8] >> 7 - depth % 8 & 1
    need(len(siblings) <= 256 and siblings[-1:] != [bytes(32)], "a well-formed path")
    if body is not None:
        need(other is None, "no other leaf")
        node = sha256(b"\2" + path + sha256(body).digest()).digest()
    elif other is not None:
        need(other[0] != path and all(bit(other[0], d) == bit(path, d) for d in range(len(siblings))), "another key's leaf")
        node = sha256(b"\2" + other[0] + other[1]).digest()
    else:
        node = bytes(32) if siblings else sha256(b"").digest()
    for depth in reversed(range(len(siblings))):
        pair = (siblings[depth], node) if bit(path, depth) else (node, siblings[depth])
        node = sha256(b"\3" + pair[0] + pair[1]).digest()
    return node


# ---- CBOR ---------------------------------------------------------------------------------------------------------------


def cbor(data: bytes) -> Any:
    value, end = item(data, 0)
    need(end == len(data), "no trailing bytes")
    return value


def item(data: bytes, at: int) -> tuple[Any, int]:
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    number = info
    if info >= 24:
        need(info < 28, "a definite length")
        width = 1 << info - 24
        number, at = int.from_bytes(data[at:at + width], "big"), at + width
        need(number >= 24 if width == 1 else number >> 4 * width, "the shortest head")
    if major == 0:
        return number, at
    if major in (2, 3):
        need(at + number <= len(data), "a whole string")
        part = data[at:at + number]
        return (part if major == 2 else part.decode()), at + number
    if major == 4:
        found = []
        for _ in range(number):
            value, at = item(data, at)
            found.append(value)
        return found, at
    need(major == 5, "a type that is used")
    members: dict[int, Any] = {}
    for _ in range(number):
        key, at = item(data, at)
        need(isinstance(key, int) and all(key > k for k in members), "ascending keys")
        members[key], at = item(data, at)
    return members, at


def entry_of(leaf: bytes) -> dict[int, Any]:
    entry = cbor(leaf)
    need(sorted(entry) == [0, 1, 2, 3] and entry[0] == 1 and len(entry[3]) == 32, "an entry of version 1")
    return entry


# ---- record proofs ------------------------------------------------------------------------------------------------------


def tlog_proof(data: bytes) -> tuple[Optional[bytes], int, list[bytes], Note]:
    head, found, note = data.decode().partition("\n\n")
    lines = head.split("\n")
    need(found and lines.pop(0) == "c2sp.org/tlog-proof@v1", "a tlog-proof")
    extra = base64(lines.pop(0)[6:]) if lines[0].startswith("extra ") else None
    word, index = lines.pop(0).split(" ")
    need(word == "index" and str(int(index)) == index, "an index")
    return extra, int(index), [base64(line) for line in lines], Note(note.encode())


def shown(charter: Charter, log: tuple, record: dict[int, Any], origin: str, keys: list[Key], now: int) -> tuple[int, Optional[int]]:
    """Checks a record and its path to a witnessed head; the head's size and the quorum's time."""
    _, index, proof, note = log
    size, root, times = charter.head(note, origin, keys)
    charter.need_quorum(times)
    need(index == size - 1, "the last entry")
    need(root_by_inclusion(record[1], index, size, proof) == root, "the entry in the log")
    path = root_by_path(record[0], record.get(4), record[2], record.get(3))
    need(path == entry_of(record[1])[3], "the record's path")
    return size, charter.quorum_time({name: time for name, time in times.items() if time <= now + 300})


def check_proof(data: bytes, charter: Charter, now: int) -> tuple[dict[int, Any], list[list]]:
    log = tlog_proof(data)
    extra = cbor(log[0])
    need(sorted(extra) == [0, 1, 2] and extra[0] == 1, "extra data of version 1")
    edges = [(tlog_proof(proof), record) for proof, record in extra[2]]
    origin = (edges[0][0] if edges else log)[3].checkpoint()[0]
    anchor = next((a for a in charter.document["anchors"] if a["register"]["origin"] == origin), None)
    need(anchor, "an anchor of the charter")
    entity, binding, authority, depth, scopes, steps = anchor["authority"], anchor["register"], True, 8, [], []
    for proof, record in edges:
        keys = [Key(k) for k in binding["keys"]]
        steps.append([entity, *shown(charter, proof, record, binding["origin"], keys, now)])
        trust = json.loads(record[4])
        part = lambda text: text.replace("%", "%25").replace("/", "%2F")
        need(record[0] == "trust/" + "/".join(part(trust[m]) for m in ("entity", "action", "resource")), "the entry of its key")
        need(authority and trust["valid_from"] <= now < trust["valid_until"], "an entry of an authority, in its window")
        covers = lambda allowed, wanted: "*" in allowed or wanted in allowed
        authority = trust["action"] == "recognize"
        if authority:
            need(depth > 0, "depth left")
            depth, scopes = min(depth - 1, trust["depth"]), scopes + [trust["scope"]]
        else:
            need(all(covers(s["actions"], trust["action"]) and covers(s["resources"], trust["resource"]) for s in scopes), "scope")
        entity, binding = trust["entity"], trust["register"]
        need(all(Key(k).name == binding["origin"] for k in binding["keys"]), "keys that are named by their origin")
    record, keys = extra[1], [Key(k) for k in binding["keys"]]
    steps.append([entity, *shown(charter, log, record, binding["origin"], keys, now)])
    return record, steps


# ---- mirrors ------------------------------------------------------------------------------------------------------------


def tile_path(kind: str, index: int, width: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{kind}/" + "/".join(groups) + (f".p/{width}" if width < 256 else "")


def tiles_of(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, 256):
        yield start // 256, min(256, count - start)


def check_mirror(folder: Path, charter: Charter, now: int) -> dict[str, Any]:
    newest = Note((folder / "checkpoint").read_bytes())
    origin = newest.checkpoint()[0]
    anchor = next((a for a in charter.document["anchors"] if a["register"]["origin"] == origin), None)
    binding = anchor and anchor["register"]
    if binding is None:
        record, _ = check_proof((folder / "binding.tlog-proof").read_bytes(), charter, now)
        binding = json.loads(record[4])["register"]
        need(binding["origin"] == origin, "the binding of this register")
    keys = [Key(k) for k in binding["keys"]]
    size, root, _ = charter.head(newest, origin, keys)
    witnessed, witnessed_root = 0, sha256(b"").digest()
    if (folder / "witnessed").exists():
        witnessed, witnessed_root, times = charter.head(Note((folder / "witnessed").read_bytes()), origin, keys)
        charter.need_quorum(times)

    signed = [(size, root), (witnessed, witnessed_root)]
    size = max(size, witnessed)
    leaves: list[bytes] = []
    for index, width in tiles_of(size):
        bundle, at, count = (folder / tile_path("entries", index, width)).read_bytes(), 0, 0
        while at < len(bundle):
            end = at + 2 + int.from_bytes(bundle[at:at + 2], "big")
            need(end <= len(bundle), "a whole entry")
            leaves.append(bundle[at + 2:end])
            at, count = end, count + 1
        need(count == width, "as many entries as the bundle is wide")
    hashes = [leaf_hash(leaf) for leaf in leaves]
    need(all(tree_root(hashes[:at]) == root for at, root in signed), "the roots that were signed")

    level, tiles, row = 0, 0, hashes
    while row:
        for index, width in tiles_of(len(row)):
            tile = (folder / tile_path(str(level), index, width)).read_bytes()
            need(tile == b"".join(row[256 * index:256 * index + width]), "the hashes of a tile")
            tiles += 1
        row = [tree_root(row[start:start + 256]) for start in range(0, len(row) - 255, 256)]
        level += 1

    state: dict[str, bytes] = {}
    needed: set[bytes] = set()
    for number, leaf in enumerate(leaves):
        entry = entry_of(leaf)
        for change in entry[2]:
            if change[0] == 0:
                state[change[1]] = change[2]
                needed |= {change[2]} if number >= witnessed else set()
            else:
                need(state.pop(change[1], None), "a record to remove")
        need(state_root(state) == entry[3], "the state that an entry names")
        needed |= set(state.values()) if number + 1 == witnessed else set()
    for digest in needed:
        need(sha256((folder / "body" / digest.hex()).read_bytes()).digest() == digest, "a body under its digest")
    return {"origin": origin, "size": size, "witnessed": witnessed, "entries": len(leaves), "bodies": len(needed), "tiles": tiles}


def main() -> None:
    verb, subject, charter_file, now = sys.argv[1:]
    charter = Charter(Path(charter_file).read_bytes())
    if verb == "mirror":
        said = check_mirror(Path(subject), charter, int(now))
    else:
        record, steps = check_proof(Path(subject).read_bytes(), charter, int(now))
        body = record.get(4)
        digest = None if body is None else sha256(body).hexdigest()
        said = {"record": record[0], "present": body is not None, "sha256": digest, "steps": steps}
    json.dump(said, sys.stdout)


try:
    main()
except Refused as refused:
    sys.exit(f"refused: expected {refused}")
except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
    sys.exit(f"refused: {error!r}")
