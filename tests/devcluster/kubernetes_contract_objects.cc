// Objects: names, metadata, versions, preconditions, and what Secrets and
// ConfigMaps may hold.

#include <absl/strings/numbers.h>

#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

int64_t Number(const std::string& version) {
  int64_t number = -1;
  EXPECT_TRUE(absl::SimpleAtoi(version, &number)) << version;
  return number;
}

// A kind that no server here knows.
constexpr latchkey::Resource kWidgets = {"v1", "Widget", "widgets", true};

TEST_P(KubernetesContract, ANameThatIsNoDnsSubdomainIsRefused) {
  for (const std::string& bad :
       {std::string("Upper"), std::string("under_score"), std::string("-a"),
        std::string("a-"), std::string("a..b"), std::string("a b"),
        std::string(254, 'a')}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().Create(NewSecret(bad)),
                Invalid("metadata.name: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, ADnsSubdomainOfFullLengthIsAName) {
  std::string name = NewName() + ".0.";
  name.append(253 - name.size(), 'a');

  EXPECT_EQ(MustCreate(NewSecret(name)).metadata().name(), name);
}

TEST_P(KubernetesContract, AnObjectNeedsAName) {
  EXPECT_THAT(admin().Create(NewSecret("")),
              Invalid("metadata.name: FieldValueRequired"));
}

TEST_P(KubernetesContract, AGeneratedNameHasFiveRandomCharacters) {
  Secret secret = NewSecret("");
  secret.mutable_metadata()->set_generate_name("contract-generated-");

  const Secret created = MustCreate(secret);

  EXPECT_THAT(created.metadata().name(),
              MatchesRegex("contract-generated-[b-z2-9]{5}"));
  EXPECT_EQ(created.metadata().generate_name(), "contract-generated-");
}

TEST_P(KubernetesContract, ALongGenerateNameIsCut) {
  Secret secret = NewSecret("");
  secret.mutable_metadata()->set_generate_name(std::string(80, 'g'));

  EXPECT_THAT(MustCreate(secret).metadata().name(),
              MatchesRegex("g{58}[b-z2-9]{5}"));
}

TEST_P(KubernetesContract, AGenerateNameMustBeGoodToo) {
  Secret secret = NewSecret("");
  secret.mutable_metadata()->set_generate_name("Not_Good-");

  EXPECT_THAT(admin().Create(secret),
              Invalid("metadata.generateName: FieldValueInvalid"));
}

TEST_P(KubernetesContract, ANameGoesBeforeAGenerateName) {
  Secret secret = NewSecret();
  secret.mutable_metadata()->set_generate_name("unused-");

  EXPECT_EQ(MustCreate(secret).metadata().name(), secret.metadata().name());
}

TEST_P(KubernetesContract, TheServerChoosesUidAndCreationTime) {
  Secret secret = NewSecret();
  secret.mutable_metadata()->set_uid("mine");
  secret.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1);

  const Secret created = MustCreate(secret);

  EXPECT_THAT(created.metadata().uid(),
              MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]"
                           "{3}-[0-9a-f]{12}"));
  EXPECT_GT(created.metadata().creation_timestamp().seconds(), 1'700'000'000);
}

TEST_P(KubernetesContract, ANewObjectCannotBringAVersion) {
  Secret secret = NewSecret();
  secret.mutable_metadata()->set_resource_version("1");

  EXPECT_THAT(admin().Create(secret),
              Fails(absl::StatusCode::kInternal,
                    "resourceVersion should not be set on objects to be "
                    "created"));
}

TEST_P(KubernetesContract, ATakenNameAlreadyExists) {
  const Secret secret = MustCreate(NewSecret());

  EXPECT_THAT(
      admin().Create(NewSecret(secret.metadata().name())),
      Fails(absl::StatusCode::kAlreadyExists,
            "secrets \"" + secret.metadata().name() + "\" already exists"));
}

TEST_P(KubernetesContract, TheSameNameOfAnotherKindIsFree) {
  const Secret secret = MustCreate(NewSecret());

  MustCreate(NewConfigMap(secret.metadata().name()));
}

TEST_P(KubernetesContract, TheSameNameInAnotherNamespaceIsFree) {
  const Secret secret = MustCreate(NewSecret());

  MustCreate(NewSecret(secret.metadata().name(), "default"));
}

TEST_P(KubernetesContract, VersionsRiseAcrossKinds) {
  const Secret first = MustCreate(NewSecret());
  const ConfigMap second = MustCreate(NewConfigMap());
  const Secret third = MustCreate(NewSecret());

  EXPECT_LT(Number(first.metadata().resource_version()),
            Number(second.metadata().resource_version()));
  EXPECT_LT(Number(second.metadata().resource_version()),
            Number(third.metadata().resource_version()));
}

TEST_P(KubernetesContract, AnUpdateWithoutAVersionIsUnconditional) {
  Secret secret = MustCreate(NewSecret());
  (*secret.mutable_data())["key"] = "second";
  ASSERT_THAT(admin().Update(secret), IsOk());
  secret.mutable_metadata()->clear_resource_version();
  (*secret.mutable_data())["key"] = "third";

  const auto updated = admin().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->data().at("key"), "third");
}

TEST_P(KubernetesContract, AnUpdateOfAnOldVersionSaysToTryAgain) {
  Secret secret = MustCreate(NewSecret());
  (*secret.mutable_data())["key"] = "second";
  ASSERT_THAT(admin().Update(secret), IsOk());

  EXPECT_THAT(
      admin().Update(secret),
      Fails(absl::StatusCode::kAborted,
            "Operation cannot be fulfilled on secrets \"" +
                secret.metadata().name() +
                "\": the object has been modified; please apply your changes "
                "to the latest version and try again"));
}

TEST_P(KubernetesContract, AnUpdateOfAnotherUidIsAConflict) {
  Secret secret = MustCreate(NewSecret());
  secret.mutable_metadata()->set_uid("00000000-0000-4000-8000-000000000000");

  EXPECT_THAT(admin().Update(secret),
              Fails(absl::StatusCode::kAborted,
                    "Precondition failed: UID in precondition: "
                    "00000000-0000-4000-8000-000000000000"));
}

TEST_P(KubernetesContract, AnUpdateOfAVersionThatIsNoNumberIsRefused) {
  Secret secret = MustCreate(NewSecret());
  secret.mutable_metadata()->set_resource_version("abc");

  EXPECT_THAT(admin().Update(secret),
              Fails(absl::StatusCode::kInternal, "parsing \"abc\""));
}

TEST_P(KubernetesContract, AnUpdateUnderAnotherNameIsRefused) {
  const Secret secret = MustCreate(NewSecret());
  Secret result;

  EXPECT_THAT(admin().UpdateObject(
                  kSecrets, {kContractNamespace, secret.metadata().name()}, "",
                  NewSecret("other"), result),
              Invalid("the name of the object (other) does not match the name "
                      "on the URL (" +
                      secret.metadata().name() + ")"));
}

TEST_P(KubernetesContract, WhatIsNotThereIsNamedInTheError) {
  const std::string name = NewName();
  const std::string missing = "secrets \"" + name + "\" not found";

  EXPECT_THAT(admin().Get<Secret>({kContractNamespace, name}),
              Fails(absl::StatusCode::kNotFound, missing));
  EXPECT_THAT(admin().Update(NewSecret(name)),
              Fails(absl::StatusCode::kNotFound, missing));
  EXPECT_THAT(admin().Delete<Secret>({kContractNamespace, name}),
              Fails(absl::StatusCode::kNotFound, missing));
  EXPECT_THAT(admin().Get<Csr>({"", name}),
              Fails(absl::StatusCode::kNotFound,
                    "certificatesigningrequests.certificates.k8s.io \"" + name +
                        "\" not found"));
}

TEST_P(KubernetesContract, AnUpdateKeepsUidAndCreationTime) {
  const Secret before = MustCreate(NewSecret());
  Secret secret = before;
  secret.mutable_metadata()->clear_uid();
  secret.mutable_metadata()->clear_creation_timestamp();
  (*secret.mutable_data())["key"] = "second";

  const auto updated = admin().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().uid(), before.metadata().uid());
  EXPECT_EQ(updated->metadata().creation_timestamp().seconds(),
            before.metadata().creation_timestamp().seconds());
}

TEST_P(KubernetesContract, TheCreationTimeCannotBeRewritten) {
  const Secret before = MustCreate(NewSecret());
  Secret secret = before;
  secret.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1);
  (*secret.mutable_data())["key"] = "second";

  const auto updated = admin().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().creation_timestamp().seconds(),
            before.metadata().creation_timestamp().seconds());
}

TEST_P(KubernetesContract, ADeleteOfAnotherUidIsAConflict) {
  const Secret secret = MustCreate(NewSecret());

  EXPECT_THAT(
      admin().Delete<Secret>({kContractNamespace, secret.metadata().name()},
                             {.uid = "00000000-0000-4000-8000-000000000000"}),
      Fails(absl::StatusCode::kAborted,
            "Operation cannot be fulfilled on Secret \"" +
                secret.metadata().name() +
                "\": the UID in the precondition "
                "(00000000-0000-4000-8000-000000000000) does not match the UID "
                "in record (" +
                secret.metadata().uid() +
                "). The object might have been deleted and then recreated"));
  MustGet(secret);
}

TEST_P(KubernetesContract, ADeleteOfAnOldVersionIsAConflict) {
  const Secret old = MustCreate(NewSecret());
  Secret secret = old;
  (*secret.mutable_data())["key"] = "second";
  const auto updated = admin().Update(secret);
  ASSERT_THAT(updated, IsOk());

  EXPECT_THAT(admin().Delete<Secret>(
                  {kContractNamespace, secret.metadata().name()},
                  {.resource_version = old.metadata().resource_version()}),
              Fails(absl::StatusCode::kAborted,
                    "Operation cannot be fulfilled on Secret \"" +
                        secret.metadata().name() +
                        "\": the ResourceVersion in the precondition (" +
                        old.metadata().resource_version() +
                        ") does not match the ResourceVersion in record (" +
                        updated->metadata().resource_version() +
                        "). The object might have been modified"));
}

TEST_P(KubernetesContract, AnObjectMadeAnewIsAnother) {
  const Secret first = MustCreate(NewSecret());
  const latchkey::ObjectName name = {kContractNamespace,
                                     first.metadata().name()};
  ASSERT_THAT(admin().Delete<Secret>(name, {.uid = first.metadata().uid()}),
              IsOk());
  const Secret second = MustCreate(NewSecret(first.metadata().name()));

  EXPECT_NE(second.metadata().uid(), first.metadata().uid());
  EXPECT_THAT(admin().Delete<Secret>(name, {.uid = first.metadata().uid()}),
              StatusIs(absl::StatusCode::kAborted));
}

TEST_P(KubernetesContract, AFinalizerHoldsADeletedObject) {
  Secret secret = NewSecret();
  secret.mutable_metadata()->add_finalizers("contract.latchkey.test/hold");
  const latchkey::ObjectName name = {kContractNamespace,
                                     MustCreate(secret).metadata().name()};
  ASSERT_THAT(admin().Delete<Secret>(name), IsOk());

  Secret held = MustGet(secret);
  EXPECT_TRUE(held.metadata().has_deletion_timestamp());
  EXPECT_THAT(admin().Create(secret), Fails(absl::StatusCode::kAlreadyExists,
                                            "object is being deleted: "));
  held.mutable_metadata()->clear_finalizers();
  ASSERT_THAT(admin().Update(held), IsOk());
  EXPECT_THAT(admin().Get<Secret>(name), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(KubernetesContract, LabelsHaveAGrammar) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{
           {"a b", "x"},
           {"-a", "x"},
           {"a/b/c", "x"},
           {"Not_A_Domain/a", "x"},
           {"a", "x y"},
           {"a", "-x"},
           {"a", std::string(64, 'x')},
           {std::string(64, 'a'), "x"}}) {
    SCOPED_TRACE(key + "=" + value);
    Secret secret = NewSecret();
    (*secret.mutable_metadata()->mutable_labels())[key] = value;
    EXPECT_THAT(admin().Create(secret),
                Invalid("metadata.labels: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, GoodLabelsAreKept) {
  Secret secret = NewSecret();
  auto& labels = *secret.mutable_metadata()->mutable_labels();
  labels["latchkey.dev/A_b.c"] = "X_y.z";
  labels["empty"] = "";

  const Secret created = MustCreate(secret);

  EXPECT_EQ(created.metadata().labels().at("latchkey.dev/A_b.c"), "X_y.z");
  EXPECT_EQ(created.metadata().labels().at("empty"), "");
}

TEST_P(KubernetesContract, AnnotationsHaveAGrammarForKeysOnly) {
  Secret secret = NewSecret();
  auto& annotations = *secret.mutable_metadata()->mutable_annotations();
  annotations["latchkey.dev/note"] = "any text\n\tat all";
  EXPECT_EQ(MustCreate(secret).metadata().annotations().at("latchkey.dev/note"),
            "any text\n\tat all");

  secret = NewSecret();
  (*secret.mutable_metadata()->mutable_annotations())["a b"] = "x";
  EXPECT_THAT(admin().Create(secret),
              Invalid("metadata.annotations: FieldValueInvalid"));
}

TEST_P(KubernetesContract, AnnotationsHaveALimit) {
  Secret secret = NewSecret();
  (*secret.mutable_metadata()->mutable_annotations())["big"] =
      std::string(256 * 1024, 'x');

  EXPECT_THAT(admin().Create(secret),
              Invalid("metadata.annotations: FieldValueTooLong"));
}

TEST_P(KubernetesContract, ANamespaceMustExist) {
  const std::string missing = "namespaces \"no-such-namespace\" not found";

  EXPECT_THAT(admin().Create(NewSecret(NewName(), "no-such-namespace")),
              Fails(absl::StatusCode::kNotFound, missing));
}

TEST_P(KubernetesContract, AMissingNamespaceHoldsNothing) {
  EXPECT_THAT(admin().Get<Secret>({"no-such-namespace", "x"}),
              Fails(absl::StatusCode::kNotFound, "secrets \"x\" not found"));
  const auto list =
      admin().List<SecretList>({.name_space = "no-such-namespace"});
  ASSERT_THAT(list, IsOk());
  EXPECT_EQ(list->items_size(), 0);
}

TEST_P(KubernetesContract, AClusterHasItsFourNamespaces) {
  for (const char* name_space :
       {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    SCOPED_TRACE(name_space);
    MustCreate(NewSecret(NewName(), name_space));
  }
}

TEST_P(KubernetesContract, AnUnknownResourceIsNotFound) {
  Secret result;
  SecretList list;
  EXPECT_THAT(admin().GetObject(kWidgets, {kContractNamespace, "x"}, result),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      admin().CreateObject(kWidgets, kContractNamespace, NewSecret(), result),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      admin().ListObjects(kWidgets, {.name_space = kContractNamespace}, list),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(admin()
                  .WatchObjects(kWidgets, {.name_space = kContractNamespace,
                                           .resource_version = "1"})
                  .status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(KubernetesContract, AnUnknownSubresourceIsNotFound) {
  const Secret secret = MustCreate(NewSecret());

  EXPECT_THAT(admin().Update(secret, "status"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(KubernetesContract, ASecretIsOpaqueUnlessItSaysOtherwise) {
  EXPECT_EQ(MustCreate(NewSecret()).type(), "Opaque");
}

TEST_P(KubernetesContract, TheTypeOfASecretIsImmutable) {
  Secret secret = MustCreate(NewSecret());
  secret.set_type("bootstrap.kubernetes.io/token");

  EXPECT_THAT(admin().Update(secret), Invalid("type: FieldValueInvalid"));
}

TEST_P(KubernetesContract, AnUpdateWithoutATypeMeansOpaque) {
  Secret secret = NewSecret();
  secret.set_type("latchkey.dev/contract");
  secret = MustCreate(secret);
  secret.clear_type();

  EXPECT_THAT(admin().Update(secret), Invalid("type: FieldValueInvalid"));
}

TEST_P(KubernetesContract, ATlsSecretNeedsItsKeys) {
  Secret secret = NewSecret();
  secret.set_type("kubernetes.io/tls");

  EXPECT_THAT(admin().Create(secret),
              Invalid("data[tls.crt]: FieldValueRequired; data[tls.key]: "
                      "FieldValueRequired"));
}

TEST_P(KubernetesContract, ABootstrapTokenSecretMayHoldAnything) {
  Secret secret = NewSecret(NewName(), "kube-system");
  secret.set_type("bootstrap.kubernetes.io/token");

  EXPECT_EQ(MustCreate(secret).type(), "bootstrap.kubernetes.io/token");
}

TEST_P(KubernetesContract, KeysOfDataHaveAGrammar) {
  for (const std::string& bad :
       {std::string("a b"), std::string("a/b"), std::string("."),
        std::string(".."), std::string("..a"), std::string(254, 'k')}) {
    SCOPED_TRACE(bad);
    Secret secret = NewSecret();
    (*secret.mutable_data())[bad] = "x";
    EXPECT_THAT(admin().Create(secret),
                Invalid("data[" + bad + "]: FieldValueInvalid"));
    ConfigMap map = NewConfigMap();
    (*map.mutable_data())[bad] = "x";
    EXPECT_THAT(admin().Create(map),
                Invalid("data[" + bad + "]: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, AllFindingsAreReportedAtOnce) {
  Secret secret = NewSecret("Not_A_Name");
  (*secret.mutable_data())["a b"] = "x";
  (*secret.mutable_metadata()->mutable_labels())["a b"] = "x";

  const auto created = admin().Create(secret);

  EXPECT_THAT(created, Invalid("metadata.name: FieldValueInvalid"));
  EXPECT_THAT(created, Invalid("metadata.labels: FieldValueInvalid"));
  EXPECT_THAT(created, Invalid("data[a b]: FieldValueInvalid"));
}

TEST_P(KubernetesContract, ASecretHasALimitOfOneMebibyte) {
  Secret secret = NewSecret();
  (*secret.mutable_data())["key"] = std::string(1024 * 1024, 'x');
  MustCreate(secret);

  secret.mutable_metadata()->set_name(NewName());
  (*secret.mutable_data())["key"] = std::string(1024 * 1024 + 1, 'x');
  EXPECT_THAT(admin().Create(secret), Invalid("data: FieldValueTooLong"));
}

TEST_P(KubernetesContract, AConfigMapHasALimitOfOneMebibyte) {
  ConfigMap map = NewConfigMap();
  (*map.mutable_data())["key"] = std::string(1024 * 1024 + 1, 'x');

  EXPECT_THAT(admin().Create(map), Invalid("FieldValueTooLong"));
}

TEST_P(KubernetesContract, AnObjectOfFourMebibytesIsRefused) {
  Secret secret = NewSecret();
  (*secret.mutable_data())["key"] = std::string(4 * 1024 * 1024, 'x');

  EXPECT_THAT(admin().Create(secret),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(KubernetesContract, StringDataGoesOverData) {
  Secret secret = NewSecret();
  (*secret.mutable_string_data())["key"] = "text";

  const Secret created = MustCreate(secret);

  EXPECT_EQ(created.data().at("key"), "text");
  EXPECT_TRUE(created.string_data().empty());
}

TEST_P(KubernetesContract, AnImmutableSecretKeepsItsData) {
  Secret secret = NewSecret();
  secret.set_immutable(true);
  secret = MustCreate(secret);
  (*secret.mutable_data())["key"] = "second";

  EXPECT_THAT(admin().Update(secret), Invalid("data: FieldValueForbidden"));
}

TEST_P(KubernetesContract, AnImmutableSecretStaysImmutable) {
  Secret secret = NewSecret();
  secret.set_immutable(true);
  secret = MustCreate(secret);
  secret.set_immutable(false);

  EXPECT_THAT(admin().Update(secret),
              Invalid("immutable: FieldValueForbidden"));
}

TEST_P(KubernetesContract, AnImmutableSecretCanBeLabelled) {
  Secret secret = NewSecret();
  secret.set_immutable(true);
  secret = MustCreate(secret);
  (*secret.mutable_metadata()->mutable_labels())["a"] = "b";

  const auto updated = admin().Update(secret);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().labels().at("a"), "b");
}

TEST_P(KubernetesContract, AnImmutableConfigMapKeepsItsData) {
  ConfigMap map = NewConfigMap();
  map.set_immutable(true);
  map = MustCreate(map);
  (*map.mutable_data())["key"] = "second";

  EXPECT_THAT(admin().Update(map), Invalid("data: FieldValueForbidden"));
}

TEST_P(KubernetesContract, AConfigMapsKeyIsTextOrBytesAndNotBoth) {
  ConfigMap map = NewConfigMap();
  (*map.mutable_binary_data())["key"] = "x";

  EXPECT_THAT(admin().Create(map), Invalid("FieldValueInvalid"));
}

TEST_P(KubernetesContract, TheNameOfANodeIsADnsSubdomain) {
  Node node;
  node.mutable_metadata()->set_name("Node_1");

  EXPECT_THAT(admin().Create(node),
              Invalid("metadata.name: FieldValueInvalid"));
}

TEST_P(KubernetesContract, MessagesDoNotShowWhatASecretHolds) {
  Secret secret = NewSecret("Not_A_Name");
  (*secret.mutable_data())["key"] = "hidden-value";

  const auto created = admin().Create(secret);

  EXPECT_THAT(std::string(created.status().message()),
              Not(HasSubstr("hidden-value")));
}

}  // namespace
}  // namespace latchkey_testing
