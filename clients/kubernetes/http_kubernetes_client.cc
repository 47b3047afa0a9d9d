#include "clients/kubernetes/http_kubernetes_client.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "clients/http/http_status.h"
#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/http_watch_stream.h"
#include "clients/kubernetes/kubernetes_status.h"
#include "clients/kubernetes/object_meta.h"
#include "clients/kubernetes/request_path.h"
#include "core/execution.h"
#include "core/status_macros.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

constexpr size_t kMaxListBytes = 512 << 20;
constexpr size_t kMaxErrorBytes = 64 << 10;
constexpr absl::Duration kErrorBodyPatience = absl::Seconds(5);
// How long after its time a watch may still be alive.
constexpr absl::Duration kWatchGrace = absl::Seconds(30);

std::string Describe(std::string_view verb, const Resource& resource,
                     std::string_view name_space, std::string_view name) {
  return fmt::format("{} {} {}{}{}", verb, resource.plural, name_space,
                     name_space.empty() ? "" : "/", name);
}

// The same error, with what was being done in front.
absl::Status Prefixed(std::string_view what, const absl::Status& error) {
  // Of the transport, this says that the answer was too large: the request was
  // done, which kResourceExhausted must not deny.
  const absl::StatusCode code =
      error.code() == absl::StatusCode::kResourceExhausted
          ? absl::StatusCode::kInternal
          : error.code();
  absl::Status prefixed(
      code, fmt::format("{}: {}", what, std::string(error.message())));
  error.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    prefixed.SetPayload(url, payload);
  });
  return prefixed;
}

absl::Status DecodeObject(std::string_view what, std::string_view body,
                          const Resource& resource,
                          std::string_view kind_suffix, Message& result) {
  const auto envelope = OpenEnvelope(body);
  if (!envelope.ok()) return Prefixed(what, envelope.status());
  const bool expected =
      envelope->api_version == resource.api_version &&
      envelope->kind.starts_with(resource.kind) &&
      envelope->kind.substr(resource.kind.size()) == kind_suffix;
  const std::string_view raw = envelope->raw;
  if (!expected ||
      !result.ParseFromArray(raw.data(), static_cast<int>(raw.size()))) {
    return absl::InternalError(
        fmt::format("{}: the answer is not of that kind", what));
  }
  return absl::OkStatus();
}

std::string ReadErrorBody(HttpStream& stream) {
  std::string body;
  const absl::Time deadline = ExecutionNow() + kErrorBodyPatience;
  while (body.size() < kMaxErrorBytes) {
    const auto more = stream.Read(deadline - ExecutionNow());
    if (!more.ok()) break;
    body += *more;
  }
  return body;
}

// At least one: 0 would leave the choice to the server.
std::string WholeSeconds(absl::Duration duration) {
  return std::to_string(std::max<int64_t>(1, absl::ToInt64Seconds(duration)));
}

}  // namespace

HttpRequest HttpKubernetesClient::NewRequest(std::string method,
                                             std::string target) const {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers = {{"accept", kProtobufContentType}};
  request.timeout = options_.request_timeout;
  return request;
}

absl::StatusOr<std::string> HttpKubernetesClient::Exchange(
    HttpRequest request, std::string_view what) {
  if (!request.body.empty()) {
    request.headers["content-type"] = kProtobufContentType;
  }
  for (bool renewed = false;; renewed = true) {
    const auto session = access_->Current();
    request.bearer_token = session->bearer_token;
    auto response = session->http->Send(request);
    if (!response.ok()) return Prefixed(what, response.status());
    if (response->status == 401 && !renewed && access_->Renew(*session)) {
      continue;
    }
    absl::Status status = StatusOfResponse(*response, what);
    // What cannot be created is no object that is not there; and an API server
    // answers so itself, without a Status, for a kind that it does not know.
    if (request.method != "POST") {
      status = BelieveNotFoundOnlyWithStatus(std::move(status));
    }
    LATCHKEY_RETURN_IF_ERROR(status);
    return std::move(response->body);
  }
}

absl::Status HttpKubernetesClient::CreateObject(const Resource& resource,
                                                std::string_view name_space,
                                                const Message& object,
                                                Message& result) {
  const std::string what =
      Describe("create", resource, name_space, ObjectMetaOf(object).name());
  if (resource.namespaced && name_space.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: it needs a namespace", what));
  }
  LATCHKEY_ASSIGN_OR_RETURN(std::string path,
                            CollectionPath(resource, name_space));
  HttpRequest request = NewRequest("POST", std::move(path));
  request.body = WrapObject(resource.api_version, resource.kind, object);
  LATCHKEY_ASSIGN_OR_RETURN(const std::string body,
                            Exchange(std::move(request), what));
  return DecodeObject(what, body, resource, "", result);
}

absl::Status HttpKubernetesClient::GetObject(const Resource& resource,
                                             const ObjectName& name,
                                             Message& result) {
  const std::string what =
      Describe("get", resource, name.name_space, name.name);
  LATCHKEY_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, name, ""));
  LATCHKEY_ASSIGN_OR_RETURN(const std::string body,
                            Exchange(NewRequest("GET", std::move(path)), what));
  return DecodeObject(what, body, resource, "", result);
}

absl::Status HttpKubernetesClient::UpdateObject(const Resource& resource,
                                                const ObjectName& name,
                                                std::string_view subresource,
                                                const Message& object,
                                                Message& result) {
  const std::string what =
      Describe("update", resource, name.name_space, name.name);
  LATCHKEY_ASSIGN_OR_RETURN(std::string path,
                            ObjectPath(resource, name, subresource));
  HttpRequest request = NewRequest("PUT", std::move(path));
  request.body = WrapObject(resource.api_version, resource.kind, object);
  LATCHKEY_ASSIGN_OR_RETURN(const std::string body,
                            Exchange(std::move(request), what));
  return DecodeObject(what, body, resource, "", result);
}

absl::Status HttpKubernetesClient::DeleteObject(
    const Resource& resource, const ObjectName& name,
    const DeletePreconditions& expected) {
  const std::string what =
      Describe("delete", resource, name.name_space, name.name);
  LATCHKEY_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, name, ""));
  kubernetes::DeleteOptions options;
  if (!expected.uid.empty()) {
    options.mutable_preconditions()->set_uid(expected.uid);
  }
  if (!expected.resource_version.empty()) {
    options.mutable_preconditions()->set_resource_version(
        expected.resource_version);
  }
  HttpRequest request = NewRequest("DELETE", std::move(path));
  request.body = WrapObject("v1", "DeleteOptions", options);
  // The answer is the object, or a Status, as the server likes.
  return Exchange(std::move(request), what).status();
}

absl::Status HttpKubernetesClient::ListObjects(const Resource& resource,
                                               const ListQuery& query,
                                               Message& list) {
  const std::string what = Describe("list", resource, query.name_space, "");
  LATCHKEY_ASSIGN_OR_RETURN(std::string path,
                            CollectionPath(resource, query.name_space));
  path += QueryString(
      {{"labelSelector", query.label_selector},
       {"fieldSelector", query.field_selector},
       {"limit", query.limit > 0 ? std::to_string(query.limit) : ""},
       {"continue", query.continue_token}});
  HttpRequest request = NewRequest("GET", std::move(path));
  request.max_response_bytes = kMaxListBytes;
  request.stop = query.stop;
  LATCHKEY_ASSIGN_OR_RETURN(const std::string body,
                            Exchange(std::move(request), what));
  return DecodeObject(what, body, resource, "List", list);
}

absl::StatusOr<std::unique_ptr<WatchStream>> HttpKubernetesClient::WatchObjects(
    const Resource& resource, const WatchQuery& query) {
  const std::string what = Describe("watch", resource, query.name_space, "");
  if (query.resource_version.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: it needs the version of a list", what));
  }
  LATCHKEY_ASSIGN_OR_RETURN(std::string path,
                            CollectionPath(resource, query.name_space));
  path += QueryString({{"watch", "1"},
                       {"allowWatchBookmarks", "true"},
                       {"resourceVersion", query.resource_version},
                       {"timeoutSeconds", WholeSeconds(query.timeout)},
                       {"labelSelector", query.label_selector},
                       {"fieldSelector", query.field_selector}});
  HttpRequest request = NewRequest("GET", std::move(path));
  request.headers["accept"] =
      fmt::format("{};stream=watch", kProtobufContentType);
  request.stop = query.stop;
  for (bool renewed = false;; renewed = true) {
    const auto session = access_->Current();
    request.bearer_token = session->bearer_token;
    auto stream = session->http->OpenStream(request);
    if (!stream.ok()) return Prefixed(what, stream.status());
    if ((*stream)->head().status == 200) {
      return std::make_unique<HttpWatchStream>(*std::move(stream), what,
                                               query.timeout + kWatchGrace);
    }
    HttpResponse response = (*stream)->head();
    if (response.status == 401 && !renewed && access_->Renew(*session)) {
      continue;
    }
    response.body = ReadErrorBody(**stream);
    absl::Status status =
        BelieveNotFoundOnlyWithStatus(StatusOfResponse(response, what));
    if (status.ok()) status = absl::InternalError("not a watch");
    return status;
  }
}

}  // namespace latchkey
