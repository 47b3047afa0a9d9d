#!/bin/sh
# Usage: add-latchkey.sh DIR CONTROLPLANE
#
# Makes a running cluster of `controlplane up --dir DIR` ready to try Latchkey
# by hand: gives it Latchkey's roles, and leaves in DIR/latchkey a certificate
# authority, certificates for a broker and a provisioner, and a configuration for
# each program. For trying out, on loopback. Run again, it makes all of it anew.
set -eu

dir=$(cd "${1:?the folder of the cluster}" && pwd)
controlplane=${2:?the control plane program}
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$dir/latchkey
umask 077
mkdir -p "$out"

kubectl() { "$controlplane" kubectl --kubeconfig "$dir/admin.kubeconfig" "$@"; }

# issue NAME EXTENSIONS: a P-256 key and a certificate from the test authority.
issue() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj "/CN=$1" -keyout "$out/$1.key" -out "$out/$1.csr" 2>/dev/null
  printf '%s\n' "$2" >"$out/$1.ext"
  openssl x509 -req -in "$out/$1.csr" -CA "$out/ca.crt" -CAkey "$out/ca.key" \
    -CAcreateserial -days 30 -extfile "$out/$1.ext" -out "$out/$1.crt" 2>/dev/null
  rm "$out/$1.csr" "$out/$1.ext"
}

kubectl apply -f "$root/deploy/kubernetes/rbac.yaml" >/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
  -subj '/CN=latchkey try-out' -keyout "$out/ca.key" -out "$out/ca.crt" 2>/dev/null
issue broker 'subjectAltName=DNS:localhost,IP:127.0.0.1'
issue provisioner 'subjectAltName=URI:spiffe://example.org/provisioner'

# The broker works as its ServiceAccount, with its roles and no others.
kubectl -n kube-system create token latchkey --duration=24h >"$out/broker.token"
cat >"$out/broker.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: try-out, cluster: {server: "$(cat "$dir/endpoint")", certificate-authority: "$dir/pki/ca.crt"}}]
users: [{name: latchkey, user: {tokenFile: "$out/broker.token"}}]
contexts: [{name: try-out, context: {cluster: try-out, user: latchkey}}]
current-context: try-out
END

cat >"$out/broker.yaml" <<END
cluster:
  kubeconfig: $out/broker.kubeconfig
  name: try-out
provisioner_api:
  listen: 127.0.0.1:7443
  certificate_file: $out/broker.crt
  private_key_file: $out/broker.key
  client_ca_file: $out/ca.crt
node_api:
  listen: 127.0.0.1:7444
  certificate_file: $out/broker.crt
  private_key_file: $out/broker.key
policy:
  - name: try-out
    provisioners:
      - spiffe_id: spiffe://example.org/provisioner
    allow:
      node_names: ["worker-*"]
      delivery: [ticket, direct]
      max_token_lifetime: 1h
END

cat >"$out/latchkeyctl.yaml" <<END
broker:
  endpoint: localhost:7443
  ca_file: $out/ca.crt
  node_endpoint: localhost:7444
identity:
  certificate_file: $out/provisioner.crt
  private_key_file: $out/provisioner.key
END

cat >"$out/join.yaml" <<END
node_name: worker-1
broker:
  endpoint: localhost:7444
  ca_file: $out/ca.crt
ticket_file: $out/ticket
output:
  cert_dir: $out/worker-1/pki
  kubeconfig: $out/worker-1/kubelet.conf
  ca_file: $out/worker-1/ca.crt
END
