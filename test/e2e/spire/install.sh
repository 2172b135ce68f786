#!/bin/sh
# Builds SPIRE's two programs from their Go module, for the test beside this script: install.sh FOLDER, then put FOLDER on PATH.
# Needs Go and a C compiler (SPIRE's SQLite store is C), some minutes and 3 GB of disk. Nothing is installed outside FOLDER and Go's own caches.
set -eu

version=${SPIRE_VERSION:-v1.13.3}
target=$(mkdir -p "${1:?Usage: install.sh FOLDER}" && cd "$1" && pwd)
source=$(mktemp -d)
trap 'chmod -R u+w "$source"; rm -rf "$source"' EXIT

# The version is named exactly, so that Go asks for this module and not for a list of its versions; its own go.sum then pins all it is built from.
module=$(cd "$source" && go mod download -json "github.com/spiffe/spire@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p')
test -d "${module:?The module could not be had}"
cp -R "$module/." "$source"
chmod -R u+w "$source"
cd "$source"
CGO_ENABLED=1 go build -mod=readonly -o "$target/" ./cmd/spire-server ./cmd/spire-agent
"$target/spire-server" --version
