// How many files a process may have open.

#ifndef LATCHKEY_CLIENTS_PROCESS_OPEN_FILES_H_
#define LATCHKEY_CLIENTS_PROCESS_OPEN_FILES_H_

#include <cstddef>

#include <absl/status/status.h>

namespace latchkey {

// Lets this process have as many files open at a time as the system allows it.
// kFailedPrecondition if those are fewer than `least`: gRPC aborts a process
// that has none left when it starts.
absl::Status AllowOpenFiles(size_t least);

// How many this process may have open at a time, as things stand.
size_t OpenFilesAllowed();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_PROCESS_OPEN_FILES_H_
