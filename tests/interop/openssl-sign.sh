#!/bin/sh
# A signer program (specs/signer.md) over a PEM file, with OpenSSL 3: openssl-sign.sh KEY.pem
echo "standfast-signer 1"
read -r word use message || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -r "$work"' EXIT
case $word in
public-key) echo "public-key $(openssl pkey -in "$1" -pubout -outform DER | tail -c 32 | base64)" ;;
sign)
    printf %s "$message" | base64 -d > "$work/message"
    openssl pkeyutl -sign -rawin -inkey "$1" -in "$work/message" -out "$work/signature" &&
        echo "signature $(base64 -w 0 < "$work/signature")"
    ;;
*) echo "error unknown word" ;;
esac
