#include <functional>

#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::Event;
using latchkey::kubernetes::Lease;
using latchkey::kubernetes::Node;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ObjectRulesTest : public ApiFixture {
 protected:
  Secret MustCreate(const Secret& secret) {
    const auto created = Create(admin_, secret);
    EXPECT_THAT(created, IsOk());
    return created.value_or(Secret());
  }
};

TEST_F(ObjectRulesTest, TheServerNamesTheMomentAndTheIdentity) {
  Secret secret = NewSecret("a");
  secret.mutable_metadata()->set_uid("mine");
  secret.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1);
  secret.mutable_metadata()->mutable_deletion_timestamp()->set_seconds(1);

  const Secret created = MustCreate(secret);

  EXPECT_THAT(created.metadata().uid(),
              ::testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                                      "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(created.metadata().creation_timestamp().seconds(),
            absl::ToUnixSeconds(clock_.Now()));
  EXPECT_FALSE(created.metadata().has_deletion_timestamp());
  EXPECT_EQ(created.type(), "Opaque");
}

TEST_F(ObjectRulesTest, ABadObjectIsInvalidInTheFieldThatIsWrong) {
  struct Case {
    const char* message;
    std::function<void(Secret&)> change;
  };
  const Case cases[] = {
      {"metadata.name: Required value: name or generateName is required",
       [](Secret& s) { s.mutable_metadata()->clear_name(); }},
      {"metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain",
       [](Secret& s) { s.mutable_metadata()->set_name("A"); }},
      {"metadata.name: Invalid value: \"",
       [](Secret& s) {
         s.mutable_metadata()->set_name(std::string(254, 'a'));
       }},
      {"metadata.labels: Invalid value: \"a b\"",
       [](Secret& s) {
         (*s.mutable_metadata()->mutable_labels())["a b"] = "";
       }},
      {"metadata.labels: Invalid value: \"-\"",
       [](Secret& s) { (*s.mutable_metadata()->mutable_labels())["a"] = "-"; }},
      {"metadata.annotations: Too long",
       [](Secret& s) {
         (*s.mutable_metadata()->mutable_annotations())["a"] =
             std::string(256 * 1024, 'x');
       }},
      {"data[a/b]: Invalid value: \"a/b\": a valid config key",
       [](Secret& s) { (*s.mutable_data())["a/b"] = "x"; }},
      {"data[..a]: Invalid value: \"..a\": must not start with '..'",
       [](Secret& s) { (*s.mutable_data())["..a"] = "x"; }},
      {"data: Too long: may not be more than 1048576 bytes",
       [](Secret& s) { (*s.mutable_data())["a"] = std::string(1 << 20, 'x'); }},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.message);
    Secret secret = NewSecret("a");
    test.change(secret);
    EXPECT_THAT(Create(admin_, secret),
                IsApiError(422, HasSubstr(test.message)));
  }
}

TEST_F(ObjectRulesTest, AnErrorIsAKubernetesStatus) {
  const auto error =
      latchkey::KubernetesStatusOf(Create(admin_, NewSecret("A")).status());

  EXPECT_EQ(error.status(), "Failure");
  EXPECT_EQ(error.reason(), "Invalid");
  EXPECT_EQ(error.code(), 422);
  EXPECT_THAT(error.message(), StartsWith("Secret \"A\" is invalid: "));
  EXPECT_EQ(error.details().kind(), "Secret");
  EXPECT_EQ(error.details().name(), "A");
  ASSERT_EQ(error.details().causes_size(), 1);
  EXPECT_EQ(error.details().causes(0).reason(), "FieldValueInvalid");
  EXPECT_EQ(error.details().causes(0).field(), "metadata.name");
}

TEST_F(ObjectRulesTest, ErrorsNameTheResourceAsTheRealServerDoes) {
  MustCreate(NewSecret("a"));
  Secret stale = NewSecret("a");
  stale.mutable_metadata()->set_resource_version("1");

  EXPECT_THAT(Create(admin_, NewSecret("a")),
              IsApiError(409, "secrets \"a\" already exists"));
  EXPECT_THAT(api_.Get(admin_, latchkey::kSecrets, {"kube-system", "b"}),
              IsApiError(404, "secrets \"b\" not found"));
  EXPECT_THAT(
      api_.Get(admin_, latchkey::kCertificateSigningRequests, {"", "b"}),
      IsApiError(404,
                 "certificatesigningrequests.certificates.k8s.io \"b\" not "
                 "found"));
  EXPECT_THAT(Update(admin_, stale),
              IsApiError(409,
                         "Operation cannot be fulfilled on secrets \"a\": "
                         "the object has been modified; please apply your "
                         "changes to the latest version and try again"));
}

// So that a large object full of mistakes takes no longer than a good one.
TEST_F(ObjectRulesTest, OnlyTheFirstFindingsAreTold) {
  Secret secret = NewSecret("a");
  Csr csr = NewCsr("a");
  for (int i = 0; i < 500'000; ++i) {
    secret.mutable_metadata()->add_finalizers();
    csr.mutable_spec()->add_usages();
  }

  for (const absl::Status& refused :
       {Create(admin_, secret).status(), Create(admin_, csr).status()}) {
    EXPECT_THAT(refused, IsApiError(422, HasSubstr("is invalid")));
    EXPECT_EQ(latchkey::KubernetesStatusOf(refused).details().causes_size(),
              32);
  }
}

TEST_F(ObjectRulesTest, AnObjectThatEtcdWouldNotTakeIsRefused) {
  Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name("a");
  lease.mutable_spec()->set_holder_identity(std::string(1'600'000, 'x'));

  EXPECT_THAT(Create(admin_, lease),
              IsApiError(500, "etcdserver: request is too large"));
}

TEST_F(ObjectRulesTest, AFullStoreSaysSo) {
  const auto store = latchkey::MakeMemoryObjectStore({.total_bytes = 1000});
  latchkey::ApiServer api(*store, clock_);
  const auto create = [&](const char* name) {
    return api.Create(admin_, latchkey::kSecrets, "kube-system",
                      NewSecret(name));
  };
  ASSERT_THAT(create("a"), IsOk());

  EXPECT_THAT(create("b"), IsApiError(429, HasSubstr("the store is full")));
  EXPECT_THAT(create("b"), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ObjectRulesTest, ThereAreFourNamespaces) {
  for (const char* name :
       {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    Secret secret = NewSecret("a");
    secret.mutable_metadata()->set_namespace_(name);
    EXPECT_THAT(Create(admin_, secret), IsOk()) << name;
  }
  Secret secret = NewSecret("a");
  secret.mutable_metadata()->set_namespace_("other");
  EXPECT_THAT(Create(admin_, secret),
              IsApiError(404, "namespaces \"other\" not found"));
}

TEST_F(ObjectRulesTest, ANewObjectHasNoVersionYet) {
  Secret secret = NewSecret("a");
  secret.mutable_metadata()->set_resource_version("7");

  EXPECT_THAT(Create(admin_, secret), IsApiError(500, HasSubstr("should not")));
}

TEST_F(ObjectRulesTest, AGeneratedNameIsCutToMakeRoom) {
  Secret secret = NewSecret("");
  secret.mutable_metadata()->set_generate_name(std::string(70, 'a'));

  const Secret created = MustCreate(secret);

  EXPECT_THAT(created.metadata().name(),
              ::testing::MatchesRegex("a{58}[bcdfghjklmnpqrstvwxz2456789]{5}"));
}

TEST_F(ObjectRulesTest, AGeneratedNameThatIsTakenIsDrawnAgain) {
  int drawn = 0;
  // UIDs are 16 bytes, the characters of a suffix one each.
  latchkey::ApiServer api(*store_, clock_, {.random_bytes = [&](size_t count) {
    if (count == 1) ++drawn;
    return std::string(count, drawn <= 10 ? '\0' : '\1');
  }});
  const auto client = latchkey::MakeLocalKubernetesClient(api, admin_);
  Secret secret = NewSecret("");
  secret.mutable_metadata()->set_generate_name("a-");

  const auto first = client->Create(secret);
  const auto second = client->Create(secret);

  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(first->metadata().name(), "a-bbbbb");
  EXPECT_EQ(second->metadata().name(), "a-ccccc");
}

TEST_F(ObjectRulesTest, APutMayNotMoveOrRename) {
  MustCreate(NewSecret("a"));
  const latchkey::ObjectName name{"kube-system", "a"};
  Secret moved = NewSecret("a");
  moved.mutable_metadata()->set_namespace_("default");

  EXPECT_THAT(api_.Update(admin_, latchkey::kSecrets, name, "", NewSecret("b")),
              IsApiError(400, HasSubstr("does not match the name on the URL")));
  EXPECT_THAT(api_.Update(admin_, latchkey::kSecrets, name, "", moved),
              IsApiError(400, HasSubstr("does not match the namespace")));
}

TEST_F(ObjectRulesTest, APutWithoutAVersionReplacesWhateverIsThere) {
  const Secret first = MustCreate(NewSecret("a"));
  Secret blind = NewSecret("a");
  (*blind.mutable_data())["key"] = "blind";

  const auto updated = Update(admin_, blind);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->data().at("key"), "blind");
  EXPECT_EQ(updated->metadata().uid(), first.metadata().uid());
  EXPECT_EQ(updated->metadata().creation_timestamp().seconds(),
            first.metadata().creation_timestamp().seconds());
}

TEST_F(ObjectRulesTest, APutOfAnotherIdentityIsAConflict) {
  MustCreate(NewSecret("a"));
  Secret other = NewSecret("a");
  other.mutable_metadata()->set_uid("00000000-0000-4000-8000-000000000000");

  EXPECT_THAT(Update(admin_, other), IsApiError(409, HasSubstr("UID")));
}

TEST_F(ObjectRulesTest, AnImmutableSecretKeepsItsData) {
  Secret secret = NewSecret("a");
  secret.set_immutable(true);
  const Secret created = MustCreate(secret);
  Secret changed = created;
  (*changed.mutable_data())["key"] = "other";
  Secret thawed = created;
  thawed.set_immutable(false);
  Secret labelled = created;
  (*labelled.mutable_metadata()->mutable_labels())["a"] = "b";

  EXPECT_THAT(Update(admin_, changed),
              IsApiError(422, HasSubstr("data: Forbidden: field is immutable "
                                        "when `immutable` is set")));
  EXPECT_THAT(Update(admin_, thawed),
              IsApiError(422, HasSubstr("immutable: Forbidden")));
  EXPECT_THAT(Update(admin_, labelled), IsOk());
}

TEST_F(ObjectRulesTest, AnErrorAboutASecretHoldsNoneOfIt) {
  Secret secret = NewSecret("a");
  secret.set_immutable(true);
  (*secret.mutable_data())["key"] = "hush-hush";
  MustCreate(secret);
  (*secret.mutable_data())["key"] = "hush-too";
  (*secret.mutable_data())["bad key"] = "hush-again";

  const absl::Status error = Update(admin_, secret).status();

  EXPECT_THAT(error, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(latchkey::KubernetesStatusOf(error).SerializeAsString(),
              ::testing::Not(HasSubstr("hush")));
}

TEST_F(ObjectRulesTest, AConfigMapsKeysAreDistinct) {
  ConfigMap map;
  map.mutable_metadata()->set_namespace_("kube-public");
  map.mutable_metadata()->set_name("cluster-info");
  (*map.mutable_data())["a"] = "x";
  ASSERT_THAT(Create(admin_, map), IsOk());
  map.mutable_metadata()->set_name("other");
  (*map.mutable_binary_data())["a"] = "x";

  EXPECT_THAT(Create(admin_, map),
              IsApiError(422, HasSubstr("data[a]: Invalid value")));
}

TEST_F(ObjectRulesTest, APutOfALeaseMakesIt) {
  Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name("n");

  EXPECT_THAT(Update(NodeUser("m"), lease),
              IsApiError(403, HasSubstr("cannot update")));
  EXPECT_THAT(Update(NodeUser("n"), lease), IsOk());
  EXPECT_THAT(Update(NodeUser("n"), lease),
              IsApiError(422, HasSubstr("leases.coordination.k8s.io \"n\" is "
                                        "invalid")));
  lease.mutable_metadata()->set_name("other");
  lease.mutable_metadata()->set_resource_version("7");
  EXPECT_THAT(Update(admin_, lease), IsApiError(404, HasSubstr("not found")));
}

TEST_F(ObjectRulesTest, AVersionThatIsNoNumberIsTheServersError) {
  Secret secret = MustCreate(NewSecret("a"));
  secret.mutable_metadata()->set_resource_version("abc");

  EXPECT_THAT(Update(admin_, secret),
              IsApiError(500,
                         "strconv.ParseUint: parsing \"abc\": invalid "
                         "syntax"));
}

TEST_F(ObjectRulesTest, ADeleteThatAssertsAnotherSaysWhichThereIs) {
  const Secret secret = MustCreate(NewSecret("a"));

  EXPECT_THAT(
      api_.Delete(admin_, latchkey::kSecrets, {"kube-system", "a"},
                  {.resource_version = "1"}),
      IsApiError(409,
                 "Operation cannot be fulfilled on Secret \"a\": the "
                 "ResourceVersion in the precondition (1) does not match the "
                 "ResourceVersion in record (" +
                     secret.metadata().resource_version() +
                     "). The object might have been modified"));
}

TEST_F(ObjectRulesTest, ALeaseIsUpdatedFromAVersionOnly) {
  Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name("n");
  auto created = Create(admin_, lease);
  ASSERT_THAT(created, IsOk());
  created->mutable_spec()->set_holder_identity("n");

  EXPECT_THAT(Update(admin_, lease),
              IsApiError(422, HasSubstr("must be specified for an update")));
  EXPECT_THAT(Update(admin_, *created), IsOk());
}

TEST_F(ObjectRulesTest, ANodesStatusHasASubresource) {
  Node node;
  node.mutable_metadata()->set_name("n");
  node.mutable_spec()->set_pod_cidr("s");
  ASSERT_THAT(Create(admin_, node), IsOk());
  Node changed = node;
  changed.mutable_spec()->set_pod_cidr("t");
  changed.mutable_status()->set_phase("u");

  const auto by_status = Update(admin_, changed, "status");
  ASSERT_THAT(by_status, IsOk());
  EXPECT_EQ(by_status->spec().pod_cidr(), "s");
  EXPECT_EQ(by_status->status().phase(), "u");

  changed.clear_status();
  const auto by_put = Update(admin_, changed);
  ASSERT_THAT(by_put, IsOk());
  EXPECT_EQ(by_put->spec().pod_cidr(), "t");
  EXPECT_EQ(by_put->status().phase(), "u");
}

TEST_F(ObjectRulesTest, EventsAreTakenAndNotKept) {
  Event event;
  event.mutable_metadata()->set_namespace_("default");
  event.mutable_metadata()->set_name("n.17");
  event.mutable_involved_object()->set_kind("Node");
  event.mutable_involved_object()->set_name("n");
  const int64_t revision = store_->Revision();

  EXPECT_THAT(Create(admin_, event), IsOk());
  EXPECT_EQ(store_->Revision(), revision);
  EXPECT_THAT(api_.List(admin_, latchkey::kEvents, {}),
              StatusIs(absl::StatusCode::kUnimplemented));

  event.mutable_involved_object()->set_namespace_("kube-system");
  EXPECT_THAT(Create(admin_, event),
              IsApiError(422, HasSubstr("does not match event.namespace")));
}

TEST_F(ObjectRulesTest, AFinalizerHoldsADeletionBack) {
  Secret secret = NewSecret("a");
  secret.mutable_metadata()->add_finalizers("example.com/hold");
  MustCreate(secret);
  const latchkey::ObjectName name{"kube-system", "a"};

  ASSERT_THAT(As(admin_)->Delete<Secret>(name), IsOk());
  auto held = As(admin_)->Get<Secret>(name);
  ASSERT_THAT(held, IsOk());
  EXPECT_EQ(held->metadata().deletion_timestamp().seconds(),
            absl::ToUnixSeconds(clock_.Now()));

  EXPECT_THAT(Create(admin_, NewSecret("a")),
              IsApiError(409,
                         "object is being deleted: secrets \"a\" already "
                         "exists"));

  Secret more = *held;
  more.mutable_metadata()->add_finalizers("example.com/more");
  EXPECT_THAT(Update(admin_, more),
              IsApiError(422, HasSubstr("no new finalizers")));

  held->mutable_metadata()->clear_finalizers();
  held->mutable_metadata()->clear_deletion_timestamp();
  ASSERT_THAT(Update(admin_, *held), IsOk());
  EXPECT_THAT(As(admin_)->Get<Secret>(name),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ObjectRulesTest, WhatIsNotServedIsNotFound) {
  constexpr latchkey::Resource kPods = {"v1", "Pod", "pods", true};
  constexpr latchkey::Resource kOldCsrs = {"certificates.k8s.io/v1beta1",
                                           "CertificateSigningRequest",
                                           "certificatesigningrequests", false};

  EXPECT_THAT(api_.Get(admin_, kPods, {"default", "a"}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(api_.Create(admin_, kOldCsrs, "", NewCsr("a")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(api_.List(admin_, latchkey::kTokenReviews, {}),
              IsApiError(405, HasSubstr("does not allow this method")));
}

}  // namespace
}  // namespace latchkey_testing
