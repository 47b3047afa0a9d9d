#include "devcluster/media_type.h"

#include <string>

#include <gtest/gtest.h>

namespace latchkey_testing {
namespace {

using latchkey::AcceptedMediaType;
using latchkey::ContentMediaType;
using latchkey::MediaType;

TEST(MediaType, TheFirstThatWeHaveIsAnswered) {
  for (const char* accept :
       {"", " ", "application/json", "APPLICATION/JSON", "*/*", "application/*",
        "text/plain, application/json", "application/json;stream=watch",
        "application/json;as=Table;v=v1;g=meta.k8s.io,"
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
        "application/vnd.kubernetes.protobuf;as=Table,*/*",
        "application/vnd.kubernetes.protobuf;q=0.1,application/json;q=0.9",
        "application/vnd.kubernetes.protobuf;q=nan,application/json;q=0.1",
        "application/vnd.kubernetes.protobuf;q=0,application/json",
        "application/vnd.kubernetes.protobuf;q=x,application/json"}) {
    EXPECT_EQ(AcceptedMediaType(accept), MediaType::kJson) << accept;
  }
  for (const char* accept :
       {"application/vnd.kubernetes.protobuf,application/json",
        "application/vnd.kubernetes.protobuf;stream=watch",
        "application/yaml, application/vnd.kubernetes.protobuf ; q=1"}) {
    EXPECT_EQ(AcceptedMediaType(accept), MediaType::kProtobuf) << accept;
  }
}

TEST(MediaType, WhatWeDoNotHaveIsNotAnswered) {
  for (const char* accept :
       {"text/plain", ",", ";", "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;q=0", "application", "json", "\xff", "a;;;=,=;"}) {
    EXPECT_EQ(AcceptedMediaType(accept), std::nullopt) << accept;
  }
}

TEST(MediaType, ABodyIsWhatItsTypeSays) {
  EXPECT_EQ(ContentMediaType(""), MediaType::kJson);
  EXPECT_EQ(ContentMediaType("application/json; charset=utf-8"),
            MediaType::kJson);
  EXPECT_EQ(ContentMediaType("application/vnd.kubernetes.protobuf"),
            MediaType::kProtobuf);
  EXPECT_EQ(ContentMediaType("application/yaml"), std::nullopt);
  EXPECT_EQ(ContentMediaType("*/*"), std::nullopt);
}

}  // namespace
}  // namespace latchkey_testing
