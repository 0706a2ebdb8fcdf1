#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts touchmarkd in a container. If the operator has put a touchmark.yaml into /etc/touchmark,
# that is all. Otherwise the first start makes a CA on SoftHSM tokens in the token volume and a
# store in the store volume, and every start writes touchmark.yaml from the environment:
#
#   TOUCHMARK_NAMES    DNS names and IP addresses of the server, comma separated (localhost)
#   TOUCHMARK_LISTEN   address to listen on (0.0.0.0)
#   TOUCHMARK_PORT     port to listen on (8443)
#
# A first start that was interrupted is taken up by the next one.
set -eu
umask 077

conf=/etc/touchmark/touchmark.yaml
token=/var/lib/touchmark/token
store=/var/lib/touchmark/store
module=/usr/lib/softhsm/libsofthsm2.so
ours='# Written by entrypoint.sh at every start.'

die() {
    printf 'entrypoint.sh: %s\n' "$*" >&2
    exit 1
}

# Writes standard input to a file that is either whole or not there.
put() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

# A folder with a SoftHSM configuration, room for tokens and two PINs.
make_token_folder() {
    mkdir -p "$1/tokens"
    cat >"$1/softhsm2.conf" <<END
directories.tokendir = $1/tokens
objectstore.backend = file
log.level = ERROR
END
    for pin in pin so-pin; do
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$1/$pin"
    done
}

write_ceremony() {
    cat >"$token/ceremony.yaml" <<END
environment: dev
transcript: ceremony.transcript
out: ca
tokens:
  - name: offline
    module: $module
    softhsm_conf: offline/softhsm2.conf
    label: touchmark-root
    pin: offline/pin
    so_pin: offline/so-pin
    init: true
  - name: issuing
    module: $module
    softhsm_conf: issuing/softhsm2.conf
    label: touchmark-issuing
    pin: issuing/pin
    so_pin: issuing/so-pin
    init: true
root:
  name: root
  token: offline
  key_label: root
  subject:
    - {type: O, value: Touchmark}
    - {type: CN, value: Touchmark Root CA}
  # IDevIDs never expire, so neither do the CAs above them.
  not_after: 99991231235959Z
intermediates:
  - name: manufacturing
    token: issuing
    key_label: manufacturing
    subject:
      - {type: O, value: Touchmark}
      - {type: CN, value: Touchmark Manufacturing CA}
    not_after: 99991231235959Z
END
}

# What an interrupted ceremony left is thrown away: without a store nothing was issued by those keys.
hold_ceremony() {
    if grep -qs 'ceremony finished' "$token/ceremony.transcript"; then
        return
    fi
    [ ! -e "$store/lmdb" ] || die "the store in $store has records of another token than $token"
    rm -rf "$token/ceremony.transcript" "$token/offline" "$token/issuing" "$token/ca"
    make_token_folder "$token/offline"
    make_token_folder "$token/issuing"
    write_ceremony
    touchmark ceremony "$token/ceremony.yaml"
}

write_conf() {
    names=$(printf '%s' "${TOUCHMARK_NAMES:-localhost}" | sed 's/[[:space:]]*,[[:space:]]*/", "/g')
    put "$conf" <<END
$ours
environment: dev
process: {user: ""}
listen: {address: "${TOUCHMARK_LISTEN:-0.0.0.0}", port: ${TOUCHMARK_PORT:-8443}}
tls:
  certificate: $token/tls/server.pem
  key: $token/tls/server.key
  names: ["$names"]
signer:
  module: $module
  softhsm_conf: $token/issuing/softhsm2.conf
  token: touchmark-issuing
  pin_file: $token/issuing/pin
core: {store: $store/lmdb, wrap_key: $token/wrap.key}
issuers:
  - name: manufacturing
    key_label: manufacturing
    certificate: $token/ca/manufacturing.pem
    chain: $token/ca/manufacturing-chain.pem
tenants:
  - {name: default, issuer: manufacturing}
labels:
  - {label: idevid, tenant: default, profile: idevid}
  - {label: ldevid, tenant: default, profile: ldevid, default: true}
END
}

# The token remembers that there was a store: one that is gone must not be replaced by an empty one.
make_store() {
    if [ ! -e "$store/lmdb" ]; then
        [ ! -e "$token/complete" ] || die "the store that belongs to $token is not in $store"
        touchmark store create
    fi
    : >"$token/complete"
}

if [ ! -e "$conf" ] || [ "$(head -n 1 "$conf")" = "$ours" ]; then
    hold_ceremony
    write_conf
    make_store
fi
exec touchmarkd "$@"
