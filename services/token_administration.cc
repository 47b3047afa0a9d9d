#include "services/token_administration.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "core/utf8.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "services/observed_refusal.h"

namespace latchkey {
namespace {

constexpr size_t kMaxReasonCharacters = 256;
// A page that shows nothing costs the caller a round trip, so a few are looked
// at for it; not so many that one call is the work of many.
constexpr int kMaxPagesOfAList = 8;
// Of the largest pages: 100,000 records.
constexpr int kMaxPagesOfARevocation = 200;
// A page token: half a SHA-256 in hexadecimal, and then the store's.
constexpr size_t kBindingLength = 32;
constexpr size_t kMaxPageTokenLength = 1024;

absl::Status Unknown() {
  return Refuse(absl::StatusCode::kNotFound, reason::kTokenUnknown,
                "no such token, or not one that you may see");
}

// One printable character of one or more bytes: no control character of ASCII
// or Latin-1, and neither of Unicode's own line breaks.
bool IsPrintable(std::string_view character) {
  if (character.size() == 1) {
    return character[0] >= ' ' && character[0] != '\x7f';
  }
  if (character[0] == '\xc2') {
    return static_cast<unsigned char>(character[1]) >= 0xa0;
  }
  return character != "\xe2\x80\xa8" && character != "\xe2\x80\xa9";
}

absl::Status ValidateReason(std::string_view why) {
  size_t characters = 0;
  bool printable = true;
  bool blank = true;
  while (!why.empty() && printable && characters <= kMaxReasonCharacters) {
    const size_t length = Utf8Length(why);
    printable = length > 0 && IsPrintable(why.substr(0, length));
    blank = blank && why[0] == ' ';
    why.remove_prefix(std::max<size_t>(length, 1));
    ++characters;
  }
  if (printable && !blank && characters <= kMaxReasonCharacters) {
    return absl::OkStatus();
  }
  return InvalidField("reason", "1 to 256 printable characters");
}

std::string OptionalTime(const std::optional<absl::Time>& time) {
  return time.has_value() ? std::to_string(absl::ToUnixNanos(*time)) : "";
}

// What a page token is good for: this caller and this filter.
std::string BindingOf(const Identity& caller, const TokenFilter& filter) {
  std::vector<std::string_view> states;
  for (const TokenState state : filter.states) {
    states.push_back(TokenStateName(state));
  }
  std::sort(states.begin(), states.end());
  return DigestOfParts("latchkey page v1",
                       {caller.name, filter.provisioner,
                        fmt::format("{}", fmt::join(states, ",")),
                        FormatLabels(filter.labels), filter.node_name,
                        OptionalTime(filter.expires_before),
                        OptionalTime(filter.expires_after)})
      .substr(0, kBindingLength);
}

// The store's part of a page token; empty for the first page.
absl::StatusOr<std::string> UnwrapPageToken(const std::string& token,
                                            std::string_view binding) {
  if (token.empty()) return std::string();
  if (token.size() <= kBindingLength || token.size() > kMaxPageTokenLength ||
      token.substr(0, kBindingLength) != binding) {
    return InvalidField("page_token", "not of a listing with this filter");
  }
  return token.substr(kBindingLength);
}

absl::StatusOr<size_t> PageSizeOf(const ListRequest& request) {
  if (request.page_size < 0 || request.page_size > ListRequest::kMaxPageSize) {
    return InvalidField("page_size",
                        fmt::format("from 1 to {}", ListRequest::kMaxPageSize));
  }
  return static_cast<size_t>(request.page_size == 0
                                 ? ListRequest::kDefaultPageSize
                                 : request.page_size);
}

// Narrows `filter` to the tokens of `owner`; false: it asks for another's.
bool Narrow(const std::string& owner, TokenFilter& filter) {
  if (owner.empty()) return true;
  if (!filter.provisioner.empty() && filter.provisioner != owner) return false;
  filter.provisioner = owner;
  return true;
}

// The states of `filter` that can be left; false: none of them.
bool NarrowToLive(TokenFilter& filter) {
  std::vector<TokenState> live = {TokenState::kIssued, TokenState::kActive,
                                  TokenState::kReserved};
  if (!filter.states.empty()) {
    std::erase_if(live, [&](TokenState state) {
      return std::find(filter.states.begin(), filter.states.end(), state) ==
             filter.states.end();
    });
  }
  filter.states = std::move(live);
  return !filter.states.empty();
}

bool IsLive(const TokenRecord& record) {
  return record.state != TokenState::kSpent &&
         record.state != TokenState::kRevoked;
}

Revocation RevocationBy(const Identity& caller, const RevokeOrder& order,
                        absl::Time now) {
  return {.who = caller.name, .why = order.why, .time = WholeSeconds(now)};
}

// It gave no answer, or has too much to do.
bool IsOfTheCluster(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

absl::Status CheckLifetime(const TokenRecord& record, absl::Time expire_time,
                           absl::Duration most) {
  const absl::Time latest = record.create_time + most;
  if (expire_time <= latest) return absl::OkStatus();
  return Refuse(
      absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
      fmt::format("policy rule '{}' does not allow this token to last beyond "
                  "{}",
                  record.rule, FormatRfc3339(latest)),
      {{"rule", record.rule},
       {"field", "expire_time"},
       {"limit", FormatRfc3339(latest)}});
}

}  // namespace

absl::StatusOr<std::string> TokenAdministration::OwnerFor(
    const Identity& caller) const {
  switch (policy_.Current()->ReachOf(caller)) {
    case Reach::kOwn:
      return caller.name;
    case Reach::kAll:
      return std::string();
    case Reach::kNone:
      break;
  }
  return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                fmt::format("no policy rule is for {}", caller.name));
}

absl::StatusOr<StoredToken> TokenAdministration::FindFor(
    const Identity& caller, std::string_view token_id) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string owner, OwnerFor(caller));
  const absl::StatusOr<TokenId> id = TokenId::Parse(token_id);
  if (!id.ok()) return InvalidField("id", "six characters of [a-z0-9]");
  absl::StatusOr<StoredToken> token = store_.Find(*id);
  if (token.ok() && (owner.empty() || token->record.provisioner == owner)) {
    return token;
  }
  if (absl::IsDataLoss(token.status())) {
    LogEvent(LogLevel::kWarning, "record altered",
             {{"token", id->text()}, {"status", token.status().ToString()}});
    // Whose it is cannot be told any more.
    return owner.empty() ? token.status() : Unknown();
  }
  if (token.ok() || absl::IsNotFound(token.status()) ||
      absl::IsFailedPrecondition(token.status())) {
    return Unknown();
  }
  return token.status();
}

absl::StatusOr<StoredToken> TokenAdministration::Get(
    const Identity& caller, std::string_view token_id) {
  return FindFor(caller, token_id);
}

absl::StatusOr<ListedTokens> TokenAdministration::List(
    const Identity& caller, const ListRequest& request) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string owner, OwnerFor(caller));
  LATCHKEY_ASSIGN_OR_RETURN(const size_t page_size, PageSizeOf(request));
  const std::string binding = BindingOf(caller, request.filter);
  TokenQuery query{.filter = request.filter, .page_size = page_size};
  LATCHKEY_ASSIGN_OR_RETURN(query.page_token,
                            UnwrapPageToken(request.page_token, binding));
  ListedTokens listed;
  if (!Narrow(owner, query.filter)) return listed;
  for (int pages = 0; pages < kMaxPagesOfAList; ++pages) {
    LATCHKEY_ASSIGN_OR_RETURN(TokenPage page, store_.List(query));
    for (StoredToken& token : page.tokens) {
      listed.tokens.push_back(std::move(token.record));
    }
    query.page_token = std::move(page.next_page_token);
    if (!listed.tokens.empty() || query.page_token.empty()) break;
  }
  if (!query.page_token.empty()) {
    listed.next_page_token = binding + query.page_token;
  }
  return listed;
}

absl::StatusOr<StoredToken> TokenAdministration::Change(StoredToken token,
                                                        const Arrow& arrow) {
  const TokenId id = token.record.id;
  absl::StatusOr<StoredToken> changed =
      Advance(store_, id, arrow, std::move(token));
  if (absl::IsNotFound(changed.status())) return Unknown();  // gone since
  return changed;
}

absl::StatusOr<StoredToken> TokenAdministration::CutOff(
    StoredToken token, const Revocation& revocation,
    const TokenFilter& selected) {
  const SecretString stand_in = RandomBase36(BootstrapToken::kSecretLength);
  LATCHKEY_ASSIGN_OR_RETURN(
      StoredToken revoked,
      Change(std::move(token), [&](const TokenRecord& record) -> NextRecord {
        // What is over is told as it is: perhaps by us, and the answer was
        // lost.
        if (IsLive(record) && !selected.Matches(record)) return std::nullopt;
        return latchkey::Revoke(record, revocation, stand_in);
      }));
  if (IsLive(revoked.record)) return revoked;
  if (revoked.record.revocation == revocation) {  // else somebody was faster
    LogEvent(LogLevel::kInfo, "token revoked",
             {{"token", revoked.record.id.text()},
              {"by", revocation.who},
              {"why", revocation.why}});
  }
  if (const auto& reservation = revoked.record.reservation) {
    LATCHKEY_RETURN_IF_ERROR(approver_.CutOff(*reservation));
  }
  return revoked;
}

absl::StatusOr<StoredToken> TokenAdministration::Revoke(
    const Identity& caller, std::string_view token_id,
    const RevokeOrder& order) {
  LATCHKEY_RETURN_IF_ERROR(ValidateReason(order.why));
  LATCHKEY_ASSIGN_OR_RETURN(StoredToken token, FindFor(caller, token_id));
  const Revocation revocation = RevocationBy(caller, order, clock_.Now());
  if (order.validate_only) {
    LATCHKEY_RETURN_IF_ERROR(
        latchkey::Revoke(token.record, revocation, SecretString()).status());
    return token;
  }
  return CutOff(std::move(token), revocation, /*selected=*/{});
}

absl::StatusOr<std::vector<StoredToken>> TokenAdministration::LiveTokens(
    TokenFilter filter, const std::function<bool()>& given_up, bool* more) {
  std::vector<StoredToken> live;
  TokenQuery query{.filter = std::move(filter), .page_size = kMaxRevoked};
  for (int pages = 0; pages < kMaxPagesOfARevocation && !given_up(); ++pages) {
    LATCHKEY_ASSIGN_OR_RETURN(TokenPage page, store_.List(query));
    for (StoredToken& token : page.tokens) {
      if (live.size() == kMaxRevoked) {
        *more = true;
        return live;
      }
      live.push_back(std::move(token));
    }
    query.page_token = std::move(page.next_page_token);
    if (query.page_token.empty()) return live;
  }
  *more = true;
  return live;
}

void TokenAdministration::RevokeEach(std::vector<StoredToken> tokens,
                                     const TokenFilter& selected,
                                     const Revocation& revocation,
                                     const std::function<bool()>& given_up,
                                     RevokedTokens& revoked) {
  for (StoredToken& token : tokens) {
    if (given_up()) {
      revoked.more = true;
      break;
    }
    absl::StatusOr<StoredToken> one = CutOff(token, revocation, selected);
    if (one.ok()) {
      if (!IsLive(one->record)) revoked.tokens.push_back(*std::move(one));
      continue;
    }
    revoked.failed.push_back({std::move(token), one.status()});
    if (IsOfTheCluster(one.status())) {
      revoked.more = true;
      break;
    }
  }
  LogEvent(LogLevel::kInfo, "tokens revoked",
           {{"count", std::to_string(revoked.tokens.size())},
            {"failed", std::to_string(revoked.failed.size())},
            {"by", revocation.who},
            {"why", revocation.why}});
}

absl::StatusOr<RevokedTokens> TokenAdministration::RevokeAll(
    const Identity& caller, const TokenFilter& filter, const RevokeOrder& order,
    const std::function<bool()>& given_up) {
  LATCHKEY_RETURN_IF_ERROR(ValidateReason(order.why));
  LATCHKEY_ASSIGN_OR_RETURN(const std::string owner, OwnerFor(caller));
  TokenFilter narrow = filter;
  RevokedTokens revoked;
  if (!Narrow(owner, narrow) || !NarrowToLive(narrow)) return revoked;
  LATCHKEY_ASSIGN_OR_RETURN(std::vector<StoredToken> tokens,
                            LiveTokens(narrow, given_up, &revoked.more));
  if (order.validate_only) {
    revoked.tokens = std::move(tokens);
  } else {
    RevokeEach(std::move(tokens), narrow,
               RevocationBy(caller, order, clock_.Now()), given_up, revoked);
  }
  return revoked;
}

absl::Status TokenAdministration::CheckExtension(const TokenRecord& record,
                                                 absl::Time expire_time,
                                                 absl::Status& observed) const {
  observed = absl::OkStatus();
  const auto limit = policy_.Current()->LifetimeUnder(record.rule);
  if (!limit.has_value()) {
    return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                  fmt::format("the policy rule '{}', which the token was "
                              "issued under, is there no more",
                              record.rule),
                  {{"rule", record.rule}, {"field", "expire_time"}});
  }
  observed = CheckLifetime(record, expire_time, limit->most);
  if (limit->mode == PolicyMode::kEnforce) {
    return std::exchange(observed, absl::OkStatus());
  }
  return CheckLifetime(record, expire_time, kMaxTokenLifetime);
}

absl::StatusOr<ExtendedToken> TokenAdministration::Extend(
    const Identity& caller, std::string_view token_id, absl::Time expire_time) {
  if (expire_time != WholeSeconds(expire_time)) {
    return InvalidField("expire_time", "whole seconds");
  }
  LATCHKEY_ASSIGN_OR_RETURN(StoredToken token, FindFor(caller, token_id));
  absl::Status observed;
  const auto extend = [&](const TokenRecord& record) -> NextRecord {
    LATCHKEY_ASSIGN_OR_RETURN(
        std::optional<TokenRecord> next,
        latchkey::Extend(record, expire_time, clock_.Now()));
    // What changes nothing needs nobody's leave.
    if (next.has_value()) {
      LATCHKEY_RETURN_IF_ERROR(CheckExtension(record, expire_time, observed));
    }
    return next;
  };
  LATCHKEY_ASSIGN_OR_RETURN(StoredToken extended,
                            Change(std::move(token), extend));
  LogObserved(observed, caller.name, extended.record.id.text(),
              extended.record.rule);
  return ExtendedToken{.token = std::move(extended),
                       .observed = std::move(observed)};
}

absl::StatusOr<TokenLineage> TokenAdministration::Explain(
    const Identity& caller, std::string_view token_id) {
  LATCHKEY_ASSIGN_OR_RETURN(StoredToken token, FindFor(caller, token_id));
  return TraceLineage(client_, std::move(token), clock_.Now());
}

}  // namespace latchkey
