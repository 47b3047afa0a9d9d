#include "clients/ctl/filter_flags.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "core/status_macros.h"
#include "core/text_time.h"
#include "core/token_labels.h"

namespace latchkey {
namespace {

absl::StatusOr<v1::TokenState> StateOf(const std::string& name) {
  for (const v1::TokenState state :
       {v1::TOKEN_STATE_ISSUED, v1::TOKEN_STATE_ACTIVE,
        v1::TOKEN_STATE_RESERVED, v1::TOKEN_STATE_SPENT,
        v1::TOKEN_STATE_REVOKED}) {
    std::string upper = "TOKEN_STATE_" + name;
    for (char& c : upper) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    if (upper == v1::TokenState_Name(state)) return state;
  }
  return absl::InvalidArgumentError(fmt::format(
      "--state: {} is none of issued, active, reserved, spent, revoked", name));
}

}  // namespace

void AddFilterFlags(CLI::App& command, FilterFlags& flags) {
  constexpr char kGroup[] = "Which tokens";
  command
      .add_option("--state", flags.states,
                  "in one of these states; several with commas: --state "
                  "issued,active")
      ->allow_extra_args(false)
      // For help and completion: FilterOf() judges them, several in one.
      ->type_name("STATE:{issued,active,reserved,spent,revoked}")
      ->group(kGroup);
  command
      .add_option("--node", flags.node,
                  "for this Node name; '*' stands for anything but a dot: "
                  "--node 'worker-*'")
      ->group(kGroup);
  command
      .add_option("--provisioner", flags.provisioner,
                  "issued by this identity: --provisioner "
                  "spiffe://example.org/autoscaler")
      ->group(kGroup);
  command
      .add_option("--label", flags.labels,
                  "with this label; may be repeated: --label pool=gpu")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_option("--expires-before", flags.expires_before,
                  "a time, or a duration from now: --expires-before 10m, "
                  "--expires-before 2026-01-02T15:04:05Z")
      ->group(kGroup);
  command
      .add_option("--expires-after", flags.expires_after,
                  "the same, for tokens that last longer")
      ->group(kGroup);
}

absl::StatusOr<v1::TokenFilter> FilterOf(const FilterFlags& flags,
                                         absl::Time now) {
  v1::TokenFilter filter;
  for (const std::string& names : flags.states) {
    // Not CLI11's delimiter: it drops what is empty, and then "," is no filter.
    for (const std::string& name : CLI::detail::split(names, ',')) {
      LATCHKEY_ASSIGN_OR_RETURN(const v1::TokenState state, StateOf(name));
      filter.add_states(state);
    }
  }
  filter.set_node_name(flags.node);
  filter.set_provisioner(flags.provisioner);
  LATCHKEY_ASSIGN_OR_RETURN(const auto labels, LabelsOfFlags(flags.labels));
  filter.mutable_labels()->insert(labels.begin(), labels.end());
  if (!flags.expires_before.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        const absl::Time time,
        TimeOfFlag("expires-before", flags.expires_before, now));
    filter.mutable_expires_before()->set_seconds(absl::ToUnixSeconds(time));
  }
  if (!flags.expires_after.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        const absl::Time time,
        TimeOfFlag("expires-after", flags.expires_after, now));
    filter.mutable_expires_after()->set_seconds(absl::ToUnixSeconds(time));
  }
  return filter;
}

bool IsEmpty(const v1::TokenFilter& filter) {
  return filter.ByteSizeLong() == 0;
}

absl::StatusOr<absl::Time> TimeOfFlag(std::string_view flag,
                                      const std::string& text, absl::Time now) {
  if (const auto time = ParseRfc3339(text); time.ok()) return *time;
  if (const auto duration = ParsePositiveDuration(text); duration.ok()) {
    return now + *duration;
  }
  return absl::InvalidArgumentError(fmt::format(
      "--{}: neither a time such as 2026-01-02T15:04:05Z nor a duration such "
      "as 90s, 15m or 1h30m",
      flag));
}

absl::StatusOr<std::map<std::string, std::string>> LabelsOfFlags(
    const std::vector<std::string>& labels) {
  std::map<std::string, std::string> result;
  for (const std::string& label : labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          fmt::format("label {}: must be key=value", label));
    }
    if (!ValidateLabels({{label.substr(0, equals), label.substr(equals + 1)}})
             .ok()) {
      return absl::InvalidArgumentError(fmt::format(
          "label {}: key and value are each up to 63 characters of "
          "[A-Za-z0-9._-] that begin and end with a letter or digit; the value "
          "may be empty, and several labels are given one by one",
          label));
    }
    if (!result.emplace(label.substr(0, equals), label.substr(equals + 1))
             .second) {
      return absl::InvalidArgumentError(
          fmt::format("label {}: is given twice", label.substr(0, equals)));
    }
  }
  return result;
}

}  // namespace latchkey
