// Text of others, shown on a terminal: it may hold anything, and must neither
// move the cursor nor pass for something else.

#ifndef LATCHKEY_CLIENTS_CTL_VISIBLE_TEXT_H_
#define LATCHKEY_CLIENTS_CTL_VISIBLE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace latchkey {

// `text` with everything that is no visible character, or changes how others
// are shown, written out: \n, \x1b, \u{202e}; a backslash is \\ . That is
// control characters, line separators, what is invisible or sets the direction
// of writing, and bytes that are no UTF-8.
std::string Visible(std::string_view text);

// Rows under a header, in aligned columns. Cells are shown by Visible().
class TextTable {
 public:
  // `widths` are the least widths of the columns, in the order of the header;
  // missing ones are 0.
  explicit TextTable(std::vector<std::string> header,
                     std::vector<size_t> widths = {});

  // As many cells as the header has. An empty cell is shown as "-".
  void Add(const std::vector<std::string>& cells);

  // The lines of the rows added since the last call, below the header with the
  // first call. Columns never get narrower from one call to the next.
  std::string Take();

 private:
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_VISIBLE_TEXT_H_
