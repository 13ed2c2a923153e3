#!/bin/sh
# The main job on the local AWS, in a scratch folder: up, silence, accept, the page, reject, silence, down and its receipt.
# In between a customer who holds its own keys, in a folder of its own: pack, silence, admitted by rule, a connection,
# revoked, silence.
set -eu
folder=$(mktemp -d)
trap 'cd "$folder" && plab local stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
cd "$folder"

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# The page, as a program inside the consumer's VPC gets it; `page 2` fails after two seconds of silence.
cat > page.py <<'END'
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode())
except OSError as error:
    sys.exit(f"no answer: {error}")
END
page() {
  plab local shell acme python3 -c "$(cat page.py)" "http://$name/" "$1"
}

cat > plab.yaml <<'END'
lab: demo
region: us-east-1
consumers:
  - name: acme
    vpc: {cidr: 10.0.0.0/16}   # the provider's own addresses: where peering fails
    accept: manual             # the provider decides by hand
END

run plab up --local > built
cat built
name=$(sed -n 's/^ *acme .* //p' built)
run plab status
run plab connections
endpoint=$(plab connections | sed -n 's/.*[[:space:]]\(vpce-[0-9a-f]*\) .*/\1/p')
traffic=$(plab local status --json | grep -c '"traffic": true' || true)

silence() {
  [ "$traffic" = 1 ] || return 0
  printf '\n$ GET http://%s/ from inside the VPC of acme\n' "$name"
  if page 2; then echo "The endpoint answers although $1."; exit 1; fi
}

silence "no one has accepted it"
run plab accept --all -y
if [ "$traffic" = 1 ]; then
  run plab verify
  page 120 | grep -q 'Hello World from provider VPC'
else
  run plab verify || echo "This machine allows no packets; the rest goes on."
fi
run plab up --local -q
run plab reject -y "$endpoint"
silence "it was rejected"

# Who is bravo: another account, with keys that reach nothing of the provider's.
mkdir bravo
plab local status --account 222222222222 > bravo/keys
bravo() {
  printf '\n[bravo] $ %s\n' "$*"
  (cd bravo && . ./keys && "$@")
}
no_way() {
  if bravo plab verify -y; then echo "The endpoint answers although $1."; exit 1; fi
}
echo 'customers: {bravo: {accounts: ["222222222222"]}}' >> plab.yaml
run plab up --local -q
printf '\n$ plab share bravo > bravo/pack.yaml\n'
plab share bravo > bravo/pack.yaml
head -n 12 bravo/pack.yaml
bravo plab init --pack pack.yaml
bravo plab up -q
[ "$traffic" = 0 ] || no_way "no one has admitted it"
run plab accept --rules
[ "$traffic" = 0 ] || bravo plab verify
sed -i 's/"222222222222"]/&, access: revoked/' plab.yaml
run plab up --local -q
[ "$traffic" = 0 ] || no_way "its access is revoked"
run plab accept --rules
run plab connections
bravo plab down -y
run plab down -y
