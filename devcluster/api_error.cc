#include "devcluster/api_error.h"

#include <algorithm>
#include <utility>

#include <absl/strings/cord.h>
#include <fmt/format.h>

#include "clients/kubernetes/kubernetes_status.h"
#include "devcluster/api_resources.h"

namespace latchkey {
namespace {

constexpr absl::string_view kPayloadUrl = "latchkey.dev/kubernetes-status";

// "secrets", or "leases.coordination.k8s.io".
std::string Qualified(std::string_view name, const Resource& resource) {
  const std::string_view group = ApiGroupOf(resource);
  return group.empty() ? std::string(name) : fmt::format("{}.{}", name, group);
}
std::string Qualified(const Resource& resource) {
  return Qualified(resource.plural, resource);
}

kubernetes::Status Failure(int code, std::string_view reason,
                           std::string_view message) {
  kubernetes::Status error;
  error.set_status("Failure");
  error.set_message(std::string(message));
  if (!reason.empty()) error.set_reason(std::string(reason));
  error.set_code(code);
  return error;
}

kubernetes::Status FailureOf(const Resource& resource, std::string_view name,
                             int code, std::string_view reason,
                             std::string_view message) {
  kubernetes::Status error = Failure(code, reason, message);
  auto& details = *error.mutable_details();
  if (!name.empty()) details.set_name(std::string(name));
  if (const auto group = ApiGroupOf(resource); !group.empty()) {
    details.set_group(std::string(group));
  }
  details.set_kind(std::string(resource.plural));
  return error;
}

// For what went wrong below, and is nobody's business.
kubernetes::Status PlainFailure(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return Failure(400, "BadRequest", "the request is not understood");
    case absl::StatusCode::kUnauthenticated:
      return Failure(401, "Unauthorized", "Unauthorized");
    case absl::StatusCode::kPermissionDenied:
      return Failure(403, "Forbidden", "forbidden");
    case absl::StatusCode::kNotFound:
      return Failure(404, "NotFound", "not found");
    case absl::StatusCode::kAlreadyExists:
      return Failure(409, "AlreadyExists", "it already exists");
    case absl::StatusCode::kAborted:
      return Failure(409, "Conflict", "the object is another");
    case absl::StatusCode::kOutOfRange:
      return Failure(410, "Expired", "the resourceVersion is too old");
    case absl::StatusCode::kResourceExhausted:
      return Failure(429, "TooManyRequests", "too many requests");
    case absl::StatusCode::kUnimplemented:
      return Failure(501, "", "this server does not do that");
    case absl::StatusCode::kUnavailable:
      return Failure(503, "ServiceUnavailable", "the service is unavailable");
    case absl::StatusCode::kDeadlineExceeded:
      return Failure(504, "Timeout", "the request took too long");
    default:
      return Failure(500, "InternalError", "Internal error occurred");
  }
}

std::string Join(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? texts.front()
                           : fmt::format("[{}]", fmt::join(texts, ", "));
}

}  // namespace

absl::Status ApiError(const kubernetes::Status& error) {
  absl::Status status = StatusOfKubernetes(error, "the API server");
  status.SetPayload(kPayloadUrl, absl::Cord(error.SerializeAsString()));
  return status;
}

kubernetes::Status KubernetesStatusOf(const absl::Status& error) {
  kubernetes::Status carried;
  const auto payload = error.GetPayload(kPayloadUrl);
  if (payload.has_value() && carried.ParseFromString(std::string(*payload))) {
    return carried;
  }
  return PlainFailure(error.code());
}

absl::Status NotFoundError(const Resource& resource, std::string_view name) {
  return ApiError(
      FailureOf(resource, name, 404, "NotFound",
                fmt::format("{} \"{}\" not found", Qualified(resource), name)));
}

absl::Status AlreadyExistsError(const Resource& resource, std::string_view name,
                                bool being_deleted) {
  return ApiError(
      FailureOf(resource, name, 409, "AlreadyExists",
                fmt::format("{}{} \"{}\" already exists",
                            being_deleted ? "object is being deleted: " : "",
                            Qualified(resource), name)));
}

absl::Status ConflictError(const Resource& resource, std::string_view name,
                           std::string_view why) {
  return ApiError(
      FailureOf(resource, name, 409, "Conflict",
                fmt::format("Operation cannot be fulfilled on {} \"{}\": {}",
                            Qualified(resource), name, why)));
}

absl::Status BadRequestError(std::string_view why) {
  return ApiError(Failure(400, "BadRequest", why));
}

absl::Status ForbiddenError(const Resource& resource, std::string_view name,
                            std::string_view why) {
  const std::string what =
      name.empty() ? Qualified(resource)
                   : fmt::format("{} \"{}\"", Qualified(resource), name);
  return ApiError(FailureOf(resource, name, 403, "Forbidden",
                            fmt::format("{} is forbidden: {}", what, why)));
}

absl::Status ForbiddenPathError(std::string_view user, std::string_view verb,
                                std::string_view path) {
  kubernetes::Status error =
      Failure(403, "Forbidden",
              fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"", user,
                          verb, path));
  error.mutable_details();
  return ApiError(error);
}

absl::Status UnauthorizedError() {
  return ApiError(Failure(401, "Unauthorized", "Unauthorized"));
}

absl::Status ExpiredError(std::string_view why) {
  return ApiError(Failure(410, "Expired", why));
}

absl::Status TooNewVersionError(int64_t asked, int64_t current) {
  kubernetes::Status error = Failure(
      504, "Timeout",
      fmt::format("Timeout: Too large resource version: {}, current: {}", asked,
                  current));
  auto& details = *error.mutable_details();
  details.set_retry_after_seconds(1);
  auto& cause = *details.add_causes();
  cause.set_reason("ResourceVersionTooLarge");
  cause.set_message("Too large resource version");
  return ApiError(error);
}

absl::Status UnknownPathError() {
  kubernetes::Status error = Failure(
      404, "NotFound", "the server could not find the requested resource");
  error.mutable_details();
  return ApiError(error);
}

absl::Status MethodNotSupportedError() {
  kubernetes::Status error = Failure(
      405, "MethodNotAllowed",
      "the server does not allow this method on the requested resource");
  error.mutable_details();
  return ApiError(error);
}

absl::Status ServerError(std::string_view why) {
  return ApiError(Failure(500, "", why));
}

absl::Status TooLargeError() {
  return ServerError("etcdserver: request is too large");
}

absl::Status StoreFullError() {
  return ApiError(Failure(429, "TooManyRequests",
                          "the store is full: delete objects to make room"));
}

FieldError RequiredField(std::string_view field, std::string_view detail) {
  return {"FieldValueRequired",
          detail.empty() ? "Required value"
                         : fmt::format("Required value: {}", detail),
          std::string(field)};
}

FieldError InvalidField(std::string_view field, std::string_view value,
                        std::string_view detail) {
  return {"FieldValueInvalid",
          fmt::format("Invalid value: \"{}\": {}", value, detail),
          std::string(field)};
}

FieldError InvalidLiteral(std::string_view field, std::string_view literal,
                          std::string_view detail) {
  return {"FieldValueInvalid",
          fmt::format("Invalid value: {}: {}", literal, detail),
          std::string(field)};
}

FieldError ForbiddenField(std::string_view field, std::string_view detail) {
  return {"FieldValueForbidden", fmt::format("Forbidden: {}", detail),
          std::string(field)};
}

FieldError DuplicateField(std::string_view field, std::string_view value) {
  return {"FieldValueDuplicate", fmt::format("Duplicate value: \"{}\"", value),
          std::string(field)};
}

FieldError UnsupportedField(std::string_view field, std::string_view value,
                            std::vector<std::string_view> supported) {
  std::sort(supported.begin(), supported.end());
  return {"FieldValueNotSupported",
          fmt::format("Unsupported value: \"{}\": supported values: \"{}\"",
                      value, fmt::join(supported, "\", \"")),
          std::string(field)};
}

FieldError TooLongField(std::string_view field, size_t max_bytes) {
  return {"FieldValueTooLong",
          fmt::format("Too long: may not be more than {} bytes", max_bytes),
          std::string(field)};
}

absl::Status InvalidError(const Resource& resource, std::string_view name,
                          const FieldErrors& findings) {
  if (findings.empty()) return absl::OkStatus();
  std::vector<std::string> texts;
  kubernetes::StatusDetails causes;
  for (const FieldError& finding : findings) {
    auto text = fmt::format("{}: {}", finding.field, finding.message);
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) {
      texts.push_back(std::move(text));
    }
    auto& cause = *causes.add_causes();
    cause.set_reason(finding.reason);
    cause.set_message(finding.message);
    cause.set_field(finding.field);
  }
  kubernetes::Status error = FailureOf(
      resource, name, 422, "Invalid",
      fmt::format("{} \"{}\" is invalid: {}",
                  Qualified(resource.kind, resource), name, Join(texts)));
  *error.mutable_details()->mutable_causes() = causes.causes();
  error.mutable_details()->set_kind(std::string(resource.kind));
  return ApiError(error);
}

}  // namespace latchkey
