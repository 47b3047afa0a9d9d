// Tokens as text: their tables and descriptions for people, and what scripts
// read.

#ifndef LATCHKEY_CLIENTS_CTL_TOKEN_TEXT_H_
#define LATCHKEY_CLIENTS_CTL_TOKEN_TEXT_H_

#include <ostream>
#include <string>
#include <vector>

#include <google/protobuf/timestamp.pb.h>

#include "clients/ctl/visible_text.h"
#include "latchkey/v1/token.pb.h"
#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

// "issued", "joined": an enumerator as people read it.
std::string StateName(v1::TokenState state);
std::string EventName(v1::TokenEvent::Type type);

// RFC 3339; empty if it is not set.
std::string TimeText(const google::protobuf::Timestamp& time);
// "a=1,b=2", in the order of the keys.
std::string LabelText(const v1::Token& token);

// The header, and the cells, of a table of tokens.
std::vector<std::string> TokenHeader();
std::vector<std::string> TokenCells(const v1::Token& token);

// All of a token, "name  value" a line.
std::string TokenDescription(const v1::Token& token);

// What became of a token: its description, then what happened, its CSRs and its
// node.
std::string LineageText(const v1::ExplainTokenResponse& answer);

// Writes tokens in the form `output`: table; json, an object a line; yaml, a
// document each; name, an id a line. `out` must outlive it.
class TokenPrinter {
 public:
  TokenPrinter(std::ostream& out, std::string output);

  void Add(const v1::Token& token);
  // A table is written here: page by page, if called so.
  void WritePage();

 private:
  std::ostream& out_;
  const std::string output_;
  TextTable table_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_TOKEN_TEXT_H_
