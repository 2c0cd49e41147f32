// Wire: the two ends of the library's BIO, in memory. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "backends/openssl/library.h"
#include "harness/base/bytes.h"
#include "harness/engine/engine.h"

namespace rig::openssl {

// Wire hands the library the ciphertext that was fed, and puts what the library produces straight into the CipherOut of
// the verb under way. A full CipherOut is would-block for the library, at any byte.
//
// Alerts are the exception: they are taken whole, and what did not fit goes out first at the next verb. The library
// cannot go on with an alert that was cut: its next write is refused for having another type ("bad write retry"), and
// the connection is lost.
// Thread: as the engine that owns it. Errors: none; only feed() allocates (std::bad_alloc).
class Wire {
 public:
  // make_bio makes a BIO over this wire, which must outlive it. Null if memory ran out.
  Bio make_bio();

  // feed appends ciphertext of the peer. end says that no more will come.
  void feed(ByteView cipher);
  void end() noexcept { ended_ = true; }
  bool ended() const noexcept { return ended_; }
  // unread is how much was fed and not yet taken by the library.
  std::size_t unread() const noexcept { return input_.size() - used_; }
  // first_bytes are the first bytes that the peer ever sent.
  ByteView first_bytes() const noexcept { return ByteView(first_).first(first_size_); }

  // open lends `out` to the library until close(); with `reads` false the input looks empty meanwhile.
  void open(CipherOut& out, bool reads) noexcept;
  void close() noexcept;
  // reads takes input away from the library, or gives it back, within a verb. It returns what was so before.
  bool reads(bool allowed) noexcept { return std::exchange(reads_, allowed); }

  // flush_alert puts the rest of a cut alert into the output; true if nothing is left of it.
  bool flush_alert() noexcept;
  bool alert_left() const noexcept { return alert_size_ > 0; }
  // held_back is true if the library keeps the rest of something that did not fit, and was not taken whole.
  bool held_back() const noexcept { return held_back_; }
  // shut says that close_notify was the last thing the peer may hear: whatever the library produces later is dropped.
  void shut() noexcept { shut_ = true; }

  // outgoing_type says what type the record has that the library is going to write.
  void outgoing_type(std::uint8_t type) noexcept { alert_next_ = type == SSL3_RT_ALERT; }

  // gate keeps records of the handshake from the library while application data is held back: the answer could not be
  // written behind them, and trying to is fatal (again "bad write retry"). gated is true if one waits for that reason.
  void gate(bool shut_gate) noexcept { gate_ = shut_gate; }
  bool gated() const noexcept { return gated_; }

  // within_record is true if the library has taken a record in part. new_record says that it is not so.
  bool within_record() const noexcept { return header_size_ > 0 || body_left_ > 0; }
  void new_record() noexcept;

 private:
  struct Method;

  int write(ByteView cipher) noexcept;
  int read(MutableBytes room) noexcept;
  void track(ByteView taken) noexcept;

  Bytes input_;
  std::size_t used_ = 0;
  bool ended_ = false;
  bool reads_ = false;
  std::array<std::uint8_t, 24> first_{};
  std::size_t first_size_ = 0;

  CipherOut* out_ = nullptr;
  bool held_back_ = false;
  bool shut_ = false;
  bool alert_next_ = false;
  std::array<std::uint8_t, 256> alert_{};  // an alert's record is below 100 bytes with every cipher
  std::size_t alert_size_ = 0;

  bool gate_ = false;
  bool gated_ = false;
  std::array<std::uint8_t, SSL3_RT_HEADER_LENGTH> header_{};
  std::size_t header_size_ = 0;
  std::size_t body_left_ = 0;
};

}  // namespace rig::openssl
