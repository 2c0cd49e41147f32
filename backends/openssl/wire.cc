#include "backends/openssl/wire.h"

#include <algorithm>

namespace rig::openssl {
namespace {

// compact_bytes_min is how much must have been taken before the rest is moved to the front: moving less often than
// every few records keeps the cost per byte constant.
constexpr std::size_t compact_bytes_min = 65536;

}  // namespace

// Method holds the functions of the BIO. Each clears the retry flags first: they are state of the BIO, and a flag left
// from an earlier call turns a failure into a would-block (haproxy@1ad199172).
struct Wire::Method {
  static int write(BIO* bio, const char* data, int size) noexcept {
    BIO_clear_retry_flags(bio);
    if (size <= 0) {
      return 0;
    }
    const int taken = wire(bio).write({reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)});
    if (taken < 0) {
      BIO_set_retry_write(bio);
    }
    return taken;
  }

  static int read(BIO* bio, char* room, int size) noexcept {
    BIO_clear_retry_flags(bio);
    if (size <= 0) {
      return 0;
    }
    const int taken = wire(bio).read({reinterpret_cast<std::uint8_t*>(room), static_cast<std::size_t>(size)});
    if (taken < 0) {
      BIO_set_retry_read(bio);
    }
    return taken;
  }

  static long control(BIO* bio, int command, long, void*) noexcept {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;  // a write is in the output, or was refused
      case BIO_CTRL_EOF:
        return wire(bio).ended_ && wire(bio).reads_ && wire(bio).unread() == 0 ? 1 : 0;
      default:
        return 0;
    }
  }

  static Wire& wire(BIO* bio) noexcept { return *static_cast<Wire*>(BIO_get_data(bio)); }

  // table is made once and never freed: other engines may live on when statics are destroyed. Null if memory ran out.
  static const BIO_METHOD* table() noexcept {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tlsrig wire");
      if (method != nullptr) {
        BIO_meth_set_write(method, &Method::write);
        BIO_meth_set_read(method, &Method::read);
        BIO_meth_set_ctrl(method, &Method::control);
      }
      return method;
    }();
    return made;
  }
};

Bio Wire::make_bio() {
  const BIO_METHOD* method = Method::table();
  Bio bio(method == nullptr ? nullptr : BIO_new(method));
  if (bio != nullptr) {
    BIO_set_data(bio.get(), this);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

void Wire::feed(ByteView cipher) {
  if (used_ == input_.size()) {
    input_.clear();
    used_ = 0;
  } else if (used_ >= compact_bytes_min && used_ >= input_.size() / 2) {
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }
  input_.insert(input_.end(), cipher.begin(), cipher.end());
  first_.note(cipher);
}

void Wire::open(CipherOut& out, bool reads_allowed) noexcept {
  out_ = &out;
  reads_ = reads_allowed;
}

void Wire::close() noexcept {
  out_ = nullptr;
  reads_ = false;
}

bool Wire::flush() noexcept {
  if (!backlog_.empty() && out_ != nullptr) {
    const std::size_t taken = out_->append(backlog_);
    backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return backlog_.empty();
}

int Wire::write(ByteView cipher) noexcept {
  if (shut_) {
    return static_cast<int>(cipher.size());
  }
  const std::size_t taken = flush() && out_ != nullptr ? out_->append(cipher) : 0;
  const ByteView rest = cipher.subspan(taken);
  const bool whole = take_whole_ && rest.size() <= backlog_.capacity() - backlog_.size();
  held_back_ = !rest.empty() && !whole;
  if (held_back_) {
    // Nothing taken is would-block and never 0, which the library takes for an end (seastar@d588d9b44).
    return taken == 0 ? -1 : static_cast<int>(taken);
  }
  backlog_.insert(backlog_.end(), rest.begin(), rest.end());
  return static_cast<int>(cipher.size());
}

int Wire::read(MutableBytes room) noexcept {
  if (!reads_) {
    return -1;
  }
  if (unread() == 0) {
    return ended_ ? 0 : -1;
  }
  const ByteView taken = ByteView(input_).subspan(used_, std::min(room.size(), unread()));
  std::copy(taken.begin(), taken.end(), room.begin());
  track(taken);
  used_ += taken.size();
  return static_cast<int>(taken.size());
}

void Wire::new_record() noexcept {
  header_size_ = 0;
  body_left_ = 0;
}

// track follows the record headers through what the library takes.
void Wire::track(ByteView taken) noexcept {
  while (!taken.empty()) {
    if (body_left_ > 0) {
      const std::size_t part = std::min(body_left_, taken.size());
      body_left_ -= part;
      taken = taken.subspan(part);
      continue;
    }
    header_[header_size_++] = taken[0];
    taken = taken.subspan(1);
    if (header_size_ == header_.size()) {
      header_size_ = 0;
      body_left_ = static_cast<std::size_t>(header_[3]) << 8 | header_[4];
    }
  }
}

}  // namespace rig::openssl
