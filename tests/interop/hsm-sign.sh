#!/bin/sh
# A signer program (specs/signer.md) in front of a PKCS #11 token: hsm-sign.sh MODULE TOKEN ID. The PIN is HSM_PIN.
# The id, not the label: for signing pkcs11-tool looks at nothing else. It cuts messages over 1,024 bytes into pieces, which
# Ed25519 does not know: good for registers, and for credentials that are short.
tool() { pkcs11-tool --module "$1" --token-label "$2" --id "$3" $4; }
echo "standfast-signer 1"
read -r word use message || exit 1
case $word in
public-key)
    key=$(tool "$1" "$2" "$3" "--read-object --type pubkey" 2> /dev/null | sed '/-----/d' | base64 -d | tail -c 32 | base64)
    echo "public-key $key"
    ;;
sign)
    work=$(mktemp -d) || exit 1
    trap 'rm -r "$work"' EXIT
    printf %s "$message" | base64 -d > "$work/message"
    tool "$1" "$2" "$3" "--login --pin env:HSM_PIN --sign --mechanism EDDSA -i $work/message -o $work/signature" > "$work/said" 2>&1
    if [ -s "$work/signature" ]; then
        echo "signature $(base64 -w 0 < "$work/signature")"
    else
        echo "error $(tail -n 1 "$work/said")"
    fi
    ;;
*) echo "error unknown word" ;;
esac
