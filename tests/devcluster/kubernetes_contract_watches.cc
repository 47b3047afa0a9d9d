// Watches: where they begin and what they show.

#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

TEST_P(KubernetesContract, AWatchFromZeroBeginsWithWhatThereIs) {
  const std::string label = NewName();
  const Secret a = MustCreate(NewLabelled(label));
  // A server may show a state that is a little old; not one without what a
  // consistent list has shown.
  CurrentVersion();

  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = "0"});
  ASSERT_NE(watch, nullptr);

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, WatchEventType::kAdded);
  EXPECT_EQ(event->object.metadata().uid(), a.metadata().uid());
}

TEST_P(KubernetesContract, AWatchFromNowShowsNothingOld) {
  const std::string label = NewName();
  MustCreate(NewLabelled(label));
  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);

  const Secret second = MustCreate(NewLabelled(label));

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->object.metadata().uid(), second.metadata().uid());
}

TEST_P(KubernetesContract, AWatchFromTheVersionOfAWriteBeginsAfterIt) {
  const std::string label = NewName();
  const Secret first = MustCreate(NewLabelled(label));
  Secret second = first;
  (*second.mutable_data())["key"] = "second";
  ASSERT_THAT(admin().Update(second), IsOk());

  const auto watch =
      MustWatch({.name_space = kContractNamespace,
                 .label_selector = "contract=" + label,
                 .resource_version = first.metadata().resource_version()});
  ASSERT_NE(watch, nullptr);

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, WatchEventType::kModified);
  EXPECT_EQ(event->object.data().at("key"), "second");
}

TEST_P(KubernetesContract, AWatchFromAForgottenVersionIsOutOfRange) {
  const std::string version =
      MustCreate(NewSecret()).metadata().resource_version();
  MustCreate(NewSecret());
  cluster().ForgetHistory();

  auto watch = admin().WatchObjects(kSecrets, {.name_space = kContractNamespace,
                                               .resource_version = version});
  absl::Status status = watch.status();
  if (watch.ok()) status = (*watch)->Next(absl::Seconds(20)).status();

  EXPECT_THAT(status, Fails(absl::StatusCode::kOutOfRange,
                            "too old resource version: " + version));
}

TEST_P(KubernetesContract, AWatchFromAVersionThatIsNoNumberIsRefused) {
  for (const char* bad : {"abc", "-1", "1x"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(
        admin()
            .WatchObjects(kSecrets, {.name_space = kContractNamespace,
                                     .resource_version = bad})
            .status(),
        Fails(absl::StatusCode::kInternal, "resourceVersion: Invalid value: "));
  }
}

TEST_P(KubernetesContract, AWatchWithABadSelectorIsRefused) {
  EXPECT_THAT(admin()
                  .WatchObjects(kSecrets, {.name_space = kContractNamespace,
                                           .label_selector = "a in b c",
                                           .resource_version = "0"})
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(admin()
                  .WatchObjects(kSecrets, {.name_space = kContractNamespace,
                                           .field_selector = "data.key=x",
                                           .resource_version = "0"})
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(KubernetesContract, AWatchShowsEveryVersionInOrder) {
  const std::string label = NewName();
  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);
  Secret secret = MustCreate(NewLabelled(label));
  std::vector<std::string> versions = {secret.metadata().resource_version()};
  for (int i = 0; i < 4; ++i) {
    (*secret.mutable_data())["key"] = std::to_string(i);
    const auto updated = admin().Update(secret);
    ASSERT_THAT(updated, IsOk());
    secret = *updated;
    versions.push_back(secret.metadata().resource_version());
  }

  for (const std::string& version : versions) {
    const auto event = NextChange(*watch);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->object.metadata().resource_version(), version);
  }
}

TEST_P(KubernetesContract, AnUpdateOfNothingIsNoEvent) {
  const std::string label = NewName();
  Secret secret = MustCreate(NewLabelled(label));
  const auto watch =
      MustWatch({.name_space = kContractNamespace,
                 .label_selector = "contract=" + label,
                 .resource_version = secret.metadata().resource_version()});
  ASSERT_NE(watch, nullptr);

  ASSERT_THAT(admin().Update(secret), IsOk());
  (*secret.mutable_data())["key"] = "second";
  ASSERT_THAT(admin().Update(secret), IsOk());

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->object.data().at("key"), "second");
}

TEST_P(KubernetesContract, ADeletionHasAVersionOfItsOwn) {
  const Secret secret = MustCreate(NewSecret());
  const auto watch =
      MustWatch({.name_space = kContractNamespace,
                 .field_selector = "metadata.name=" + secret.metadata().name(),
                 .resource_version = secret.metadata().resource_version()});
  ASSERT_NE(watch, nullptr);

  ASSERT_THAT(
      admin().Delete<Secret>({kContractNamespace, secret.metadata().name()}),
      IsOk());

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, WatchEventType::kDeleted);
  EXPECT_EQ(event->object.data().at("key"), "value");
  EXPECT_GT(std::stoll(event->object.metadata().resource_version()),
            std::stoll(secret.metadata().resource_version()));
}

TEST_P(KubernetesContract, AFieldSelectorWatchesOneObject) {
  const Secret mine = NewSecret();
  const auto watch =
      MustWatch({.name_space = kContractNamespace,
                 .field_selector = "metadata.name=" + mine.metadata().name(),
                 .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);

  MustCreate(NewSecret());
  const Secret created = MustCreate(mine);

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->object.metadata().uid(), created.metadata().uid());
}

TEST_P(KubernetesContract, AnObjectThatEntersTheSelectionIsAdded) {
  const std::string label = NewName();
  Secret secret = MustCreate(NewLabelled("outside"));
  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);

  (*secret.mutable_metadata()->mutable_labels())["contract"] = label;
  ASSERT_THAT(admin().Update(secret), IsOk());

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, WatchEventType::kAdded);
}

TEST_P(KubernetesContract, AnObjectThatLeavesTheSelectionIsDeleted) {
  const std::string label = NewName();
  Secret secret = MustCreate(NewLabelled(label));
  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);

  (*secret.mutable_metadata()->mutable_labels())["contract"] = "outside";
  const auto updated = admin().Update(secret);
  ASSERT_THAT(updated, IsOk());

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, WatchEventType::kDeleted);
  // As it was when it was in the selection, at the version that took it out.
  EXPECT_EQ(event->object.metadata().labels().at("contract"), label);
  EXPECT_EQ(event->object.metadata().resource_version(),
            updated->metadata().resource_version());
}

TEST_P(KubernetesContract, AWatchOfANamespaceShowsNoOther) {
  const std::string label = NewName();
  const auto watch = MustWatch({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);
  Secret other = NewLabelled(label);
  other.mutable_metadata()->set_namespace_("default");

  MustCreate(other);
  const Secret mine = MustCreate(NewLabelled(label));

  const auto event = NextChange(*watch);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->object.metadata().uid(), mine.metadata().uid());
}

TEST_P(KubernetesContract, AWatchOfAllNamespacesShowsThemAll) {
  const std::string label = NewName();
  const auto watch = MustWatch({.label_selector = "contract=" + label,
                                .resource_version = CurrentVersion()});
  ASSERT_NE(watch, nullptr);
  Secret other = NewLabelled(label);
  other.mutable_metadata()->set_namespace_("default");

  other = MustCreate(other);
  const Secret mine = MustCreate(NewLabelled(label));

  for (const Secret& want : {other, mine}) {
    const auto event = NextChange(*watch);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->object.metadata().uid(), want.metadata().uid());
  }
}

TEST_P(KubernetesContract, AWatchThatIsDeniedDoesNotOpen) {
  EXPECT_THAT(As("contract-nobody")
                  ->WatchObjects(kSecrets, {.name_space = kContractNamespace,
                                            .resource_version = "0"})
                  .status(),
              Fails(absl::StatusCode::kPermissionDenied,
                    "User \"contract-nobody\" cannot watch resource "
                    "\"secrets\" in API group \"\" in the namespace "
                    "\"kube-public\""));
}

}  // namespace
}  // namespace latchkey_testing
