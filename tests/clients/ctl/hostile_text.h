// Text that somebody may put where a name is expected, to get out of it.

#ifndef LATCHKEY_TESTS_CLIENTS_CTL_HOSTILE_TEXT_H_
#define LATCHKEY_TESTS_CLIENTS_CTL_HOSTILE_TEXT_H_

#include <string>
#include <vector>

namespace latchkey_testing {

// Each is valid UTF-8, as a protobuf string must be. What would run in a shell
// makes the file "pwned" in the working folder.
inline std::vector<std::string> HostileTexts() {
  return {
      "a'b",
      "a\"b",
      "a'; touch pwned; '",
      "a\"; touch pwned; \"",
      "$(touch pwned)",
      "`touch pwned`",
      "${IFS}x$HOME",
      "a\ntouch pwned\n",
      "a\r\ntouch pwned",
      "LATCHKEY_END\ntouch pwned\n",
      "x\nLATCHKEY_END\ntouch pwned\nLATCHKEY_END_\n",
      "\nEOF\ntouch pwned\n",
      "{a: b}",
      "[a, b]",
      "a: b # c",
      "- a",
      "? a",
      "&anchor",
      "*alias",
      "!!python/object/apply:os.system [touch pwned]",
      "%TAG ! x",
      "| x",
      "> x",
      "---",
      "...\n---\nruncmd: [touch pwned]\n",
      "null",
      "true",
      "no",
      "0x10",
      "1e3",
      "2026-01-02",
      "~",
      "*",
      "?[a-z]*{1,2}",
      "../../etc/passwd",
      "/etc/shadow",
      "%h%n%%",
      "a\\b\\n\\x41",
      "\\",
      "#",
      "-x",
      "--out=/tmp/x",
      " leading and trailing ",
      "a\tb",
      "a\x1b[2J\x1b]0;title\x07",
      "\x7f\x01",
      "w\xC3\xB6rker",
      "w\xD0\xBErker-1",  // Cyrillic o
      "\xE2\x80\xAE"
      "1-rekrow",            // right-to-left override
      "wor\xE2\x80\x8Bker",  // zero width space
      "a\xE2\x80\xA8"
      "b",  // line separator
      "\xEF\xBB\xBF"
      "a",  // byte order mark
      "\xC2\x85"
      "a",                 // next line
      "\xF0\x9F\x92\xA9",  // beyond the basic plane
      "\xF3\xA0\x81\x81",  // a tag character
      "</script><!--",
      std::string(253, 'a'),
      std::string(4096, '\''),
      "",
  };
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_CTL_HOSTILE_TEXT_H_
