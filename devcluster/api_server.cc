#include "devcluster/api_server.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <fmt/format.h>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/kube_time.h"
#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "devcluster/admission.h"
#include "devcluster/api_error.h"
#include "devcluster/api_resources.h"
#include "devcluster/authorizer.h"
#include "devcluster/bootstrap_authenticator.h"
#include "devcluster/list_pages.h"
#include "devcluster/object_rules.h"
#include "devcluster/reviews.h"
#include "devcluster/selectors.h"
#include "devcluster/store_watch.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

constexpr char kModified[] =
    "the object has been modified; please apply your changes to the latest "
    "version and try again";

absl::Status NotAllowed(const User& user, const Resource& resource,
                        const Access& access) {
  const std::string what =
      access.subresource.empty()
          ? access.resource
          : fmt::format("{}/{}", access.resource, access.subresource);
  const std::string where =
      access.name_space.empty()
          ? "at the cluster scope"
          : fmt::format("in the namespace \"{}\"", access.name_space);
  return ForbiddenError(
      resource, access.name,
      fmt::format(
          "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}",
          user.name, access.verb, what, access.group, where));
}

// Some errors of upstream's name the kind where others name the plural, and
// the other way round.
Resource NamedByKind(Resource resource) {
  resource.plural = resource.kind;
  return resource;
}
Resource NamedByPlural(Resource resource) {
  resource.kind = resource.plural;
  return resource;
}

// What an update asserts of the object it replaces.
absl::Status CheckAssertions(const Resource& resource, const ObjectName& name,
                             const kubernetes::ObjectMeta& stored,
                             const kubernetes::ObjectMeta& sent) {
  const std::string& version = sent.resource_version();
  int64_t revision = 0;
  // Upstream does not expect that, and shows what its parser says.
  if (!version.empty() && !absl::SimpleAtoi(version, &revision)) {
    return ServerError(fmt::format(
        "strconv.ParseUint: parsing \"{}\": invalid syntax", version));
  }
  if (!sent.uid().empty() && sent.uid() != stored.uid()) {
    return ConflictError(
        resource, name.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in "
                    "object meta: {}",
                    sent.uid(), stored.uid()));
  }
  if (revision == 0 && resource.plural == kLeases.plural) {
    return InvalidError(NamedByPlural(resource), name.name,
                        {InvalidLiteral("metadata.resourceVersion", "0",
                                        "must be specified for an update")});
  }
  if (revision != 0 && version != stored.resource_version()) {
    return ConflictError(resource, name.name, kModified);
  }
  return absl::OkStatus();
}

absl::Status CheckPreconditions(const Resource& resource,
                                const ObjectName& name,
                                const kubernetes::ObjectMeta& stored,
                                const DeletePreconditions& expected) {
  if (!expected.uid.empty() && expected.uid != stored.uid()) {
    return ConflictError(
        NamedByKind(resource), name.name,
        fmt::format("the UID in the precondition ({}) does not match the UID "
                    "in record ({}). The object might have been deleted and "
                    "then recreated",
                    expected.uid, stored.uid()));
  }
  if (!expected.resource_version.empty() &&
      expected.resource_version != stored.resource_version()) {
    return ConflictError(
        NamedByKind(resource), name.name,
        fmt::format("the ResourceVersion in the precondition ({}) does not "
                    "match the ResourceVersion in record ({}). The object "
                    "might have been modified",
                    expected.resource_version, stored.resource_version()));
  }
  return absl::OkStatus();
}

// The object that was sent is the one that the path names.
absl::Status CheckNamed(const ObjectName& name,
                        const kubernetes::ObjectMeta& sent) {
  if (sent.name() != name.name) {
    return BadRequestError(fmt::format(
        "the name of the object ({}) does not match the name on the URL ({})",
        sent.name(), name.name));
  }
  if (!sent.namespace_().empty() && sent.namespace_() != name.name_space) {
    return BadRequestError(
        "the namespace of the provided object does not match the namespace "
        "sent on the request");
  }
  return absl::OkStatus();
}

bool IsDying(const StoredObject& object) {
  return ObjectMetaOf(object->message()).has_deletion_timestamp();
}

bool Contains(std::span<const std::string_view> texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

Access AccessTo(std::string_view verb, const Resource& resource,
                std::string_view subresource, const ObjectName& name) {
  return {.verb = std::string(verb),
          .group = std::string(ApiGroupOf(resource)),
          .resource = std::string(resource.plural),
          .subresource = std::string(subresource),
          .name_space = name.name_space,
          .name = name.name};
}

}  // namespace

class ApiServer::Impl {
 public:
  Impl(ObjectStore& store, const Clock& clock, Options options)
      : store_(store),
        clock_(clock),
        options_(std::move(options)),
        authorizer_(options_.stock_approver) {}

  absl::Time Now() const { return clock_.Now(); }
  absl::StatusOr<User> AuthenticateToken(std::string_view token) const {
    return AuthenticateBootstrapToken(store_, clock_, token);
  }
  absl::Status Health() const { return store_.Health(); }
  const Authorizer& authorizer() const { return authorizer_; }
  WatchSignals& signals() { return signals_; }

  absl::StatusOr<StoredObject> Create(const User& user,
                                      const ApiResource& resource,
                                      std::string_view name_space,
                                      const Message& object);
  absl::StatusOr<StoredObject> Get(const ApiResource& resource,
                                   const ObjectName& name) const;
  absl::StatusOr<StoredObject> Update(const User& user,
                                      const ApiResource& resource,
                                      const ObjectName& name,
                                      std::string_view subresource,
                                      const Message& object);
  absl::StatusOr<StoredObject> Delete(const ApiResource& resource,
                                      const ObjectName& name,
                                      const DeletePreconditions& expected);
  absl::StatusOr<ObjectPage> List(const ApiResource& resource,
                                  const ListQuery& query,
                                  const Selectors& selectors) const {
    return ListPage(store_, resource.resource, query, selectors);
  }
  absl::StatusOr<std::unique_ptr<ApiWatch>> Watch(const ApiResource& resource,
                                                  Selectors selectors,
                                                  WatchOptions options);

  // The resource, if it can be `verb`ed, and by `user`.
  absl::StatusOr<const ApiResource*> Enter(const User& user,
                                           std::string_view verb,
                                           const Resource& resource,
                                           std::string_view subresource,
                                           const ObjectName& name) const;

  // The same of many objects, those of a ListQuery or a WatchQuery.
  struct Selection {
    const ApiResource* resource;
    Selectors selectors;
  };
  template <typename Query>
  absl::StatusOr<Selection> Select(const User& user, std::string_view verb,
                                   const Resource& resource,
                                   const Query& query) const {
    auto selectors =
        Selectors::Parse(resource, query.label_selector, query.field_selector);
    // As upstream, the one name that is asked for may be the one allowed.
    const std::string name = selectors.ok() ? selectors->OnlyName() : "";
    LATCHKEY_ASSIGN_OR_RETURN(
        const ApiResource* known,
        Enter(user, verb, resource, "", {query.name_space, name}));
    LATCHKEY_RETURN_IF_ERROR(selectors.status());
    return Selection{known, *std::move(selectors)};
  }

 private:
  std::string RandomBytesOf(size_t count) const {
    return options_.random_bytes ? options_.random_bytes(count)
                                 : RandomBytes(count);
  }
  std::string NewUid() const;
  std::string NewSuffix() const;
  // Stores a checked object, under a new name as often as it takes if it asked
  // for a generated one.
  absl::StatusOr<StoredObject> StoreNew(const ApiResource& resource,
                                        std::unique_ptr<Message> object);
  absl::StatusOr<StoredObject> UpdateNothing(const User& user,
                                             const ApiResource& resource,
                                             const ObjectName& name,
                                             std::string_view subresource,
                                             const Message& sent);
  // ObjectStore::Write(), with the API's errors but for kAborted.
  absl::StatusOr<StoredObject> Write(const Resource& resource,
                                     const ObjectName& name,
                                     const StoredObject& expected,
                                     std::unique_ptr<Message> object);
  // One attempt; kAborted if the object is no longer `before`.
  absl::StatusOr<StoredObject> UpdateOnce(const User& user,
                                          const ApiResource& resource,
                                          const ObjectName& name,
                                          std::string_view subresource,
                                          const StoredObject& before,
                                          const Message& sent);
  absl::StatusOr<StoredObject> DeleteOnce(const ApiResource& resource,
                                          const ObjectName& name,
                                          const StoredObject& before);

  ObjectStore& store_;
  const Clock& clock_;
  const Options options_;
  const Authorizer authorizer_;
  WatchSignals signals_;
};

absl::StatusOr<const ApiResource*> ApiServer::Impl::Enter(
    const User& user, std::string_view verb, const Resource& resource,
    std::string_view subresource, const ObjectName& name) const {
  const Access access = AccessTo(verb, resource, subresource, name);
  if (!authorizer_.Allows(user, access)) {
    return NotAllowed(user, resource, access);
  }
  const ApiResource* known =
      FindApiResource(resource.api_version, resource.plural);
  if (known == nullptr) return UnknownPathError();
  if (!subresource.empty() && !Contains(known->subresources, subresource)) {
    return UnknownPathError();
  }
  if (!known->stored && verb != "create") {
    // A single review has no path.
    const bool of_many = verb == "list" || verb == "watch";
    if (IsReview(*known->prototype) && !of_many) return UnknownPathError();
    return MethodNotSupportedError();
  }
  if (!resource.namespaced && !name.name_space.empty()) {
    return UnknownPathError();
  }
  return known;
}

std::string ApiServer::Impl::NewUid() const {
  std::string bytes = RandomBytesOf(16);
  // A random UUID (RFC 9562, 5.4).
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = HexEncode(bytes);
  for (const size_t at : {8, 13, 18, 23}) text.insert(at, "-");
  return text;
}

std::string ApiServer::Impl::NewSuffix() const {
  // No vowels, and nothing that reads like another: as upstream has it.
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  while (suffix.size() < 5) {
    // Of 27 characters, 243 values are an even share; the others are drawn
    // again.
    const auto byte = static_cast<uint8_t>(RandomBytesOf(1).front());
    if (byte < 243) suffix.push_back(kAlphabet[byte % kAlphabet.size()]);
  }
  return suffix;
}

absl::StatusOr<StoredObject> ApiServer::Impl::Create(
    const User& user, const ApiResource& resource, std::string_view name_space,
    const Message& object) {
  std::unique_ptr<Message> created = CopyAs(resource, object);
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(*created);
  if (IsReview(*created)) {
    LATCHKEY_RETURN_IF_ERROR(AnswerReview(
        authorizer_,
        [&](std::string_view token) { return AuthenticateToken(token); }, user,
        *created));
    return std::make_shared<const StoredObjectData>(std::move(created), 0);
  }
  if (resource.resource.namespaced) {
    if (name_space.empty()) {
      return BadRequestError(
          "an empty namespace may not be set during creation");
    }
    if (!metadata.namespace_().empty() && metadata.namespace_() != name_space) {
      return BadRequestError(
          "the namespace of the provided object does not match the namespace "
          "sent on the request");
    }
    LATCHKEY_RETURN_IF_ERROR(AdmitNamespace(name_space));
  }
  metadata.set_namespace_(std::string(name_space));
  if (!metadata.resource_version().empty()) {
    return ServerError(
        "resourceVersion should not be set on objects to be created");
  }
  LATCHKEY_RETURN_IF_ERROR(AdmitCreate(user, resource.resource, *created));
  PrepareNewObject(user, *created);
  metadata.set_uid(NewUid());
  *metadata.mutable_creation_timestamp() = ToKubernetesTime(clock_.Now());
  return StoreNew(resource, std::move(created));
}

absl::StatusOr<StoredObject> ApiServer::Impl::StoreNew(
    const ApiResource& resource, std::unique_ptr<Message> object) {
  constexpr int kAttempts = 8;
  constexpr size_t kMaxBase = 58;
  const bool generated = ObjectMetaOf(*object).name().empty() &&
                         !ObjectMetaOf(*object).generate_name().empty();
  for (int attempt = 0;; ++attempt) {
    kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(*object);
    if (generated) {
      metadata.set_name(metadata.generate_name().substr(0, kMaxBase) +
                        NewSuffix());
    }
    LATCHKEY_RETURN_IF_ERROR(
        InvalidError(resource.resource, metadata.name(),
                     CheckNewObject(resource.resource, *object)));
    const ObjectName name{metadata.namespace_(), metadata.name()};
    if (!resource.stored) {
      return std::make_shared<const StoredObjectData>(std::move(object),
                                                      store_.Revision());
    }
    auto stored =
        Write(resource.resource, name, nullptr,
              generated ? CopyAs(resource, *object) : std::move(object));
    if (!absl::IsAborted(stored.status())) return stored;
    if (!generated || attempt + 1 == kAttempts) {
      const StoredObject other = store_.Find(resource.resource, name);
      return AlreadyExistsError(resource.resource, name.name,
                                other != nullptr && IsDying(other));
    }
  }
}

absl::StatusOr<StoredObject> ApiServer::Impl::Write(
    const Resource& resource, const ObjectName& name,
    const StoredObject& expected, std::unique_ptr<Message> object) {
  auto written = store_.Write(resource, name, expected, std::move(object));
  if (absl::IsInvalidArgument(written.status())) return TooLargeError();
  if (absl::IsResourceExhausted(written.status())) return StoreFullError();
  return written;
}

absl::StatusOr<StoredObject> ApiServer::Impl::Get(
    const ApiResource& resource, const ObjectName& name) const {
  StoredObject stored = store_.Find(resource.resource, name);
  if (stored == nullptr) return NotFoundError(resource.resource, name.name);
  return stored;
}

absl::StatusOr<StoredObject> ApiServer::Impl::Update(
    const User& user, const ApiResource& resource, const ObjectName& name,
    std::string_view subresource, const Message& object) {
  // Of another view of the same bytes.
  std::unique_ptr<Message> converted;
  if (object.GetDescriptor() != resource.prototype->GetDescriptor()) {
    converted = CopyAs(resource, object);
  }
  const Message& sent = converted != nullptr ? *converted : object;
  LATCHKEY_RETURN_IF_ERROR(CheckNamed(name, ObjectMetaOf(sent)));
  while (true) {
    const StoredObject before = store_.Find(resource.resource, name);
    if (before == nullptr) {
      return UpdateNothing(user, resource, name, subresource, sent);
    }
    LATCHKEY_RETURN_IF_ERROR(CheckAssertions(resource.resource, name,
                                             ObjectMetaOf(before->message()),
                                             ObjectMetaOf(sent)));
    auto updated = UpdateOnce(user, resource, name, subresource, before, sent);
    // Somebody was faster: what was asserted may no longer be so.
    if (!absl::IsAborted(updated.status())) return updated;
  }
}

// A PUT of a Lease makes it, if it may be created; that of anything else fails.
absl::StatusOr<StoredObject> ApiServer::Impl::UpdateNothing(
    const User& user, const ApiResource& resource, const ObjectName& name,
    std::string_view subresource, const Message& sent) {
  const kubernetes::ObjectMeta& metadata = ObjectMetaOf(sent);
  if (resource.resource.plural != kLeases.plural || !subresource.empty() ||
      !metadata.uid().empty() || !metadata.resource_version().empty()) {
    return NotFoundError(resource.resource, name.name);
  }
  LATCHKEY_RETURN_IF_ERROR(
      Enter(user, "create", resource.resource, "", name).status());
  return Create(user, resource, name.name_space, sent);
}

absl::StatusOr<StoredObject> ApiServer::Impl::UpdateOnce(
    const User& user, const ApiResource& resource, const ObjectName& name,
    std::string_view subresource, const StoredObject& before,
    const Message& sent) {
  const Message& old = before->message();
  std::unique_ptr<Message> updated =
      UpdatedObject(old, sent, subresource, clock_.Now());
  LATCHKEY_RETURN_IF_ERROR(
      AdmitUpdate(authorizer_, user, subresource, old, *updated));
  LATCHKEY_RETURN_IF_ERROR(
      InvalidError(resource.resource, name.name,
                   CheckUpdate(resource.resource, old, *updated, subresource)));
  // What changes nothing makes no new version.
  if (SerializeDeterministically(*updated) == before->encoded()) return before;
  const kubernetes::ObjectMeta& metadata = ObjectMetaOf(*updated);
  // The last finalizer let go of what was being deleted.
  if (metadata.has_deletion_timestamp() && metadata.finalizers().empty()) {
    updated = nullptr;
  }
  return Write(resource.resource, name, before, std::move(updated));
}

absl::StatusOr<StoredObject> ApiServer::Impl::Delete(
    const ApiResource& resource, const ObjectName& name,
    const DeletePreconditions& expected) {
  while (true) {
    LATCHKEY_ASSIGN_OR_RETURN(const StoredObject before, Get(resource, name));
    LATCHKEY_RETURN_IF_ERROR(CheckPreconditions(
        resource.resource, name, ObjectMetaOf(before->message()), expected));
    auto deleted = DeleteOnce(resource, name, before);
    if (!absl::IsAborted(deleted.status())) return deleted;
  }
}

absl::StatusOr<StoredObject> ApiServer::Impl::DeleteOnce(
    const ApiResource& resource, const ObjectName& name,
    const StoredObject& before) {
  const kubernetes::ObjectMeta& metadata = ObjectMetaOf(before->message());
  if (metadata.finalizers().empty()) {
    return Write(resource.resource, name, before, nullptr);
  }
  if (metadata.has_deletion_timestamp()) return before;
  std::unique_ptr<Message> marked = CopyAs(resource, before->message());
  kubernetes::ObjectMeta& mark = MutableObjectMetaOf(*marked);
  *mark.mutable_deletion_timestamp() = ToKubernetesTime(clock_.Now());
  mark.set_deletion_grace_period_seconds(0);
  return Write(resource.resource, name, before, std::move(marked));
}

absl::StatusOr<std::unique_ptr<ApiWatch>> ApiServer::Impl::Watch(
    const ApiResource& resource, Selectors selectors, WatchOptions options) {
  return StoreWatch::Open(store_, signals_, clock_, resource,
                          std::move(selectors), options);
}

ApiServer::ApiServer(ObjectStore& store, const Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(store, clock, std::move(options))) {}
ApiServer::~ApiServer() = default;

absl::Time ApiServer::Now() const { return impl_->Now(); }

absl::StatusOr<User> ApiServer::AuthenticateToken(
    std::string_view token) const {
  return impl_->AuthenticateToken(token);
}

absl::StatusOr<StoredObject> ApiServer::Create(const User& user,
                                               const Resource& resource,
                                               std::string_view name_space,
                                               const Message& object) {
  LATCHKEY_ASSIGN_OR_RETURN(const ApiResource* known,
                            impl_->Enter(user, "create", resource, "",
                                         {std::string(name_space), ""}));
  return impl_->Create(user, *known, name_space, object);
}

absl::StatusOr<StoredObject> ApiServer::Get(
    const User& user, const Resource& resource, const ObjectName& name,
    std::string_view subresource) const {
  LATCHKEY_ASSIGN_OR_RETURN(
      const ApiResource* known,
      impl_->Enter(user, "get", resource, subresource, name));
  return impl_->Get(*known, name);
}

absl::StatusOr<StoredObject> ApiServer::Update(const User& user,
                                               const Resource& resource,
                                               const ObjectName& name,
                                               std::string_view subresource,
                                               const Message& object) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const ApiResource* known,
      impl_->Enter(user, "update", resource, subresource, name));
  return impl_->Update(user, *known, name, subresource, object);
}

absl::StatusOr<StoredObject> ApiServer::Delete(
    const User& user, const Resource& resource, const ObjectName& name,
    const DeletePreconditions& expected) {
  LATCHKEY_ASSIGN_OR_RETURN(const ApiResource* known,
                            impl_->Enter(user, "delete", resource, "", name));
  return impl_->Delete(*known, name, expected);
}

absl::StatusOr<ObjectPage> ApiServer::List(const User& user,
                                           const Resource& resource,
                                           const ListQuery& query) const {
  LATCHKEY_ASSIGN_OR_RETURN(const Impl::Selection selected,
                            impl_->Select(user, "list", resource, query));
  return impl_->List(*selected.resource, query, selected.selectors);
}

absl::StatusOr<std::unique_ptr<ApiWatch>> ApiServer::Watch(
    const User& user, const Resource& resource, WatchOptions options) {
  LATCHKEY_ASSIGN_OR_RETURN(
      Impl::Selection selected,
      impl_->Select(user, "watch", resource, options.query));
  return impl_->Watch(*selected.resource, std::move(selected.selectors),
                      std::move(options));
}

bool ApiServer::MayAccess(const User& user, std::string_view verb,
                          const Resource& resource,
                          std::string_view subresource,
                          const ObjectName& name) const {
  return impl_->authorizer().Allows(
      user, AccessTo(verb, resource, subresource, name));
}

bool ApiServer::MayAccessPath(const User& user, std::string_view verb,
                              std::string_view path) const {
  return impl_->authorizer().Allows(
      user, {.verb = std::string(verb), .path = std::string(path)});
}

absl::Status ApiServer::Health() const { return impl_->Health(); }

void ApiServer::SendBookmarks() {
  ++impl_->signals().bookmarks;
  impl_->signals().listeners.CallAll();
}

void ApiServer::EndWatches() {
  ++impl_->signals().ends;
  impl_->signals().listeners.CallAll();
}

}  // namespace latchkey
