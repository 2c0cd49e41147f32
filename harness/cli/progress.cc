#include "harness/cli/progress.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "harness/cli/words.h"

namespace rig::cli {
namespace {

constexpr std::chrono::milliseconds every_on_terminal{100};
constexpr std::chrono::seconds every_in_pipe{5};

bool colours_wanted() {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

void Tally::add(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::pass:
      ++pass;
      break;
    case VerdictKind::fail:
      ++fail;
      break;
    case VerdictKind::hang:
      ++hang;
      break;
    case VerdictKind::vacuous:
      ++vacuous;
      break;
    case VerdictKind::skip:
      ++skip;
      break;
  }
}

Progress::Progress(std::FILE* stream, std::size_t expected)
    : stream_(stream),
      expected_(expected),
      terminal_(::isatty(::fileno(stream)) == 1),
      colours_(terminal_ && colours_wanted()),
      start_(std::chrono::steady_clock::now()),
      next_(start_ + (terminal_ ? every_on_terminal : every_in_pipe)) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (shown_) {
    std::fputs("\r\033[K", stream_);
    shown_ = false;
  }
  std::fflush(stream_);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::update(const Tally& tally) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) {
    return;
  }
  next_ = now + (terminal_ ? every_on_terminal : every_in_pipe);
  const double elapsed = seconds();
  const std::size_t done = tally.total();
  const double rate = static_cast<double>(done) / elapsed;
  std::array<char, 32> rate_text{};
  std::snprintf(rate_text.data(), rate_text.size(), "%.1f/s", rate);
  std::string text = std::to_string(done);
  if (expected_ > 0) {
    text += " of " + std::to_string(expected_);
  }
  const std::string wrong = std::to_string(tally.bad()) + " not green";
  text += " done, " + (tally.bad() > 0 ? bad(wrong) : wrong) + ", " + rate_text.data();
  if (expected_ > done && done > 0) {
    text += ", about " + duration_text(static_cast<double>(expected_ - done) / rate) + " left";
  }
  if (terminal_) {
    clear();
    std::fputs(text.c_str(), stream_);
    shown_ = true;
    std::fflush(stream_);
  } else {
    line(text);
  }
}

void Progress::line(const std::string& text) {
  clear();
  std::fputs((text + "\n").c_str(), stream_);
  std::fflush(stream_);
}

std::string Progress::bad(const std::string& text) const {
  return colours_ ? "\033[31m" + text + "\033[0m" : text;
}

std::string Progress::good(const std::string& text) const {
  return colours_ ? "\033[32m" + text + "\033[0m" : text;
}

std::string summary(const Tally& tally, double seconds) {
  return std::to_string(tally.pass) + " passed, " + std::to_string(tally.fail) + " failed, " +
         std::to_string(tally.hang) + " hung, " + std::to_string(tally.vacuous) + " vacuous, " +
         std::to_string(tally.skip) + " skipped in " + duration_text(seconds);
}

}  // namespace rig::cli
