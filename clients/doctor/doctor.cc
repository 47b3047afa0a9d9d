#include "clients/doctor/doctor.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "clients/doctor/access_checks.h"
#include "clients/doctor/server_checks.h"
#include "clients/doctor/shown_text.h"
#include "clients/doctor/token_checks.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr int kClockSamples = 3;
constexpr absl::Duration kRequestTimeout = absl::Seconds(15);
constexpr size_t kMaxVersionBytes = 64 << 10;
// Beyond these, whoever makes up groups keeps us asking for ever.
constexpr size_t kMaxGroups = 100;
constexpr char kMayReview[] =
    "create subjectaccessreviews (system:auth-delegator)";
constexpr char kServerAdvice[] =
    "renew it (on kubeadm: kubeadm certs renew apiserver, then restart "
    "kube-apiserver)";

absl::Status TooManyGroups(size_t count) {
  return absl::ResourceExhaustedError(
      fmt::format("the tokens have {} groups, more than are looked at", count));
}

std::vector<AccessQuestion> AllowedOf(const std::vector<Answered>& answers) {
  std::vector<AccessQuestion> allowed;
  for (const Answered& one : answers) {
    if (one.answer.allowed) allowed.push_back(one.question);
  }
  return allowed;
}

// One examination.
class Examination {
 public:
  Examination(const DoctorOptions& options, const DoctorTools& tools)
      : options_(options), client_(tools.client), tools_(tools) {}

  Findings Run() {
    if (!MeetServer() || !MeetOurselves()) {
      now_ = tools_.clock.Now();
      CheckLocalCertificates();
      return std::move(findings_);
    }
    CheckClock();
    CheckAutoApproval();
    CheckTokenGroup();
    CheckTokens();
    CheckBroker();
    CheckSigner();
    CheckBootstrapAuthentication();
    CheckServerCertificates();
    CheckLocalCertificates();
    return std::move(findings_);
  }

 private:
  void Add(Finding finding) { findings_.push_back(std::move(finding)); }
  void Add(Findings more) {
    std::move(more.begin(), more.end(), std::back_inserter(findings_));
  }

  absl::StatusOr<HttpResponse> GetVersion(bool certificates) {
    HttpRequest request;
    request.target = "/version";
    request.headers = {{"accept", "application/json"}};
    request.bearer_token = tools_.bearer_token;
    request.timeout = kRequestTimeout;
    request.max_response_bytes = kMaxVersionBytes;
    request.report_server_certificates = certificates;
    return tools_.http.Send(request);
  }

  bool MeetServer() {
    auto response = GetVersion(true);
    if (!response.ok()) {
      Add({.id = "api-server-unreachable",
           .severity = Severity::kError,
           .message = "cannot reach the API server, so nothing in the cluster "
                      "was looked at",
           .evidence = {Shown(std::string(response.status().message()))},
           .advice = "is the server in the kubeconfig right, does it run, and "
                     "does the kubeconfig have its authority?"});
      return false;
    }
    server_certificates_ = std::move(response->server_certificates_pem);
    if (response->status == 200) {
      Add(JudgeVersion(response->body));
    } else if (response->status != 401) {
      Add({.id = "api-server-version-not-checked",
           .severity = Severity::kInfo,
           .message = fmt::format("could not look: GET /version answers {}",
                                  response->status)});
    }
    return true;
  }

  bool MeetOurselves() {
    const auto who = client_.Create(kubernetes::SelfSubjectReview());
    if (who.ok()) {
      we_ = ReviewedUser{.name = who->status().user_info().username(),
                         .groups = {}};
      return true;
    }
    // Whoever may not ask who he is may still ask for the rest.
    if (!absl::IsUnauthenticated(who.status())) return true;
    Add({.id = "credentials-refused",
         .severity = Severity::kError,
         .message = "the API server does not accept the kubeconfig's "
                    "credentials, so nothing in the cluster was looked at",
         .evidence = {Shown(std::string(who.status().message()))},
         .advice = "get a new kubeconfig, or a new token or certificate for "
                   "this one"});
    return false;
  }

  void CheckClock() {
    std::vector<ClockSample> samples;
    for (int i = 0; i < kClockSamples; ++i) {
      const absl::Time sent = tools_.clock.Now();
      const auto response = GetVersion(false);
      if (!response.ok()) continue;
      const auto date = response->headers.find("date");
      if (date == response->headers.end()) continue;
      samples.push_back(
          {.sent = sent, .received = tools_.clock.Now(), .date = date->second});
    }
    const std::optional<ClockOffset> offset = OffsetOf(samples);
    Add(JudgeClock(offset));
    // From here on, time is the server's: it is what judges tokens.
    now_ = tools_.clock.Now() +
           (offset.has_value() ? offset->ahead : absl::ZeroDuration());
  }

  // Read when first needed: a healthy cluster needs nobody to list these.
  const absl::StatusOr<ClusterBindings>& Bindings() {
    if (!bindings_.has_value()) bindings_ = ReadClusterBindings(client_);
    return *bindings_;
  }

  absl::StatusOr<std::vector<Answered>> AskAll(
      const std::optional<ReviewedUser>& who,
      std::span<const AccessQuestion> questions) {
    std::vector<Answered> answers;
    for (const AccessQuestion& question : questions) {
      LATCHKEY_ASSIGN_OR_RETURN(AccessAnswer answer,
                                Ask(client_, who, question));
      answers.push_back({question, std::move(answer)});
    }
    return answers;
  }

  std::vector<std::string> OwnGroups() const {
    std::vector<std::string> groups = {options_.broker.token_group};
    for (const std::string& group : options_.broker.policy_groups) {
      if (group != options_.broker.token_group) groups.push_back(group);
    }
    return groups;
  }

  absl::StatusOr<Finding> AutoApproval() {
    const ReviewedUser token = UserOfToken(OwnGroups());
    std::vector<GroupAnswer> answers;
    bool any = false;
    for (const std::string& group : token.groups) {
      LATCHKEY_ASSIGN_OR_RETURN(
          AccessAnswer answer,
          Ask(client_, ReviewedUser{token.name, {group}}, kApprovesAnyNode));
      any |= answer.allowed;
      answers.push_back({group, std::move(answer)});
    }
    LATCHKEY_ASSIGN_OR_RETURN(const AccessAnswer together,
                              Ask(client_, token, kApprovesAnyNode));
    LATCHKEY_ASSIGN_OR_RETURN(const AccessAnswer own_node,
                              Ask(client_, token, kApprovesOwnNode));
    const bool needed = any || together.allowed;
    return JudgeAutoApproval(answers, together, own_node,
                             needed ? Bindings() : ClusterBindings());
  }

  void CheckAutoApproval() {
    auto finding = AutoApproval();
    Add(finding.ok() ? *std::move(finding)
                     : NotChecked("auto-approval", Severity::kWarning,
                                  finding.status(), kMayReview));
  }

  void CheckTokenGroup() {
    const std::string& group = options_.broker.token_group;
    const auto answers = AskAll(UserOfToken({group}), WhatTokensNeed());
    if (!answers.ok()) {
      Add(NotChecked("token-group-rights", Severity::kWarning, answers.status(),
                     kMayReview));
      return;
    }
    const bool wrong =
        std::any_of(answers->begin(), answers->end(),
                    [](const Answered& one) { return !one.answer.allowed; });
    Add(JudgeTokenGroup(group, *answers,
                        wrong ? Bindings() : ClusterBindings()));
  }

  // Those of `groups` whose CSRs the stock approver approves.
  absl::StatusOr<std::set<std::string>> ApprovedOf(
      const std::set<std::string>& groups) {
    std::set<std::string> approved;
    size_t asked = 0;
    for (const std::string& group : groups) {
      if (++asked > kMaxGroups) {
        return TooManyGroups(groups.size());
      }
      LATCHKEY_ASSIGN_OR_RETURN(
          const AccessAnswer answer,
          Ask(client_, ReviewedUser{UserOfToken({}).name, {group}},
              kApprovesAnyNode));
      if (answer.allowed) approved.insert(group);
    }
    return approved;
  }

  void CheckTokens() {
    const auto tokens = ReadTokens(client_);
    if (!tokens.ok()) {
      Add(NotChecked("bootstrap-tokens", Severity::kWarning, tokens.status(),
                     "list secrets in kube-system"));
      CheckTokenExcess({});
      return;
    }
    std::set<std::string> groups = GroupsOfLiveTokens(*tokens, now_);
    // Of these, and of the group that all tokens have, it was asked before, and
    // what mends it there mends it for all tokens.
    for (const std::string& group : OwnGroups()) groups.erase(group);
    const auto approved = ApprovedOf(groups);
    if (!approved.ok()) {
      Add(NotChecked("token-auto-approved", Severity::kWarning,
                     approved.status(), kMayReview));
    }
    Add(JudgeTokens(*tokens,
                    approved.ok() ? *approved : std::set<std::string>(), now_));
    CheckTokenExcess(groups);
  }

  // Of WhatTokensMayNot(), what each group alone may do; `asked` are those that
  // somebody may do.
  absl::StatusOr<std::vector<GroupExcess>> ExcessOfEach(
      const ReviewedUser& all, const std::vector<AccessQuestion>& asked) {
    const ReviewedUser own = UserOfToken(OwnGroups());
    std::vector<GroupExcess> each;
    for (const std::string& group : all.groups) {
      const bool ours = std::find(own.groups.begin(), own.groups.end(),
                                  group) != own.groups.end();
      LATCHKEY_ASSIGN_OR_RETURN(const std::vector<Answered> answers,
                                AskAll(ReviewedUser{all.name, {group}}, asked));
      each.push_back(
          {.group = group, .ours = ours, .allowed = AllowedOf(answers)});
    }
    return each;
  }

  // `others`: groups of live tokens that are not of Latchkey's configuration.
  absl::StatusOr<Finding> TokenExcess(const std::set<std::string>& others) {
    if (others.size() > kMaxGroups) return TooManyGroups(others.size());
    std::vector<std::string> groups = OwnGroups();
    groups.insert(groups.end(), others.begin(), others.end());
    const ReviewedUser all = UserOfToken(groups);
    LATCHKEY_ASSIGN_OR_RETURN(const std::vector<Answered> answers,
                              AskAll(all, WhatTokensMayNot()));
    const std::vector<AccessQuestion> together = AllowedOf(answers);
    // Most often nobody may anything, and then it was asked once for all.
    LATCHKEY_ASSIGN_OR_RETURN(const std::vector<GroupExcess> each,
                              ExcessOfEach(all, together));
    return JudgeTokenExcess(each, together,
                            together.empty() ? ClusterBindings() : Bindings());
  }

  void CheckTokenExcess(const std::set<std::string>& others) {
    auto finding = TokenExcess(others);
    Add(finding.ok() ? *std::move(finding)
                     : NotChecked("token-group-excess", Severity::kWarning,
                                  finding.status(), kMayReview));
  }

  void CheckBroker() {
    std::optional<ReviewedUser> asked;
    ReviewedUser broker = ReviewedUser::Named(options_.broker_account);
    // Who is the broker, or stands in for it, needs no right to ask.
    const bool self = options_.broker_account.empty() ||
                      (we_.has_value() && we_->name == options_.broker_account);
    if (!self) asked = broker;
    if (self && we_.has_value()) broker = ReviewedUser::Named(we_->name);
    const auto needs = WhatTheBrokerNeeds();
    std::vector<AccessQuestion> questions(needs.begin(), needs.end());
    if (options_.broker.takes_service_accounts) {
      questions.push_back(kReviewsTokens);
    }
    const auto needed = AskAll(asked, questions);
    const auto excess = AskAll(asked, WhatTheBrokerMayNot());
    if (!needed.ok() || !excess.ok()) {
      Add(NotChecked("broker-rights", Severity::kWarning,
                     needed.ok() ? excess.status() : needed.status(),
                     kMayReview));
      return;
    }
    const bool too_much =
        std::any_of(excess->begin(), excess->end(),
                    [](const Answered& one) { return one.answer.allowed; });
    Add(JudgeBroker(broker, *needed, *excess,
                    too_much ? Bindings() : ClusterBindings()));
  }

  void CheckSigner() {
    const auto signings = ReadSignings(client_);
    if (!signings.ok()) {
      Add(NotChecked("signer", Severity::kWarning, signings.status(),
                     "list certificatesigningrequests"));
      return;
    }
    Finding finding = JudgeSigner(*signings, now_);
    if (options_.active && finding.severity == Severity::kInfo && GoOn()) {
      Add(ProbeSigner(client_, tools_.pause, now_));
      return;
    }
    Add(std::move(finding));
  }

  void CheckBootstrapAuthentication() {
    if (options_.active && GoOn()) {
      Add(ProbeBootstrapAuthentication(client_, tools_.login, tools_.pause,
                                       now_));
      return;
    }
    Add({.id = "bootstrap-authentication",
         .severity = Severity::kInfo,
         .message = "not proved that the API server accepts bootstrap tokens; "
                    "--active tries one"});
  }
  bool GoOn() { return tools_.pause(absl::ZeroDuration()); }

  void CheckServerCertificates() {
    Add(JudgeCertificates("the API server's certificate", server_certificates_,
                          kServerAdvice, now_));
  }

  void CheckLocalCertificates() {
    for (const LocalCertificates& one : options_.certificates) {
      Add(JudgeCertificates(one.where, one.pem, one.advice, now_));
    }
  }

  const DoctorOptions& options_;
  KubernetesClient& client_;
  const DoctorTools& tools_;

  Findings findings_;
  absl::Time now_;
  std::optional<ReviewedUser> we_;
  std::string server_certificates_;
  std::optional<absl::StatusOr<ClusterBindings>> bindings_;
};

}  // namespace

Findings Examine(const DoctorOptions& options, const DoctorTools& tools) {
  return Examination(options, tools).Run();
}

}  // namespace latchkey
