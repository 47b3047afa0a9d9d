#include "tests/simulation/network.h"

#include <array>
#include <cstdio>
#include <utility>

#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "core/refusal.h"
#include "core/status_macros.h"
#include "devcluster/local_kubernetes_client.h"
#include "kubernetes/meta.pb.h"
#include "tests/simulation/fiber_switch.h"

namespace latchkey_testing {
namespace {

using google::protobuf::Message;
using latchkey::DeletePreconditions;
using latchkey::KubernetesClient;
using latchkey::ListQuery;
using latchkey::ObjectName;
using latchkey::RawWatchEvent;
using latchkey::Resource;
using latchkey::WatchQuery;
using latchkey::WatchStream;

constexpr absl::Duration kTokenMemory = absl::Seconds(10);

class SimulatedWatch final : public WatchStream {
 public:
  SimulatedWatch(Network& network, const Resource& resource,
                 std::unique_ptr<WatchStream> inner)
      : network_(network), plural_(resource.plural), inner_(std::move(inner)) {}

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
    const InTheWorld here;
    Scheduler& scheduler = network_.scheduler();
    const absl::Time deadline = scheduler.Now() + timeout;
    while (true) {
      if (cancelled_) return absl::CancelledError("cancelled");
      if (network_.api_server_down()) {
        return absl::UnavailableError("the connection broke");
      }
      auto event = inner_->Next(absl::ZeroDuration());
      if (event.ok()) return Deliver(*std::move(event));
      if (!absl::IsDeadlineExceeded(event.status())) return event.status();
      if (scheduler.Now() >= deadline) return event.status();
      network_.AwaitChange(plural_, deadline - scheduler.Now());
    }
  }

  void Cancel() override {
    const InTheWorld here;
    cancelled_ = true;
    network_.NoteChange(plural_);
  }

 private:
  absl::StatusOr<RawWatchEvent> Deliver(RawWatchEvent event) {
    Scheduler& scheduler = network_.scheduler();
    if (network_.Strike(network_.rates().lagging_watch, "lagging watch",
                        plural_)) {
      scheduler.Sleep(network_.faults().UpTo(absl::Seconds(3)));
    } else {
      scheduler.Yield();
    }
    if (cancelled_) return absl::CancelledError("cancelled");
    if (network_.Strike(network_.rates().broken_watch, "broken watch",
                        plural_)) {
      return absl::UnavailableError("the connection broke");
    }
    return event;
  }

  Network& network_;
  const std::string_view plural_;
  const std::unique_ptr<WatchStream> inner_;
  bool cancelled_ = false;
};

std::shared_ptr<const Message> Copy(const Message& message) {
  std::shared_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  return copy;
}

// Every request goes over the network.
class SimulatedClient final : public KubernetesClient {
 public:
  using InnerClient =
      std::function<absl::StatusOr<std::shared_ptr<KubernetesClient>>()>;

  SimulatedClient(Network& network, InnerClient inner)
      : network_(network), inner_(std::move(inner)) {}

  absl::Status CreateObject(const Resource& resource,
                            std::string_view name_space, const Message& object,
                            Message& result) override {
    return Write(
        "create", resource, &object,
        [&](KubernetesClient& client, const Message* sent, Message* answer) {
          return client.CreateObject(resource, name_space, *sent, *answer);
        },
        &result,
        [resource, name_space = std::string(name_space)](
            KubernetesClient& client, const Message* sent, Message* answer) {
          return client.CreateObject(resource, name_space, *sent, *answer);
        });
  }
  absl::Status GetObject(const Resource& resource, const ObjectName& name,
                         Message& result) override {
    return Read("get", resource, [&](KubernetesClient& client) {
      return client.GetObject(resource, name, result);
    });
  }
  absl::Status UpdateObject(const Resource& resource, const ObjectName& name,
                            std::string_view subresource, const Message& object,
                            Message& result) override {
    return Write(
        "update", resource, &object,
        [&](KubernetesClient& client, const Message* sent, Message* answer) {
          return client.UpdateObject(resource, name, subresource, *sent,
                                     *answer);
        },
        &result,
        [resource, name, subresource = std::string(subresource)](
            KubernetesClient& client, const Message* sent, Message* answer) {
          return client.UpdateObject(resource, name, subresource, *sent,
                                     *answer);
        });
  }
  absl::Status DeleteObject(const Resource& resource, const ObjectName& name,
                            const DeletePreconditions& expected) override {
    const auto done = [resource, name, expected](KubernetesClient& client,
                                                 const Message* /*sent*/,
                                                 Message* /*answer*/) {
      return client.DeleteObject(resource, name, expected);
    };
    return Write("delete", resource, nullptr, done, nullptr, done);
  }
  absl::Status ListObjects(const Resource& resource, const ListQuery& query,
                           Message& list) override {
    return Read("list", resource, [&](KubernetesClient& client) {
      return client.ListObjects(resource, query, list);
    });
  }
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const WatchQuery& query) override {
    std::unique_ptr<WatchStream> watch;
    LATCHKEY_RETURN_IF_ERROR(
        Read("watch", resource, [&](KubernetesClient& client) -> absl::Status {
          LATCHKEY_ASSIGN_OR_RETURN(watch,
                                    client.WatchObjects(resource, query));
          return absl::OkStatus();
        }));
    return std::make_unique<SimulatedWatch>(network_, resource,
                                            std::move(watch));
  }

 private:
  template <typename Work>
  absl::Status Read(std::string_view verb, const Resource& resource,
                    const Work& work) {
    return network_.Carry({.verb = verb,
                           .object = resource.plural,
                           .deliver = [&]() -> absl::Status {
                             LATCHKEY_ASSIGN_OR_RETURN(const auto client,
                                                       inner_());
                             return work(*client);
                           },
                           .copy = nullptr});
  }

  // `now` may refer to what the caller holds, `later` may not; each gets the
  // object that is sent (or null) and where the answer goes (or null).
  template <typename Now, typename Later>
  absl::Status Write(std::string_view verb, const Resource& resource,
                     const Message* sent, const Now& now, Message* answer,
                     const Later& later) {
    return network_.Carry(
        {.verb = verb,
         .object = resource.plural,
         .deliver = [&]() -> absl::Status {
           LATCHKEY_ASSIGN_OR_RETURN(const auto client, inner_());
           return now(*client, sent, answer);
         },
         .copy = [&]() -> std::function<void()> {
           return [inner = inner_, later,
                   copy = sent == nullptr ? nullptr : Copy(*sent)] {
             const auto client = inner();
             if (!client.ok()) return;
             const std::unique_ptr<Message> unread(
                 copy == nullptr ? nullptr : copy->New());
             later(**client, copy.get(), unread.get()).IgnoreError();
           };
         }});
  }

  Network& network_;
  const InnerClient inner_;
};

absl::Status Failed(absl::StatusCode code, const Errand& errand,
                    std::string_view what) {
  return absl::Status(
      code, fmt::format("{} {}: {}", errand.verb, errand.object, what));
}

}  // namespace

void Network::SetApiServerDown(bool down) {
  down_ = down;
  Trace(down ? "API server down" : "API server up");
  if (down) api_.EndWatches();
  NoteChange("");
}

bool Network::Strike(double probability, std::string_view fault,
                     std::string_view verb, std::string_view object) {
  if (!faults_.Strike(probability)) return false;
  if (traced_) {
    Trace(fmt::format("FAULT {}: {} {} {}", faults_.drawn() - 1, fault, verb,
                      object));
  }
  return true;
}

void Network::Travel() {
  if (faults_.Strike(rates_.slow)) {
    if (traced_) Trace(fmt::format("FAULT {}: slow", faults_.drawn() - 1));
    scheduler_.Sleep(faults_.UpTo(absl::Seconds(8)));
  } else {
    scheduler_.Sleep(absl::Milliseconds(4) * scheduler_.Fraction());
  }
}

void Network::SendLater(const Errand& errand, std::string_view what) {
  scheduler_.Spawn(
      kGroup,
      [this, deliver = errand.copy(), after = faults_.UpTo(absl::Seconds(20)),
       name = fmt::format("{} request arrives: {} {}", what, errand.verb,
                          errand.object)] {
        scheduler_.Sleep(after);
        Trace(name);
        deliver();
      });
}

// As clients have it: the connection broke, the server or what stands before it
// said 500 though it was done, or nothing came in time. By the number of the
// fault, so that nothing more is drawn.
absl::StatusCode Network::CodeOfLostAnswer() const {
  constexpr std::array kCodes = {absl::StatusCode::kUnavailable,
                                 absl::StatusCode::kInternal,
                                 absl::StatusCode::kDeadlineExceeded};
  return kCodes.at(static_cast<size_t>(faults_.drawn()) % kCodes.size());
}

absl::Status Network::Exchange(const Errand& errand) {
  const auto strikes = [&](double probability, std::string_view fault) {
    return Strike(probability, fault, errand.verb, errand.object);
  };
  if (strikes(rates_.lost_request, "request lost")) {
    return Failed(absl::StatusCode::kUnavailable, errand, "request lost");
  }
  if (errand.copy != nullptr && strikes(rates_.late_request, "request late")) {
    SendLater(errand, "late");
    return Failed(absl::StatusCode::kDeadlineExceeded, errand,
                  "no answer in time");
  }
  if (errand.copy != nullptr &&
      strikes(rates_.repeated_request, "request repeated")) {
    SendLater(errand, "repeated");
  }
  const absl::Status status = errand.deliver();
  if (traced_) {
    Trace(fmt::format("{} {}: {}", errand.verb, errand.object,
                      status.ToString()));
  }
  Travel();
  if (strikes(rates_.lost_answer, "answer lost")) {
    return Failed(CodeOfLostAnswer(), errand, "answer lost");
  }
  return status;
}

absl::Status Network::CarryCall(const Errand& errand) {
  const InTheWorld here;
  Travel();
  return Exchange(errand);
}

absl::Status Network::Carry(const Errand& errand) {
  const InTheWorld here;
  const absl::Status status = TryToCarry(errand);
  if (latchkey::OutcomeIsUnknown(status) || absl::IsResourceExhausted(status)) {
    failures_.push_back({scheduler_.CurrentGroup(), scheduler_.Now()});
  }
  return status;
}

absl::Status Network::TryToCarry(const Errand& errand) {
  Travel();
  if (down_) {
    return Failed(absl::StatusCode::kUnavailable, errand, "nobody answers");
  }
  if (Strike(rates_.throttled, "throttled", errand.verb, errand.object)) {
    return latchkey::WithRetryAfter(
        Failed(absl::StatusCode::kResourceExhausted, errand, "throttled"),
        absl::Seconds(1));
  }
  if (Strike(rates_.server_error, "server error", errand.verb, errand.object)) {
    return Failed(absl::StatusCode::kInternal, errand, "server error");
  }
  return Exchange(errand);
}

std::unique_ptr<KubernetesClient> Network::ClientOf(latchkey::User user) {
  std::shared_ptr<KubernetesClient> inner =
      latchkey::MakeLocalKubernetesClient(api_, std::move(user));
  return std::make_unique<SimulatedClient>(*this, [inner] { return inner; });
}

std::unique_ptr<KubernetesClient> Network::ClientWithToken(std::string token) {
  return std::make_unique<SimulatedClient>(
      *this,
      [this, token = std::move(token)]()
          -> absl::StatusOr<std::shared_ptr<KubernetesClient>> {
        LATCHKEY_ASSIGN_OR_RETURN(latchkey::User user, Authenticate(token));
        return latchkey::MakeLocalKubernetesClient(api_, std::move(user));
      });
}

absl::StatusOr<latchkey::User> Network::Authenticate(const std::string& token) {
  auto user = api_.AuthenticateToken(token);
  const absl::Time now = scheduler_.Now();
  const auto known = known_tokens_.find(token);
  if (!user.ok()) {
    const bool remembered = known != known_tokens_.end() &&
                            now - known->second.since < kTokenMemory &&
                            now >= known->second.known_from;
    if (remembered) return known->second.user;
    return user;
  }
  if (known == known_tokens_.end()) {
    absl::Time from = now;
    if (Strike(rates_.lagging_login, "token not known yet")) {
      from += faults_.UpTo(absl::Seconds(4));
    }
    known_tokens_[token] = {*user, now, from};
    if (from > now) return absl::UnauthenticatedError("not known yet");
    return user;
  }
  if (now < known->second.known_from) {
    return absl::UnauthenticatedError("not known yet");
  }
  known->second.since = now;
  return user;
}

Network::Topic Network::TopicOf(std::string_view plural) {
  if (plural.empty()) return kAny;
  if (plural == "secrets") return kSecrets;
  return plural == "certificatesigningrequests" ? kCsrs : kOthers;
}

void Network::AwaitChange(std::string_view plural, absl::Duration timeout) {
  scheduler_.Await(&topics_[TopicOf(plural)], timeout);
}

void Network::NoteChange(std::string_view plural) {
  const Topic topic = TopicOf(plural);
  if (topic != kAny) {
    scheduler_.Signal(&topics_[topic]);
    scheduler_.Signal(&topics_[kAny]);
    return;
  }
  for (const char& each : topics_) scheduler_.Signal(&each);
}

void Network::Trace(std::string_view line) {
  if (!traced_) return;
  fmt::print("  {:>9.3f} [{}] {}\n",
             absl::ToDoubleSeconds(scheduler_.Now() - begin_),
             scheduler_.CurrentGroup(), line);
  std::fflush(stdout);
}

}  // namespace latchkey_testing
