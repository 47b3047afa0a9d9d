#include "devcluster/kubelet_request.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

const std::string kBlock(
    std::string_view(kSampleCsrPem).substr(0, sizeof(kSampleCsrPem) - 2));

TEST(KubeletRequestTest, TheFirstPemBlockIsTheRequest) {
  for (const std::string& around :
       {kBlock, "words\n" + kBlock + "\nwords",
        kBlock + "\n-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----\n",
        "not at -----BEGIN of a line\n" + kBlock}) {
    SCOPED_TRACE(around);
    EXPECT_THAT(latchkey::FirstRequestBlock(around), IsOkAndHolds(kBlock));
  }
}

TEST(KubeletRequestTest, ATextWithoutAFirstRequestIsNone) {
  for (const std::string& bad :
       {std::string(), std::string("words"),
        "-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----\n" + kBlock,
        kBlock.substr(0, kBlock.size() - 1), " " + kBlock}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(latchkey::FirstRequestBlock(bad),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace latchkey_testing
