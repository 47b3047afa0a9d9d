#include "tests/clients/node/fake_cluster.h"

#include <memory>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "crypto/certificate.h"
#include "crypto/certificate_request.h"

namespace latchkey_testing {
namespace {

using latchkey::KubernetesClient;
using latchkey::RawWatchEvent;
using latchkey::Resource;
using latchkey::WatchStream;

class IdleWatch final : public WatchStream {
 public:
  IdleWatch(FakeCluster& cluster, FakePace& pace,
            std::unique_ptr<WatchStream> inner, std::string csr_name)
      : cluster_(cluster),
        pace_(pace),
        inner_(std::move(inner)),
        csr_name_(std::move(csr_name)) {}

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
    auto event = inner_->Next(absl::ZeroDuration());
    if (!absl::IsDeadlineExceeded(event.status())) return event;
    if (cluster_.on_idle) cluster_.on_idle();
    cluster_.Decide(csr_name_);
    if (cluster_.watches_are_dead) {
      pace_.Sleep(timeout);
      return absl::DeadlineExceededError("no event in time");
    }
    event = inner_->Next(absl::ZeroDuration());
    if (absl::IsDeadlineExceeded(event.status())) pace_.Sleep(timeout);
    return event;
  }
  void Cancel() override { inner_->Cancel(); }

 private:
  FakeCluster& cluster_;
  FakePace& pace_;
  std::unique_ptr<WatchStream> inner_;
  const std::string csr_name_;
};

// One API server, as the user of one token.
class Login final : public KubernetesClient {
 public:
  Login(FakeCluster& cluster, FakePace& pace, latchkey::ApiServerLogin login)
      : cluster_(cluster), pace_(pace), login_(std::move(login)) {}

  absl::Status CreateObject(const Resource& resource,
                            std::string_view name_space,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override {
    LATCHKEY_RETURN_IF_ERROR(Reach());
    if (resource.plural == latchkey::kSelfSubjectReviews.plural) {
      return cluster_.server().CreateObject(resource, name_space, object,
                                            result);
    }
    Csr csr;
    csr.CopyFrom(object);
    csr.mutable_spec()->set_username(User());
    csr.mutable_spec()->add_groups("system:bootstrappers:latchkey");
    return cluster_.server().CreateObject(resource, name_space, csr, result);
  }
  absl::Status GetObject(const Resource& resource,
                         const latchkey::ObjectName& name,
                         google::protobuf::Message& result) override {
    LATCHKEY_RETURN_IF_ERROR(Reach());
    return cluster_.server().GetObject(resource, name, result);
  }
  absl::Status UpdateObject(const Resource&, const latchkey::ObjectName&,
                            std::string_view, const google::protobuf::Message&,
                            google::protobuf::Message&) override {
    return absl::PermissionDeniedError("a node may not update CSRs");
  }
  absl::Status DeleteObject(const Resource&, const latchkey::ObjectName&,
                            const latchkey::DeletePreconditions&) override {
    return absl::PermissionDeniedError("a node may not delete CSRs");
  }
  absl::Status ListObjects(const Resource& resource,
                           const latchkey::ListQuery& query,
                           google::protobuf::Message& list) override {
    LATCHKEY_RETURN_IF_ERROR(Reach());
    return cluster_.server().ListObjects(resource, query, list);
  }
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const latchkey::WatchQuery& query) override {
    LATCHKEY_RETURN_IF_ERROR(Reach());
    LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<WatchStream> stream,
                              cluster_.server().WatchObjects(resource, query));
    return std::make_unique<IdleWatch>(
        cluster_, pace_, std::move(stream),
        query.field_selector.substr(query.field_selector.find('=') + 1));
  }

 private:
  absl::Status Reach() {
    if (cluster_.down.contains(login_.url)) {
      return absl::UnavailableError("connection refused");
    }
    cluster_.users.push_back(User());
    return absl::OkStatus();
  }
  // Of a certificate, its subject's name.
  std::string User() const {
    if (const auto* token =
            std::get_if<latchkey::BootstrapToken>(&login_.credential)) {
      return token->id().Username();
    }
    const auto chain = latchkey::Certificate::ParseAll(
        std::get<latchkey::IssuedIdentity>(login_.credential).certificate_pem);
    return chain->front().common_names.front();
  }

  FakeCluster& cluster_;
  FakePace& pace_;
  const latchkey::ApiServerLogin login_;
};

}  // namespace

FakeCluster::FakeCluster(FakeClock& clock, FakePace& pace)
    : clock_(clock),
      pace_(pace),
      server_(clock),
      ca_(*latchkey::CertificateAuthority::Create(
          "test", clock.Now() - absl::Hours(1),
          clock.Now() + absl::Hours(24 * 365))) {}

latchkey::KubernetesClientFactory FakeCluster::Factory() {
  return [this](const latchkey::ApiServerLogin& login)
             -> absl::StatusOr<std::unique_ptr<KubernetesClient>> {
    logins.push_back(login.url);
    return std::make_unique<Login>(*this, pace_, login);
  };
}

std::vector<Csr> FakeCluster::Requests() {
  const auto list =
      server_.List<latchkey::kubernetes::CertificateSigningRequestList>({});
  EXPECT_TRUE(list.ok());
  return {list->items().begin(), list->items().end()};
}

void FakeCluster::Decide(const std::string& csr_name) {
  if (fate == Fate::kNothing) return;
  auto csr = server_.Get<Csr>({"", csr_name});
  if (!csr.ok() || csr->status().conditions_size() > 0) return;

  auto& verdict = *csr->mutable_status()->add_conditions();
  verdict.set_type(fate == Fate::kDenied ? "Denied" : "Approved");
  verdict.set_status("True");
  verdict.set_reason(fate == Fate::kDenied ? "SCOPE_NODE_NAME" : "Approved");
  verdict.set_message("as the test says");
  csr = server_.Update(*csr, "approval");
  EXPECT_TRUE(csr.ok()) << csr.status();
  if (fate == Fate::kDenied) return;
  if (fate == Fate::kFailed) {
    auto& failed = *csr->mutable_status()->add_conditions();
    failed.set_type("Failed");
    failed.set_status("True");
    failed.set_reason("SignerValidationFailure");
    EXPECT_TRUE(server_.Update(*csr, "status").ok());
    return;
  }

  const auto request =
      latchkey::CertificateRequest::Parse(csr->spec().request());
  EXPECT_TRUE(request.ok()) << request.status();
  latchkey::CertificateProfile profile = {
      .common_name = request->common_names.front(),
      .organizations = request->organizations,
      .not_before = clock_.Now() - absl::Minutes(5),
      .not_after = clock_.Now() + absl::Hours(24),
      .client_auth = true};
  if (amend) amend(profile);
  const auto certificate = ca_.SignRequest(
      sign_instead.empty() ? csr->spec().request() : sign_instead, profile);
  EXPECT_TRUE(certificate.ok()) << certificate.status();
  csr->mutable_status()->set_certificate(*certificate);
  const auto updated = server_.Update(*csr, "status");
  EXPECT_TRUE(updated.ok()) << updated.status();
}

}  // namespace latchkey_testing
