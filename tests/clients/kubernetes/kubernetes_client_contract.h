// What every KubernetesClient, with whatever server stands behind it, must do.
//
// A suite gives a factory:
//
//   struct MyServer {
//     using Base = ::testing::Test;    // the fixture's base, to set things up
//     static latchkey::KubernetesClient& Client();  // may do everything
//     static void ForgetHistory();     // version "1" is too old from now on
//     static void ProvokeBookmarks();  // or let time do it
//     static void EndWatches();        // or let their timeouts do it
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, KubernetesClientContract, MyServer);
//
// The server may be shared and may hold other objects: each test works in
// kube-public on objects of names and labels of its own.

#ifndef LATCHKEY_TESTS_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_CONTRACT_H_
#define LATCHKEY_TESTS_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_CONTRACT_H_

#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/kubernetes/kube_time.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

inline constexpr char kContractNamespace[] = "kube-public";

template <typename Server>
class KubernetesClientContract : public Server::Base {
 protected:
  using Secret = latchkey::kubernetes::Secret;
  using SecretList = latchkey::kubernetes::SecretList;
  using Csr = latchkey::kubernetes::CertificateSigningRequest;

  void TearDown() override {
    for (const std::string& name : created_) {
      client()
          .template Delete<Secret>({kContractNamespace, name})
          .IgnoreError();
    }
    Server::Base::TearDown();
  }

  latchkey::KubernetesClient& client() { return Server::Client(); }

  // A name that nothing else uses; Secrets of it go at the end of the test.
  std::string NewName() {
    static std::atomic<int> next = 0;
    created_.push_back(fmt::format("contract-{}-{}-{}", getpid(),
                                   absl::ToUnixMillis(absl::Now()), ++next));
    return created_.back();
  }

  static Secret NewSecret(const std::string& name,
                          const std::string& label = "") {
    Secret secret;
    secret.mutable_metadata()->set_namespace_(kContractNamespace);
    secret.mutable_metadata()->set_name(name);
    if (!label.empty()) {
      (*secret.mutable_metadata()->mutable_labels())["contract"] = label;
    }
    secret.set_type("Opaque");
    (*secret.mutable_data())["key"] = std::string("\0\xff value", 8);
    return secret;
  }

  // Creates it, or fails the test and answers an empty one.
  Secret MustCreate(const Secret& secret) {
    auto created = client().Create(secret);
    EXPECT_THAT(created, IsOk());
    return created.ok() ? *created : Secret();
  }

  // The version of the state that includes all writes so far.
  std::string CurrentVersion() {
    auto list = client().template List<SecretList>(
        {.name_space = kContractNamespace,
         .label_selector = "contract=nothing-has-this"});
    EXPECT_THAT(list, IsOk());
    return list.ok() ? list->metadata().resource_version() : "";
  }

  std::unique_ptr<latchkey::WatchStream> MustWatch(
      const std::string& version, const std::string& label_selector,
      absl::Duration timeout = absl::Minutes(1)) {
    auto watch = client().WatchObjects(latchkey::kSecrets,
                                       {.name_space = kContractNamespace,
                                        .label_selector = label_selector,
                                        .resource_version = version,
                                        .timeout = timeout});
    EXPECT_THAT(watch, IsOk());
    return watch.ok() ? *std::move(watch) : nullptr;
  }

  struct Event {
    latchkey::WatchEventType type;
    Secret object;
  };
  // The next event that is no bookmark.
  static std::optional<Event> NextChange(latchkey::WatchStream& watch) {
    while (true) {
      auto raw = watch.Next(absl::Seconds(20));
      EXPECT_THAT(raw, IsOk());
      if (!raw.ok()) return std::nullopt;
      if (raw->type == latchkey::WatchEventType::kBookmark) continue;
      Event event{raw->type, {}};
      EXPECT_TRUE(event.object.ParseFromString(raw->object));
      return event;
    }
  }

 private:
  std::vector<std::string> created_;
};

TYPED_TEST_SUITE_P(KubernetesClientContract);

TYPED_TEST_P(KubernetesClientContract, CreateAnswersWhatTheServerStored) {
  const auto sent = this->NewSecret(this->NewName(), "create");

  const auto created = this->client().Create(sent);

  ASSERT_THAT(created, IsOk());
  const auto& metadata = created->metadata();
  EXPECT_EQ(metadata.name(), sent.metadata().name());
  EXPECT_EQ(metadata.namespace_(), kContractNamespace);
  EXPECT_FALSE(metadata.uid().empty());
  EXPECT_FALSE(metadata.resource_version().empty());
  EXPECT_TRUE(metadata.creation_timestamp().has_seconds());
  EXPECT_EQ(metadata.labels().at("contract"), "create");
  EXPECT_EQ(created->data().at("key"), sent.data().at("key"));
  EXPECT_EQ(created->type(), "Opaque");
}

TYPED_TEST_P(KubernetesClientContract, GetAnswersWhatCreateDid) {
  const auto created = this->MustCreate(this->NewSecret(this->NewName()));

  const auto got = this->client().template Get<latchkey::kubernetes::Secret>(
      {kContractNamespace, created.metadata().name()});

  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->SerializeAsString(), created.SerializeAsString());
}

TYPED_TEST_P(KubernetesClientContract, StringDataBecomesData) {
  auto secret = this->NewSecret(this->NewName());
  (*secret.mutable_string_data())["text"] = "readable";

  const auto created = this->MustCreate(secret);

  EXPECT_EQ(created.data().at("text"), "readable");
  EXPECT_TRUE(created.string_data().empty());
}

TYPED_TEST_P(KubernetesClientContract, GenerateNameMakesANewNameEachTime) {
  std::set<std::string> names;
  for (int i = 0; i < 3; ++i) {
    auto secret = this->NewSecret("");
    secret.mutable_metadata()->clear_name();
    secret.mutable_metadata()->set_generate_name("contract-generated-");
    const auto created = this->MustCreate(secret);
    names.insert(created.metadata().name());
    EXPECT_THAT(this->client().template Delete<latchkey::kubernetes::Secret>(
                    {kContractNamespace, created.metadata().name()}),
                IsOk());
  }
  EXPECT_EQ(names.size(), 3U);
  EXPECT_THAT(*names.begin(), ::testing::StartsWith("contract-generated-"));
}

TYPED_TEST_P(KubernetesClientContract, ASecondCreateAlreadyExists) {
  const auto secret = this->NewSecret(this->NewName());
  this->MustCreate(secret);

  EXPECT_THAT(this->client().Create(secret),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TYPED_TEST_P(KubernetesClientContract, OneOfManyCreatorsWins) {
  const auto secret = this->NewSecret(this->NewName());
  std::atomic<int> winners = 0;
  std::atomic<int> losers = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < 8; ++i) {
      racers.emplace_back([&] {
        const auto created = this->client().Create(secret);
        winners += created.ok() ? 1 : 0;
        losers += absl::IsAlreadyExists(created.status()) ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(losers, 7);
}

TYPED_TEST_P(KubernetesClientContract, CreateRefusesAnotherNamespace) {
  const auto secret = this->NewSecret(this->NewName());
  latchkey::kubernetes::Secret result;

  EXPECT_THAT(this->client().CreateObject(latchkey::kSecrets, "default", secret,
                                          result),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(KubernetesClientContract, AnInvalidNameIsRefused) {
  EXPECT_THAT(this->client().Create(this->NewSecret("Not_A_Subdomain")),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(KubernetesClientContract, NamesThatWouldLeaveThePathAreRefused) {
  using latchkey::kubernetes::Secret;
  for (const char* bad :
       {"", ".", "..", "a/b", "a..b", "%2e%2e", "a b", "\n"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(this->client().template Get<Secret>({kContractNamespace, bad}),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(
        this->client().template Delete<Secret>({kContractNamespace, bad}),
        StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(this->client().template Get<Secret>({"", "name"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(KubernetesClientContract, WhatIsNotThereIsNotFound) {
  using latchkey::kubernetes::Secret;
  const std::string name = this->NewName();

  EXPECT_THAT(this->client().template Get<Secret>({kContractNamespace, name}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->client().Update(this->NewSecret(name)),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      this->client().template Delete<Secret>({kContractNamespace, name}),
      StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(KubernetesClientContract, AnUpdateOfTheLatestVersionIsDone) {
  auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  const std::string first = secret.metadata().resource_version();
  (*secret.mutable_data())["key"] = "other";

  const auto updated = this->client().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->data().at("key"), "other");
  EXPECT_NE(updated->metadata().resource_version(), first);
  EXPECT_EQ(updated->metadata().uid(), secret.metadata().uid());
}

TYPED_TEST_P(KubernetesClientContract, AnUpdateOfAnOldVersionIsAborted) {
  const auto old = this->MustCreate(this->NewSecret(this->NewName()));
  auto newer = old;
  (*newer.mutable_data())["key"] = "newer";
  ASSERT_THAT(this->client().Update(newer), IsOk());
  auto older = old;
  (*older.mutable_data())["key"] = "older";

  EXPECT_THAT(this->client().Update(older),
              StatusIs(absl::StatusCode::kAborted));

  const auto got = this->client().template Get<latchkey::kubernetes::Secret>(
      {kContractNamespace, old.metadata().name()});
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->data().at("key"), "newer");
}

TYPED_TEST_P(KubernetesClientContract, OneOfManyUpdatersWins) {
  const auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  std::atomic<int> winners = 0;
  std::atomic<int> losers = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < 8; ++i) {
      racers.emplace_back([&, i] {
        auto mine = secret;
        (*mine.mutable_data())["key"] = std::to_string(i);
        const auto updated = this->client().Update(mine);
        winners += updated.ok() ? 1 : 0;
        losers += absl::IsAborted(updated.status()) ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(losers, 7);
}

TYPED_TEST_P(KubernetesClientContract, AnUpdateOfNothingMakesNoNewVersion) {
  const auto secret = this->MustCreate(this->NewSecret(this->NewName()));

  const auto updated = this->client().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().resource_version(),
            secret.metadata().resource_version());
}

TYPED_TEST_P(KubernetesClientContract, TheTypeOfASecretCannotChange) {
  auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  secret.set_type("bootstrap.kubernetes.io/token");

  EXPECT_THAT(this->client().Update(secret),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(KubernetesClientContract, ADeleteAssertsItsPreconditions) {
  using latchkey::kubernetes::Secret;
  const auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  const latchkey::ObjectName name{kContractNamespace, secret.metadata().name()};
  auto newer = secret;
  (*newer.mutable_data())["key"] = "newer";
  const auto updated = this->client().Update(newer);
  ASSERT_THAT(updated, IsOk());
  const std::string uid = secret.metadata().uid();

  EXPECT_THAT(this->client().template Delete<Secret>(
                  name, {.uid = "00000000-0000-4000-8000-00000000dead"}),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(
      this->client().template Delete<Secret>(
          name, {.uid = uid,
                 .resource_version = secret.metadata().resource_version()}),
      StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(
      this->client().template Delete<Secret>(
          name, {.uid = uid,
                 .resource_version = updated->metadata().resource_version()}),
      IsOk());
  EXPECT_THAT(this->client().template Get<Secret>(name),
              StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(KubernetesClientContract, OneOfManyDeletersWins) {
  using latchkey::kubernetes::Secret;
  const auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < 8; ++i) {
      racers.emplace_back([&] {
        const absl::Status deleted = this->client().template Delete<Secret>(
            {kContractNamespace, secret.metadata().name()},
            {.uid = secret.metadata().uid()});
        winners += deleted.ok() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TYPED_TEST_P(KubernetesClientContract, ALabelSelectorPicksFromAList) {
  using latchkey::kubernetes::SecretList;
  const std::string label = this->NewName();
  const auto a = this->MustCreate(this->NewSecret(this->NewName(), label));
  const auto b = this->MustCreate(this->NewSecret(this->NewName(), label));
  this->MustCreate(this->NewSecret(this->NewName(), "another"));

  for (const std::string& selector :
       {"contract=" + label, "contract==" + label,
        "contract in (" + label + ")", "contract,contract=" + label}) {
    SCOPED_TRACE(selector);
    const auto list = this->client().template List<SecretList>(
        {.name_space = kContractNamespace, .label_selector = selector});
    ASSERT_THAT(list, IsOk());
    ASSERT_EQ(list->items_size(), 2);
    EXPECT_EQ(list->items(0).SerializeAsString(), a.SerializeAsString());
    EXPECT_EQ(list->items(1).SerializeAsString(), b.SerializeAsString());
    EXPECT_FALSE(list->metadata().resource_version().empty());
  }
}

TYPED_TEST_P(KubernetesClientContract, AFieldSelectorPicksFromAList) {
  using latchkey::kubernetes::SecretList;
  const auto secret = this->MustCreate(this->NewSecret(this->NewName()));
  this->MustCreate(this->NewSecret(this->NewName()));

  const auto list = this->client().template List<SecretList>(
      {.name_space = kContractNamespace,
       .field_selector =
           "type=Opaque,metadata.name=" + secret.metadata().name()});

  ASSERT_THAT(list, IsOk());
  ASSERT_EQ(list->items_size(), 1);
  EXPECT_EQ(list->items(0).metadata().uid(), secret.metadata().uid());
}

TYPED_TEST_P(KubernetesClientContract, BadSelectorsAreRefused) {
  using latchkey::kubernetes::SecretList;
  EXPECT_THAT(
      this->client().template List<SecretList>(
          {.name_space = kContractNamespace, .label_selector = "a in b c"}),
      StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(this->client().template List<SecretList>(
                  {.name_space = kContractNamespace,
                   .field_selector = "no.such.field=1"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(KubernetesClientContract, PagesTogetherAreTheList) {
  using latchkey::kubernetes::SecretList;
  const std::string label = this->NewName();
  std::vector<std::string> want;
  for (int i = 0; i < 5; ++i) {
    want.push_back(this->NewName());
    this->MustCreate(this->NewSecret(want.back(), label));
  }
  std::vector<std::string> got;
  latchkey::ListQuery query{.name_space = kContractNamespace,
                            .label_selector = "contract=" + label,
                            .limit = 2};
  int pages = 0;
  std::string version;
  do {
    const auto page = this->client().template List<SecretList>(query);
    ASSERT_THAT(page, IsOk());
    ++pages;
    EXPECT_LE(page->items_size(), 2);
    if (version.empty()) version = page->metadata().resource_version();
    EXPECT_EQ(page->metadata().resource_version(), version);
    for (const auto& item : page->items())
      got.push_back(item.metadata().name());
    query.continue_token = page->metadata().continue_();
  } while (!query.continue_token.empty() && pages < 100);

  EXPECT_THAT(got, ::testing::UnorderedElementsAreArray(want));
  EXPECT_GE(pages, 3);
}

TYPED_TEST_P(KubernetesClientContract, AWatchTellsWhatHappensFromItsVersionOn) {
  using latchkey::WatchEventType;
  const std::string label = this->NewName();
  const std::string version = this->CurrentVersion();
  // Before the watch is opened, but after its version.
  auto secret = this->MustCreate(this->NewSecret(this->NewName(), label));
  const auto watch = this->MustWatch(version, "contract=" + label);
  ASSERT_NE(watch, nullptr);

  const auto added = this->NextChange(*watch);
  ASSERT_TRUE(added);
  EXPECT_EQ(added->type, WatchEventType::kAdded);
  EXPECT_EQ(added->object.SerializeAsString(), secret.SerializeAsString());

  (*secret.mutable_data())["key"] = "other";
  const auto updated = this->client().Update(secret);
  ASSERT_THAT(updated, IsOk());
  const auto modified = this->NextChange(*watch);
  ASSERT_TRUE(modified);
  EXPECT_EQ(modified->type, WatchEventType::kModified);
  EXPECT_EQ(modified->object.SerializeAsString(), updated->SerializeAsString());

  ASSERT_THAT(this->client().template Delete<latchkey::kubernetes::Secret>(
                  {kContractNamespace, secret.metadata().name()}),
              IsOk());
  const auto deleted = this->NextChange(*watch);
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->type, WatchEventType::kDeleted);
  EXPECT_EQ(deleted->object.data().at("key"), "other");
  EXPECT_NE(deleted->object.metadata().resource_version(),
            updated->metadata().resource_version());
}

TYPED_TEST_P(KubernetesClientContract,
             ASelectorTurnsChangesIntoComingAndGoing) {
  using latchkey::WatchEventType;
  const std::string label = this->NewName();
  auto secret = this->MustCreate(this->NewSecret(this->NewName(), "outside"));
  const auto watch =
      this->MustWatch(this->CurrentVersion(), "contract=" + label);
  ASSERT_NE(watch, nullptr);

  (*secret.mutable_metadata()->mutable_labels())["contract"] = label;
  auto inside = this->client().Update(secret);
  ASSERT_THAT(inside, IsOk());
  const auto comes = this->NextChange(*watch);
  ASSERT_TRUE(comes);
  EXPECT_EQ(comes->type, WatchEventType::kAdded);

  (*inside->mutable_metadata()->mutable_labels())["contract"] = "outside";
  ASSERT_THAT(this->client().Update(*inside), IsOk());
  const auto goes = this->NextChange(*watch);
  ASSERT_TRUE(goes);
  EXPECT_EQ(goes->type, WatchEventType::kDeleted);
  EXPECT_EQ(goes->object.metadata().labels().at("contract"), label);
}

TYPED_TEST_P(KubernetesClientContract, AWatchWaitsAndCanBeAskedAgain) {
  const std::string label = this->NewName();
  const auto watch =
      this->MustWatch(this->CurrentVersion(), "contract=" + label);
  ASSERT_NE(watch, nullptr);

  EXPECT_THAT(watch->Next(absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  this->MustCreate(this->NewSecret(this->NewName(), label));
  EXPECT_TRUE(this->NextChange(*watch));
}

TYPED_TEST_P(KubernetesClientContract, CancelWakesAWatch) {
  const auto watch =
      this->MustWatch(this->CurrentVersion(), "contract=nothing-has-this");
  ASSERT_NE(watch, nullptr);
  const std::jthread canceller([&] {
    absl::SleepFor(absl::Milliseconds(20));
    watch->Cancel();
  });

  absl::StatusOr<latchkey::RawWatchEvent> event;
  do {
    event = watch->Next(absl::Minutes(1));
  } while (event.ok());  // a bookmark
  EXPECT_THAT(event, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(watch->Next(absl::Minutes(1)),
              StatusIs(absl::StatusCode::kCancelled));
}

TYPED_TEST_P(KubernetesClientContract, AStoppedRequestIsCancelled) {
  std::stop_source stop;
  stop.request_stop();
  latchkey::kubernetes::SecretList list;

  EXPECT_THAT(
      this->client().ListObjects(
          latchkey::kSecrets,
          {.name_space = kContractNamespace, .stop = stop.get_token()}, list),
      StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(
      this->client()
          .WatchObjects(latchkey::kSecrets, {.name_space = kContractNamespace,
                                             .resource_version = "1",
                                             .stop = stop.get_token()})
          .status(),
      StatusIs(absl::StatusCode::kCancelled));
}

TYPED_TEST_P(KubernetesClientContract, BookmarksCarryTheVersionForward) {
  // A server sends one shortly before it ends a watch, if not sooner.
  const auto watch = this->MustWatch(
      this->CurrentVersion(), "contract=nothing-has-this", absl::Seconds(4));
  ASSERT_NE(watch, nullptr);
  this->MustCreate(this->NewSecret(this->NewName()));
  TypeParam::ProvokeBookmarks();

  const auto event = watch->Next(absl::Seconds(20));

  ASSERT_THAT(event, IsOk());
  EXPECT_EQ(event->type, latchkey::WatchEventType::kBookmark);
  latchkey::kubernetes::Secret bookmark;
  ASSERT_TRUE(bookmark.ParseFromString(event->object));
  EXPECT_FALSE(bookmark.metadata().resource_version().empty());
  EXPECT_TRUE(bookmark.metadata().name().empty());
}

TYPED_TEST_P(KubernetesClientContract, AWatchThatEndsIsUnavailable) {
  const auto watch = this->MustWatch(
      this->CurrentVersion(), "contract=nothing-has-this", absl::Seconds(1));
  ASSERT_NE(watch, nullptr);
  TypeParam::EndWatches();

  absl::StatusOr<latchkey::RawWatchEvent> event;
  do {
    event = watch->Next(absl::Seconds(20));
  } while (event.ok());
  EXPECT_THAT(event, StatusIs(absl::StatusCode::kUnavailable));
}

TYPED_TEST_P(KubernetesClientContract, AForgottenVersionIsOutOfRange) {
  // The first version of all is long gone, or is made to be.
  TypeParam::ForgetHistory();
  auto watch = this->client().WatchObjects(
      latchkey::kSecrets,
      {.name_space = kContractNamespace, .resource_version = "1"});
  absl::Status status = watch.status();
  if (watch.ok()) status = (*watch)->Next(absl::Seconds(20)).status();

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange));
}

TYPED_TEST_P(KubernetesClientContract, ApprovalWritesTheVerdictAndNothingElse) {
  typename TestFixture::Csr csr;
  csr.mutable_metadata()->set_name(this->NewName());
  csr.mutable_spec()->set_request(kSampleCsrPem);
  csr.mutable_spec()->set_signer_name("contract.latchkey.test/signer");
  csr.mutable_spec()->add_usages("client auth");
  csr.mutable_status()->set_certificate("a creator cannot bring its own");
  auto created = this->client().Create(csr);
  ASSERT_THAT(created, IsOk());
  EXPECT_FALSE(created->status().has_certificate());

  auto* condition = created->mutable_status()->add_conditions();
  condition->set_type("Approved");
  condition->set_status("True");
  condition->set_reason("Contract");
  created->mutable_spec()->set_signer_name("contract.latchkey.test/other");
  const auto approved = this->client().Update(*created, "approval");

  ASSERT_THAT(approved, IsOk());
  ASSERT_EQ(approved->status().conditions_size(), 1);
  EXPECT_EQ(approved->status().conditions(0).reason(), "Contract");
  EXPECT_EQ(approved->spec().signer_name(), "contract.latchkey.test/signer");
  // The first verdict changed the version.
  EXPECT_THAT(this->client().Update(*created, "approval"),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(this->client().template Delete<typename TestFixture::Csr>(
                  {"", csr.metadata().name()}),
              IsOk());
}

TYPED_TEST_P(KubernetesClientContract, ClusterScopedObjectsHaveNoNamespace) {
  using latchkey::kubernetes::Node;
  Node node;
  node.mutable_metadata()->set_name(this->NewName());

  ASSERT_THAT(this->client().Create(node), IsOk());

  EXPECT_THAT(this->client().template Get<Node>({"", node.metadata().name()}),
              IsOk());
  EXPECT_THAT(
      this->client().template Get<Node>({"default", node.metadata().name()}),
      StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(
      this->client().template Delete<Node>({"", node.metadata().name()}),
      IsOk());
}

TYPED_TEST_P(KubernetesClientContract, LeasesKeepMicroseconds) {
  using latchkey::kubernetes::Lease;
  Lease lease;
  lease.mutable_metadata()->set_namespace_(kContractNamespace);
  lease.mutable_metadata()->set_name(this->NewName());
  lease.mutable_spec()->set_holder_identity("me");
  *lease.mutable_spec()->mutable_renew_time() = latchkey::ToKubernetesMicroTime(
      absl::FromUnixMicros(1'800'000'000'123'456));

  ASSERT_THAT(this->client().Create(lease), IsOk());

  const auto got = this->client().template Get<Lease>(
      {kContractNamespace, lease.metadata().name()});
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(latchkey::FromKubernetesTime(got->spec().renew_time()),
            absl::FromUnixMicros(1'800'000'000'123'456));
  EXPECT_THAT(this->client().template Delete<Lease>(
                  {kContractNamespace, lease.metadata().name()}),
              IsOk());
}

REGISTER_TYPED_TEST_SUITE_P(
    KubernetesClientContract, CreateAnswersWhatTheServerStored,
    GetAnswersWhatCreateDid, StringDataBecomesData,
    GenerateNameMakesANewNameEachTime, ASecondCreateAlreadyExists,
    OneOfManyCreatorsWins, CreateRefusesAnotherNamespace,
    AnInvalidNameIsRefused, NamesThatWouldLeaveThePathAreRefused,
    WhatIsNotThereIsNotFound, AnUpdateOfTheLatestVersionIsDone,
    AnUpdateOfAnOldVersionIsAborted, OneOfManyUpdatersWins,
    AnUpdateOfNothingMakesNoNewVersion, TheTypeOfASecretCannotChange,
    ADeleteAssertsItsPreconditions, OneOfManyDeletersWins,
    ALabelSelectorPicksFromAList, AFieldSelectorPicksFromAList,
    BadSelectorsAreRefused, PagesTogetherAreTheList,
    AWatchTellsWhatHappensFromItsVersionOn,
    ASelectorTurnsChangesIntoComingAndGoing, AWatchWaitsAndCanBeAskedAgain,
    CancelWakesAWatch, AStoppedRequestIsCancelled,
    BookmarksCarryTheVersionForward, AWatchThatEndsIsUnavailable,
    AForgottenVersionIsOutOfRange, ApprovalWritesTheVerdictAndNothingElse,
    ClusterScopedObjectsHaveNoNamespace, LeasesKeepMicroseconds);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_CONTRACT_H_
