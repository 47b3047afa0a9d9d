// Lists: order, selectors and pages.

#include <algorithm>

#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::ConfigMapList;
using latchkey::kubernetes::LeaseList;
using latchkey::kubernetes::NodeList;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

template <typename List>
std::vector<std::string> NamesOf(const List& list) {
  std::vector<std::string> names;
  for (const auto& item : list.items()) names.push_back(item.metadata().name());
  return names;
}

TEST_P(KubernetesContract, AListIsInTheOrderOfNames) {
  const std::string label = NewName();
  std::vector<std::string> names;
  for (const char* suffix : {"c", "a", "b"}) {
    Secret secret = NewLabelled(label);
    secret.mutable_metadata()->set_name(label + "-" + suffix);
    names.push_back(MustCreate(secret).metadata().name());
  }
  std::sort(names.begin(), names.end());

  const auto list =
      admin().List<SecretList>({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label});

  ASSERT_THAT(list, IsOk());
  EXPECT_THAT(NamesOf(*list), ElementsAreArray(names));
}

TEST_P(KubernetesContract, AListOfAllNamespacesIsInTheirOrder) {
  const std::string label = NewName();
  for (const char* name_space : {"kube-system", "default"}) {
    Secret secret = NewLabelled(label);
    secret.mutable_metadata()->set_namespace_(name_space);
    MustCreate(secret);
  }

  const auto list =
      admin().List<SecretList>({.label_selector = "contract=" + label});

  ASSERT_THAT(list, IsOk());
  ASSERT_EQ(list->items_size(), 2);
  EXPECT_EQ(list->items(0).metadata().namespace_(), "default");
  EXPECT_EQ(list->items(1).metadata().namespace_(), "kube-system");
}

TEST_P(KubernetesContract, LabelSelectorsPick) {
  const std::string label = NewName();
  Secret a = NewLabelled(label);
  (*a.mutable_metadata()->mutable_labels())["tier"] = "1";
  a = MustCreate(a);
  Secret b = NewLabelled(label);
  (*b.mutable_metadata()->mutable_labels())["tier"] = "2";
  (*b.mutable_metadata()->mutable_labels())["empty"] = "";
  b = MustCreate(b);
  Secret c = MustCreate(NewLabelled(label));
  const std::string& a_name = a.metadata().name();
  const std::string& b_name = b.metadata().name();
  const std::string& c_name = c.metadata().name();
  struct Case {
    std::string selector;
    std::vector<std::string> want;
  };
  for (const Case& one : std::vector<Case>{{"tier", {a_name, b_name}},
                                           {"!tier", {c_name}},
                                           {"tier=1", {a_name}},
                                           {"tier==2", {b_name}},
                                           {"tier!=1", {b_name, c_name}},
                                           {"tier in (1, 2)", {a_name, b_name}},
                                           {"tier notin (1)", {b_name, c_name}},
                                           {"tier>1", {b_name}},
                                           {"tier<2", {a_name}},
                                           {"empty=", {b_name}},
                                           {"tier,tier!=2", {a_name}},
                                           {"tier in (1),tier in (2)", {}}}) {
    SCOPED_TRACE(one.selector);
    const auto list = admin().List<SecretList>(
        {.name_space = kContractNamespace,
         .label_selector = "contract=" + label + "," + one.selector});
    EXPECT_THAT(list, IsOk());
    if (!list.ok()) continue;
    std::vector<std::string> want = one.want;
    std::sort(want.begin(), want.end());
    EXPECT_THAT(NamesOf(*list), ElementsAreArray(want));
  }
}

TEST_P(KubernetesContract, ABadLabelSelectorIsRefused) {
  for (const char* bad :
       {"a in b c", "a=b=c", "!", "=a", "a in (", "a in ()x", "a/b/c=d",
        "a b=c", "a=_b", "a,,b", "a notin", "a>x"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().List<SecretList>(
                    {.name_space = kContractNamespace, .label_selector = bad}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_P(KubernetesContract, SecretsAreFoundByTheirFields) {
  const std::string label = NewName();
  Secret plain = MustCreate(NewLabelled(label));
  Secret typed = NewLabelled(label);
  typed.set_type("latchkey.dev/contract");
  typed = MustCreate(typed);
  struct Case {
    std::string selector;
    std::string want;
  };
  for (const Case& one : std::vector<Case>{
           {"metadata.name=" + plain.metadata().name(),
            plain.metadata().name()},
           {"metadata.name!=" + plain.metadata().name(),
            typed.metadata().name()},
           {"type=latchkey.dev/contract", typed.metadata().name()},
           {"type!=Opaque", typed.metadata().name()},
           {"metadata.namespace=kube-public,type==Opaque",
            plain.metadata().name()}}) {
    SCOPED_TRACE(one.selector);
    const auto list =
        admin().List<SecretList>({.name_space = kContractNamespace,
                                  .label_selector = "contract=" + label,
                                  .field_selector = one.selector});
    ASSERT_THAT(list, IsOk());
    EXPECT_THAT(NamesOf(*list), ElementsAre(one.want));
  }
}

TEST_P(KubernetesContract, AnUnknownFieldIsNotSupported) {
  for (const char* bad :
       {"metadata.uid=x", "data.key=x", "spec.signerName=x"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().List<SecretList>(
                    {.name_space = kContractNamespace, .field_selector = bad}),
                Invalid("field label not supported"));
  }
}

TEST_P(KubernetesContract, ABadFieldSelectorIsRefused) {
  for (const char* bad : {"metadata.name", "metadata.name in (a)", "a=b=c"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().List<SecretList>(
                    {.name_space = kContractNamespace, .field_selector = bad}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_P(KubernetesContract, CsrsAreFoundByTheirSigner) {
  Csr csr = NewCsr();
  csr.mutable_spec()->set_signer_name("contract.latchkey.test/" +
                                      csr.metadata().name());
  MustCreate(csr);
  MustCreate(NewCsr());

  const auto list = admin().List<CsrList>(
      {.field_selector = "spec.signerName=" + csr.spec().signer_name()});

  ASSERT_THAT(list, IsOk());
  EXPECT_THAT(NamesOf(*list), ElementsAre(csr.metadata().name()));
  EXPECT_THAT(admin().List<CsrList>({.field_selector = "spec.username=x"}),
              Invalid("field label not supported"));
}

TEST_P(KubernetesContract, AListKnowsTheWritesBeforeIt) {
  const Secret secret = MustCreate(NewSecret());

  const auto list = admin().List<SecretList>(
      {.name_space = kContractNamespace,
       .field_selector = "metadata.name=" + secret.metadata().name()});

  ASSERT_THAT(list, IsOk());
  EXPECT_GE(std::stoll(list->metadata().resource_version()),
            std::stoll(secret.metadata().resource_version()));
}

TEST_P(KubernetesContract, APageSaysHowManyFollow) {
  for (int i = 0; i < 3; ++i) MustCreate(NewConfigMap());
  const auto whole =
      admin().List<ConfigMapList>({.name_space = kContractNamespace});
  ASSERT_THAT(whole, IsOk());
  EXPECT_FALSE(whole->metadata().has_remaining_item_count());
  EXPECT_EQ(whole->metadata().continue_(), "");

  const auto page = admin().List<ConfigMapList>(
      {.name_space = kContractNamespace, .limit = 2});

  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->items_size(), 2);
  EXPECT_EQ(page->metadata().remaining_item_count(), whole->items_size() - 2);
}

TEST_P(KubernetesContract, APageOfASelectionCountsNothing) {
  const std::string label = NewName();
  for (int i = 0; i < 3; ++i) MustCreate(NewLabelled(label));

  const auto page =
      admin().List<SecretList>({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .limit = 2});

  ASSERT_THAT(page, IsOk());
  EXPECT_FALSE(page->metadata().has_remaining_item_count());
  EXPECT_NE(page->metadata().continue_(), "");
}

TEST_P(KubernetesContract, APageThatHoldsAllIsTheLast) {
  const std::string label = NewName();
  for (int i = 0; i < 2; ++i) MustCreate(NewLabelled(label));

  const auto page =
      admin().List<SecretList>({.name_space = kContractNamespace,
                                .label_selector = "contract=" + label,
                                .limit = 2});

  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->items_size(), 2);
}

TEST_P(KubernetesContract, PagesShowTheStateOfTheFirst) {
  const std::string label = NewName();
  std::vector<std::string> want;
  for (const char* suffix : {"a", "b", "c"}) {
    Secret secret = NewLabelled(label);
    secret.mutable_metadata()->set_name(label + "-" + suffix);
    want.push_back(MustCreate(secret).metadata().name());
  }
  latchkey::ListQuery query{.name_space = kContractNamespace,
                            .label_selector = "contract=" + label,
                            .limit = 1};
  auto page = admin().List<SecretList>(query);
  ASSERT_THAT(page, IsOk());
  // Behind the first page one goes and another comes.
  ASSERT_THAT(admin().Delete<Secret>({kContractNamespace, want[1]}), IsOk());
  Secret late = NewLabelled(label);
  late.mutable_metadata()->set_name(label + "-d");
  MustCreate(late);

  std::vector<std::string> got = NamesOf(*page);
  while (!page->metadata().continue_().empty()) {
    query.continue_token = page->metadata().continue_();
    page = admin().List<SecretList>(query);
    ASSERT_THAT(page, IsOk());
    for (const std::string& name : NamesOf(*page)) got.push_back(name);
  }

  EXPECT_THAT(got, ElementsAreArray(want));
}

TEST_P(KubernetesContract, AGarbageContinueTokenIsRefused) {
  for (const char* bad : {"garbage", "e30", "AAAA"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().List<SecretList>({.name_space = kContractNamespace,
                                          .limit = 1,
                                          .continue_token = bad}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_P(KubernetesContract, AContinueTokenExpiresWithItsState) {
  const std::string label = NewName();
  for (int i = 0; i < 2; ++i) MustCreate(NewLabelled(label));
  const latchkey::ListQuery query{.name_space = kContractNamespace,
                                  .label_selector = "contract=" + label,
                                  .limit = 1};
  const auto page = admin().List<SecretList>(query);
  ASSERT_THAT(page, IsOk());
  // The latest state is never forgotten.
  MustCreate(NewSecret());
  cluster().ForgetHistory();

  latchkey::ListQuery next = query;
  next.continue_token = page->metadata().continue_();
  EXPECT_THAT(admin().List<SecretList>(next),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(KubernetesContract, NodesAndLeasesAreFoundByName) {
  Node node;
  node.mutable_metadata()->set_name(NewName());
  MustCreate(node);
  Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name(NewName());
  MustCreate(lease);

  const auto nodes = admin().List<NodeList>(
      {.field_selector = "metadata.name=" + node.metadata().name()});
  const auto leases = admin().List<LeaseList>(
      {.field_selector = "metadata.name=" + lease.metadata().name()});

  ASSERT_THAT(nodes, IsOk());
  EXPECT_THAT(NamesOf(*nodes), ElementsAre(node.metadata().name()));
  ASSERT_THAT(leases, IsOk());
  EXPECT_THAT(NamesOf(*leases), ElementsAre(lease.metadata().name()));
}

}  // namespace
}  // namespace latchkey_testing
