// The words of a scenario's text: how a line is cut into words, and how a refusal names its place. Internal to text.h's
// implementation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/scenario/scenario.h"
#include "harness/scenario/text.h"

namespace rig {

// Read is what a reading step answers.
template <class T>
using Read = std::expected<T, SyntaxError>;

// TextWord is one word as it stands in the text, quotes included.
struct TextWord {
  std::string_view raw;
  std::size_t column = 0;
};

// print_name is `name` as it stands in a text: bare if it is a word of [A-Za-z0-9_./-], else quoted, with escapes.
std::string print_name(std::string_view name);

// shown is a word of a text as a message quotes it: escaped, and cut if it is long.
std::string shown(std::string_view raw);

// nearest is the one of `known` that `word` was probably meant to be, or nothing.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

// one_of is "one of a, b, c", or "a" if there is only one.
std::string one_of(std::span<const std::string_view> known);

// TextLine is one line of a text, read word by word. `raw` words are views into the text.
class TextLine {
 public:
  // read cuts `text` (without its line end) into words. Errors: a control character, a quote without an end.
  static Read<TextLine> read(std::string_view text, std::size_t line);

  std::size_t number() const { return number_; }
  bool empty() const { return words_.empty(); }
  bool at_end() const { return next_ == words_.size(); }
  // front is the first word of the line; the line is not empty.
  const TextWord& front() const { return words_.front(); }
  // peek is the next word, or one without text just behind the line.
  TextWord peek() const { return at_end() ? TextWord{{}, end_column_} : words_[next_]; }
  void skip() { next_ += at_end() ? 0 : 1; }
  // take_if takes the next word if it is `raw`.
  bool take_if(std::string_view raw);

  // refuse is the error "met X; here should stand `wanted`" at the next word.
  std::unexpected<SyntaxError> refuse(const std::string& wanted) const;
  // refuse_unknown is the error "met X where `what` should stand: one of ...", and which one was probably meant.
  std::unexpected<SyntaxError> refuse_unknown(const std::string& what, std::span<const std::string_view> known_words,
                                              TextWord word) const;
  // refuse_at is an error with a sentence of its own.
  std::unexpected<SyntaxError> refuse_at(std::size_t column, std::string message) const;

  // The takers read the next word, or the given part of one, and say what it should have been.
  Read<std::string> name(const std::string& what);
  Read<std::string> name(const std::string& what, TextWord word) const;
  Read<std::uint64_t> number(const std::string& what, std::uint64_t max);
  Read<std::uint64_t> number(const std::string& what, std::uint64_t max, TextWord word) const;
  // known answers the index of the word among `known_words`.
  Read<std::size_t> known(const std::string& what, std::span<const std::string_view> known_words, TextWord word) const;

  // known_entry is the same for a table, of whose entries `text_of` gives the word.
  template <class Entries, class TextOf>
  Read<std::size_t> known_entry(const std::string& what, const Entries& entries, TextOf text_of, TextWord word) const {
    if (const auto found = std::ranges::find(entries, word.raw, text_of); found != std::end(entries)) {
      return static_cast<std::size_t>(found - std::begin(entries));
    }
    std::vector<std::string_view> texts;
    std::ranges::transform(entries, std::back_inserter(texts), text_of);
    return refuse_unknown(what, texts, word);
  }

  template <class Enum>
  Read<Enum> enumerator(const std::string& what, TextWord word) const {
    const Read<std::size_t> index = known_entry(what, words<Enum>(), &Word<Enum>::text, word);
    if (!index.has_value()) {
      return std::unexpected(index.error());
    }
    return words<Enum>()[*index].value;
  }

  template <class Enum>
  Read<Enum> enumerator(const std::string& what) {
    const TextWord word = peek();
    skip();
    return enumerator<Enum>(what, word);
  }

  // end demands that no word is left.
  Read<void> end() const;

 private:
  std::size_t number_ = 0;
  std::size_t end_column_ = 1;  // just behind the last word
  std::vector<TextWord> words_;
  std::size_t next_ = 0;
};

}  // namespace rig
