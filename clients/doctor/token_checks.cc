#include "clients/doctor/token_checks.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/doctor/shown_text.h"
#include "clients/kubernetes/token_secret_keys.h"
#include "core/bootstrap_token.h"
#include "core/secret_string.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "core/token_scope.h"

namespace latchkey {
namespace {

using kubernetes::Secret;
using Texts = google::protobuf::Map<std::string, std::string>;

constexpr int64_t kPage = 500;
// The token-cleaner acts at the moment; so long it may be late.
constexpr absl::Duration kCleanerPatience = absl::Minutes(1);
// Of Secrets in one command: an argument vector has an end.
constexpr size_t kMaxNames = 500;

std::string TextAt(const Texts& texts, const char* key) {
  const auto found = texts.find(key);
  return found == texts.end() ? std::string() : found->second;
}

std::vector<std::string> SplitGroups(std::string_view text) {
  std::vector<std::string> groups;
  if (text.empty()) return groups;
  for (size_t start = 0;;) {
    const size_t end = text.find(',', start);
    groups.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return groups;
    start = end + 1;
  }
}

std::optional<absl::Time> ExpirationOf(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return ParseRfc3339(text).value_or(absl::InfinitePast());
}

// What a token of ours can be used for, against its state.
std::string FaultOfUse(const TokenView& view, std::string_view state) {
  constexpr std::array<std::string_view, 5> kStates = {
      "issued", "active", "reserved", "spent", "revoked"};
  if (std::find(kStates.begin(), kStates.end(), state) == kStates.end()) {
    return "it has no state that Latchkey knows";
  }
  const bool live = state == "active" || state == "reserved";
  if (view.authenticates && !live) {
    return fmt::format("it can be used, though its state is {}", state);
  }
  if (!view.authenticates && live) {
    return fmt::format("it cannot be used, though its state is {}", state);
  }
  if (view.signs) return "it signs cluster-info, which Latchkey's never do";
  if (!view.expiration || *view.expiration == absl::InfinitePast()) {
    return "it has no expiration";
  }
  if (view.groups.empty() || view.bad_group) return "its groups are not usable";
  return "";
}

// What a token of ours is for, and whose it is.
std::string FaultOfRecord(const Texts& annotations, std::string_view state) {
  for (const char* key : {token_secret::kNodeName, token_secret::kDelivery,
                          token_secret::kProvisioner, token_secret::kRequestKey,
                          token_secret::kRequestDigest}) {
    if (TextAt(annotations, key).empty()) {
      return fmt::format("its annotation {} is gone", key);
    }
  }
  const bool reserved = state == "reserved";
  const bool claimed =
      TextAt(annotations, token_secret::kDelivery) == "ticket" &&
      (reserved || state == "active");
  if (claimed && TextAt(annotations, token_secret::kClaimKey).empty()) {
    return "the key that it is bound to is gone";
  }
  if (reserved && TextAt(annotations, token_secret::kCsrUid).empty()) {
    return "the certificate request that holds it is gone";
  }
  return "";
}

// The first thing that the broker would not have written, or could not read.
std::string FaultOfOurs(const Secret& secret, const TokenView& view) {
  const auto id = TokenId::Parse(TextAt(secret.data(), token_secret::kTokenId));
  if (!id.ok() || id->SecretName() != view.secret_name) {
    return "its token-id does not fit its name";
  }
  const std::string state =
      TextAt(secret.metadata().labels(), token_secret::kStateLabel);
  std::string fault = FaultOfUse(view, state);
  if (fault.empty()) {
    fault = FaultOfRecord(secret.metadata().annotations(), state);
  }
  return fault;
}

std::string Line(const TokenView& token) {
  const std::string ends =
      !token.expiration ? "never expires"
      : *token.expiration == absl::InfinitePast()
          ? "its expiration is no time"
          : fmt::format("expires {}", FormatRfc3339(*token.expiration));
  std::vector<std::string> groups;
  for (const std::string& group : token.groups) groups.push_back(Shown(group));
  return fmt::format("Secret {} ({}), {}, groups: {}", Shown(token.secret_name),
                     token.ours ? "Latchkey's" : "foreign", ends,
                     fmt::join(groups, ","));
}

using Matching = std::vector<const TokenView*>;

Matching Those(const std::vector<TokenView>& tokens,
               const std::function<bool(const TokenView&)>& predicate) {
  Matching those;
  for (const TokenView& token : tokens) {
    if (predicate(token)) those.push_back(&token);
  }
  return those;
}

std::string CommandOn(std::string_view begin, const Matching& tokens,
                      std::string_view end) {
  std::string command(begin);
  for (size_t i = 0; i < std::min(tokens.size(), kMaxNames); ++i) {
    command += " " + ShellWord(tokens[i]->secret_name);
  }
  return command.append(end);
}

std::string CommandToDelete(const Matching& tokens) {
  return CommandOn("kubectl -n kube-system delete secret --ignore-not-found",
                   tokens, "");
}

// Adds a finding about `tokens`, if there are any.
void Add(Finding finding, const Matching& tokens, Findings& findings) {
  if (tokens.empty()) return;
  finding.message = fmt::format(
      "{}: {}", Counted(tokens.size(), "bootstrap token"), finding.message);
  std::vector<std::string> lines;
  for (const TokenView* token : tokens) {
    lines.push_back(Line(*token));
    if (!token->fault.empty()) lines.back() += ": " + token->fault;
  }
  finding.evidence = FirstOf(lines);
  if (finding.commands.empty()) finding.commands = {CommandToDelete(tokens)};
  findings.push_back(std::move(finding));
}

void JudgeExpiry(const std::vector<TokenView>& tokens, absl::Time now,
                 Findings& findings) {
  Add({.id = "token-without-expiration",
       .severity = Severity::kWarning,
       .message = "they never expire"},
      Those(tokens,
            [](const TokenView& one) { return !one.ours && !one.expiration; }),
      findings);
  // By the time that is left, which is what whoever finds one has. Latchkey's
  // too: somebody else must have moved their end. kubeadm's own live for a day.
  Add({.id = "token-long-lived",
       .severity = Severity::kWarning,
       .message = "they are good for more than seven days yet, which is longer "
                  "than any of Latchkey's may live"},
      Those(tokens,
            [&](const TokenView& one) {
              return one.authenticates && one.expiration &&
                     *one.expiration > now + kMaxTokenLifetime;
            }),
      findings);
  Add({.id = "token-expired",
       .severity = Severity::kWarning,
       .message = "they have expired, and nothing removed them",
       .advice = "does kube-controller-manager run the token-cleaner "
                 "(--controllers=*,tokencleaner)?"},
      Those(tokens,
            [&](const TokenView& one) {
              return one.expiration && *one.expiration + kCleanerPatience < now;
            }),
      findings);
}

// What foreign tokens are for. Of ours, all but the first is a fault.
void JudgeUses(const std::vector<TokenView>& tokens, absl::Time now,
               Findings& findings) {
  Add({.id = "token-foreign",
       .severity = Severity::kInfo,
       .message = "they log in and are not Latchkey's, so they are bound to no "
                  "node and no key: whoever has one may use it until it ends",
       .advice = "let whoever makes them ask Latchkey instead; deleted, they "
                 "join no machine any more"},
      Those(tokens,
            [&](const TokenView& one) { return !one.ours && one.IsLive(now); }),
      findings);
  const Matching signing = Those(tokens, [&](const TokenView& one) {
    return !one.ours && one.signs && (!one.expiration || *one.expiration > now);
  });
  Add({.id = "token-signing",
       .severity = Severity::kInfo,
       .message = "they sign cluster-info, so that anybody can try to guess "
                  "their secrets at home",
       .commands = {CommandOn(
           "kubectl -n kube-system patch secret --type=merge -p "
           R"('{"data":{"usage-bootstrap-signing":null}}')",
           signing, "")}},
      signing, findings);
  Add({.id = "token-groups",
       .severity = Severity::kWarning,
       .message = "one of their groups is none of system:bootstrappers:*, so "
                  "the API server refuses them"},
      Those(tokens,
            [](const TokenView& one) {
              return !one.ours && one.authenticates && one.bad_group;
            }),
      findings);
}

}  // namespace

TokenView ViewToken(const Secret& secret) {
  const auto& data = secret.data();
  const auto is_true = [&](const char* key) {
    return TextAt(data, key) == "true";
  };
  TokenView view{
      .secret_name = secret.metadata().name(),
      .ours = TextAt(secret.metadata().labels(),
                     token_secret::kManagedByLabel) == token_secret::kManagedBy,
      .expiration = ExpirationOf(TextAt(data, token_secret::kExpiration)),
      .authenticates = is_true(token_secret::kUsageAuthentication),
      .signs = is_true(token_secret::kUsageSigning),
      .groups = SplitGroups(TextAt(data, token_secret::kGroups))};
  view.bad_group = !std::all_of(
      view.groups.begin(), view.groups.end(),
      [](const std::string& group) { return IsBootstrapGroup(group); });
  if (view.ours) view.fault = FaultOfOurs(secret, view);
  return view;
}

absl::StatusOr<std::vector<TokenView>> ReadTokens(KubernetesClient& client) {
  std::vector<TokenView> tokens;
  ListQuery query{.name_space = std::string(kTokenNamespace),
                  .field_selector = std::string(kTokenFieldSelector),
                  .limit = kPage};
  do {
    LATCHKEY_ASSIGN_OR_RETURN(kubernetes::SecretList page,
                              client.List<kubernetes::SecretList>(query));
    for (Secret& secret : *page.mutable_items()) {
      tokens.push_back(ViewToken(secret));
      for (auto& entry : *secret.mutable_data()) Wipe(entry.second);
    }
    query.continue_token = page.metadata().continue_();
  } while (!query.continue_token.empty());
  return tokens;
}

std::set<std::string> GroupsOfLiveTokens(const std::vector<TokenView>& tokens,
                                         absl::Time now) {
  std::set<std::string> groups;
  for (const TokenView& token : tokens) {
    if (token.IsLive(now)) {
      groups.insert(token.groups.begin(), token.groups.end());
    }
  }
  return groups;
}

Findings JudgeTokens(const std::vector<TokenView>& tokens,
                     const std::set<std::string>& approved, absl::Time now) {
  Findings findings;
  JudgeExpiry(tokens, now, findings);
  JudgeUses(tokens, now, findings);
  Add({.id = "token-auto-approved",
       .severity = Severity::kWarning,
       .message = "whoever has one can join any number of machines, under any "
                  "node name: the stock approver approves one of its groups"},
      Those(tokens,
            [&](const TokenView& one) {
              return one.IsLive(now) &&
                     std::any_of(one.groups.begin(), one.groups.end(),
                                 [&](const std::string& group) {
                                   return approved.contains(group);
                                 });
            }),
      findings);
  Add({.id = "token-altered",
       .severity = Severity::kWarning,
       .message = "they are labelled as Latchkey's, and somebody else changed "
                  "or made them"},
      Those(tokens, [](const TokenView& one) { return !one.fault.empty(); }),
      findings);
  const auto ours =
      std::count_if(tokens.begin(), tokens.end(),
                    [](const TokenView& one) { return one.ours; });
  if (findings.empty()) {
    findings.push_back({.id = "bootstrap-tokens",
                        .message = fmt::format(
                            "nothing is wrong with Latchkey's tokens ({}) and "
                            "foreign ones ({})",
                            ours, tokens.size() - static_cast<size_t>(ours))});
  }
  return findings;
}

}  // namespace latchkey
