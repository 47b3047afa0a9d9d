#include "clients/ctl/visible_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "core/utf8.h"

namespace latchkey {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Unicode's control and format characters (general categories Cc, Cf, Zl and
// Zp), its invisible fillers, and variation selectors.
constexpr std::array kInvisible = {
    Range{0x0000, 0x001F},   Range{0x007F, 0x009F},   Range{0x00AD, 0x00AD},
    Range{0x034F, 0x034F},   Range{0x0600, 0x0605},   Range{0x061C, 0x061C},
    Range{0x06DD, 0x06DD},   Range{0x070F, 0x070F},   Range{0x0890, 0x0891},
    Range{0x08E2, 0x08E2},   Range{0x115F, 0x1160},   Range{0x17B4, 0x17B5},
    Range{0x180B, 0x180F},   Range{0x200B, 0x200F},   Range{0x2028, 0x202E},
    Range{0x2060, 0x206F},   Range{0x3164, 0x3164},   Range{0xFE00, 0xFE0F},
    Range{0xFEFF, 0xFEFF},   Range{0xFFA0, 0xFFA0},   Range{0xFFF0, 0xFFFB},
    Range{0x110BD, 0x110BD}, Range{0x110CD, 0x110CD}, Range{0x13430, 0x1345F},
    Range{0x1BCA0, 0x1BCA3}, Range{0x1D173, 0x1D17A}, Range{0xE0000, 0xE0FFF}};

bool IsInvisible(uint32_t point) {
  return std::ranges::any_of(kInvisible, [point](const Range& range) {
    return point >= range.first && point <= range.last;
  });
}

// Of a valid UTF-8 sequence.
uint32_t CodePoint(std::string_view sequence) {
  const auto lead = static_cast<uint8_t>(sequence[0]);
  if (sequence.size() == 1) return lead;
  uint32_t point = lead & (0x7FU >> sequence.size());
  for (const char byte : sequence.substr(1)) {
    point = (point << 6) | (static_cast<uint8_t>(byte) & 0x3FU);
  }
  return point;
}

std::string Escaped(uint32_t point) {
  if (point == '\n') return "\\n";
  if (point == '\t') return "\\t";
  if (point == '\r') return "\\r";
  if (point < 0x80) return fmt::format("\\x{:02x}", point);
  return fmt::format("\\u{{{:x}}}", point);
}

// `text`, padded to the right to `width` columns of a terminal. fmt counts what
// East Asian characters take.
std::string Padded(const std::string& text, size_t width) {
  return fmt::format("{:<{}}", text, width);
}

size_t Columns(const std::string& text) {
  // Each character takes at most two columns, and each at least one byte: the
  // padding shows how many columns fmt counted.
  const size_t width = 2 * text.size();
  return width - (Padded(text, width).size() - text.size());
}

}  // namespace

std::string Visible(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view sequence =
        text.substr(0, std::max<size_t>(1, length));
    text.remove_prefix(sequence.size());
    if (length == 0) {
      result += fmt::format("\\x{:02x}", static_cast<uint8_t>(sequence[0]));
    } else if (const uint32_t point = CodePoint(sequence); IsInvisible(point)) {
      result += Escaped(point);
    } else if (point == '\\') {
      result += "\\\\";
    } else {
      result += sequence;
    }
  }
  return result;
}

TextTable::TextTable(std::vector<std::string> header,
                     std::vector<size_t> widths)
    : widths_(std::move(widths)) {
  widths_.resize(header.size());
  rows_.push_back(std::move(header));
}

void TextTable::Add(const std::vector<std::string>& cells) {
  std::vector<std::string>& row = rows_.emplace_back();
  for (const std::string& cell : cells) {
    row.push_back(cell.empty() ? "-" : Visible(cell));
  }
}

std::string TextTable::Take() {
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths_[i] = std::max(widths_[i], Columns(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      line += Padded(row[i], widths_[i]) + "  ";
    }
    text += line + row.back() + "\n";
  }
  rows_.clear();
  return text;
}

}  // namespace latchkey
