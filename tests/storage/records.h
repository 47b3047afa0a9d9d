// Records to begin tests from.

#ifndef LATCHKEY_TESTS_STORAGE_RECORDS_H_
#define LATCHKEY_TESTS_STORAGE_RECORDS_H_

#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "storage/token_record.h"

namespace latchkey_testing {

inline latchkey::TokenId Id(std::string_view text) {
  return latchkey::TokenId::Parse(text).value();
}

// A digest made of one digit: easy to tell apart.
inline latchkey::KeyDigest Key(char digit) { return std::string(64, digit); }

// A whole-second instant far from any real one.
inline absl::Time At(int seconds) {
  return absl::FromUnixSeconds(1'800'000'000 + seconds);
}

// A ticket's record as issued at At(0), to be claimed within an hour.
inline latchkey::TokenRecord IssuedRecord(std::string_view id = "abc123") {
  latchkey::TokenRecord record{.id = Id(id)};
  record.state = latchkey::TokenState::kIssued;
  record.secret = latchkey::SecretString("0123456789abcdef");
  record.delivery = latchkey::Delivery::kTicket;
  record.scope.node_name = "worker-1";
  record.groups = {"system:bootstrappers:latchkey"};
  record.provisioner = "spiffe://example.org/autoscaler";
  record.rule = "workers";
  record.request_key = std::string(64, 'e');
  record.request_digest = std::string(64, 'd');
  record.ticket_digest = std::string(64, 'c');
  record.ticket_salt =
      latchkey::SecretString("0123456789abcdef0123456789abcdef");
  record.expire_time = At(3600);
  return record;
}

// A direct token's record as issued.
inline latchkey::TokenRecord DirectRecord(std::string_view id = "abc123") {
  latchkey::TokenRecord record = IssuedRecord(id);
  record.state = latchkey::TokenState::kActive;
  record.delivery = latchkey::Delivery::kDirect;
  record.ticket_digest.clear();
  record.ticket_salt = latchkey::SecretString();
  return record;
}

inline latchkey::Reservation HeldBy(std::string_view csr, char key) {
  return {.csr_name = "csr-" + std::string(csr),
          .csr_uid = "uid-" + std::string(csr),
          .key_digest = Key(key),
          .time = At(20)};
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_STORAGE_RECORDS_H_
