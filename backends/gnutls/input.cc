#include "backends/gnutls/input.h"

#include <algorithm>

namespace rig::gnutls {
namespace {

// compact_bytes_min is how much must have been pulled before the rest is moved to the front: moving less often than
// every few records keeps the cost per byte constant.
constexpr std::size_t compact_bytes_min = 65536;

constexpr std::uint8_t alert = 21;
constexpr std::uint8_t application_data = 23;
constexpr std::size_t header_bytes = 5;

}  // namespace

void Input::feed(ByteView cipher) {
  if (used_ == bytes_.size()) {
    bytes_.clear();
    used_ = 0;
  } else if (used_ >= compact_bytes_min && used_ >= bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }
  bytes_.insert(bytes_.end(), cipher.begin(), cipher.end());
  first_bytes_.note(cipher);
}

std::optional<std::uint8_t> Input::next_type() const noexcept {
  if (record_pulled_ > 0) {
    return head_[0];
  }
  return unread() > 0 ? std::optional(bytes_[used_]) : std::nullopt;
}

bool Input::data_next() const noexcept {
  return heeding_ && next_type() == application_data;
}

std::optional<std::size_t> Input::next_body_bytes() const noexcept {
  if (record_pulled_ + unread() < header_bytes) {
    return std::nullopt;
  }
  const auto header = [this](std::size_t at) {
    return at < record_pulled_ ? head_[at] : bytes_[used_ + at - record_pulled_];
  };
  return static_cast<std::size_t>(header(3)) << 8 | header(4);
}

void Input::heed_types() noexcept {
  heeding_ = true;
  record_pulled_ = 0;
}

std::optional<std::uint8_t> Input::plain_alert() const noexcept {
  // Encrypted it is longer, or has the type of application data (TLS 1.3).
  const bool is_alert = record_pulled_ == 0 && head_[0] == alert && record_bytes() == head_.size();
  return is_alert ? std::optional(head_[6]) : std::nullopt;
}

// record_bytes is how long the record is that head_ begins; only the header if that is not known yet.
std::size_t Input::record_bytes() const noexcept {
  const bool known = record_pulled_ == 0 || record_pulled_ >= header_bytes;
  return header_bytes + (known ? static_cast<std::size_t>(head_[3]) << 8 | head_[4] : 0);
}

Input::Pull Input::pull(MutableBytes room, Intake intake) noexcept {
  if (intake == Intake::none) {
    return {};
  }
  if (unread() == 0) {
    return {.end = ended_};
  }
  if (heeding_ && ((intake == Intake::data && !data_next()) || (intake == Intake::no_data && data_next()))) {
    return {};
  }
  // Never over the end of a header or record: what follows may be for another intake.
  const std::size_t part = record_pulled_ < header_bytes ? header_bytes : record_bytes();
  const std::size_t bytes = std::min({room.size(), unread(), part - record_pulled_});
  const ByteView pulled = ByteView(bytes_).subspan(used_, bytes);
  std::ranges::copy(pulled, room.begin());
  used_ += bytes;
  follow(pulled);
  return {.bytes = bytes};
}

void Input::follow(ByteView pulled) noexcept {
  if (record_pulled_ < head_.size()) {
    const std::size_t kept = std::min(pulled.size(), head_.size() - record_pulled_);
    std::copy_n(pulled.begin(), kept, head_.begin() + static_cast<std::ptrdiff_t>(record_pulled_));
  }
  record_pulled_ += pulled.size();
  if (record_pulled_ >= header_bytes && record_pulled_ == record_bytes()) {
    record_pulled_ = 0;
  }
}

}  // namespace rig::gnutls
