#include "devcluster/discovery.h"

#include <map>
#include <utility>

#include <fmt/format.h>

#include "devcluster/api_resources.h"

namespace latchkey {
namespace {

// Whose behaviour the embedded control plane follows; not that it has all of
// it.
constexpr std::string_view kVersion =
    R"({"major":"1","minor":"37","gitVersion":"v1.37.0+latchkey",)"
    R"("gitCommit":"","gitTreeState":"","buildDate":"1970-01-01T00:00:00Z",)"
    R"("goVersion":"","compiler":"","platform":""})";

// All text here is our own, of letters, digits, dots and slashes: nothing needs
// escaping.
std::string Quoted(std::string_view text) {
  return fmt::format("\"{}\"", text);
}

// "v1" of "certificates.k8s.io/v1".
std::string_view VersionOf(const Resource& resource) {
  return resource.api_version.substr(resource.api_version.find('/') + 1);
}

class JsonList {
 public:
  void Add(std::string_view item) {
    if (!items_.empty()) items_.push_back(',');
    items_.append(item);
  }
  std::string Done() const { return "[" + items_ + "]"; }

 private:
  std::string items_;
};

std::string Verbs(std::initializer_list<std::string_view> verbs) {
  JsonList list;
  for (const std::string_view verb : verbs) list.Add(Quoted(verb));
  return list.Done();
}

void AddResource(const ApiResource& served, JsonList& resources) {
  const Resource& resource = served.resource;
  const auto entry = [&](std::string_view name, std::string_view singular,
                         const std::string& verbs) {
    return fmt::format(
        R"("name":"{}","singularName":"{}","namespaced":{},"kind":"{}","verbs":{})",
        name, singular, resource.namespaced, resource.kind, verbs);
  };
  std::string main =
      entry(resource.plural, served.singular,
            served.stored
                ? Verbs({"create", "delete", "get", "list", "update", "watch"})
                : Verbs({"create"}));
  if (!served.short_name.empty()) {
    main += fmt::format(R"(,"shortNames":["{}"])", served.short_name);
  }
  resources.Add("{" + main + "}");
  for (const std::string_view name : served.subresources) {
    resources.Add("{" +
                  entry(fmt::format("{}/{}", resource.plural, name), "",
                        Verbs({"get", "update"})) +
                  "}");
  }
}

// The APIResourceList of each group and version.
std::map<std::string, std::string> ResourceLists() {
  std::map<std::string, JsonList> resources;
  for (const ApiResource& served : ApiResources()) {
    AddResource(served, resources[std::string(served.resource.api_version)]);
  }
  std::map<std::string, std::string> lists;
  for (const auto& [version, list] : resources) {
    lists[version] = fmt::format(
        R"({{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"{}",)"
        R"("resources":{}}})",
        version, list.Done());
  }
  return lists;
}

// Of one group, without kind and apiVersion.
std::string Group(std::string_view group, std::string_view version) {
  const std::string entry = fmt::format(
      R"({{"groupVersion":"{0}/{1}","version":"{1}"}})", group, version);
  return fmt::format(R"("name":"{}","versions":[{}],"preferredVersion":{})",
                     group, entry, entry);
}

// kubectl looks at the parameters of PATCH, though it may be there for nothing
// else: we refuse it.
std::string OpenApi(std::string_view api_version) {
  std::string paths;
  for (const ApiResource& served : ApiResources()) {
    const Resource& resource = served.resource;
    if (resource.api_version != api_version) continue;
    if (!paths.empty()) paths.push_back(',');
    paths += fmt::format(
        R"("/{}/{}/{{name}}":{{"patch":{{"parameters":[{{"name":"fieldValidation",)"
        R"("in":"query","schema":{{"type":"string"}}}}],"responses":{{}},)"
        R"("x-kubernetes-group-version-kind":)"
        R"({{"group":"{}","version":"{}","kind":"{}"}}}}}})",
        api_version, resource.plural, ApiGroupOf(resource), VersionOf(resource),
        resource.kind);
  }
  return fmt::format(
      R"({{"openapi":"3.0.0","info":{{"title":"Kubernetes","version":"1.37"}},)"
      R"("paths":{{{}}}}})",
      paths);
}

std::string RootOf(std::string_view api_version) {
  return fmt::format(
      "{}/{}", api_version.find('/') == std::string_view::npos ? "api" : "apis",
      api_version);
}

std::map<std::string, std::string, std::less<>> MakeDocuments() {
  std::map<std::string, std::string, std::less<>> documents;
  documents["/version"] = kVersion;
  documents["/api"] =
      R"({"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]})";
  JsonList groups;
  std::string open_api;
  for (const auto& [api_version, list] : ResourceLists()) {
    const std::string root = RootOf(api_version);
    documents["/" + root] = list;
    documents["/openapi/v3/" + root] = OpenApi(api_version);
    open_api +=
        fmt::format(R"({}"{}":{{"serverRelativeURL":"/openapi/v3/{}"}})",
                    open_api.empty() ? "" : ",", root, root);
    const size_t slash = api_version.find('/');
    if (slash == std::string::npos) continue;
    const std::string group = api_version.substr(0, slash);
    const std::string body = Group(group, api_version.substr(slash + 1));
    groups.Add("{" + body + "}");
    documents["/apis/" + group] =
        R"({"kind":"APIGroup","apiVersion":"v1",)" + body + "}";
  }
  documents["/apis"] =
      fmt::format(R"({{"kind":"APIGroupList","apiVersion":"v1","groups":{}}})",
                  groups.Done());
  documents["/openapi/v3"] = fmt::format(R"({{"paths":{{{}}}}})", open_api);
  return documents;
}

}  // namespace

std::optional<std::string> DiscoveryDocument(std::string_view path) {
  static const auto documents = MakeDocuments();
  const auto found = documents.find(path);
  if (found == documents.end()) return std::nullopt;
  return found->second;
}

}  // namespace latchkey
