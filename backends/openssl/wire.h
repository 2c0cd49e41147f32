// Wire: the two ends of the library's BIO, in memory. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "backends/openssl/library.h"
#include "harness/base/bytes.h"
#include "harness/engine/engine.h"
#include "harness/engine/foreign_protocol.h"

namespace rig::openssl {

// Wire hands the library the ciphertext that was fed, and puts what the library produces straight into the CipherOut of
// the verb under way. A full CipherOut is would-block for the library, at any byte.
//
// Some records it takes whole all the same, into a bounded backlog that goes out first at the next verb: alerts and key
// updates, and the rest of a record of application data when the engine is going to read. The library cannot go on with
// those cut: its next write of another type is refused ("bad write retry", "bad length"), and the connection is lost.
// Thread: as the engine that owns it. Errors: none; feed(), reserve() and reserve_record() may throw std::bad_alloc.
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
  ByteView first_bytes() const noexcept { return first_.bytes(); }

  // open lends `out` to the library until close(); with `reads` false the input looks empty meanwhile.
  void open(CipherOut& out, bool reads) noexcept;
  void close() noexcept;
  // reads takes input away from the library, or gives it back, within a verb. It returns what was so before.
  bool reads(bool allowed) noexcept { return std::exchange(reads_, allowed); }

  // reserve makes room for control records, reserve_record for one record of application data as well.
  void reserve() { backlog_.reserve(control_bytes_max); }
  void reserve_record() { backlog_.reserve(control_bytes_max + SSL3_RT_MAX_PACKET_SIZE); }

  // flush puts the backlog into the output; true if nothing is left of it.
  bool flush() noexcept;
  // backlog is how much waits there.
  std::size_t backlog() const noexcept { return backlog_.size(); }
  // held_back is true if the library keeps the rest of something that did not fit, and was not taken whole.
  bool held_back() const noexcept { return held_back_; }
  // take_whole says whether the record that the library is going to write must not be cut, as far as the reserved room
  // goes.
  void take_whole(bool whole) noexcept { take_whole_ = whole; }
  // shut says that close_notify was the last thing the peer may hear: whatever the library produces later is dropped.
  void shut() noexcept { shut_ = true; }

  // within_record is true if the library has taken a record in part. new_record says that it is not so.
  bool within_record() const noexcept { return header_size_ > 0 || body_left_ > 0; }
  void new_record() noexcept;

 private:
  struct Method;

  // A key update takes 27 bytes, an alert below 100 with every cipher. Units: bytes.
  static constexpr std::size_t control_bytes_max = 512;

  int write(ByteView cipher) noexcept;
  int read(MutableBytes room) noexcept;
  void track(ByteView taken) noexcept;

  Bytes input_;
  std::size_t used_ = 0;
  bool ended_ = false;
  bool reads_ = false;
  FirstBytes first_;

  CipherOut* out_ = nullptr;
  bool held_back_ = false;
  bool shut_ = false;
  bool take_whole_ = false;
  Bytes backlog_;  // never beyond what was reserved

  std::array<std::uint8_t, SSL3_RT_HEADER_LENGTH> header_{};
  std::size_t header_size_ = 0;
  std::size_t body_left_ = 0;
};

}  // namespace rig::openssl
