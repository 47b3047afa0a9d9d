#include "tests/devcluster/kubernetes_contract.h"

#include <unistd.h>

#include <atomic>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "crypto/random.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {

void KubernetesContract::SetUp() { GetParam().open(cluster_); }

void KubernetesContract::TearDown() {
  for (const auto& [resource, name] : removals_) {
    admin().DeleteObject(resource, name, {}).IgnoreError();
  }
}

std::unique_ptr<KubernetesClient> KubernetesContract::As(
    const std::string& common_name,
    const std::vector<std::string>& organizations) {
  const absl::Time now = absl::Now();
  return cluster().WithCertificate(
      *cluster().ca().Issue({.common_name = common_name,
                             .organizations = organizations,
                             .not_before = now - absl::Hours(1),
                             .not_after = now + absl::Hours(1),
                             .client_auth = true}));
}

std::string KubernetesContract::NewName() {
  static std::atomic<int> next = 0;
  return fmt::format("contract-{}-{}-{}", getpid(),
                     absl::ToUnixMillis(absl::Now()), ++next);
}

void KubernetesContract::RemoveLater(const latchkey::Resource& resource,
                                     const latchkey::ObjectName& name) {
  removals_.emplace_back(resource, name);
}

Secret KubernetesContract::NewSecret(const std::string& name,
                                     const std::string& name_space) {
  Secret secret;
  secret.mutable_metadata()->set_namespace_(name_space);
  secret.mutable_metadata()->set_name(name);
  (*secret.mutable_data())["key"] = "value";
  return secret;
}

ConfigMap KubernetesContract::NewConfigMap(const std::string& name) {
  ConfigMap map;
  map.mutable_metadata()->set_namespace_(kContractNamespace);
  map.mutable_metadata()->set_name(name);
  (*map.mutable_data())["key"] = "value";
  return map;
}

Secret KubernetesContract::NewLabelled(const std::string& label) {
  Secret secret = NewSecret();
  (*secret.mutable_metadata()->mutable_labels())["contract"] = label;
  return secret;
}

Secret KubernetesContract::MustGet(const Secret& secret) {
  auto got = admin().Get<Secret>(
      {secret.metadata().namespace_(), secret.metadata().name()});
  EXPECT_THAT(got, IsOk());
  return got.ok() ? *std::move(got) : Secret();
}

KubernetesContract::Token KubernetesContract::NewToken() {
  return {.id = std::string(latchkey::RandomBase36(6).Reveal())};
}

Secret KubernetesContract::SecretOf(const Token& token,
                                    const std::string& groups) {
  Secret secret = NewSecret("bootstrap-token-" + token.id, "kube-system");
  secret.set_type("bootstrap.kubernetes.io/token");
  auto& data = *secret.mutable_data();
  data.clear();
  data["token-id"] = token.id;
  data["token-secret"] = token.secret;
  data["usage-bootstrap-authentication"] = "true";
  if (!groups.empty()) data["auth-extra-groups"] = groups;
  return secret;
}

KubernetesContract::Token KubernetesContract::MustHaveToken() {
  const Token token = NewToken();
  MustCreate(SecretOf(token));
  EXPECT_TRUE(AwaitLogin(token));
  return token;
}

void KubernetesContract::AwaitTokensSeen() { MustHaveToken(); }

bool KubernetesContract::AwaitLogin(const Token& token) {
  const auto client = cluster().WithToken(token.joined());
  return Eventually([&] {
    return client->Create(latchkey::kubernetes::SelfSubjectReview()).ok();
  });
}

latchkey::PrivateKey KubernetesContract::NewKey() {
  return latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
}

Csr KubernetesContract::NewCsr(const latchkey::PrivateKey& key) {
  return NewCsrFor({.common_name = "system:node:contract",
                    .organizations = {"system:nodes"}},
                   key);
}

Csr KubernetesContract::NewCsrFor(const latchkey::RequestedSubject& subject,
                                  const latchkey::PrivateKey& key) {
  Csr csr;
  csr.mutable_metadata()->set_name(NewName());
  auto& spec = *csr.mutable_spec();
  spec.set_signer_name(kKubeletSigner);
  spec.add_usages("digital signature");
  spec.add_usages("client auth");
  spec.set_request(latchkey::BuildCertificateRequest(key, subject).value());
  return csr;
}

void KubernetesContract::AddCondition(Csr& csr, const std::string& type,
                                      const std::string& status) {
  auto& condition = *csr.mutable_status()->add_conditions();
  condition.set_type(type);
  condition.set_status(status);
  condition.set_reason("Contract");
}

Csr KubernetesContract::MustApprove(Csr csr) {
  AddCondition(csr, "Approved");
  auto approved = admin().Update(csr, "approval");
  EXPECT_THAT(approved, IsOk());
  return approved.ok() ? *std::move(approved) : csr;
}

Csr KubernetesContract::AwaitOutcome(const Csr& csr) {
  Csr last;
  EXPECT_TRUE(Eventually([&] {
    auto got = admin().Get<Csr>({"", csr.metadata().name()});
    if (!got.ok()) return false;
    last = *std::move(got);
    bool failed = false;
    for (const auto& condition : last.status().conditions()) {
      failed |= condition.type() == "Failed";
    }
    return failed || !last.status().certificate().empty();
  }));
  return last;
}

bool KubernetesContract::Eventually(const std::function<bool()>& condition) {
  return WaitUntil([&] {
    cluster().StepControllers();
    return condition();
  });
}

std::unique_ptr<latchkey::WatchStream> KubernetesContract::MustWatch(
    latchkey::WatchQuery query) {
  auto watch = admin().WatchObjects(kSecrets, query);
  EXPECT_THAT(watch, IsOk());
  return watch.ok() ? *std::move(watch) : nullptr;
}

std::optional<KubernetesContract::Event> KubernetesContract::NextChange(
    latchkey::WatchStream& watch) {
  while (true) {
    auto raw = watch.Next(absl::Seconds(20));
    EXPECT_THAT(raw, IsOk());
    if (!raw.ok()) return std::nullopt;
    if (raw->type == WatchEventType::kBookmark) continue;
    Event event{raw->type, {}};
    EXPECT_TRUE(event.object.ParseFromString(raw->object));
    return event;
  }
}

std::string KubernetesContract::CurrentVersion() {
  auto list =
      admin().List<SecretList>({.name_space = kContractNamespace,
                                .label_selector = "contract=nothing-has-this"});
  EXPECT_THAT(list, IsOk());
  return list.ok() ? list->metadata().resource_version() : "";
}

}  // namespace latchkey_testing
