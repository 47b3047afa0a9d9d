// Names that others chose, made harmless: RBAC objects may be called anything
// without '/' and '%', and a Secret may hold any bytes.

#ifndef LATCHKEY_CLIENTS_DOCTOR_SHOWN_TEXT_H_
#define LATCHKEY_CLIENTS_DOCTOR_SHOWN_TEXT_H_

#include <string>
#include <string_view>

namespace latchkey {

// For people to read: every byte that is not printable ASCII as \xNN, and a
// backslash doubled, so that nothing moves a cursor, looks like another name or
// begins a line. What is longer than 512 bytes is cut, and says so.
std::string Shown(std::string_view text);

// One word for bash that stands for exactly `text`, which has no NUL. In one
// line of printable ASCII: plain if it needs no quotes, else in quotes, or as
// $'...' where there is a byte that is not printable ASCII.
std::string ShellWord(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_SHOWN_TEXT_H_
