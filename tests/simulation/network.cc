#include "tests/simulation/network.h"

#include <utility>

#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "core/refusal.h"
#include "core/status_macros.h"
#include "devcluster/local_kubernetes_client.h"
#include "kubernetes/meta.pb.h"

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
  SimulatedWatch(Network& network, std::unique_ptr<WatchStream> inner)
      : network_(network), inner_(std::move(inner)) {}

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
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
      network_.AwaitChange(deadline - scheduler.Now());
    }
  }

  void Cancel() override {
    cancelled_ = true;
    network_.NoteChange();
  }

 private:
  absl::StatusOr<RawWatchEvent> Deliver(RawWatchEvent event) {
    Scheduler& scheduler = network_.scheduler();
    if (scheduler.Chance(network_.rates().lagging_watch)) {
      scheduler.Sleep(absl::Seconds(3) * scheduler.Fraction());
    } else {
      scheduler.Yield();
    }
    if (cancelled_) return absl::CancelledError("cancelled");
    if (scheduler.Chance(network_.rates().broken_watch)) {
      return absl::UnavailableError("the connection broke");
    }
    return event;
  }

  Network& network_;
  const std::unique_ptr<WatchStream> inner_;
  bool cancelled_ = false;
};

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
    return Request(
        "create", resource, true, &result,
        [resource, name_space = std::string(name_space), copy = Copy(object)](
            KubernetesClient& client, Message& into) {
          return client.CreateObject(resource, name_space, *copy, into);
        });
  }
  absl::Status GetObject(const Resource& resource, const ObjectName& name,
                         Message& result) override {
    return Request("get", resource, false, &result,
                   [resource, name](KubernetesClient& client, Message& into) {
                     return client.GetObject(resource, name, into);
                   });
  }
  absl::Status UpdateObject(const Resource& resource, const ObjectName& name,
                            std::string_view subresource, const Message& object,
                            Message& result) override {
    return Request(
        "update", resource, true, &result,
        [resource, name, subresource = std::string(subresource),
         copy = Copy(object)](KubernetesClient& client, Message& into) {
          return client.UpdateObject(resource, name, subresource, *copy, into);
        });
  }
  absl::Status DeleteObject(const Resource& resource, const ObjectName& name,
                            const DeletePreconditions& expected) override {
    return Request("delete", resource, true, nullptr,
                   [resource, name, expected](KubernetesClient& client,
                                              Message& /*into*/) {
                     return client.DeleteObject(resource, name, expected);
                   });
  }
  absl::Status ListObjects(const Resource& resource, const ListQuery& query,
                           Message& list) override {
    return Request("list", resource, false, &list,
                   [resource, query](KubernetesClient& client, Message& into) {
                     return client.ListObjects(resource, query, into);
                   });
  }
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const WatchQuery& query) override {
    std::unique_ptr<WatchStream> watch;
    LATCHKEY_RETURN_IF_ERROR(network_.Carry(
        fmt::format("watch {}", resource.plural),
        [&]() -> absl::Status {
          LATCHKEY_ASSIGN_OR_RETURN(const auto client, inner_());
          LATCHKEY_ASSIGN_OR_RETURN(watch,
                                    client->WatchObjects(resource, query));
          return absl::OkStatus();
        },
        false));
    return std::make_unique<SimulatedWatch>(network_, std::move(watch));
  }

 private:
  static std::shared_ptr<const Message> Copy(const Message& message) {
    std::shared_ptr<Message> copy(message.New());
    copy->CopyFrom(message);
    return copy;
  }

  // The request may outlive the caller, so it has its own copies.
  absl::Status Request(
      std::string_view verb, const Resource& resource, bool write,
      Message* result,
      std::function<absl::Status(KubernetesClient&, Message&)> done) {
    std::shared_ptr<Message> answer;
    if (result != nullptr) answer.reset(result->New());
    LATCHKEY_RETURN_IF_ERROR(network_.Carry(
        fmt::format("{} {}", verb, resource.plural),
        [answer, inner = inner_, done = std::move(done)]() -> absl::Status {
          LATCHKEY_ASSIGN_OR_RETURN(const auto client, inner());
          static latchkey::kubernetes::Status nothing;
          return done(*client, answer == nullptr ? nothing : *answer);
        },
        write));
    if (result != nullptr) result->CopyFrom(*answer);
    return absl::OkStatus();
  }

  Network& network_;
  const InnerClient inner_;
};

}  // namespace

void Network::SetApiServerDown(bool down) {
  down_ = down;
  Trace(down ? "API server down" : "API server up");
  if (down) api_.EndWatches();
  NoteChange();
}

void Network::Travel() {
  scheduler_.Sleep(scheduler_.Chance(rates_.slow)
                       ? absl::Seconds(8) * scheduler_.Fraction()
                       : absl::Milliseconds(4) * scheduler_.Fraction());
}

absl::Status Network::CarryCall(std::string_view what,
                                const std::function<absl::Status()>& done) {
  const std::string name(what);
  Travel();
  if (scheduler_.Chance(rates_.lost_request)) {
    Trace(name + ": request lost");
    return absl::UnavailableError(name + ": request lost");
  }
  const absl::Status status = done();
  Trace(fmt::format("{}: {}", name, status.ToString()));
  Travel();
  if (scheduler_.Chance(rates_.lost_answer)) {
    Trace(name + ": answer lost");
    return absl::UnavailableError(name + ": answer lost");
  }
  return status;
}

absl::Status Network::Carry(std::string_view what,
                            const std::function<absl::Status()>& done,
                            bool write) {
  const std::string name(what);
  Travel();
  if (down_) return absl::UnavailableError(name + ": nobody answers");
  if (scheduler_.Chance(rates_.lost_request)) {
    Trace(name + ": request lost");
    return absl::UnavailableError(name + ": request lost");
  }
  if (scheduler_.Chance(rates_.throttled)) {
    Trace(name + ": throttled");
    return latchkey::WithRetryAfter(
        absl::ResourceExhaustedError(name + ": throttled"), absl::Seconds(1));
  }
  if (scheduler_.Chance(rates_.server_error)) {
    Trace(name + ": server error");
    return absl::InternalError(name + ": server error");
  }
  if (write && scheduler_.Chance(rates_.late_request)) {
    Trace(name + ": request late");
    scheduler_.Spawn(kGroup, [this, name, done] {
      scheduler_.Sleep(absl::Seconds(20) * scheduler_.Fraction());
      Trace(
          fmt::format("{}: late request arrives: {}", name, done().ToString()));
    });
    return absl::DeadlineExceededError(name + ": no answer in time");
  }
  const absl::Status status = done();
  if (traced_) Trace(fmt::format("{}: {}", name, status.ToString()));
  Travel();
  if (scheduler_.Chance(rates_.lost_answer)) {
    Trace(name + ": answer lost");
    return absl::UnavailableError(name + ": answer lost");
  }
  return status;
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
  const auto known = known_tokens_.find(token);
  if (user.ok()) {
    known_tokens_.insert_or_assign(token, KnownToken{*user, scheduler_.Now()});
    return user;
  }
  if (known != known_tokens_.end() &&
      scheduler_.Now() - known->second.since < kTokenMemory) {
    return known->second.user;
  }
  return user;
}

void Network::AwaitChange(absl::Duration timeout) {
  scheduler_.Await(this, timeout);
}

void Network::Trace(std::string line) {
  if (!traced_) return;
  trace_.push_back(fmt::format("{:>9.3f} [{}] {}",
                               absl::ToDoubleSeconds(scheduler_.Now() - begin_),
                               scheduler_.CurrentGroup(), line));
}

}  // namespace latchkey_testing
