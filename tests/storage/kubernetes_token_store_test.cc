#include "storage/kubernetes_token_store.h"

#include "storage/token_secret.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/storage/token_store_contract.h"

namespace latchkey_testing {
namespace {

class KubernetesFactory {
 public:
  latchkey::TokenStore& store() { return store_; }

 private:
  FakeKubernetesClient api_;
  latchkey::KubernetesTokenStore store_{api_};
};

INSTANTIATE_TYPED_TEST_SUITE_P(FakeKubernetes, TokenStoreContract,
                               KubernetesFactory);

class KubernetesTokenStoreTest : public ::testing::Test {
 protected:
  latchkey::kubernetes::Secret SecretOf(const char* id) {
    return api_
        .Get<latchkey::kubernetes::Secret>(
            {"kube-system", std::string("bootstrap-token-") + id})
        .value();
  }

  FakeKubernetesClient api_;
  latchkey::KubernetesTokenStore store_{api_};
};

TEST_F(KubernetesTokenStoreTest, OnlyALiveTokenCanAuthenticate) {
  ASSERT_THAT(store_.Insert(IssuedRecord("abc123")), IsOk());
  EXPECT_EQ(SecretOf("abc123").data().at("usage-bootstrap-authentication"),
            "false");
  ASSERT_THAT(store_.Insert(DirectRecord("def456")), IsOk());
  const auto secret = SecretOf("def456");
  EXPECT_EQ(secret.data().at("usage-bootstrap-authentication"), "true");
  EXPECT_EQ(secret.data().at("usage-bootstrap-signing"), "false");
  EXPECT_EQ(secret.data().at("auth-extra-groups"),
            "system:bootstrappers:latchkey");
  EXPECT_EQ(secret.data().at("expiration"), "2027-01-15T09:00:00Z");
  EXPECT_EQ(secret.type(), "bootstrap.kubernetes.io/token");
}

TEST_F(KubernetesTokenStoreTest, WhatOthersWroteOnTheSecretStays) {
  const auto seen = store_.Insert(DirectRecord("abc123"));
  auto secret = SecretOf("abc123");
  (*secret.mutable_metadata()->mutable_annotations())["example.org/ticket"] =
      "OPS-1";
  ASSERT_THAT(api_.Update(secret), IsOk());

  const auto token = store_.Find(Id("abc123"));
  ASSERT_THAT(token, IsOk());
  latchkey::TokenRecord next = token->record;
  next.rule = "changed";
  ASSERT_THAT(store_.Replace(*token, next), IsOk());
  EXPECT_EQ(
      SecretOf("abc123").metadata().annotations().at("example.org/ticket"),
      "OPS-1");
}

TEST_F(KubernetesTokenStoreTest, TokensOfOthersAreNotOurs) {
  latchkey::kubernetes::Secret kubeadm;
  kubeadm.mutable_metadata()->set_name("bootstrap-token-abc123");
  kubeadm.mutable_metadata()->set_namespace_("kube-system");
  kubeadm.set_type("bootstrap.kubernetes.io/token");
  (*kubeadm.mutable_data())["token-id"] = "abc123";
  ASSERT_THAT(api_.Create(kubeadm), IsOk());

  EXPECT_THAT(store_.Find(Id("abc123")),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_.Insert(IssuedRecord("abc123")),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(KubernetesTokenStoreTest, AListingPassesOverWhatItCannotRead) {
  for (const char* id : {"aaaaaa", "bbbbbb", "cccccc"}) {
    ASSERT_THAT(store_.Insert(IssuedRecord(id)), IsOk());
  }
  auto altered = SecretOf("bbbbbb");
  altered.mutable_data()->erase("expiration");
  ASSERT_THAT(api_.Update(altered), IsOk());
  latchkey::kubernetes::Secret foreign;
  foreign.mutable_metadata()->set_name("bootstrap-token-dddddd");
  foreign.mutable_metadata()->set_namespace_("kube-system");
  foreign.set_type("bootstrap.kubernetes.io/token");
  (*foreign.mutable_data())["token-id"] = "dddddd";
  ASSERT_THAT(api_.Create(foreign), IsOk());

  const auto page = store_.List({});
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->tokens.size(), 2U);
  EXPECT_EQ(page->tokens[0].record.id, Id("aaaaaa"));
  EXPECT_EQ(page->tokens[1].record.id, Id("cccccc"));
  EXPECT_EQ(page->next_page_token, "");
}

TEST_F(KubernetesTokenStoreTest, AListingIsOfOneProvisionerWhateverTheLabel) {
  latchkey::TokenRecord mine = IssuedRecord("aaaaaa");
  ASSERT_THAT(store_.Insert(mine), IsOk());
  auto relabelled = SecretOf("aaaaaa");
  (*relabelled.mutable_metadata()
        ->mutable_labels())["latchkey.dev/provisioner"] =
      latchkey::ProvisionerLabelValue("cn:thief");
  ASSERT_THAT(api_.Update(relabelled), IsOk());

  const auto page = store_.List({.filter = {.provisioner = "cn:thief"}});
  ASSERT_THAT(page, IsOk());
  EXPECT_TRUE(page->tokens.empty());
}

TEST_F(KubernetesTokenStoreTest, AMomentThatIsForgottenEndsTheListing) {
  for (const char* id : {"aaaaaa", "bbbbbb", "cccccc"}) {
    ASSERT_THAT(store_.Insert(IssuedRecord(id)), IsOk());
  }
  const auto first = store_.List({.filter = {}, .page_size = 1});
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(store_.Insert(IssuedRecord("dddddd")), IsOk());
  api_.ForgetHistory();

  const auto next = store_.List(
      {.filter = {}, .page_size = 1, .page_token = first->next_page_token});
  EXPECT_THAT(next, ReasonIs(latchkey::reason::kPageExpired));
  EXPECT_THAT(next, StatusIs(absl::StatusCode::kAborted));
}

TEST_F(KubernetesTokenStoreTest, ARecordThatWasAlteredIsNotUsed) {
  struct Case {
    const char* name;
    void (*alter)(latchkey::kubernetes::Secret&);
  };
  const Case cases[] = {
      {"another token-id",
       [](auto& s) { (*s.mutable_data())["token-id"] = "zzzzzz"; }},
      {"no expiration", [](auto& s) { s.mutable_data()->erase("expiration"); }},
      {"an expiration that is none",
       [](auto& s) { (*s.mutable_data())["expiration"] = "tomorrow"; }},
      {"an unknown state",
       [](auto& s) {
         (*s.mutable_metadata()->mutable_labels())["latchkey.dev/state"] = "x";
       }},
      {"no node name",
       [](auto& s) {
         s.mutable_metadata()->mutable_annotations()->erase(
             "latchkey.dev/node-name");
       }},
      {"active without the key that claimed it",
       [](auto& s) {
         (*s.mutable_metadata()->mutable_labels())["latchkey.dev/state"] =
             "active";
       }},
      {"reserved by nobody",
       [](auto& s) {
         (*s.mutable_metadata()->mutable_labels())["latchkey.dev/state"] =
             "reserved";
       }},
      {"a lifetime that is none",
       [](auto& s) {
         (*s.mutable_metadata()->mutable_annotations())
             ["latchkey.dev/max-certificate-lifetime"] = "long";
       }},
  };
  latchkey::kubernetes::Secret good;
  latchkey::WriteTokenSecret(IssuedRecord(), good);
  ASSERT_THAT(latchkey::ReadTokenSecret(good), IsOk());
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    latchkey::kubernetes::Secret altered = good;
    c.alter(altered);
    EXPECT_THAT(latchkey::ReadTokenSecret(altered),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

}  // namespace
}  // namespace latchkey_testing
