#include "server/open_connections.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace latchkey {
namespace {

// 0 if `fd` is no open socket. Somebody may close it, or get its number for
// something else, while this looks: the answer is of before or of after. By
// statx(), since ThreadSanitizer takes fstat() for a use of the descriptor.
uint64_t InodeOf(int fd) {
  struct statx info = {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO, &info) != 0) {
    return 0;
  }
  return S_ISSOCK(info.stx_mode) ? info.stx_ino : 0;
}

}  // namespace

OpenConnections::Verdict OpenConnections::Add(int fd, const std::string& peer,
                                              Time now) {
  const auto index = static_cast<size_t>(fd);
  if (index >= connections_.size()) connections_.resize(index + 1);
  Connection& connection = connections_[index];
  // The system gives a number anew when it is closed, and the lowest first.
  Forget(connection);
  Verdict verdict = Judge(peer);
  if (verdict != Verdict::kCounted && now >= looked_ + kLookAgain) {
    looked_ = now;
    ForgetClosed();
    verdict = Judge(peer);
  }
  if (verdict != Verdict::kCounted) return verdict;
  connection.inode = InodeOf(fd);
  connection.peer = &*peers_.try_emplace(peer, 0).first;
  ++connection.peer->second;
  ++count_;
  return verdict;
}

size_t OpenConnections::Count() {
  ForgetClosed();
  return count_;
}

OpenConnections::Verdict OpenConnections::Judge(const std::string& peer) const {
  const auto known = peers_.find(peer);
  if (known != peers_.end() && known->second >= limits_.of_one) {
    return Verdict::kTooManyOfPeer;
  }
  return count_ >= limits_.all ? Verdict::kTooMany : Verdict::kCounted;
}

void OpenConnections::Forget(Connection& connection) {
  if (connection.peer == nullptr) return;
  --count_;
  if (--connection.peer->second == 0) {
    peers_.erase(peers_.find(connection.peer->first));
  }
  connection.peer = nullptr;
}

void OpenConnections::ForgetClosed() {
  for (size_t fd = 0; fd < connections_.size(); ++fd) {
    Connection& connection = connections_[fd];
    if (connection.peer != nullptr &&
        InodeOf(static_cast<int>(fd)) != connection.inode) {
      Forget(connection);
    }
  }
}

}  // namespace latchkey
