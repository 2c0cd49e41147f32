// A peer that speaks TLS with an engine of its own, and spoils what it says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/base/bytes.h"
#include "harness/engine/engine.h"
#include "harness/oracle/stream_check.h"
#include "harness/scenario/scenario.h"

namespace rig {

// Spoiling is what happens to a record on its way out, at a byte of it.
enum class Spoiling : std::uint8_t {
  changed,     // the byte is another one
  shortened,   // what follows from there on is missing, and the next record comes
  lengthened,  // further bytes stand there
  lost,        // the whole record is
  twice,       // it comes twice
  late,        // it comes behind the next one
  halting,     // what follows comes with the next record: nothing is spoilt
  cut,         // what follows is missing, and the stream ends
};
inline constexpr std::uint8_t spoilings = 8;

// PeerPlan is what a HostilePeer is on its own side.
struct PeerPlan {
  std::string library;
  Side side = Side::server;
  TlsChoice tls = TlsChoice::tls12;
  bool renegotiation = false;
};

// HostilePeer is the other end of a connection of a Stand: a socket and an engine. It reads what the subject sends as a
// sound peer does; of what it says itself any record can be spoilt. Owns: both. Thread: the one of the run.
class HostilePeer {
 public:
  // Bytes that the engine is given to send are issued to `stream`.
  HostilePeer(const PeerPlan& plan, StreamCheck& stream);
  ~HostilePeer();
  HostilePeer(const HostilePeer&) = delete;
  HostilePeer& operator=(const HostilePeer&) = delete;

  // listen and accept, or connect.
  std::uint16_t listen();
  void accept();
  void connect(std::uint16_t port);

  // step takes in what has arrived, and says what is due.
  void step();
  // spoil has the record that comes after `skipped` others spoilt.
  void spoil(Spoiling how, std::uint8_t skipped, std::uint16_t offset, std::uint8_t value);
  // say sends bytes that no engine has made. The other verbs ask the engine; what it refuses is not done.
  void say(ByteView bytes);
  void write(std::size_t bytes);
  void renegotiate();
  void update_keys();
  void close_notify();
  // end ends the stream, reset resets the connection.
  void end();
  void reset();

  // sound says that all that was sent so far is what a sound peer would have sent, up to where the stream ended;
  // said_goodbye that a close_notify was among it; failed that the engine has given up, and has told so.
  bool sound() const { return sound_; }
  bool said_goodbye() const { return said_goodbye_; }
  bool failed() const { return failed_; }
  bool was_reset() const { return was_reset_; }
  bool has_ended() const { return ended_; }

 private:
  struct Spoil {
    Spoiling how;
    std::uint8_t skipped;
    std::uint16_t offset;
    std::uint8_t value;
  };

  template <typename Verb>
  auto ask(Verb&& verb);
  void take_in();
  void write_on();
  void put(ByteView cipher);
  void go_on();
  void put_record(ByteView record);
  void put_spoilt(const Spoil& spoil, Bytes record);
  void flush();
  void close_socket();

  const std::uint64_t stream_number_;
  const bool may_cross_;  // what its library makes of requests for a renegotiation that cross is sound
  StreamCheck& stream_;
  std::unique_ptr<TlsEngine> engine_;
  int listening_ = -1;
  int socket_ = -1;
  std::vector<Spoil> spoils_;
  Bytes outbox_;
  Bytes rest_;  // of a record that halts: goes in front of whatever comes
  Bytes late_;  // goes behind the next record
  Bytes to_write_;
  std::uint64_t next_token_ = 1;
  std::uint32_t key_updates_ = 0;
  bool shaken_hands_ = false;
  bool failed_ = false;
  bool goodbye_wanted_ = false;
  bool said_goodbye_ = false;
  bool end_wanted_ = false;
  bool ended_ = false;
  bool mute_ = false;  // the stream was cut: nothing more is said
  bool was_reset_ = false;
  bool sound_ = true;
};

}  // namespace rig
