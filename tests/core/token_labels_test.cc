#include "core/token_labels.h"

#include <string>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;

TEST(TokenLabelsTest, TakesWhatKubernetesTakes) {
  EXPECT_THAT(ValidateLabels({}), IsOk());
  EXPECT_THAT(ValidateLabels({{"team", "a"}, {"a.b_c-D", ""}}), IsOk());
  EXPECT_THAT(ValidateLabels({{std::string(63, 'k'), std::string(63, 'v')}}),
              IsOk());
}

TEST(TokenLabelsTest, RefusesWhatKubernetesWouldRefuse) {
  const TokenLabels hostile[] = {
      {{"", "v"}},
      {{"-team", "v"}},
      {{"team.", "v"}},
      {{"te am", "v"}},
      {{"example.org/team", "v"}},
      {{"team", "v "}},
      {{"team", "a,b"}},
      {{"team", "a\nb"}},
      {{"team", "\xd0\xb0"}},
      {{"team", std::string("a\0b", 3)}},
      {{std::string(64, 'k'), "v"}},
      {{"team", std::string(64, 'v')}},
  };
  for (const TokenLabels& labels : hostile) {
    EXPECT_THAT(ValidateLabels(labels), ReasonIs(reason::kInvalidField))
        << labels.begin()->first << "=" << labels.begin()->second;
  }
  TokenLabels many;
  for (int i = 0; i < 16; ++i) many.emplace("k" + std::to_string(i), "v");
  EXPECT_THAT(ValidateLabels(many), IsOk());
  many.emplace("one-more", "v");
  EXPECT_THAT(ValidateLabels(many), ReasonIs(reason::kInvalidField));
}

TEST(TokenLabelsTest, OneTextForOneSet) {
  EXPECT_EQ(FormatLabels({{"b", "2"}, {"a", "1"}}), "a=1,b=2");
  EXPECT_EQ(FormatLabels({}), "");
}

}  // namespace
}  // namespace latchkey
