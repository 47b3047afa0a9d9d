#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "devcluster/api_resources.h"
#include "devcluster/store_watch.h"
#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::WatchedChange;
using latchkey::WatchEventType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ListAndWatchTest : public ApiFixture {
 protected:
  void Add(const std::string& name, const std::string& label = "") {
    Secret secret = NewSecret(name);
    if (!label.empty()) {
      (*secret.mutable_metadata()->mutable_labels())["app"] = label;
    }
    ASSERT_THAT(Create(admin_, secret), IsOk());
  }
  void Remove(const std::string& name) {
    ASSERT_THAT(As(admin_)->Delete<Secret>({"kube-system", name}), IsOk());
  }
  std::vector<std::string> Names(const latchkey::ListQuery& query) {
    const auto page = api_.List(admin_, latchkey::kSecrets, query);
    EXPECT_THAT(page, IsOk());
    std::vector<std::string> names;
    if (page.ok()) {
      for (const auto& item : page->items) names.push_back(NameOf(item));
    }
    return names;
  }
  static std::string NameOf(const latchkey::StoredObject& object) {
    return dynamic_cast<const Secret&>(object->message()).metadata().name();
  }
  std::unique_ptr<latchkey::ApiWatch> Watch(
      latchkey::ApiServer::WatchOptions options) {
    auto watch = api_.Watch(admin_, latchkey::kSecrets, std::move(options));
    EXPECT_THAT(watch, IsOk());
    return watch.ok() ? *std::move(watch) : nullptr;
  }
  std::string Now() const { return std::to_string(store_->Revision()); }
  // What a watch has to say now: "+a", "~a", "-a", and "." for a bookmark.
  static std::vector<std::string> Drain(latchkey::ApiWatch& watch) {
    std::vector<std::string> events;
    while (true) {
      auto change = watch.Poll();
      EXPECT_THAT(change, IsOk());
      if (!change.ok() || !*change) return events;
      const char* signs = "+~-.";
      events.push_back(signs[static_cast<int>((*change)->type)] +
                       NameOf((*change)->object));
    }
  }
};

TEST_F(ListAndWatchTest, LabelSelectorsSelect) {
  Add("a", "one");
  Add("b", "two");
  Add("c");
  struct Case {
    const char* selector;
    std::vector<std::string> want;
  };
  const Case cases[] = {
      {"", {"a", "b", "c"}},
      {"app", {"a", "b"}},
      {"!app", {"c"}},
      {"app=one", {"a"}},
      {"app == one", {"a"}},
      {"app!=one", {"b", "c"}},
      {"app in (one,three)", {"a"}},
      {"app in(one, two)", {"a", "b"}},
      {"app notin (one)", {"b", "c"}},
      {"app,app!=two", {"a"}},
      {"app=", {}},
      {"app>1", {}},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Names({.label_selector = test.selector}), test.want)
        << test.selector;
  }
}

TEST_F(ListAndWatchTest, SelectorsThatAreNoneAreBadRequests) {
  for (const char* bad : {"a in b", "a in (b", "=b", "a=b=c", "a b", "a,", "!",
                          "a>x", "a=b c", "-", "a=-"}) {
    EXPECT_THAT(api_.List(admin_, latchkey::kSecrets, {.label_selector = bad}),
                IsApiError(400, HasSubstr("unable to parse requirement")))
        << bad;
  }
  for (const char* bad : {"spec.signerName=a", "data=x", "metadata.name"}) {
    EXPECT_THAT(api_.List(admin_, latchkey::kSecrets, {.field_selector = bad}),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
  EXPECT_THAT(api_.List(admin_, latchkey::kNodes,
                        {.field_selector = "metadata.namespace=a"}),
              IsApiError(400, HasSubstr("field label not supported")));
}

TEST_F(ListAndWatchTest, FieldSelectorsSelect) {
  Add("a");
  Add("b");
  ASSERT_THAT(Create(admin_, TokenSecret()), IsOk());

  EXPECT_THAT(Names({.field_selector = "metadata.name!=a,type=Opaque"}),
              ElementsAre("b"));
  EXPECT_THAT(Names({.field_selector = "type==bootstrap.kubernetes.io/token"}),
              ElementsAre("bootstrap-token-abc123"));
  EXPECT_THAT(Names({.field_selector = "metadata.namespace=default"}),
              IsEmpty());
}

TEST_F(ListAndWatchTest, PagesShowTheStateOfTheFirst) {
  for (const char* name : {"a", "b", "c", "d"}) Add(name);
  const auto first = api_.List(admin_, latchkey::kSecrets, {.limit = 2});
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->items.size(), 2U);
  EXPECT_EQ(first->remaining, 2);

  Remove("c");
  Add("bb");

  const auto second =
      api_.List(admin_, latchkey::kSecrets,
                {.limit = 5, .continue_token = first->continue_token});
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->items.size(), 2U);
  EXPECT_EQ(NameOf(second->items[0]), "c");
  EXPECT_EQ(NameOf(second->items[1]), "d");
  EXPECT_EQ(second->resource_version, first->resource_version);
  EXPECT_EQ(second->continue_token, "");
}

TEST_F(ListAndWatchTest, APageThatIsForgottenHasExpired) {
  for (const char* name : {"a", "b"}) Add(name);
  const auto first = api_.List(admin_, latchkey::kSecrets, {.limit = 1});
  ASSERT_THAT(first, IsOk());

  store_->ForgetHistory();

  EXPECT_THAT(api_.List(admin_, latchkey::kSecrets,
                        {.limit = 1, .continue_token = first->continue_token}),
              IsApiError(410, HasSubstr("too old")));
  for (const char* bad : {"x", "!!", "MXxhfGI_", "LTF8YXxi"}) {
    EXPECT_THAT(api_.List(admin_, latchkey::kSecrets,
                          {.limit = 1, .continue_token = bad}),
                ::testing::Not(IsOk()))
        << bad;
  }
}

TEST_F(ListAndWatchTest, AWatchWithoutAVersionBeginsWithWhatThereIs) {
  Add("b");
  Add("a");
  for (const char* version : {"", "0"}) {
    const auto watch = Watch({.query = {.resource_version = version}});
    EXPECT_THAT(Drain(*watch), ElementsAre("+a", "+b"));
  }
  const auto watch = Watch({});
  Add("c");
  Remove("a");
  EXPECT_THAT(Drain(*watch), ElementsAre("+a", "+b", "+c", "-a"));
}

TEST_F(ListAndWatchTest, AnInitialListIsMarkedAtItsEnd) {
  Add("a");
  const auto watch =
      Watch({.query = {.resource_version = Now()}, .initial_events = true});
  Add("b");

  ASSERT_THAT(watch->Poll(), IsOk());
  const auto mark = watch->Poll();

  ASSERT_THAT(mark, IsOk());
  ASSERT_TRUE(mark->has_value());
  EXPECT_EQ((*mark)->type, WatchEventType::kBookmark);
  const auto& metadata =
      dynamic_cast<const Secret&>((*mark)->object->message()).metadata();
  EXPECT_EQ(metadata.annotations().at("k8s.io/initial-events-end"), "true");
  EXPECT_EQ(metadata.resource_version(),
            std::to_string(store_->Revision() - 1));
  EXPECT_THAT(Drain(*watch), ElementsAre("+b"));
}

TEST_F(ListAndWatchTest, AWatchSeesItsNamespaceAndItsKindOnly) {
  const auto watch =
      Watch({.query = {.name_space = "default", .resource_version = Now()}});
  Add("a");
  latchkey::kubernetes::ConfigMap map;
  map.mutable_metadata()->set_namespace_("default");
  map.mutable_metadata()->set_name("m");
  ASSERT_THAT(Create(admin_, map), IsOk());

  EXPECT_THAT(Drain(*watch), IsEmpty());
}

TEST_F(ListAndWatchTest, AWatchTellsItsListenerOfWritesAndOfItsEnd) {
  int heard = 0;
  auto watch = Watch(
      {.query = {.resource_version = Now()}, .listener = [&] { ++heard; }});

  Add("a");
  EXPECT_EQ(heard, 1);
  api_.SendBookmarks();
  EXPECT_EQ(heard, 2);
  EXPECT_THAT(Drain(*watch), ElementsAre("+a", "."));
  api_.EndWatches();
  EXPECT_EQ(heard, 3);
  EXPECT_THAT(watch->Poll(), StatusIs(absl::StatusCode::kUnavailable));

  watch.reset();
  Add("b");
  EXPECT_EQ(heard, 3);
}

TEST_F(ListAndWatchTest, BookmarksAreForThoseWhoWantThem) {
  const auto watch =
      Watch({.query = {.resource_version = Now()}, .bookmarks = false});

  api_.SendBookmarks();

  EXPECT_THAT(Drain(*watch), IsEmpty());
}

TEST_F(ListAndWatchTest, AWatchEndsAtItsTimeWithABookmark) {
  const auto watch = Watch(
      {.query = {.resource_version = Now(), .timeout = absl::Minutes(5)}});
  Add("a");

  clock_.Advance(absl::Minutes(5));

  const auto event = watch->Poll();
  ASSERT_THAT(event, IsOk());
  EXPECT_EQ((*event)->type, WatchEventType::kAdded);
  const auto farewell = watch->Poll();
  ASSERT_THAT(farewell, IsOk());
  EXPECT_EQ((*farewell)->type, WatchEventType::kBookmark);
  EXPECT_EQ((*farewell)->object->revision(), store_->Revision());
  EXPECT_THAT(watch->Poll(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ListAndWatchTest, AWatchThatFallsBehindIsTooOld) {
  const auto watch = Watch({.query = {.resource_version = Now()}});
  Add("a");

  store_->ForgetHistory();

  EXPECT_THAT(watch->Poll(),
              IsApiError(410, HasSubstr("too old resource version: 1 (")));
  EXPECT_THAT(api_.Watch(admin_, latchkey::kSecrets,
                         {.query = {.resource_version = "1"}}),
              StatusIs(absl::StatusCode::kOutOfRange));
}

// Counts the changes that watches read.
class CountingStore final : public latchkey::ObjectStore {
 public:
  explicit CountingStore(latchkey::ObjectStore& real) : real_(real) {}

  size_t changes() const { return changes_; }

  int64_t Revision() const override { return real_.Revision(); }
  latchkey::StoredObject Find(const latchkey::Resource& resource,
                              const latchkey::ObjectName& name) const override {
    return real_.Find(resource, name);
  }
  absl::StatusOr<latchkey::StoredObject> Write(
      const latchkey::Resource& resource, const latchkey::ObjectName& name,
      const latchkey::StoredObject& expected,
      std::unique_ptr<google::protobuf::Message> object) override {
    return real_.Write(resource, name, expected, std::move(object));
  }
  absl::StatusOr<std::vector<latchkey::StoredObject>> Snapshot(
      const latchkey::Resource& resource, std::string_view name_space,
      int64_t& revision) const override {
    return real_.Snapshot(resource, name_space, revision);
  }
  absl::StatusOr<std::vector<latchkey::StoreChange>> ChangesAfter(
      int64_t revision, size_t limit) const override {
    auto changes = real_.ChangesAfter(revision, limit);
    if (changes.ok()) changes_ += changes->size();
    return changes;
  }
  std::shared_ptr<void> Listen(std::function<void()> listener) override {
    return real_.Listen(std::move(listener));
  }
  absl::Status Health() const override { return real_.Health(); }
  void ForgetHistory() override { real_.ForgetHistory(); }

 private:
  latchkey::ObjectStore& real_;
  mutable size_t changes_ = 0;
};

TEST_F(ListAndWatchTest, ABacklogIsReadOnce) {
  const std::string before = Now();
  std::vector<std::string> want;
  for (int i = 0; i < 300; ++i) {
    Add(fmt::format("s{}", i));
    want.push_back(fmt::format("+s{}", i));
  }
  CountingStore store(*store_);
  latchkey::WatchSignals signals;
  const auto watch = latchkey::StoreWatch::Open(
      store, signals, clock_, *latchkey::FindApiResource("secrets"), {},
      {.query = {.resource_version = before, .timeout = absl::Minutes(5)}});
  ASSERT_THAT(watch, IsOk());

  EXPECT_EQ(Drain(**watch), want);
  EXPECT_LE(store.changes(), 300U + 1) << "one, when it was opened";
}

TEST_F(ListAndWatchTest, AVersionIsANumber) {
  for (const char* bad : {"x", "-1", "1.5", "1 ", "99999999999999999999"}) {
    EXPECT_THAT(api_.Watch(admin_, latchkey::kSecrets,
                           {.query = {.resource_version = bad}}),
                IsApiError(500, HasSubstr("invalid syntax")))
        << bad;
  }
}

TEST_F(ListAndWatchTest, AVersionOfTheFutureIsNotWaitedFor) {
  Add("a");
  const std::string future = std::to_string(store_->Revision() + 1);

  for (const bool initial_events : {false, true}) {
    const auto refused = api_.Watch(admin_, latchkey::kSecrets,
                                    {.query = {.resource_version = future},
                                     .initial_events = initial_events});
    EXPECT_THAT(refused, IsApiError(504, HasSubstr("Too large resource "
                                                   "version")));
    const auto status = latchkey::KubernetesStatusOf(refused.status());
    ASSERT_EQ(status.details().causes_size(), 1);
    EXPECT_EQ(status.details().causes(0).reason(), "ResourceVersionTooLarge");
  }
  // Which makes a reflector list again.
  EXPECT_THAT(As(admin_)->WatchObjects(latchkey::kSecrets,
                                       {.resource_version = future}),
              StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace latchkey_testing
