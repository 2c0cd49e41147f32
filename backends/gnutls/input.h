// Input: the ciphertext that was fed and that the library has not pulled yet. Private to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "harness/base/bytes.h"
#include "harness/engine/foreign_protocol.h"

namespace rig::gnutls {

// Intake says which records the library may pull at the moment.
enum class Intake : std::uint8_t {
  none,     // none: the verb under way only produces
  all,      // whatever comes
  data,     // application data only (TLS 1.2)
  no_data,  // anything but application data (TLS 1.2)
};

// Input is a queue of bytes that knows where the records of an established TLS 1.2 connection begin: the type of a
// record is readable in its header. Thread: not thread-safe.
class Input {
 public:
  // Pull is what became of a pull: `bytes` were copied; or none, because the stream has ended (`end`) or none are to be
  // had now.
  struct Pull {
    std::size_t bytes = 0;
    bool end = false;
  };

  // feed appends. Errors: std::bad_alloc; nothing was appended then.
  void feed(ByteView cipher);
  void end() noexcept { ended_ = true; }
  bool ended() const noexcept { return ended_; }

  // pull moves bytes to `room` (not empty), as far as `intake` allows.
  Pull pull(MutableBytes room, Intake intake) noexcept;

  // heed_types is called at the boundary of two records; from here on pull() heeds their types.
  void heed_types() noexcept;

  // next_body_bytes is how long the record that data_next() tells about is without its header; nothing while that is
  // not known. Units: bytes.
  std::optional<std::size_t> next_body_bytes() const noexcept;

  // plain_alert is the alert that the record pulled last is, if it is one that was never encrypted.
  std::optional<std::uint8_t> plain_alert() const noexcept;

  // data_next is true if the record that the library is in, or else the next one, is application data.
  bool data_next() const noexcept;

  std::size_t unread() const noexcept { return bytes_.size() - used_; }
  // first_bytes are the first ones that were ever fed.
  ByteView first_bytes() const noexcept { return first_bytes_.bytes(); }

 private:
  std::optional<std::uint8_t> next_type() const noexcept;
  std::size_t record_bytes() const noexcept;
  void follow(ByteView pulled) noexcept;

  Bytes bytes_;
  std::size_t used_ = 0;  // bytes of bytes_ that were pulled
  bool ended_ = false;
  bool heeding_ = false;
  std::array<std::uint8_t, 7> head_{};  // header and first bytes of the record that the library is in, or was in last
  std::size_t record_pulled_ = 0;       // how much of it was pulled; 0 between two records
  FirstBytes first_bytes_;
};

}  // namespace rig::gnutls
