#!/usr/bin/env bash
# Builds the tests and fails when that compiles a crate that is not ours.
#
# After `cargo run --release` the tests must reuse what is there: the same profile and the same features everywhere. It counts
# the `Compiling` lines of cargo, so it says something only after a build of the program and before the first one of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
CARGO_TERM_COLOR=never cargo test --release --workspace --no-run 2>&1 | tee "$lines" >&2

own=0 foreign=()
while read -r word crate version _; do
  [[ $word == Compiling ]] || continue
  if [[ $crate == standfast-* ]]; then
    own=$((own + 1))
  else
    foreign+=("$crate $version")
  fi
done < "$lines"

echo "build share: the tests compiled $own of our packages and ${#foreign[@]} others"
if ((${#foreign[@]} > 0)); then
  printf 'compiled for the tests although not ours: %s\n' "${foreign[@]}" >&2
  echo "hint: a dependency with other features than the program's is built twice; cargo tree --workspace -e features -i CRATE" >&2
  exit 1
fi
