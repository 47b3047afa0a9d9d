#include "clients/doctor/server_checks.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include <fmt/format.h>

#include "clients/doctor/shown_text.h"
#include "clients/kubernetes/kube_time.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "crypto/certificate.h"

namespace latchkey {
namespace {

// What tests/controlplane runs.
constexpr int kTestedMajor = 1;
constexpr int kTestedMinor = 37;

constexpr absl::Duration kSkewWarning = absl::Seconds(5);
constexpr absl::Duration kSkewError = absl::Seconds(60);
constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kSignerPatience = absl::Seconds(30);
constexpr int64_t kPage = 500;
constexpr std::string_view kKubeletSigner =
    "kubernetes.io/kube-apiserver-client-kubelet";

// The two numbers in "v1.37.2-eks-1".
struct Version {
  int major = -1;
  int minor = -1;
};

Version ParseVersion(std::string_view text) {
  Version version;
  if (!text.starts_with('v')) return version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data() + 1, end, version.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    std::from_chars(major.ptr + 1, end, version.minor);
  }
  return version;
}

// JSON is YAML.
std::string GitVersionIn(std::string_view body) {
  const auto document = ConfigDocument::Parse("/version", body);
  if (!document.ok()) return "";
  return (*document)->root().String("gitVersion", "");
}

// IMF-fixdate (RFC 9110, 5.6.7).
std::optional<absl::Time> ParseHttpDate(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, &error)) {
    return std::nullopt;
  }
  return time;
}

std::string RoughDuration(absl::Duration duration) {
  if (duration >= 2 * kDay) return fmt::format("{} days", duration / kDay);
  if (duration >= absl::Hours(2)) {
    return fmt::format("{} hours", duration / absl::Hours(1));
  }
  return absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

Severity SeverityOfEnd(const Certificate& certificate, absl::Time now) {
  const absl::Duration whole = certificate.not_after - certificate.not_before;
  const absl::Duration left = certificate.not_after - now;
  // One of 30 days begins some minutes before it was issued.
  const bool lasting = whole > 31 * kDay;
  if (left < (lasting ? 7 * kDay : whole / 10)) return Severity::kError;
  if (left < (lasting ? 30 * kDay : whole / 3)) return Severity::kWarning;
  return Severity::kOk;
}

std::string NameOf(const Certificate& certificate) {
  if (!certificate.common_names.empty()) {
    return "CN=" + Shown(certificate.common_names.front());
  }
  return "serial " + certificate.serial;
}

}  // namespace

const char kSignerAdvice[] =
    "kube-controller-manager signs if it has --cluster-signing-cert-file and "
    "--cluster-signing-key-file and runs the controller csrsigning; some "
    "hosted clusters bring a signer of their own";

Finding JudgeVersion(std::string_view body) {
  const std::string text = GitVersionIn(body);
  const Version version = ParseVersion(text);
  Finding finding{.id = "api-server-version",
                  .message = fmt::format("Kubernetes {}", Shown(text))};
  if (version.major == kTestedMajor && version.minor == kTestedMinor) {
    return finding;
  }
  finding.severity = Severity::kInfo;
  finding.message =
      version.minor < 0
          ? "the API server does not say which version it is"
          : fmt::format(
                "Latchkey was tested with Kubernetes {}.{}, and this "
                "is {}",
                kTestedMajor, kTestedMinor, Shown(text));
  return finding;
}

std::optional<ClockOffset> OffsetOf(const std::vector<ClockSample>& samples) {
  std::optional<ClockOffset> best;
  for (const ClockSample& sample : samples) {
    const auto date = ParseHttpDate(sample.date);
    if (!date.has_value()) continue;
    const absl::Duration trip = sample.received - sample.sent;
    const ClockOffset offset{
        .ahead = *date + absl::Milliseconds(500) - (sample.sent + trip / 2),
        .error = absl::Milliseconds(500) + trip / 2};
    if (!best.has_value() || offset.error < best->error) best = offset;
  }
  return best;
}

Finding JudgeClock(const std::optional<ClockOffset>& offset) {
  Finding finding{.id = "clock-skew"};
  if (!offset.has_value()) {
    finding.id = "clock-skew-not-checked";
    finding.severity = Severity::kInfo;
    finding.message = "could not look: the API server's answers have no Date";
    return finding;
  }
  const absl::Duration size = absl::AbsDuration(offset->ahead);
  const absl::Duration certain = size - offset->error;
  if (certain > kSkewWarning) finding.severity = Severity::kWarning;
  if (certain > kSkewError) finding.severity = Severity::kError;
  const auto seconds = [](absl::Duration duration) {
    return fmt::format("{:.1f} s", absl::ToDoubleSeconds(duration));
  };
  if (finding.severity == Severity::kOk) {
    finding.message = fmt::format(
        "this machine's clock and the API server's are less than "
        "{} apart",
        seconds(size + offset->error));
    return finding;
  }
  finding.message = fmt::format(
      "the API server's clock is {} {} this machine's", seconds(size),
      offset->ahead > absl::ZeroDuration() ? "ahead of" : "behind");
  finding.evidence = {fmt::format(
      "from the header Date of one answer: good to {}, half its round trip and "
      "half a second",
      seconds(offset->error))};
  finding.advice =
      "set the clock that is wrong (chronyc tracking, timedatectl): tokens and "
      "certificates live by both";
  return finding;
}

Finding JudgeCertificates(std::string_view where, std::string_view pem,
                          std::string_view advice, absl::Time now) {
  const auto certificates = Certificate::ParseAll(pem);
  if (!certificates.ok()) {
    return {.id = "certificate-expiry-not-checked",
            .severity = Severity::kWarning,
            .message = fmt::format("could not look at {}", where),
            .evidence = {Shown(std::string(certificates.status().message()))}};
  }
  const Certificate& first =
      *std::min_element(certificates->begin(), certificates->end(),
                        [](const Certificate& a, const Certificate& b) {
                          return a.not_after < b.not_after;
                        });
  Finding finding{.id = "certificate-expiry",
                  .severity = SeverityOfEnd(first, now)};
  const absl::Duration left = first.not_after - now;
  finding.message =
      left <= absl::ZeroDuration()
          ? fmt::format("{} has expired", where)
          : fmt::format("{} is good for {}", where, RoughDuration(left));
  if (finding.severity != Severity::kOk) {
    finding.evidence = {fmt::format("{}, until {}", NameOf(first),
                                    FormatRfc3339(first.not_after))};
    finding.advice = advice;
  }
  return finding;
}

SigningView ViewSigning(const kubernetes::CertificateSigningRequest& csr) {
  SigningView view{.name = csr.metadata().name(),
                   .has_certificate = csr.status().has_certificate() &&
                                      !csr.status().certificate().empty()};
  bool refused = false;
  for (const auto& condition : csr.status().conditions()) {
    if (condition.type() == "Approved") {
      view.approved =
          FromKubernetesTime(condition.last_update_time().has_seconds()
                                 ? condition.last_update_time()
                                 : csr.metadata().creation_timestamp());
    }
    refused |= condition.type() == "Denied" || condition.type() == "Failed";
  }
  if (refused) view.approved = std::nullopt;
  return view;
}

absl::StatusOr<std::vector<SigningView>> ReadSignings(
    KubernetesClient& client) {
  using List = kubernetes::CertificateSigningRequestList;
  std::vector<SigningView> views;
  ListQuery query{.limit = kPage};
  do {
    LATCHKEY_ASSIGN_OR_RETURN(const List page, client.List<List>(query));
    for (const auto& csr : page.items()) {
      if (csr.spec().signer_name() != kKubeletSigner) continue;
      views.push_back(ViewSigning(csr));
    }
    query.continue_token = page.metadata().continue_();
  } while (!query.continue_token.empty());
  return views;
}

Finding JudgeSigner(const std::vector<SigningView>& signings, absl::Time now) {
  size_t signed_ones = 0;
  std::vector<std::string> waiting;
  for (const SigningView& one : signings) {
    if (one.has_certificate) ++signed_ones;
    if (!one.has_certificate && one.approved.has_value() &&
        *one.approved + kSignerPatience < now) {
      waiting.push_back(fmt::format("CertificateSigningRequest {}, approved {}",
                                    Shown(one.name),
                                    FormatRfc3339(*one.approved)));
    }
  }
  Finding finding{.id = "signer"};
  if (!waiting.empty()) {
    finding.severity = Severity::kError;
    finding.message =
        fmt::format("{} approved more than 30 s ago, and nobody signs",
                    Counted(waiting.size(), "certificate request"));
    finding.evidence = FirstOf(waiting);
    finding.advice = kSignerAdvice;
  } else if (signed_ones > 0) {
    finding.message = fmt::format("{} of Nodes signed",
                                  Counted(signed_ones, "certificate request"));
  } else {
    finding.severity = Severity::kInfo;
    finding.message =
        "not proved that somebody signs: there is no approved certificate "
        "request to judge by; --active makes one";
  }
  return finding;
}

}  // namespace latchkey
