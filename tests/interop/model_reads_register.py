"""Lets the reference model read a register that Standfast exported.

    STANDFAST_MODEL=DIR python3 model_reads_register.py < register.json
    STANDFAST_MODEL=DIR python3 model_reads_register.py --self-check

stdin   {"origin": "…", "keys": ["<verifier key>", …], "policy": "<tlog-policy text>", "admitting": ["A", …],
         "steps": [{"note": "…", "first": 0, "entries": ["<hex>", …]}, …], "bodies": {"<digest hex>": "<base64>", …},
         "facts": [{"kind": "key" | "edge" | "status", …}, …],
         "after": {"origin": "…", "size": 1, "root": "<hex>"}, "old": {<a register like this one>}}
        `after` and `old` may be missing; the queries are those of the model's `vectors/registers.json`.
stdout  {"outcomes": ["advanced", …], "w": 1, "n": 2, "log_root": "<hex>", "state_root": "<hex>", "w_root": "<hex>",
         "w_state_root": "<hex>", "forked": false, "frozen": null, "fork_point": null,
         "facts": [{"outcome": "…", "reason": "…", "terms": {…} | null}, …]}
        log_root and state_root are those of the newest head (n), w_root and w_state_root those of the witnessed one (w).

The driver decides nothing: it decodes the transport encodings and calls the model. The self-check turns every case of the
model's own vectors into such an export and compares the answers, so that a difference found with it is the register's.
"""
from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any, Optional

sys.dont_write_bytecode = True
MODEL = Path(os.environ.get("STANDFAST_MODEL", Path(__file__).resolve().parents[3] / "shared" / "model"))
if not (MODEL / "register.py").is_file():
    sys.exit(f"no reference model in {MODEL}: set STANDFAST_MODEL to its folder")
sys.path.insert(0, str(MODEL))

import entry as entries  # noqa: E402
import register as registers  # noqa: E402
from note import parse_vkey  # noqa: E402
from policy import parse_policy  # noqa: E402


def read(export: dict[str, Any]) -> tuple[registers.Register, list[str]]:
    """The register after all steps, and what became of each."""
    after = export.get("after")
    register = registers.Register(
        origin=export["origin"],
        keys=[parse_vkey(key) for key in export["keys"]],
        policy=parse_policy(export["policy"]),
        admitting=frozenset(export["admitting"]),
        bodies={bytes.fromhex(digest): base64.b64decode(body, validate=True)
                for digest, body in export["bodies"].items()},
        after=after and registers.After(after["origin"], after["size"], bytes.fromhex(after["root"])))
    outcomes = [registers.admit(register, step["note"].encode(), step["first"], [bytes.fromhex(e) for e in step["entries"]])
                for step in export["steps"]]
    return register, outcomes


def report(export: dict[str, Any]) -> dict[str, Any]:
    register, outcomes = read(export)
    old: Optional[registers.Register] = read(export["old"])[0] if export.get("old") else None
    facts = [registers.fact(register, query, old) for query in export.get("facts", [])]

    def root(size: int) -> str:
        return register.main.root_at(size).hex()

    def state_root(size: int) -> str:
        return entries.state_root(register.main.states[size]).hex()

    return {
        "outcomes": outcomes, "w": register.w, "n": register.n,
        "log_root": root(register.n), "state_root": state_root(register.n),
        "w_root": root(register.w), "w_state_root": state_root(register.w),
        "forked": register.forked, "frozen": register.frozen,
        "fork_point": register.fork_point if register.other else None,
        "facts": [{"outcome": f.outcome, "reason": f.reason, "terms": f.terms} for f in facts],
    }


def export_of(case: dict[str, Any], vectors: dict[str, Any]) -> dict[str, Any]:
    """A case of the model's vectors as if it had been exported."""
    export = {part: case[part] for part in ("origin", "keys", "policy", "admitting", "steps")}
    export["bodies"] = {digest: body for digest, body in vectors["bodies"].items() if digest not in case["bodies_missing"]}
    export["facts"] = [fact["query"] for fact in case["facts"]]
    if "after" in case:
        export["after"] = case["after"]
    if case.get("old"):
        before = next(other for other in vectors["cases"] if other["name"] == case["old"])
        export["old"] = export_of(before, vectors)
    return export


def self_check() -> int:
    vectors = json.loads((MODEL / "vectors" / "registers.json").read_text())
    wrong = 0
    for case in vectors["cases"]:
        export = json.loads(json.dumps(export_of(case, vectors)))
        got = json.loads(json.dumps(report(export)))
        want = {part: case[part] for part in ("w", "n", "forked", "frozen", "fork_point", "w_root", "w_state_root")}
        want["outcomes"] = [step["outcome"] for step in case["steps"]]
        want["facts"] = [{part: fact[part] for part in ("outcome", "reason", "terms")} for fact in case["facts"]]
        for part, value in want.items():
            if got[part] != value:
                wrong += 1
                print(f"{case['name']}: {part}: expected {value}, got {got[part]}", file=sys.stderr)
    print(json.dumps({"cases": len(vectors["cases"]), "differences": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-check"]:
        sys.exit(self_check())
    print(json.dumps(report(json.load(sys.stdin))))
