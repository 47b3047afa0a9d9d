#include "clients/kubernetes/watch_frames.h"

#include <gmock/gmock.h>

#include "clients/kubernetes/envelope.h"
#include "kubernetes/core.pb.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::Optional;

std::string Frame(std::string_view payload) {
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  }
  return frame.append(payload);
}

std::string EventFrame(const std::string& type, std::string_view kind,
                       const google::protobuf::Message& object) {
  kubernetes::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(WrapObject("v1", kind, object));
  return Frame(event.SerializeAsString());
}

kubernetes::Secret Named(const std::string& name) {
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_name(name);
  return secret;
}

TEST(WatchFramesTest, ReadsEventsHoweverTheyAreCut) {
  const std::string bytes = EventFrame("ADDED", "Secret", Named("a")) +
                            EventFrame("MODIFIED", "Secret", Named("b")) +
                            EventFrame("DELETED", "Secret", Named("c")) +
                            EventFrame("BOOKMARK", "Secret", Named(""));
  for (size_t step = 1; step <= bytes.size(); ++step) {
    WatchFrameReader reader("watch secrets");
    std::vector<RawWatchEvent> events;
    for (size_t at = 0; at < bytes.size(); at += step) {
      reader.Append(std::string_view(bytes).substr(at, step));
      while (true) {
        auto event = reader.Next();
        ASSERT_THAT(event, IsOk());
        if (!event->has_value()) break;
        events.push_back(**event);
      }
    }
    ASSERT_EQ(events.size(), 4U) << step;
    EXPECT_EQ(events[0].type, WatchEventType::kAdded);
    EXPECT_EQ(events[0].object, Named("a").SerializeAsString());
    EXPECT_EQ(events[1].type, WatchEventType::kModified);
    EXPECT_EQ(events[2].type, WatchEventType::kDeleted);
    EXPECT_EQ(events[3].type, WatchEventType::kBookmark);
  }
}

TEST(WatchFramesTest, AnErrorEventIsItsStatus) {
  kubernetes::Status gone;
  gone.set_code(410);
  gone.set_reason("Expired");
  gone.set_message("too old resource version: 1 (2)");
  WatchFrameReader reader("watch secrets");
  reader.Append(EventFrame("ERROR", "Status", gone));

  EXPECT_THAT(reader.Next(),
              StatusIs(absl::StatusCode::kOutOfRange,
                       ::testing::HasSubstr("watch secrets: too old")));
}

TEST(WatchFramesTest, WhatIsNoWatchIsInternal) {
  kubernetes::WatchEvent no_object;
  no_object.set_type("ADDED");
  for (const std::string& bad :
       {std::string("HTTP/1.1"), std::string("\x01\x00\x00\x01", 4),
        Frame("\xff\xff"), Frame(no_object.SerializeAsString()),
        EventFrame("SURPRISE", "Secret", Named("a"))}) {
    WatchFrameReader reader("watch secrets");
    reader.Append(bad);
    EXPECT_THAT(reader.Next(), StatusIs(absl::StatusCode::kInternal));
  }
}

TEST(WatchFramesTest, TheLargestFrameIsStillWaitedFor) {
  WatchFrameReader reader("watch secrets");
  reader.Append(std::string("\x01\x00\x00\x00", 4));
  const auto event = reader.Next();
  ASSERT_THAT(event, IsOk());
  EXPECT_FALSE(event->has_value());
}

}  // namespace
}  // namespace latchkey
