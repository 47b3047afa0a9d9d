// What every ObjectStore must do. A suite gives a factory:
//
//   struct MyStore {
//     // An empty store.
//     std::unique_ptr<latchkey::ObjectStore> Open(
//         const latchkey::ObjectStore::Options& options);
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, ObjectStoreContract, MyStore);

#ifndef LATCHKEY_TESTS_DEVCLUSTER_OBJECT_STORE_CONTRACT_H_
#define LATCHKEY_TESTS_DEVCLUSTER_OBJECT_STORE_CONTRACT_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devcluster/object_store.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

inline std::unique_ptr<google::protobuf::Message> MakeStoredSecret(
    const latchkey::ObjectName& name, const std::string& value) {
  auto secret = std::make_unique<latchkey::kubernetes::Secret>();
  secret->mutable_metadata()->set_namespace_(name.name_space);
  secret->mutable_metadata()->set_name(name.name);
  (*secret->mutable_data())["value"] = value;
  return secret;
}

inline std::string ValueOf(const latchkey::StoredObject& object) {
  return dynamic_cast<const latchkey::kubernetes::Secret&>(object->message())
      .data()
      .at("value");
}

template <typename Factory>
class ObjectStoreContract : public ::testing::Test {
 protected:
  using ObjectName = latchkey::ObjectName;
  using StoredObject = latchkey::StoredObject;

  // Puts it in place of whatever is there.
  StoredObject Put(const ObjectName& name, const std::string& value) {
    auto written = store_->Write(latchkey::kSecrets, name,
                                 store_->Find(latchkey::kSecrets, name),
                                 MakeStoredSecret(name, value));
    EXPECT_THAT(written, IsOk());
    return written.ok() ? *written : nullptr;
  }
  StoredObject Remove(const ObjectName& name) {
    auto removed =
        store_->Write(latchkey::kSecrets, name,
                      store_->Find(latchkey::kSecrets, name), nullptr);
    EXPECT_THAT(removed, IsOk());
    return removed.ok() ? *removed : nullptr;
  }
  std::vector<std::string> ValuesAt(int64_t revision,
                                    const std::string& name_space = "") {
    const auto objects =
        store_->Snapshot(latchkey::kSecrets, name_space, revision);
    EXPECT_THAT(objects, IsOk());
    std::vector<std::string> values;
    if (objects.ok()) {
      for (const auto& object : *objects) values.push_back(ValueOf(object));
    }
    return values;
  }

  Factory factory_;
  std::unique_ptr<latchkey::ObjectStore> store_ =
      factory_.Open({.history = 8,
                     .history_bytes = 10'000,
                     .object_bytes = 8000,
                     .total_bytes = 20'000});
  const ObjectName a_{"kube-system", "a"};
  const ObjectName b_{"kube-system", "b"};
};

TYPED_TEST_SUITE_P(ObjectStoreContract);

TYPED_TEST_P(ObjectStoreContract, EveryWriteIsTheNextRevision) {
  const int64_t before = this->store_->Revision();

  const auto first = this->Put(this->a_, "1");
  const auto second = this->Put(this->a_, "2");
  const auto gone = this->Remove(this->a_);

  EXPECT_EQ(first->revision(), before + 1);
  EXPECT_EQ(second->revision(), before + 2);
  EXPECT_EQ(gone->revision(), before + 3);
  EXPECT_EQ(this->store_->Revision(), before + 3);
}

TYPED_TEST_P(ObjectStoreContract, AnObjectCarriesItsRevision) {
  const auto written = this->Put(this->a_, "1");

  const auto found = this->store_->Find(latchkey::kSecrets, this->a_);

  ASSERT_EQ(found, written);
  latchkey::kubernetes::Secret decoded;
  ASSERT_TRUE(decoded.ParseFromString(found->encoded()));
  EXPECT_EQ(decoded.metadata().resource_version(),
            std::to_string(written->revision()));
}

TYPED_TEST_P(ObjectStoreContract, AWriteAssertsWhatItReplaces) {
  const auto old = this->Put(this->a_, "1");
  const auto latest = this->Put(this->a_, "2");
  const int64_t revision = this->store_->Revision();

  for (const auto& expected : {latchkey::StoredObject(), old}) {
    EXPECT_THAT(this->store_->Write(latchkey::kSecrets, this->a_, expected,
                                    MakeStoredSecret(this->a_, "3")),
                StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(
        this->store_->Write(latchkey::kSecrets, this->a_, expected, nullptr),
        StatusIs(absl::StatusCode::kAborted));
  }

  EXPECT_EQ(this->store_->Find(latchkey::kSecrets, this->a_), latest);
  EXPECT_EQ(this->store_->Revision(), revision);
}

TYPED_TEST_P(ObjectStoreContract, OneOfManyWritersWins) {
  const auto before = this->Put(this->a_, "0");
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 1; i <= 8; ++i) {
      racers.emplace_back([&, i] {
        const auto written =
            this->store_->Write(latchkey::kSecrets, this->a_, before,
                                MakeStoredSecret(this->a_, std::to_string(i)));
        winners += written.ok() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TYPED_TEST_P(ObjectStoreContract, ASnapshotIsOfOneKindInTheOrderOfNames) {
  this->Put(this->b_, "b");
  this->Put({"default", "z"}, "z");
  this->Put(this->a_, "a");
  ASSERT_THAT(
      this->store_->Write(latchkey::kConfigMaps, this->a_, nullptr,
                          std::make_unique<latchkey::kubernetes::ConfigMap>()),
      IsOk());

  EXPECT_THAT(this->ValuesAt(0), ::testing::ElementsAre("z", "a", "b"));
  EXPECT_THAT(this->ValuesAt(0, "kube-system"),
              ::testing::ElementsAre("a", "b"));
}

TYPED_TEST_P(ObjectStoreContract, ASnapshotShowsAnEarlierState) {
  this->Put(this->a_, "a1");
  this->Put(this->b_, "b1");
  const int64_t then = this->store_->Revision();
  this->Put(this->a_, "a2");
  this->Remove(this->b_);
  this->Put({"kube-system", "c"}, "c1");

  EXPECT_THAT(this->ValuesAt(then), ::testing::ElementsAre("a1", "b1"));
  EXPECT_THAT(this->ValuesAt(0), ::testing::ElementsAre("a2", "c1"));
}

TYPED_TEST_P(ObjectStoreContract, ASnapshotOfTheFutureIsOutOfRange) {
  int64_t revision = this->store_->Revision() + 1;

  EXPECT_THAT(this->store_->Snapshot(latchkey::kSecrets, "", revision),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TYPED_TEST_P(ObjectStoreContract, ChangesTellWhatWasAndWhatIs) {
  const int64_t start = this->store_->Revision();
  const auto first = this->Put(this->a_, "1");
  const auto second = this->Put(this->a_, "2");
  this->Remove(this->a_);

  const auto changes = this->store_->ChangesAfter(start, 10);

  ASSERT_THAT(changes, IsOk());
  ASSERT_EQ(changes->size(), 3U);
  EXPECT_EQ((*changes)[0].before, nullptr);
  EXPECT_EQ((*changes)[0].after, first);
  EXPECT_EQ((*changes)[1].before, first);
  EXPECT_EQ((*changes)[1].after, second);
  EXPECT_EQ((*changes)[2].before, second);
  EXPECT_EQ((*changes)[2].after, nullptr);
  EXPECT_EQ((*changes)[2].revision, start + 3);
  EXPECT_EQ((*changes)[2].name.name, "a");
  EXPECT_THAT(this->store_->ChangesAfter(start, 2),
              IsOkAndHolds(::testing::SizeIs(2)));
}

TYPED_TEST_P(ObjectStoreContract, OldHistoryIsForgotten) {
  const int64_t start = this->store_->Revision();
  for (int i = 0; i < 9; ++i) this->Put(this->a_, std::to_string(i));

  EXPECT_THAT(this->store_->ChangesAfter(start, 100),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(this->store_->ChangesAfter(start + 1, 100),
              IsOkAndHolds(::testing::SizeIs(8)));
  int64_t revision = start;
  EXPECT_THAT(this->store_->Snapshot(latchkey::kSecrets, "", revision),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TYPED_TEST_P(ObjectStoreContract, AHistoryOfLargeObjectsIsShorter) {
  const std::string large(4000, 'x');
  this->Put(this->a_, large);
  const int64_t start = this->store_->Revision();
  for (int i = 0; i < 3; ++i) this->Put(this->a_, large);

  EXPECT_THAT(this->store_->ChangesAfter(start, 100),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(this->store_->ChangesAfter(start + 1, 100),
              IsOkAndHolds(::testing::SizeIs(2)));
}

TYPED_TEST_P(ObjectStoreContract, AnObjectThatIsTooLargeIsRefused) {
  const int64_t revision = this->store_->Revision();

  EXPECT_THAT(
      this->store_->Write(latchkey::kSecrets, this->a_, nullptr,
                          MakeStoredSecret(this->a_, std::string(8000, 'x'))),
      StatusIs(absl::StatusCode::kInvalidArgument));

  EXPECT_EQ(this->store_->Revision(), revision);
  EXPECT_EQ(this->store_->Find(latchkey::kSecrets, this->a_), nullptr);
}

TYPED_TEST_P(ObjectStoreContract, AFullStoreTakesOnlyWhatDoesNotGrowIt) {
  const std::string large(7000, 'x');
  this->Put(this->a_, large);
  this->Put(this->b_, large);
  const latchkey::ObjectName c{"kube-system", "c"};
  this->Put(c, "x");
  const auto write = [&](const latchkey::ObjectName& name,
                         const std::string& value) {
    return this->store_
        ->Write(latchkey::kSecrets, name,
                this->store_->Find(latchkey::kSecrets, name),
                MakeStoredSecret(name, value))
        .status();
  };

  EXPECT_THAT(write({"kube-system", "d"}, large),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(write(c, large), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(write(this->a_, std::string(7000, 'y')), IsOk());
  this->Remove(this->b_);
  EXPECT_THAT(write(c, large), IsOk());
}

TYPED_TEST_P(ObjectStoreContract, ForgettingTheHistoryKeepsTheObjects) {
  this->Put(this->a_, "1");
  const int64_t before = this->store_->Revision();

  this->store_->ForgetHistory();

  EXPECT_THAT(this->store_->ChangesAfter(before, 100),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(this->store_->ChangesAfter(this->store_->Revision(), 100),
              IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(this->ValuesAt(0), ::testing::ElementsAre("1"));
}

TYPED_TEST_P(ObjectStoreContract, AListenerHearsOfEachWriteUntilItIsGone) {
  int heard = 0;
  auto handle = this->store_->Listen([&] { ++heard; });

  this->Put(this->a_, "1");
  this->Remove(this->a_);
  EXPECT_EQ(heard, 2);

  handle.reset();
  this->Put(this->a_, "2");
  EXPECT_EQ(heard, 2);
}

TYPED_TEST_P(ObjectStoreContract, AListenerMayReadTheStore) {
  int64_t seen = 0;
  const auto handle =
      this->store_->Listen([&] { seen = this->store_->Revision(); });

  const auto written = this->Put(this->a_, "1");

  EXPECT_EQ(seen, written->revision());
}

REGISTER_TYPED_TEST_SUITE_P(
    ObjectStoreContract, EveryWriteIsTheNextRevision,
    AnObjectCarriesItsRevision, AWriteAssertsWhatItReplaces,
    OneOfManyWritersWins, ASnapshotIsOfOneKindInTheOrderOfNames,
    ASnapshotShowsAnEarlierState, ASnapshotOfTheFutureIsOutOfRange,
    ChangesTellWhatWasAndWhatIs, OldHistoryIsForgotten,
    AHistoryOfLargeObjectsIsShorter, AnObjectThatIsTooLargeIsRefused,
    AFullStoreTakesOnlyWhatDoesNotGrowIt, ForgettingTheHistoryKeepsTheObjects,
    AListenerHearsOfEachWriteUntilItIsGone, AListenerMayReadTheStore);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_OBJECT_STORE_CONTRACT_H_
