"""Checks documents against JSON Schemas.

    python3 schema_job.py      [{"schema": FILE, "document": ANY}, ...] on stdin; on stdout null, or what is wrong, for each

Formats are checked, too.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional

from jsonschema import Draft202012Validator, FormatChecker


def check(job: dict[str, Any]) -> Optional[str]:
    schema = json.loads(Path(job["schema"]).read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=FormatChecker(["date-time"]))
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(job["document"])]
    return "; ".join(errors) or None


if __name__ == "__main__":
    json.dump([check(job) for job in json.load(sys.stdin)], sys.stdout)
