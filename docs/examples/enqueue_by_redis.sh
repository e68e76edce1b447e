#!/usr/bin/env bash
# Asks for a job through Redis alone, and waits until it is taken out: enqueue_by_redis.sh KIND PAYLOAD KEY
# REDIS is Redis' URL; APP_KEY_ID and APP_SIGNING_KEY are what `berth keys create … --inbox` has printed.
set -euo pipefail
kind=$1 payload=$2 key=$3
at=$(date -u +%Y-%m-%dT%H:%M:%SZ)

# A line each: the form, who signs, when, the kind, the key, when the job is due (here: now), and the payload.
mac=$(printf 'berth-inbox-v1\n%s\n%s\n%s\n%s\n\n%s' "$APP_KEY_ID" "$at" "$kind" "$key" "$payload" |
    openssl dgst -sha256 -hmac "$APP_SIGNING_KEY" | sed 's/.*= //')

redis() { redis-cli -u "$REDIS" --no-auth-warning "$@"; }
entry=$(redis XADD berth:inbox '*' kind "$kind" payload "$payload" key "$key" at "$at" by "$APP_KEY_ID" mac "$mac")

# Berth takes an entry out once it is stored, or refused, and then keeps it aside with the reason.
while [ -n "$(redis XRANGE berth:inbox "$entry" "$entry")" ]; do sleep 0.1; done
refused=$(redis XREVRANGE berth:inbox:refused + - COUNT 1000 | grep -B 20 -F -- "$mac" | grep -A 1 -x reason | tail -n 1 || true)
if [ -n "$refused" ]; then
    echo "refused: $refused" >&2
    exit 1
fi
echo taken
