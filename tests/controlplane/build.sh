#!/bin/sh
# Builds the control plane program: build.sh OUTPUT
#
# The first build on a machine takes many minutes; after that the Go build
# cache leaves little to do, and nothing if OUTPUT is up to date. $GO is the go
# command to use; without it, the one on PATH.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: build.sh OUTPUT" >&2
  exit 2
fi
case $1 in
  /*) output=$1 ;;
  *) output=$PWD/$1 ;;
esac
cd "$(dirname "$0")"

# go.mod says which Go is needed and which Kubernetes this is.
wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' go.mod)

go=$(command -v "${GO:-go}") || {
  echo "build.sh: no Go here: Go $wanted or newer is needed on PATH or as \$GO" >&2
  exit 1
}

# An older go command would fetch a newer one by itself, or not: better to say
# so than to download a toolchain that nobody asked for.
export GOTOOLCHAIN=local

# Asked outside of the module, because an older go refuses any answer inside.
found=$(cd / && "$go" env GOVERSION) || {
  echo "build.sh: $go does not answer: Go $wanted or newer is needed" >&2
  exit 1
}
oldest=$(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -n 1)
if [ "$oldest" != "$wanted" ]; then
  echo "build.sh: Go $wanted or newer is needed, and $go is $found" >&2
  exit 1
fi

# kubeadm refuses to work with the version of an unstamped build.
version=k8s.io/component-base/version
major_minor=${kubernetes#v}
major=${major_minor%%.*}
minor=${major_minor#*.}
minor=${minor%%.*}
stamp="-X $version.gitVersion=$kubernetes -X $version.gitMajor=$major -X $version.gitMinor=$minor"

# No C compiler, and a program that runs anywhere. Two compilers at a time, as
# some packages take most of a gigabyte each. The state of this repository is
# left out of the program, or every commit would cost another link.
CGO_ENABLED=0 exec "$go" build -p 2 -trimpath -buildvcs=false \
  -ldflags "-s -w $stamp" -o "$output" .
