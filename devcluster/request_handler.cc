#include "devcluster/request_handler.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "devcluster/admission.h"
#include "devcluster/api_error.h"
#include "devcluster/discovery.h"
#include "devcluster/object_encoding.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
// Of watches whose clients do not say; kube-apiserver draws from 30 to 60
// minutes.
constexpr absl::Duration kWatchTimeout = absl::Minutes(45);
constexpr absl::Duration kMaxWatchTimeout = absl::Hours(24);

kubernetes::Status Failure(int code, std::string_view reason,
                           std::string_view message) {
  kubernetes::Status status;
  status.mutable_metadata();
  status.set_status("Failure");
  status.set_message(std::string(message));
  status.set_reason(std::string(reason));
  status.set_code(code);
  return status;
}

absl::Status NotAcceptable() {
  return ApiError(
      Failure(406, "NotAcceptable",
              "only the following media types are accepted: application/json, "
              "application/vnd.kubernetes.protobuf"));
}

absl::Status UnsupportedMediaType() {
  return ApiError(Failure(
      415, "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media "
      "types include: application/json, application/vnd.kubernetes.protobuf"));
}

HttpAnswer AnswerOf(const kubernetes::Status& status, std::string_view accept) {
  const MediaType type = AcceptedMediaType(accept).value_or(MediaType::kJson);
  HttpAnswer answer;
  answer.code = status.code() == 0 ? 200 : status.code();
  answer.content_type = MediaTypeName(type);
  answer.body = EncodeStatus(type, status);
  answer.retry_after_seconds = status.details().retry_after_seconds();
  return answer;
}

absl::StatusOr<int64_t> NumberParameter(const RequestTarget& target,
                                        std::string_view name) {
  const std::string_view text = target.Parameter(name);
  int64_t number = 0;
  if (text.empty()) return number;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return BadRequestError(fmt::format("the parameter {} is no number", name));
  }
  return number;
}

// One request to a path of a resource, of a user who is known.
class ResourceCall {
 public:
  ResourceCall(ApiServer& server, const HttpQuestion& question,
               const RequestTarget& target, const User& user)
      : server_(server),
        question_(question),
        target_(target),
        served_(*target.resource),
        resource_(target.resource->resource),
        user_(user) {}

  absl::StatusOr<HttpAnswer> Answer() {
    const std::string_view method = question_.method;
    const auto type = AcceptedMediaType(question_.accept);
    if (!type) return NotAcceptable();
    type_ = *type;
    if (target_.name.name.empty()) {
      if (method == "POST") return Create();
      if (method == "GET" && served_.stored) {
        return target_.Flag("watch") ? Watch() : List();
      }
    } else if (served_.stored) {
      if (method == "GET") return Get();
      if (method == "PUT") return Update();
      if (method == "DELETE" && target_.subresource.empty()) return Delete();
    }
    return MethodNotSupportedError();
  }

 private:
  absl::StatusOr<HttpAnswer> Create() {
    // One path for all namespaces has none to create in.
    if (resource_.namespaced && target_.name.name_space.empty()) {
      return MethodNotSupportedError();
    }
    const std::unique_ptr<Message> object(served_.prototype->New());
    // Who may not write does not get his body read; the error is the server's.
    if (server_.MayAccess(user_, "create", resource_, "", target_.name)) {
      LATCHKEY_RETURN_IF_ERROR(RefuseDryRun());
      LATCHKEY_RETURN_IF_ERROR(ReadBody(*object));
    }
    LATCHKEY_ASSIGN_OR_RETURN(
        const StoredObject stored,
        server_.Create(user_, resource_, target_.name.name_space, *object));
    return ObjectAnswer(201, *stored);
  }

  absl::StatusOr<HttpAnswer> Get() {
    LATCHKEY_ASSIGN_OR_RETURN(
        const StoredObject stored,
        server_.Get(user_, resource_, target_.name, target_.subresource));
    return ObjectAnswer(200, *stored);
  }

  absl::StatusOr<HttpAnswer> Update() {
    const std::unique_ptr<Message> object(served_.prototype->New());
    if (server_.MayAccess(user_, "update", resource_, target_.subresource,
                          target_.name)) {
      LATCHKEY_RETURN_IF_ERROR(RefuseDryRun());
      LATCHKEY_RETURN_IF_ERROR(ReadBody(*object));
    }
    LATCHKEY_ASSIGN_OR_RETURN(const StoredObject stored,
                              server_.Update(user_, resource_, target_.name,
                                             target_.subresource, *object));
    return ObjectAnswer(200, *stored);
  }

  absl::StatusOr<HttpAnswer> Delete() {
    kubernetes::DeleteOptions options;
    if (server_.MayAccess(user_, "delete", resource_, "", target_.name)) {
      LATCHKEY_RETURN_IF_ERROR(RefuseDryRun());
      LATCHKEY_RETURN_IF_ERROR(ReadDeleteOptions(options));
    }
    LATCHKEY_ASSIGN_OR_RETURN(
        const StoredObject deleted,
        server_.Delete(
            user_, resource_, target_.name,
            {.uid = options.preconditions().uid(),
             .resource_version = options.preconditions().resource_version()}));
    // Its finalizers hold it: it is still there, and says since when it should
    // not be.
    const kubernetes::ObjectMeta& metadata = ObjectMetaOf(deleted->message());
    if (!metadata.finalizers().empty()) return ObjectAnswer(200, *deleted);
    kubernetes::Status status;
    status.mutable_metadata();
    status.set_status("Success");
    auto& details = *status.mutable_details();
    details.set_name(target_.name.name);
    details.set_group(std::string(ApiGroupOf(resource_)));
    details.set_kind(std::string(resource_.plural));
    details.set_uid(metadata.uid());
    return AnswerOf(status, question_.accept);
  }

  absl::StatusOr<HttpAnswer> List() {
    LATCHKEY_ASSIGN_OR_RETURN(const int64_t limit,
                              NumberParameter(target_, "limit"));
    LATCHKEY_ASSIGN_OR_RETURN(
        const ObjectPage page,
        server_.List(
            user_, resource_,
            {.name_space = target_.name.name_space,
             .label_selector = std::string(target_.Parameter("labelSelector")),
             .field_selector = std::string(target_.Parameter("fieldSelector")),
             .limit = limit,
             .continue_token = std::string(target_.Parameter("continue"))}));
    return HttpAnswer{.content_type = MediaTypeName(type_),
                      .body = EncodePage(type_, resource_, page)};
  }

  absl::StatusOr<HttpAnswer> Watch() {
    LATCHKEY_ASSIGN_OR_RETURN(const int64_t seconds,
                              NumberParameter(target_, "timeoutSeconds"));
    ApiServer::WatchOptions options;
    options.query = {
        .name_space = target_.name.name_space,
        .label_selector = std::string(target_.Parameter("labelSelector")),
        .field_selector = std::string(target_.Parameter("fieldSelector")),
        .resource_version = std::string(target_.Parameter("resourceVersion")),
        .timeout = seconds > 0
                       ? std::min(absl::Seconds(seconds), kMaxWatchTimeout)
                       : kWatchTimeout};
    options.bookmarks = target_.Flag("allowWatchBookmarks");
    options.initial_events = target_.Flag("sendInitialEvents");
    options.listener = question_.on_change;
    const absl::Duration timeout = options.query.timeout;
    auto watch = server_.Watch(user_, resource_, std::move(options));
    if (!watch.ok() && watch.status().code() != absl::StatusCode::kOutOfRange) {
      return watch.status();
    }
    HttpAnswer answer;
    answer.content_type = WatchMediaTypeName(type_);
    if (watch.ok()) {
      answer.watch = std::make_unique<WatchBody>(type_, resource_,
                                                 *std::move(watch), timeout);
    } else {
      // As kube-apiserver does it: 200, and the error as the only event.
      answer.body = EncodeWatchError(type_, KubernetesStatusOf(watch.status()));
    }
    return answer;
  }

  absl::Status ReadBody(Message& object) const {
    const auto type = ContentMediaType(question_.content_type);
    if (!type) return UnsupportedMediaType();
    return DecodeObject(
        *type, resource_.api_version, resource_.kind, question_.body,
        target_.Parameter("fieldValidation") == "Strict", object);
  }

  absl::Status ReadDeleteOptions(kubernetes::DeleteOptions& options) const {
    if (question_.body.empty()) return absl::OkStatus();
    const auto type = ContentMediaType(question_.content_type);
    if (!type) return UnsupportedMediaType();
    absl::Status decoded = DecodeObject(*type, "v1", "DeleteOptions",
                                        question_.body, false, options);
    // Some clients name the group of what they delete.
    if (!decoded.ok()) {
      decoded = DecodeObject(*type, resource_.api_version, "DeleteOptions",
                             question_.body, false, options);
    }
    LATCHKEY_RETURN_IF_ERROR(decoded);
    if (options.dry_run().empty()) return absl::OkStatus();
    return BadRequestError(kNoDryRun);
  }

  // Done for real, it would be the opposite of what was asked for.
  absl::Status RefuseDryRun() const {
    if (target_.Parameter("dryRun").empty()) return absl::OkStatus();
    return BadRequestError(kNoDryRun);
  }

  HttpAnswer ObjectAnswer(int code, const StoredObjectData& object) const {
    return {.code = code,
            .content_type = MediaTypeName(type_),
            .body = EncodeObject(type_, resource_, object)};
  }

  static constexpr std::string_view kNoDryRun =
      "dryRun is not supported by the embedded control plane";

  ApiServer& server_;
  const HttpQuestion& question_;
  const RequestTarget& target_;
  const ApiResource& served_;
  const Resource& resource_;
  const User& user_;
  MediaType type_ = MediaType::kJson;
};

std::string PathVerb(std::string_view method) {
  std::string verb(method);
  for (char& c : verb) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return verb;
}

// Not a resource here: there are four, and nobody makes others. kubectl looks
// whether there is one before it says of an object that there is none.
absl::StatusOr<HttpAnswer> AnswerNamespace(const ApiServer& server,
                                           const User& user,
                                           const std::string& name) {
  constexpr Resource kNamespaces = {"v1", "Namespace", "namespaces", false};
  if (!server.MayAccess(user, "get", kNamespaces, "", {"", name})) {
    return ForbiddenError(
        kNamespaces, name,
        fmt::format("User \"{}\" cannot get resource \"namespaces\" in API "
                    "group \"\" at the cluster scope",
                    user.name));
  }
  LATCHKEY_RETURN_IF_ERROR(AdmitNamespace(name));
  return HttpAnswer{
      .content_type = MediaTypeName(MediaType::kJson),
      .body = fmt::format(R"({{"kind":"Namespace","apiVersion":"v1",)"
                          R"("metadata":{{"name":"{}"}},"spec":{{}},)"
                          R"("status":{{"phase":"Active"}}}})",
                          name)};
}

// In plain text, as upstream.
HttpAnswer AnswerHealth(const ApiServer& server) {
  if (server.Health().ok()) {
    return {.content_type = kPlainText, .body = "ok"};
  }
  return {.code = 500,
          .content_type = kPlainText,
          .body = "[-]store failed: it takes no more writes\n"};
}

// A path that is no resource.
absl::StatusOr<HttpAnswer> AnswerPath(const ApiServer& server,
                                      const HttpQuestion& question,
                                      const RequestTarget& target,
                                      const User& user) {
  constexpr std::string_view kNamespacePaths = "/api/v1/namespaces/";
  if (question.method == "GET" && target.path.starts_with(kNamespacePaths) &&
      target.path.find('/', kNamespacePaths.size()) == std::string::npos) {
    return AnswerNamespace(server, user,
                           target.path.substr(kNamespacePaths.size()));
  }
  const std::string verb = PathVerb(question.method);
  if (!server.MayAccessPath(user, verb, target.path)) {
    return ForbiddenPathError(user.name, verb, target.path);
  }
  const bool health = target.path == "/healthz" || target.path == "/livez" ||
                      target.path == "/readyz";
  std::optional<std::string> document = DiscoveryDocument(target.path);
  if (!health && !document) return UnknownPathError();
  if (question.method != "GET") {
    return ApiError(
        Failure(405, "MethodNotAllowed",
                "the server does not allow this method on the requested "
                "resource"));
  }
  if (health) return AnswerHealth(server);
  // Discovery is in JSON whatever the client prefers; all of them accept it.
  return HttpAnswer{.content_type = MediaTypeName(MediaType::kJson),
                    .body = *std::move(document)};
}

absl::StatusOr<HttpAnswer> Answer(ApiServer& server,
                                  const HttpQuestion& question) {
  const auto target = ParseRequestTarget(question.target);
  if (!target.ok())
    return BadRequestError(std::string(target.status().message()));
  LATCHKEY_ASSIGN_OR_RETURN(
      const User user,
      CallerOf(server, question.certificate, question.authorization,
               question.impersonation));
  if (target->resource == nullptr) {
    return AnswerPath(server, question, *target, user);
  }
  return ResourceCall(server, question, *target, user).Answer();
}

}  // namespace

bool RequestHandler::Knows(const ClientCertificate& certificate,
                           std::string_view authorization) const {
  const auto user = CallerOf(server_, certificate, authorization, {});
  return user.ok() && user->name != AnonymousUser().name;
}

HttpAnswer RequestHandler::Handle(const HttpQuestion& question) const {
  auto answer = Answer(server_, question);
  if (answer.ok()) return *std::move(answer);
  return AnswerOf(KubernetesStatusOf(answer.status()), question.accept);
}

HttpAnswer RequestHandler::Refuse(int code, std::string_view reason,
                                  std::string_view message,
                                  std::string_view accept) {
  return AnswerOf(Failure(code, reason, message), accept);
}

}  // namespace latchkey
