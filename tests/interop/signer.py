"""A signer program (specs/signer.md) over a seed in a file, honest or, as the file `mode` beside it says, not."""

import base64
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

path = pathlib.Path(sys.argv[1])
mode_file = path.with_name("mode")
mode = mode_file.read_text().strip() if mode_file.exists() else "honest"
seed = bytes.fromhex(path.read_text().strip())
key = Ed25519PrivateKey.from_private_bytes(bytes(32) if mode == "other-key" else seed)

if mode == "silent":
    time.sleep(600)
if mode == "early":
    sys.exit(3)
print("standfast-signer 2" if mode == "version" else "standfast-signer 1", flush=True)
word, use, *rest = sys.stdin.readline().split()
if mode == "refuse":
    print("the token is locked", file=sys.stderr)
    print("error not before Monday")
elif mode == "garbage":
    print("signature \x07\u202enonsense")
elif mode == "flood":
    while True:
        print("x" * 65536)
elif word == "public-key":
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    print("public-key", base64.b64encode(public).decode())
elif word == "sign":
    message = base64.b64decode(rest[0])
    if mode == "other-message":
        message += b"\n"
    print("signature", base64.b64encode(key.sign(message)).decode())
    with path.with_suffix(".log").open("a") as log:
        log.write(f"{use} {len(message)}\n")
else:
    print("error unknown word")
