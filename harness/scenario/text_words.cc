#include "harness/scenario/text_words.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace rig {
namespace {

constexpr std::size_t shown_max = 40;
constexpr std::size_t nearest_max = 32;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool is_bare(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '/' ||
         c == '-';
}

bool is_bare_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, is_bare);
}

// The escapes that have a letter of their own.
constexpr std::pair<char, char> escapes[] = {{'"', '"'}, {'\\', '\\'}, {'n', '\n'}, {'t', '\t'}, {'r', '\r'}};

void append_escaped(std::string& text, char c) {
  for (const auto& [letter, meant] : escapes) {
    if (c == meant) {
      text += {'\\', letter};
      return;
    }
  }
  if (!is_control(c) && static_cast<unsigned char>(c) < 0x80) {
    text += c;
    return;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(c);
  text += {'\\', 'x', digits[value / 16], digits[value % 16]};
}

// The character that the escape at the front of `text` (behind its backslash) means; cuts it off.
std::optional<char> take_escape(std::string_view& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const char letter = text.front();
  text.remove_prefix(1);
  for (const auto& [known, meant] : escapes) {
    if (letter == known) {
      return meant;
    }
  }
  unsigned value = 0;
  if (letter != 'x' || text.size() < 2 ||
      std::from_chars(text.data(), text.data() + 2, value, 16).ptr != text.data() + 2) {
    return std::nullopt;
  }
  text.remove_prefix(2);
  return static_cast<char>(value);
}

// Where the quoted part that begins at `at` ends: the index behind its closing quote, or nothing.
std::optional<std::size_t> quote_end(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::nullopt;
}

// Edit distance, for words of at most nearest_max characters.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string met(const TextWord& word) {
  return "met " + (word.raw.empty() ? std::string("nothing") : shown(word.raw));
}

// A comment such as "#4878" was meant as one.
std::string comment_hint(const TextWord& word) {
  return word.raw.starts_with('#') ? "; a comment that begins with a digit needs a blank behind its #" : "";
}

}  // namespace

std::string print_name(std::string_view name) {
  if (is_bare_name(name)) {
    return std::string(name);
  }
  std::string text = "\"";
  for (const char c : name) {
    append_escaped(text, c);
  }
  return text + "\"";
}

std::string shown(std::string_view raw) {
  std::string text = "'";
  for (const char c : raw.substr(0, shown_max)) {
    if (c == '"' || c == '\\') {
      text += c;
    } else {
      append_escaped(text, c);
    }
  }
  return text + (raw.size() > shown_max ? "...'" : "'");
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty() || word.size() > nearest_max) {
    return std::nullopt;
  }
  std::optional<std::string_view> best;
  std::size_t best_distance = (word.size() < 4 ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
  for (const std::string_view one : known) {
    const std::size_t far = distance(word, one);
    if (far < best_distance && far < one.size()) {
      best = one;
      best_distance = far;
    }
  }
  return best;
}

std::string one_of(std::span<const std::string_view> known) {
  std::string text = known.size() > 1 ? "one of " : "";
  for (const std::string_view one : known) {
    text += one;
    text += ", ";
  }
  return text.substr(0, text.empty() ? 0 : text.size() - 2);
}

Read<TextLine> TextLine::read(std::string_view text, std::size_t line) {
  TextLine result;
  result.number_ = line;
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && is_blank(text[at])) {
      ++at;
    }
    // `#3` is a word (the third time); every other `#` in front of a word starts a comment.
    if (at == text.size() || (text[at] == '#' && !(at + 1 < text.size() && is_digit(text[at + 1])))) {
      return result;
    }
    const std::size_t begin = at;
    while (at < text.size() && !is_blank(text[at])) {
      if (text[at] == '"') {
        const auto end = quote_end(text, at);
        if (!end.has_value()) {
          return result.refuse_at(at + 1, "the quote that begins here has no end on its line");
        }
        at = *end;
      } else if (is_control(text[at])) {
        return result.refuse_at(at + 1, "met the control character " + shown(text.substr(at, 1)) +
                                            "; words are separated by blanks and tabs");
      } else {
        ++at;
      }
    }
    result.words_.push_back({text.substr(begin, at - begin), begin + 1});
    result.end_column_ = at + 1;
  }
}

bool TextLine::take_if(std::string_view raw) {
  if (at_end() || words_[next_].raw != raw) {
    return false;
  }
  ++next_;
  return true;
}

std::unexpected<SyntaxError> TextLine::refuse(const std::string& wanted) const {
  const TextWord word = peek();
  return refuse_at(word.column, met(word) + " where " + wanted + " should stand");
}

std::unexpected<SyntaxError> TextLine::refuse_at(std::size_t column, std::string message) const {
  return std::unexpected(SyntaxError{number_, column, std::move(message)});
}

Read<std::string> TextLine::name(const std::string& what) {
  const TextWord word = peek();
  skip();
  return name(what, word);
}

Read<std::string> TextLine::name(const std::string& what, TextWord word) const {
  if (is_bare_name(word.raw)) {
    return std::string(word.raw);
  }
  if (word.raw.empty() || word.raw.front() != '"') {
    return refuse_at(word.column, met(word) + " where " + what +
                                      " should stand: letters, digits and _ . / - or anything in double quotes");
  }
  std::string text;
  std::string_view rest = word.raw.substr(1);
  while (rest.front() != '"') {
    const std::size_t column = word.column + static_cast<std::size_t>(rest.data() - word.raw.data());
    char c = rest.front();
    rest.remove_prefix(1);
    if (c == '\\') {
      const auto meant = take_escape(rest);
      if (!meant.has_value()) {
        return refuse_at(column, "unknown escape in " + shown(word.raw) +
                                     R"(; after a backslash can stand ", \, n, t, r or x and two hexadecimal digits)");
      }
      c = *meant;
    }
    text += c;
  }
  if (rest.size() > 1) {
    return refuse_at(word.column, met(word) + " where " + what + " should stand: a blank belongs behind the quote");
  }
  return text;
}

Read<std::uint64_t> TextLine::number(const std::string& what, std::uint64_t max) {
  const TextWord word = peek();
  skip();
  return number(what, max, word);
}

Read<std::uint64_t> TextLine::number(const std::string& what, std::uint64_t max, TextWord word) const {
  if (word.raw.empty() || !std::ranges::all_of(word.raw, is_digit)) {
    return refuse_at(word.column,
                     met(word) + " where " + what + " should stand: a number from 0 to " + std::to_string(max));
  }
  std::uint64_t value = 0;
  const auto [end, wrong] = std::from_chars(word.raw.data(), word.raw.data() + word.raw.size(), value);
  if (wrong != std::errc() || value > max) {
    return refuse_at(word.column,
                     shown(word.raw) + " is too large for " + what + ", which is at most " + std::to_string(max));
  }
  return value;
}

Read<std::size_t> TextLine::known(const std::string& what, std::span<const std::string_view> known_words,
                                  TextWord word) const {
  if (const auto found = std::ranges::find(known_words, word.raw); found != known_words.end()) {
    return static_cast<std::size_t>(found - known_words.begin());
  }
  return refuse_unknown(what, known_words, word);
}

std::unexpected<SyntaxError> TextLine::refuse_unknown(const std::string& what,
                                                      std::span<const std::string_view> known_words,
                                                      TextWord word) const {
  std::string message = met(word) + " where " + what + " should stand: " + one_of(known_words);
  if (const auto meant = nearest(word.raw, known_words); meant.has_value()) {
    message += " (did you mean '" + std::string(*meant) + "'?)";
  }
  return refuse_at(word.column, message + comment_hint(word));
}

Read<void> TextLine::end() const {
  if (at_end()) {
    return {};
  }
  const TextWord word = peek();
  return refuse_at(word.column, met(word) + " where the line should end" + comment_hint(word));
}

}  // namespace rig
