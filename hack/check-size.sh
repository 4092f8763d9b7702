#!/usr/bin/env bash
# Builds the release binary and checks its promises: at most 40 MB stripped, no ICU inside.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh
swift build "${release_flags[@]}" --product edgecore
bin=$(swift build "${release_flags[@]}" --show-bin-path)
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$bin/edgecore"
size=$(stat -c %s "$stripped")
echo "edgecore, stripped: $size bytes"
[ "$size" -le 40000000 ] || { echo "edgecore is larger than 40 MB" >&2; exit 1; }
# ICU's data and functions carry its name; Foundation's ICU build prefixes them.
if strings -a "$stripped" | grep -qE 'icudt[0-9]+|FoundationICU|_foundation_unicode'; then
  echo "ICU is linked into edgecore; a dependency imports all of Foundation" >&2
  exit 1
fi
echo "no ICU inside"
