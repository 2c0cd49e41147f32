#include "backends/gnutls/input.h"

#include <algorithm>

namespace rig::gnutls {
namespace {

// compact_bytes_min is how much must have been pulled before the rest is moved to the front: moving less often than
// every few records keeps the cost per byte constant.
constexpr std::size_t compact_bytes_min = 65536;

constexpr std::uint8_t application_data = 23;

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
  const std::size_t first = std::min(cipher.size(), first_bytes_.size() - first_bytes_size_);
  std::copy_n(cipher.begin(), first, first_bytes_.begin() + static_cast<std::ptrdiff_t>(first_bytes_size_));
  first_bytes_size_ += first;
}

std::optional<std::uint8_t> Input::next_type() const noexcept {
  if (header_size_ > 0) {
    return header_[0];
  }
  return unread() > 0 ? std::optional(bytes_[used_]) : std::nullopt;
}

bool Input::data_next() const noexcept {
  return following_ && next_type() == application_data;
}

Input::Pull Input::pull(MutableBytes room, Intake intake) noexcept {
  if (intake == Intake::none) {
    return {};
  }
  if (unread() == 0) {
    return {.end = ended_};
  }
  std::size_t bytes = std::min(room.size(), unread());
  if (following_) {
    if ((intake == Intake::data && !data_next()) || (intake == Intake::no_data && data_next())) {
      return {};
    }
    // Never over the end of a header or record: what follows may be for another intake.
    bytes = std::min(bytes, body_left_ > 0 ? body_left_ : header_.size() - header_size_);
  }
  const ByteView pulled = ByteView(bytes_).subspan(used_, bytes);
  std::ranges::copy(pulled, room.begin());
  used_ += bytes;
  follow(pulled);
  return {.bytes = bytes};
}

void Input::follow(ByteView pulled) noexcept {
  if (!following_) {
    return;
  }
  if (body_left_ > 0) {
    body_left_ -= pulled.size();
    header_size_ = body_left_ == 0 ? 0 : header_size_;
    return;
  }
  std::ranges::copy(pulled, header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
  header_size_ += pulled.size();
  if (header_size_ == header_.size()) {
    body_left_ = static_cast<std::size_t>(header_[3]) << 8 | header_[4];
    header_size_ = body_left_ == 0 ? 0 : header_size_;
  }
}

}  // namespace rig::gnutls
