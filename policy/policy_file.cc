#include "policy/policy_file.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/node_name.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr size_t kMaxNameLength = 63;
constexpr std::string_view kSpiffeScheme = "spiffe://";

constexpr int64_t kMaxOutstanding = 1'000'000;
constexpr int64_t kMaxPerMinute = 1'000'000;

struct BuiltInAttribute {
  std::string_view name;
  IdentityKind kind;
};

constexpr std::array<BuiltInAttribute, 8> kBuiltIn = {{
    {attribute::kSpiffeId, IdentityKind::kCertificate},
    {attribute::kDnsName, IdentityKind::kCertificate},
    {attribute::kCommonName, IdentityKind::kCertificate},
    {attribute::kServiceAccount, IdentityKind::kServiceAccount},
    {attribute::kNamespace, IdentityKind::kServiceAccount},
    {attribute::kGroup, IdentityKind::kServiceAccount},
    {attribute::kIssuer, IdentityKind::kJwt},
    {attribute::kSubject, IdentityKind::kJwt},
}};

bool IsAttributeName(std::string_view name) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= kMaxNameLength &&
         is_lower(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_lower(c) || (c >= '0' && c <= '9') || c == '_';
         });
}

// Names of rules go into records, logs and refusals.
bool IsRuleName(std::string_view name) {
  return name.size() <= kMaxNameLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

// Reads one policy out of one document.
class PolicyReader {
 public:
  explicit PolicyReader(const PolicyFileOptions& options) : options_(options) {}

  PolicyFile Read(const ConfigReader& root);

 private:
  PolicyRule ReadRule(const ConfigReader& section);
  IdentityMatcher ReadMatcher(const ConfigReader& section);
  PolicySelfTest ReadTest(const ConfigReader& section);
  Identity ReadIdentity(const ConfigReader& section);
  std::optional<IdentityKind> ReadKind(const ConfigReader& section);
  // False, and a mistake noted, unless an identity of `kind` (absent: of any)
  // can have the attribute.
  bool CheckAttribute(const ConfigReader& section, const std::string& name,
                      std::optional<IdentityKind> kind);
  // Notes a mistake if no configured issuer is what `matcher` means.
  void CheckIssuer(const ConfigReader& section, const ValueMatcher& matcher);
  void ReadNodeNames(const ConfigReader& allow, PolicyRule& rule);
  NodeNameFrom ReadNodeNameFrom(const ConfigReader& section);

  const PolicyFileOptions& options_;
};

std::optional<IdentityKind> PolicyReader::ReadKind(
    const ConfigReader& section) {
  if (!section.Has("kind")) return std::nullopt;
  return IdentityKindFromName(section.Choice(
      "kind", "certificate", {"certificate", "service_account", "jwt"}));
}

bool PolicyReader::CheckAttribute(const ConfigReader& section,
                                  const std::string& name,
                                  std::optional<IdentityKind> kind) {
  if (!IsAttributeName(name)) {
    section.Mistake(
        "",
        "the name of an attribute is at most 63 lower-case letters, "
        "digits and '_', and begins with a letter");
    return false;
  }
  const bool may_be_jwt =
      kind.value_or(IdentityKind::kJwt) == IdentityKind::kJwt;
  if (may_be_jwt && (!options_.mapped_attributes.has_value() ||
                     options_.mapped_attributes->contains(name))) {
    return true;
  }
  const bool built_in = std::any_of(
      kBuiltIn.begin(), kBuiltIn.end(), [&](const BuiltInAttribute& one) {
        return one.name == name && kind.value_or(one.kind) == one.kind;
      });
  if (!built_in) {
    section.Mistake(
        name, fmt::format("{} has this attribute: a certificate has spiffe_id, "
                          "dns_name, common_name; a service_account "
                          "service_account, namespace, group; a jwt issuer, "
                          "subject, and what its issuer maps claims to",
                          kind.has_value() ? "no identity of this kind"
                                           : "no identity"));
  }
  return built_in;
}

absl::StatusOr<ValueMatcher> Equals(std::string value) {
  if (!IsAttributeValue(value)) {
    return absl::InvalidArgumentError(
        "must be printable ASCII without spaces, and not empty: no identity "
        "has anything else");
  }
  return ValueMatcher(std::move(value));
}

absl::StatusOr<ValueMatcher> TypedMatcher(const ConfigReader& section) {
  constexpr std::string_view kForms[] = {"equals", "prefix", "one_of", "glob"};
  if (std::ranges::count_if(kForms, [&](std::string_view form) {
        return section.Has(form);
      }) != 1) {
    return absl::InvalidArgumentError(
        "must be a string, or one of equals, prefix, one_of and glob");
  }
  if (section.Has("prefix")) {
    return ValueMatcher::Prefix(section.String("prefix", ""));
  }
  if (section.Has("one_of")) {
    return ValueMatcher::OneOf(section.Strings("one_of"));
  }
  if (section.Has("glob")) {
    return ValueMatcher::Glob(section.String("glob", ""));
  }
  return Equals(section.String("equals", ""));
}

absl::StatusOr<ValueMatcher> PlainMatcher(const ConfigReader& section,
                                          const std::string& attribute) {
  std::string value = section.String(attribute, "");
  if (value.find('*') != std::string::npos) {
    return absl::InvalidArgumentError(
        "'*' stands for itself in a plain string; write {glob: ...}, or "
        "{equals: ...} if that is meant");
  }
  return Equals(std::move(value));
}

// A SPIFFE ID up to and with the '/' after its trust domain, or more of it.
bool NamesTrustDomain(std::string_view id) {
  if (!id.starts_with(kSpiffeScheme)) return false;
  const size_t end = id.find('/', kSpiffeScheme.size());
  return end != std::string_view::npos && end > kSpiffeScheme.size();
}

// What would match more than it seems to say, by what the values of the
// attribute are made of.
absl::Status CheckReach(std::string_view attribute,
                        const ValueMatcher& matcher) {
  using Form = ValueMatcher::Form;
  const std::vector<std::string>& texts = matcher.texts();
  const std::string& head = texts.front();
  if (attribute == attribute::kSpiffeId) {
    if (matcher.form() == Form::kPrefix &&
        (!NamesTrustDomain(head) || head.back() != '/')) {
      return absl::InvalidArgumentError(
          "a prefix of a SPIFFE ID has the whole trust domain and ends with "
          "'/', such as spiffe://example.org/ns/ci/");
    }
    if (matcher.form() == Form::kGlob && !NamesTrustDomain(head)) {
      return absl::InvalidArgumentError(
          "a glob of a SPIFFE ID has the whole trust domain before its first "
          "'*', such as spiffe://example.org/ci/*");
    }
    if (!std::all_of(texts.begin(), texts.end(), [&](const std::string& id) {
          return matcher.form() == Form::kGlob || id.starts_with(kSpiffeScheme);
        })) {
      return absl::InvalidArgumentError("a SPIFFE ID begins with spiffe://");
    }
  }
  if (attribute == attribute::kDnsName && matcher.form() == Form::kPrefix) {
    return absl::InvalidArgumentError(
        "the owner of a DNS name stands at its end; write {glob: "
        "ci-*.example}");
  }
  if (attribute == attribute::kServiceAccount &&
      matcher.form() == Form::kPrefix && head.find('/') == std::string::npos) {
    return absl::InvalidArgumentError(
        "a prefix of namespace/name has the whole namespace and the '/'");
  }
  return absl::OkStatus();
}

// nullopt, and a mistake noted, if the field is no good matcher.
std::optional<ValueMatcher> ReadValueMatcher(const ConfigReader& section,
                                             const std::string& attribute) {
  absl::StatusOr<ValueMatcher> matcher =
      section.IsMapping(attribute) ? TypedMatcher(section.Section(attribute))
                                   : PlainMatcher(section, attribute);
  absl::Status status = matcher.status();
  if (status.ok()) status = CheckReach(attribute, *matcher);
  section.Check(attribute, status);
  if (!status.ok()) return std::nullopt;
  return *std::move(matcher);
}

void PolicyReader::CheckIssuer(const ConfigReader& section,
                               const ValueMatcher& matcher) {
  if (!options_.jwt_issuers.has_value()) return;
  if (matcher.form() == ValueMatcher::Form::kOneOf) {
    for (const std::string& url : matcher.texts()) CheckIssuer(section, url);
    return;
  }
  std::vector<std::string> known;
  for (const auto& [url, name] : *options_.jwt_issuers) {
    if (matcher.Matches(url)) return;
    known.push_back(fmt::format("{} ({})", url, name));
  }
  section.Mistake(
      attribute::kIssuer,
      known.empty()
          ? "no identity has this: authentication.jwt names no issuer"
          : fmt::format("no identity has this: it is the URL of an issuer of "
                        "authentication.jwt, not its name: {}",
                        fmt::join(known, ", ")));
}

IdentityMatcher PolicyReader::ReadMatcher(const ConfigReader& section) {
  IdentityMatcher matcher;
  matcher.kind = ReadKind(section);
  bool named_any = false;
  for (const std::string& name : section.Fields()) {
    if (name == "kind") continue;
    named_any = true;
    if (!section.Has(name) || !CheckAttribute(section, name, matcher.kind)) {
      continue;
    }
    if (auto value = ReadValueMatcher(section, name)) {
      if (name == attribute::kIssuer) CheckIssuer(section, *value);
      matcher.attributes.emplace(name, *std::move(value));
    }
  }
  if (!named_any) {
    section.Mistake("", "needs an attribute, such as spiffe_id or dns_name");
  }
  return matcher;
}

NodeNameFrom PolicyReader::ReadNodeNameFrom(const ConfigReader& section) {
  NodeNameFrom from{.attribute = section.RequiredString("attribute"),
                    .prefix = section.String("prefix", ""),
                    .suffix = section.String("suffix", "")};
  if (!from.attribute.empty()) {
    // Its mistakes are about the value of `attribute`, not about a field.
    const bool known =
        IsAttributeName(from.attribute) &&
        (!options_.mapped_attributes.has_value() ||
         options_.mapped_attributes->contains(from.attribute) ||
         std::any_of(kBuiltIn.begin(), kBuiltIn.end(), [&](const auto& one) {
           return one.name == from.attribute;
         }));
    if (!known) section.Mistake("attribute", "no identity has this attribute");
  }
  // A value may be one letter.
  if (!ValidateNodeName(from.prefix + "x" + from.suffix).ok()) {
    section.Mistake("",
                    "prefix and suffix around a word must make a node name, "
                    "such as suffix: .pool.example");
  }
  return from;
}

void PolicyReader::ReadNodeNames(const ConfigReader& allow, PolicyRule& rule) {
  rule.node_names = allow.Strings("node_names");
  for (const std::string& pattern : rule.node_names) {
    allow.Check("node_names", ValidateNodeNamePattern(pattern));
  }
  if (allow.Has("node_name_from")) {
    rule.node_name_from = ReadNodeNameFrom(allow.Section("node_name_from"));
  }
  if (rule.node_names.empty() == !rule.node_name_from.has_value()) {
    allow.Mistake(
        "node_names",
        "needs at least one pattern such as worker-*, or else node_name_from");
  }
}

void ReadDelivery(const ConfigReader& allow, PolicyRule& rule) {
  if (!allow.Has("delivery")) return;
  rule.delivery.clear();
  for (const std::string& name : allow.Strings("delivery")) {
    const auto delivery = DeliveryFromName(name);
    if (!delivery.has_value()) {
      allow.Mistake("delivery", "each is ticket or direct");
    }
    rule.delivery.push_back(delivery.value_or(Delivery::kTicket));
  }
  if (rule.delivery.empty()) {
    allow.Mistake("delivery", "needs ticket, direct or both");
  }
}

void ReadGroups(const ConfigReader& allow, PolicyRule& rule) {
  rule.groups = allow.Strings("groups");
  if (!std::all_of(rule.groups.begin(), rule.groups.end(), IsBootstrapGroup)) {
    allow.Mistake(
        "groups",
        "each must match system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]");
  }
}

void ReadLifetimes(const ConfigReader& allow, PolicyRule& rule) {
  rule.max_token_lifetime =
      allow.Duration("max_token_lifetime", rule.max_token_lifetime,
                     kMinTokenLifetime, kMaxTokenLifetime);
  if (allow.Has("max_certificate_lifetime")) {
    rule.max_certificate_lifetime =
        allow.Duration("max_certificate_lifetime", kMaxCertificateLifetime,
                       kMinCertificateLifetime, kMaxCertificateLifetime);
  }
}

void ReadQuotas(const ConfigReader& allow, PolicyRule& rule) {
  if (allow.Has("max_outstanding")) {
    rule.max_outstanding = allow.Int("max_outstanding", 1, 1, kMaxOutstanding);
  }
  if (allow.Has("rate")) {
    const ConfigReader rate = allow.Section("rate");
    if (!rate.Has("per_minute")) {
      rate.Mistake("per_minute", "is missing; it is required");
    }
    RateLimit limit;
    limit.per_minute = rate.Int("per_minute", 1, 1, kMaxPerMinute);
    limit.burst = rate.Int("burst", limit.per_minute, 1, kMaxPerMinute);
    rule.rate = limit;
  }
}

void ReadRequiredLabels(const ConfigReader& allow, PolicyRule& rule) {
  const ConfigReader labels = allow.Section("labels");
  for (const std::string& key : labels.Fields()) {
    std::vector<std::string> values = labels.Strings(key);
    labels.Check(key, ValidateLabels({{key, ""}}));
    for (const std::string& value : values) {
      labels.Check(key, ValidateLabels({{key, value}}));
    }
    rule.required_labels.emplace(key, std::move(values));
  }
}

PolicyRule PolicyReader::ReadRule(const ConfigReader& section) {
  PolicyRule rule;
  rule.name = section.RequiredString("name");
  if (!IsRuleName(rule.name)) {
    section.Mistake("name", "is at most 63 characters of [A-Za-z0-9._-]");
  }
  for (const ConfigReader& matcher : section.Sections("provisioners")) {
    rule.provisioners.push_back(ReadMatcher(matcher));
  }
  if (rule.provisioners.empty()) {
    section.Mistake("provisioners", "needs at least one identity");
  }
  const ConfigReader allow = section.Section("allow");
  ReadNodeNames(allow, rule);
  ReadGroups(allow, rule);
  ReadDelivery(allow, rule);
  ReadLifetimes(allow, rule);
  ReadQuotas(allow, rule);
  ReadRequiredLabels(allow, rule);
  rule.allow_node_replacement = allow.Bool("node_replacement", false);
  rule.manage = allow.Choice("manage", "own", {"own", "all"}) == "all"
                    ? Reach::kAll
                    : Reach::kOwn;
  rule.freeze_on_misuse = section.Bool("freeze_on_misuse", false);
  rule.mode =
      section.Choice("mode", "enforce", {"enforce", "observe"}) == "observe"
          ? PolicyMode::kObserve
          : PolicyMode::kEnforce;
  return rule;
}

// As the broker names the identities that it verifies; see Identity::name.
std::string NameOf(const Identity& identity) {
  const auto first = [&](std::string_view attribute) {
    const std::vector<std::string>& values = identity.Values(attribute);
    return values.empty() ? std::string() : values.front();
  };
  if (identity.kind == IdentityKind::kServiceAccount) {
    return "sa:" + first(attribute::kServiceAccount);
  }
  if (identity.kind == IdentityKind::kJwt) {
    return fmt::format("jwt:{}:{}", first(attribute::kIssuer),
                       first(attribute::kSubject));
  }
  if (std::string id = first(attribute::kSpiffeId); !id.empty()) return id;
  if (std::string name = first(attribute::kDnsName); !name.empty()) {
    return "dns:" + name;
  }
  return "cn:" + first(attribute::kCommonName);
}

// A string, or a list of strings.
std::vector<std::string> ReadValues(const ConfigReader& section,
                                    const std::string& attribute) {
  std::vector<std::string> values;
  if (section.IsList(attribute)) {
    values = section.Strings(attribute);
  } else {
    values = {section.RequiredString(attribute)};
  }
  if (!std::all_of(values.begin(), values.end(), IsAttributeValue)) {
    section.Mistake(attribute,
                    "no identity has such a value: the broker admits only "
                    "printable ASCII without spaces");
  }
  return values;
}

Identity PolicyReader::ReadIdentity(const ConfigReader& section) {
  Identity identity;
  identity.kind = ReadKind(section).value_or(IdentityKind::kCertificate);
  for (const std::string& name : section.Fields()) {
    if (name == "kind" || name == "name" || !section.Has(name) ||
        !CheckAttribute(section, name, identity.kind)) {
      continue;
    }
    std::vector<std::string> values = ReadValues(section, name);
    if (name == attribute::kIssuer) {
      for (const std::string& url : values) CheckIssuer(section, url);
    }
    identity.attributes.emplace(name, std::move(values));
  }
  // A ServiceAccount's namespace is in its name.
  const auto& accounts = identity.Values(attribute::kServiceAccount);
  if (!accounts.empty() && identity.Values(attribute::kNamespace).empty()) {
    identity.attributes.emplace(
        attribute::kNamespace,
        std::vector{accounts.front().substr(0, accounts.front().find('/'))});
  }
  identity.name = section.String("name", NameOf(identity));
  return identity;
}

PolicyQuestion ReadQuestion(const ConfigReader& section) {
  PolicyQuestion question;
  question.scope.node_name = section.RequiredString("node_name");
  question.scope.groups = section.Strings("groups");
  question.scope.allow_node_replacement =
      section.Bool("node_replacement", false);
  if (section.Has("max_certificate_lifetime")) {
    question.scope.max_certificate_lifetime =
        section.Duration("max_certificate_lifetime", kMinCertificateLifetime,
                         kMinCertificateLifetime, kMaxCertificateLifetime);
  }
  question.delivery = DeliveryFromName(section.Choice("delivery", "ticket",
                                                      {"ticket", "direct"}))
                          .value_or(Delivery::kTicket);
  if (section.Has("lifetime")) {
    question.lifetime = section.Duration("lifetime", kMinTokenLifetime,
                                         kMinTokenLifetime, kMaxTokenLifetime);
  }
  const ConfigReader labels = section.Section("labels");
  for (const std::string& key : labels.Fields()) {
    question.labels.emplace(key, labels.String(key, ""));
  }
  return question;
}

PolicySelfTest PolicyReader::ReadTest(const ConfigReader& section) {
  PolicySelfTest test;
  test.name = section.RequiredString("name");
  if (std::any_of(test.name.begin(), test.name.end(),
                  [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; })) {
    section.Mistake("name", "must be one line without control characters");
  }
  test.where = section.Where();
  test.identity = ReadIdentity(section.Section("identity"));
  test.question = ReadQuestion(section.Section("request"));
  if (!section.Has("expect")) {
    section.Mistake("expect", "is missing; it is allow or deny");
  }
  const bool allow =
      section.Choice("expect", "deny", {"allow", "deny"}) == "allow";
  test.expect =
      allow ? PolicySelfTest::Expect::kAllow : PolicySelfTest::Expect::kDeny;
  test.rule = section.OptionalString("rule");
  test.field = section.OptionalString("field");
  if (allow && test.field.has_value()) {
    section.Mistake("field", "goes with expect: deny only");
  }
  return test;
}

PolicyFile PolicyReader::Read(const ConfigReader& root) {
  PolicyFile file;
  std::set<std::string> names;
  for (const ConfigReader& section : root.Sections("policy")) {
    file.rules.push_back(ReadRule(section));
    if (!names.insert(file.rules.back().name).second) {
      section.Mistake("name", "another rule has this name");
    }
  }
  if (file.rules.empty()) {
    root.Mistake("policy", "needs at least one rule; without, nobody may mint");
  }
  for (const ConfigReader& section : root.Sections("policy_tests")) {
    file.tests.push_back(ReadTest(section));
    const auto& rule = file.tests.back().rule;
    if (rule.has_value() && !names.contains(*rule)) {
      section.Mistake("rule", "there is no rule of this name");
    }
  }
  return file;
}

PolicyFileOptions KnownTo(const ConfigReader& authentication) {
  PolicyFileOptions known;
  auto& attributes = known.mapped_attributes.emplace();
  auto& issuers = known.jwt_issuers.emplace();
  authentication.IgnoreOthers();
  for (const ConfigReader& issuer : authentication.Sections("jwt")) {
    issuer.IgnoreOthers();
    issuers.emplace(issuer.String("issuer", ""), issuer.String("name", ""));
    const ConfigReader mapped = issuer.Section("attributes");
    mapped.IgnoreOthers();
    for (const std::string& name : mapped.Fields()) attributes.insert(name);
  }
  return known;
}

}  // namespace

PolicyFile ReadPolicyFile(const ConfigReader& root,
                          const PolicyFileOptions& options) {
  return PolicyReader(options).Read(root);
}

absl::StatusOr<PolicyFile> ParsePolicyFile(std::string_view name,
                                           std::string_view text,
                                           const PolicyFileOptions& options) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ConfigDocument> document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  PolicyFileOptions known = options;
  const bool is_whole =
      std::ranges::count_if(kBrokerSections, [&](std::string_view section) {
        return root.Has(section);
      }) > 0;
  if (is_whole && !known.mapped_attributes.has_value()) {
    known = KnownTo(root.Section("authentication"));
  }
  PolicyFile file = ReadPolicyFile(root, known);
  LATCHKEY_RETURN_IF_ERROR(document->Finish());
  return file;
}

}  // namespace latchkey
