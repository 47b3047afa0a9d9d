// What gRPC and protobuf have to say, in our log: they would write lines of
// their own form to standard error, and strangers can make them do it.

#ifndef LATCHKEY_SERVER_LIBRARY_LOGS_H_
#define LATCHKEY_SERVER_LIBRARY_LOGS_H_

namespace latchkey {

// From now on each of their lines is an event "library message" of level debug
// (the last one of a process that they end: error), of this process as a whole.
// What a library leaves out by itself (GRPC_VERBOSITY) stays left out.
void LogLibraryMessages();

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_LIBRARY_LOGS_H_
