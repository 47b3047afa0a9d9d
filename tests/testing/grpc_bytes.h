// Calls of services whose code we do not have: their messages as bytes.

#ifndef LATCHKEY_TESTS_TESTING_GRPC_BYTES_H_
#define LATCHKEY_TESTS_TESTING_GRPC_BYTES_H_

#include <future>
#include <memory>
#include <string>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

namespace latchkey_testing {

// One message to `method` and one back.
inline grpc::Status CallBytes(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method,
                              const std::string& request,
                              std::string& response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, {}, &sent, &received,
                 [&](grpc::Status status) { done.set_value(status); });
  grpc::Status status = done.get_future().get();
  grpc::Slice whole;
  if (status.ok() && received.DumpToSingleSlice(&whole).ok()) {
    response.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  }
  return status;
}

// What grpc.health.v1 says of `service`, or of the port if it is empty: 1 is
// SERVING, 2 NOT_SERVING; -1: no such service.
inline int HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                    const std::string& service) {
  std::string response;
  std::string request;
  if (!service.empty()) {
    request = {'\x0a', static_cast<char>(service.size())};
    request += service;
  }
  const grpc::Status status =
      CallBytes(channel, "/grpc.health.v1.Health/Check", request, response);
  if (!status.ok()) return -1;
  return response.size() == 2 ? response[1] : 0;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_GRPC_BYTES_H_
