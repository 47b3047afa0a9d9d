#!/bin/sh
# Runs a kubelet, as root, so that the machine is afterwards as it was:
# contained.sh COMMAND [ARGUMENT]...
#
# A kubelet sets kernel parameters, mounts its root folder on itself and makes
# /var/lib/kubelet, whatever its options say. Here it has a mount namespace of
# its own, with copies of those parameters to write to and a /var/lib that
# vanishes with the last process in it. The command replaces this shell, so it
# has the process id, and the parent-death signal, that the shell was started
# with.
set -eu

if [ "${CONTAINED:-}" != yes ]; then
  if [ $# -eq 0 ]; then
    echo "usage: contained.sh COMMAND [ARGUMENT]..." >&2
    exit 2
  fi
  CONTAINED=yes exec unshare --mount --propagation private "$0" "$@"
fi
unset CONTAINED

mount -t tmpfs -o mode=755 contained /var/lib
mkdir /var/lib/sysctl
for parameter in vm/overcommit_memory vm/panic_on_oom kernel/panic \
  kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=/var/lib/sysctl/$(basename "$parameter")
  cat "/proc/sys/$parameter" >"$copy"
  mount --bind "$copy" "/proc/sys/$parameter"
done

exec "$@"
