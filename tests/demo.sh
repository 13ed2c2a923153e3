#!/bin/sh
# The main job on the local AWS, in a scratch folder: up, status, a manual accept, down and its receipt.
set -eu
folder=$(mktemp -d)
trap 'cd "$folder" && plab local stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
cd "$folder"

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

cat > plab.yaml <<'END'
lab: demo
region: us-east-1
consumers:
  - name: acme
    accept: manual     # the provider decides by hand
END

run plab up --local
run plab status
run plab connections
run plab accept --all -y
run plab up --local -q
run plab down -y
