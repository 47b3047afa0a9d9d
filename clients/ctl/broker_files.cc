#include "clients/ctl/broker_files.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "clients/ctl/cures.h"
#include "clients/files/read_file.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {
namespace {

// Whose clock is right is not known here.
constexpr absl::Duration kClockSkew = absl::Minutes(5);

// `path` is added unless the message begins with it.
absl::Status BadFile(const std::string& path, std::string_view message) {
  return absl::InvalidArgumentError(message.starts_with(path)
                                        ? std::string(message)
                                        : fmt::format("{}: {}", path, message));
}

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  absl::StatusOr<std::string> text =
      ReadFileBounded(path, Certificate::kMaxPemBytes);
  if (text.ok()) return text;
  return BadFile(path, std::string(text.status().message()));
}

absl::StatusOr<std::vector<Certificate>> ParseCertificates(
    const std::string& path, const std::string& pem) {
  auto all = Certificate::ParseAll(pem);
  if (all.ok()) return all;
  return BadFile(path, std::string(all.status().message()));
}

absl::Status CheckDates(const std::string& path, const Certificate& certificate,
                        absl::Time now, std::string_view advice) {
  if (certificate.not_after + kClockSkew < now) {
    return WithCure(
        BadFile(path, fmt::format("this certificate expired at {}",
                                  FormatRfc3339(certificate.not_after))),
        advice);
  }
  if (certificate.not_before - kClockSkew > now) {
    return WithCure(
        BadFile(path,
                fmt::format("this certificate is valid from {} on, and it is "
                            "{} here",
                            FormatRfc3339(certificate.not_before),
                            FormatRfc3339(now))),
        "is the clock of this machine right?");
  }
  return absl::OkStatus();
}

// One that is valid will do: old ones stay in a bundle for a while.
absl::Status CheckAuthorities(const std::string& path, const std::string& pem,
                              absl::Time now) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto all, ParseCertificates(path, pem));
  absl::Status status;
  for (const Certificate& one : all) {
    status = CheckDates(path, one, now,
                        "get the broker's present certificate authority");
    if (status.ok()) return status;
  }
  return status;
}

absl::Status CheckIdentity(const CtlConfig& config, const BrokerFiles& files,
                           absl::Time now) {
  const std::string& path = config.certificate_file;
  LATCHKEY_ASSIGN_OR_RETURN(const auto chain,
                            ParseCertificates(path, files.certificate));
  const auto key = PrivateKey::FromPem(files.private_key.Reveal());
  if (!key.ok()) {
    return BadFile(config.private_key_file,
                   std::string(key.status().message()));
  }
  if (key->public_key_digest() != chain.front().key_digest) {
    return BadFile(config.private_key_file,
                   fmt::format("is not the private key of the certificate in "
                               "{}",
                               path));
  }
  return CheckDates(path, chain.front(), now, "get a new certificate");
}

}  // namespace

absl::StatusOr<BrokerFiles> ReadBrokerFiles(const CtlConfig& config,
                                            absl::Time now) {
  BrokerFiles files;
  LATCHKEY_ASSIGN_OR_RETURN(files.authorities, ReadPem(config.ca_file));
  LATCHKEY_RETURN_IF_ERROR(
      CheckAuthorities(config.ca_file, files.authorities, now));
  if (config.certificate_file.empty()) return files;
  LATCHKEY_ASSIGN_OR_RETURN(files.certificate,
                            ReadPem(config.certificate_file));
  LATCHKEY_ASSIGN_OR_RETURN(std::string key, ReadPem(config.private_key_file));
  files.private_key = SecretString(key);
  Wipe(key);
  LATCHKEY_RETURN_IF_ERROR(CheckIdentity(config, files, now));
  return files;
}

}  // namespace latchkey
